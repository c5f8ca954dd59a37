"""What several passes say together: one line for each figure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ._bench import Figure


@dataclass(frozen=True, slots=True)
class Line:
    """A figure: the median of its passes, the lowest and the highest, and the medians of what they cost. `ratio` is the median of the ratios.

    `count` is how many of what it counts were done in a pass, 0 if it is no such figure. Seconds, bytes; None where something is
    not known or does not apply.
    """

    workload: str
    part: str
    figure: str
    store: str
    unit: str
    value: float
    low: float
    high: float
    floor: float | None
    ratio: float | None
    count: int
    cpu_s: float
    server_cpu_s: float | None
    written_bytes: int | None
    peak_bytes: int | None
    passes: int

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return asdict(self)

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s")

    @property
    def shown_ratio(self) -> str:
        """The ratio as people read it: part of the floor's rate, or times the floor's latency."""
        if self.ratio is None:
            return ""
        return f"{self.ratio:.0%}" if self.is_rate else f"{self.ratio:.1f}x"

    @property
    def shown_cpu(self) -> str:
        """The CPU time of this process for each of what is counted, in microseconds."""
        return f"{1_000_000 * self.cpu_s / self.count:,.0f}" if self.count else ""


def lines_of(workload: str, store: str, passes: Sequence[Sequence[Figure]]) -> list[Line]:
    """Return a line for each figure that the passes have."""
    return [_line(workload, store, same) for same in zip(*passes, strict=True)]


def _line(workload: str, store: str, same: Sequence[Figure]) -> Line:
    first, values = same[0], [each.value for each in same]
    written = _median([each.costs.written_bytes for each in same])
    peak = _median([each.costs.peak_bytes for each in same])
    return Line(
        workload=workload,
        part=first.part,
        figure=first.name,
        store=store,
        unit=first.unit,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        floor=_median([each.floor for each in same]),
        ratio=_median([each.ratio for each in same]),
        count=first.count,
        cpu_s=statistics.median(each.costs.cpu_s for each in same),
        server_cpu_s=_median([each.costs.server_cpu_s for each in same]),
        written_bytes=None if written is None else int(written),
        peak_bytes=None if peak is None else int(peak),
        passes=len(same),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if len(known) == len(values) else None


def number(value: float | None) -> str:
    """Return a number as people read it: three digits that count, thousands set apart."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
