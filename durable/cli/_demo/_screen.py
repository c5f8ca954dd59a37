"""How the demo looks while it runs: a live picture in a terminal, plain lines elsewhere, nothing for `--json`."""

from collections import deque
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ._play import State

STATUSES = {"shipped": "green", "refunded": "yellow", "cancelled": "magenta", "rejected": "red"}
EVENTS_SHOWN = 9
WIDTH_MAX = 116  # past it, lines are hard to read; and all events but the longest fit
LINES_ABOVE_EVENTS = 10


class LiveScreen:
    """A picture that is drawn again and again."""

    def __init__(self, console: Console, state: State) -> None:
        self._console = console
        self._state = state
        self._events: deque[tuple[float, str]] = deque(maxlen=EVENTS_SHOWN)
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._picture)

    def __enter__(self) -> "LiveScreen":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.refresh()
        self._live.stop()

    def event(self, text: str) -> None:
        """Add a line to what has happened."""
        self._events.append((self._state.seconds, text))
        self.tick()

    def tick(self) -> None:
        """Draw the picture."""
        self._live.refresh()

    def _picture(self) -> RenderableType:
        state = self._state
        width = min(self._console.width, WIDTH_MAX)
        total = f"{state.total:,}"
        head = Table.grid(padding=(0, 2, 0, 0))
        head.add_row(
            ProgressBar(total=max(state.total, 1), completed=state.done, width=max(width - 36, 10)),
            Text(f"{state.done:{len(total)},} of {total} orders", style="bold"),
            Text(f"{state.seconds:2.0f} s", style="dim"),
        )
        facts = Table.grid(padding=(0, 3, 0, 0))
        facts.add_row("orders", self._counts())
        facts.add_row("worker", self._worker())
        events = Table.grid(padding=(0, 2, 0, 0))
        for seconds, text in list(self._events)[-self._events_that_fit() :]:
            events.add_row(Text(f"{seconds:4.1f} s", style="dim"), Text.from_markup(text))
        rule = Rule(Text("what happens", style="dim"), align="left", style="dim")
        parts: list[RenderableType] = [Text(), head, Text(), facts, Text(), rule, events]
        return Constrain(Padding(Group(*parts), (0, 1)), width)

    def _events_that_fit(self) -> int:
        """Return how many events a low terminal has room for: what would be cut off are the newest ones."""
        lines_each = 1 if self._console.width >= WIDTH_MAX else 2
        return max(2, (self._console.height - LINES_ABOVE_EVENTS) // lines_each)

    def _counts(self) -> Text:
        state = self._state
        text = Text(f"{state.in_flight} in flight", style="cyan")
        for status, color in STATUSES.items():
            text.append(f"   {state.ended[status]:,} {status}", style=color if state.ended[status] else "dim")
        return text

    def _worker(self) -> Text:
        state = self._state
        if state.pid == 0:
            return Text("none yet", style="dim")
        text = Text(f"pid {state.pid}", style="bold")
        if state.waiting_for_takeover:
            text.append("   taking over", style="yellow")
        else:
            text.append(f"   up for {state.seconds - state.worker_since:.0f} s", style="green")
        if state.kills_planned:
            text.append(
                f"   killed {state.kills} of {state.kills_planned} times", style="red" if state.kills else "dim"
            )
        return text


class PlainScreen:
    """A line for each event, and one for each fifth of the way: for logs and pipes."""

    def __init__(self, console: Console, state: State) -> None:
        self._console = console
        self._state = state
        self._fifths = 0

    def __enter__(self) -> "PlainScreen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def event(self, text: str) -> None:
        """Print what has happened."""
        self._print(Text.from_markup(text).plain)

    def tick(self) -> None:
        """Print how far the orders are, now and then."""
        state = self._state
        fifths = state.done * 5 // state.total if state.total else 0
        if fifths > self._fifths:
            self._fifths = fifths
            counts = ", ".join(f"{state.ended[status]:,} {status}" for status in STATUSES if state.ended[status])
            self._print(f"{state.done:,} of {state.total:,} orders: {counts}; {state.in_flight} in flight")

    def _print(self, text: str) -> None:
        self._console.print(f"[{self._state.seconds:5.1f} s] {text}", markup=False, highlight=False, soft_wrap=True)
