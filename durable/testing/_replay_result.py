"""What a replay found: whether the code follows the history, and if not, where the two part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DivergenceKind = Literal[
    "changed", "impure", "hash_seed", "decode", "blocked", "unknown_workflow", "unreadable", "error"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first place at which code and history part.

    `seq` is the number of the first event that the code does not follow; one more than the last event's if the history has
    no more, and 0 if nothing could be replayed. `history` is what stands there, `code` what the code asked for, `where` its source line as "file:line in
    function", `cause` the likely cause and what to do. `error` is the whole text of what a worker would note as the reason
    why the run is stuck. `kind` is one of

    - `changed`: the code asks for something else than it did;
    - `impure`: the code does what no replay could repeat, like I/O;
    - `hash_seed`: what the code asks for depends on the order of a set, or on `hash()`;
    - `decode`: a recorded value does not fit the declared type any more;
    - `blocked`: the code computes for too long without an await;
    - `unknown_workflow`: none of the given workflows has the history's name;
    - `unreadable`: a record of the history is damaged, or written by a newer version;
    - `error`: anything else that would make the run stuck.
    """

    kind: DivergenceKind
    seq: int
    history: str = ""
    code: str = ""
    where: str = ""
    cause: str = ""
    error: str = ""

    def __str__(self) -> str:
        """The difference as people read it."""
        said = (
            ("the history says", self.history),
            ("the code asked for", self.code),
            ("error", "" if self.code else self.error),
            ("at", self.where),
            ("likely cause", self.cause),
        )
        place = f"differs at event {self.seq}:" if self.seq else "cannot be replayed:"
        return "\n".join([place, *(f"  {label}: {text}" for label, text in said if text)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something that the code asks for with other values than it did. Replay takes the recorded ones, so this is allowed."""

    seq: int
    what: str
    history: str
    code: str
    where: str

    def __str__(self) -> str:
        """The change as people read it."""
        return f"event {self.seq}, {self.what}: was {self.history}, is {self.code} (at {self.where})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """The outcome of one replay. True if the code follows the history.

    `workflow`, `workflow_id` and `run_id` are what the history says of itself; `status` what it ends with, or "running".
    `events` is how many it has. `drift` lists the commands whose values have changed, which a replay allows.
    """

    workflow: str
    workflow_id: str = ""
    run_id: str = ""
    status: str = "running"
    events: int = 0
    divergence: Divergence | None = None
    drift: tuple[Drift, ...] = ()
    source: str = ""  # the file that the history was read from

    @property
    def ok(self) -> bool:
        """Whether the code follows the history."""
        return self.divergence is None

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        """The outcome as people read it, with the whole difference."""
        run = f"run {self.run_id} of {self.workflow_id!r} (workflow {self.workflow!r}, {self.events} events)"
        return f"{run} replays" if self.divergence is None else f"{run} {self.divergence}"
