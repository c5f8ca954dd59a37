"""All runs of one story: that of the workflow, and those of children whose own code is run. They share time, and what the story tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from ..._log import Message, StartRun
from ...author import Workflow


class Member(Protocol):
    """One run, as the others see it."""

    @property
    def workflow(self) -> Workflow[..., Any]:
        """Whose code it runs."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        ...

    @property
    def steps(self) -> int:
        """How many steps were recorded."""
        ...

    def take(self, message: Message, at_ms: int) -> None:
        """Have `message` delivered to it."""
        ...

    def next_own_ms(self) -> int | None:
        """Return when the next thing happens to it, or None."""
        ...

    def proceed(self) -> bool:
        """Let the next thing happen to it; False if there is none."""
        ...


class Family:
    """The runs by their workflow id, in the order of their starts; only the last one of each id. `now_ms` is their time."""

    def __init__(
        self,
        workflows: Mapping[str, Workflow[..., Any]],
        now_ms: int,
        make: Callable[[Workflow[..., Any], str, str], Member],
    ) -> None:
        self.now_ms, self._workflows, self._make = now_ms, workflows, make
        self.runs: dict[str, Member] = {}
        self.children: list[Member] = []  # all of them, in the order of their starts

    def start(self, workflow_id: str, message: StartRun, now_ms: int) -> str:
        """Start a run, and return its id. Raises `ValueError` for a workflow that was not passed."""
        workflow = self._workflows.get(message.workflow)
        if workflow is None:
            raise ValueError(
                f"the story runs the code of child {message.workflow!r}, which was not passed: pass workflows=[...] with it"
            )
        run_id = f"run-{len(self.children) + 2}"
        run = self._make(workflow, workflow_id, run_id)
        self.children.append(run)
        self.runs[workflow_id] = run
        parent = message.parent and replace(message.parent, partition=0)
        run.take(replace(message, run_id=run_id, parent=parent), now_ms)
        return run_id

    def ran(self) -> list[str]:
        """Return the names of the children's functions."""
        return sorted({child.workflow.fn.__name__ for child in self.children})

    def next_ms(self) -> int | None:
        """Return when the next thing happens to any of the children, or None."""
        return min((at_ms for child in self.children if (at_ms := child.next_own_ms()) is not None), default=None)

    def proceed(self) -> bool:
        """Let the next thing happen to one of the children; False if there is none."""
        coming = [(at_ms, child) for child in self.children if (at_ms := child.next_own_ms()) is not None]
        return bool(coming) and min(coming, key=_when)[1].proceed()


def _when(coming: tuple[int, Member]) -> int:
    return coming[0]
