"""The results: JSON lines, a table, a plot."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from durable.testing.benchmark import Line, number

Row = tuple[str, str, str, str]  # workload, part, figure, unit


def write(lines: Sequence[Line], titles: Mapping[str, str], head: Mapping[str, object], folder: Path) -> str:
    """Write `results.jsonl`, `results.md` and `results.svg` into `folder`; return the table."""
    folder.mkdir(parents=True, exist_ok=True)
    data = [json.dumps({"machine": head}), *(json.dumps(line.as_data()) for line in lines)]
    Path(folder, "results.jsonl").write_text("\n".join(data) + "\n", encoding="utf-8")
    text = f"{table(lines, titles)}\n{costs(lines)}"
    machine = ", ".join(f"{name}: {value}" for name, value in head.items())
    Path(folder, "results.md").write_text(f"{machine}\n\n{text}", encoding="utf-8")
    Path(folder, "results.svg").write_text(plot(lines), encoding="utf-8")
    return text


def table(lines: Sequence[Line], titles: Mapping[str, str]) -> str:
    """Return a table in Markdown: a line for each figure, a column for each store, and how each compares with its floor."""
    stores = list(dict.fromkeys(line.store for line in lines))
    found = [f"| | | {' | '.join(stores)} |", f"|---|---|{'---|' * len(stores)}"]
    for workload in dict.fromkeys(line.workload for line in lines):
        found.append(f"| **{workload}** | {titles.get(workload, '')} |{' |' * len(stores)}")
        by_row: dict[Row, dict[str, Line]] = {}
        for line in lines:
            if line.workload == workload:
                by_row.setdefault(_row(line), {})[line.store] = line
        for (_, part, figure, unit), by_store in by_row.items():
            cells = [_cell(by_store.get(store)) for store in stores]
            what = ", ".join(filter(None, (part, figure, unit)))
            found.append(f"| | {what} | {' | '.join(cells)} |")
    return "\n".join(found) + "\n"


def _row(line: Line) -> Row:
    return line.workload, line.part, line.figure, line.unit


def _cell(line: Line | None) -> str:
    if line is None:
        return "–"
    return f"{number(line.value)} ({line.shown_ratio})" if line.shown_ratio else number(line.value)


def costs(lines: Sequence[Line]) -> str:
    """Return a table of what each pass cost, for the figures that count something."""
    found = [
        "| | | store | CPU of worker and client, µs each | of the server, µs each | written, bytes each | most memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        if line.count:
            server = "" if line.server_cpu_s is None else number(1_000_000 * line.server_cpu_s / line.count)
            written = "" if not line.written_bytes else number(line.written_bytes / line.count)
            peak = "" if line.peak_bytes is None else number(line.peak_bytes / 2**20)
            what = f"{line.part} {line.unit}".strip()
            found.append(
                f"| {line.workload} | {what} | {line.store} | {line.shown_cpu} | {server} | {written} | {peak} |"
            )
    return "\n".join(found) + "\n"


_BAR, _GAP, _LABEL, _WIDTH = 14, 10, 330, 420
_COLORS = ("#3b6ea5", "#7aa6d1", "#b5533c", "#777777", "#4c8f5b")


def plot(lines: Sequence[Line]) -> str:
    """Return an SVG: for each rate a bar of which part of its floor it is. Memory is left out: its floor is a dict."""
    shown = [line for line in lines if line.is_rate and line.ratio is not None and line.store != "memory"]
    stores = list(dict.fromkeys(line.store for line in shown))
    rows = dict.fromkeys(_row(line) for line in shown)
    y, body = 30, list[str]()
    for index, store in enumerate(stores):
        x = _LABEL + 130 * index
        body.append(f'<rect x="{x}" y="8" width="10" height="10" fill="{_COLORS[index % len(_COLORS)]}"/>')
        body.append(f'<text x="{x + 14}" y="17">{escape(store)}</text>')
    for row in rows:
        bars = [line for line in shown if _row(line) == row]
        label = " ".join(filter(None, row))
        body.append(
            f'<text x="{_LABEL - 8}" y="{y + _BAR * len(bars) / 2 + 4}" text-anchor="end">{escape(label)}</text>'
        )
        for line in bars:
            color, ratio = _COLORS[stores.index(line.store) % len(_COLORS)], line.ratio or 0.0
            width = min(ratio, 1.0) * _WIDTH
            body.append(f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{color}"/>')
            text = f"{line.shown_ratio} · {number(line.value)} {line.unit}"
            body.append(f'<text x="{_LABEL + width + 5:.1f}" y="{y + _BAR - 4}">{escape(text)}</text>')
            y += _BAR
        y += _GAP
    floor = _LABEL + _WIDTH
    body.append(f'<line x1="{floor}" y1="26" x2="{floor}" y2="{y}" stroke="#777777" stroke-dasharray="3 3"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{floor + 190}" height="{y + 10}" font-family="sans-serif" font-size="11">\n'
        '<title>Part of the floor that each workload reaches</title>\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )
