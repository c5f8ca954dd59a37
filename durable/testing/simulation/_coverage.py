"""What a simulation went through, in numbers and line by line."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

LINES_KEPT = 400  # of the trace, for the report of a failure


@dataclass(slots=True)
class Report:
    """What a simulation covered.

    `trace` is a digest of all that happened: two runs of one seed have the same. `counts` says how often what happened:
    commits, refused commits by their error, calls lost before and after their effect, crashes, freezes, replays, and so on.
    """

    seed: int
    trace: str = ""
    virtual_s: float = 0.0
    turns: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])

    def as_json(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "seed": self.seed,
            "trace": self.trace,
            "virtual_s": round(self.virtual_s, 3),
            "turns": self.turns,
            "counts": dict(sorted(self.counts.items())),
        }


class Trace:
    """The record of a simulation. Every line goes into the digest; the last ones are kept."""

    def __init__(self, now_s: Callable[[], float], sink: Callable[[str], None] | None = None) -> None:
        self._now_s, self._sink = now_s, sink
        self._digest = blake2b(digest_size=16)
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)

    def add(self, who: str, what: str, data: bytes = b"") -> None:
        """Write down that `who` did `what`; `data` goes into the digest only."""
        line = f"{self._now_s():12.6f} {who:<10} {what}"
        self.lines.append(line)
        self._digest.update(line.encode())
        if data:
            self._digest.update(data)
        if self._sink is not None:
            self._sink(line)

    def comment(self, who: str, text: str) -> None:
        """Write down a line for people, which is no part of the digest."""
        line = f"{self._now_s():12.6f} {who:<10} {text}"
        self.lines.append(line)
        if self._sink is not None:
            self._sink(line)

    @property
    def listens(self) -> bool:
        """Whether someone reads along."""
        return self._sink is not None

    @property
    def digest(self) -> str:
        """The digest of all lines so far."""
        return self._digest.hexdigest()
