"""The workflows that histories are replayed with: each run with the code of its name and, if it is pinned, of its version."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from ..author import Workflow
from ..client import Client, RunDescription
from ..errors import DefinitionError
from ..history import RunStarted

PAGE = 1_000  # runs listed at once


class Codes:
    """Workflows by name and pinned version. Raises `DefinitionError` for what is none, and for two of one name and version."""

    def __init__(self, workflows: Iterable[Workflow[..., Any]]) -> None:
        self._codes: dict[tuple[str, str], Workflow[..., Any]] = {}
        for each in workflows:
            if not isinstance(each, Workflow):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
                raise DefinitionError(f"expected a function decorated with @workflow, got {each!r}")
            other = self._codes.setdefault((each.name, each.version if each.pinned else ""), each)
            if other is not each:
                raise DefinitionError(f"two workflows are named {each.name!r}: {other!r} and {each!r}")

    @property
    def names(self) -> list[str]:
        """The names of the workflows, sorted."""
        return sorted({name for name, _ in self._codes})

    def of(self, run: RunDescription | RunStarted) -> Workflow[..., Any] | None:
        """Return the code that steps this run, or None if it is not among them."""
        return self._codes.get((run.workflow, (run.version or "") if run.pinned else ""))

    def missing(self, run: RunStarted) -> str:
        """Return in words that the code of `run` is not among them."""
        if run.pinned and run.workflow in self.names:
            return f"the run is pinned to version {run.version!r} of workflow {run.workflow!r}, which is not among them"
        return f"no workflow is named {run.workflow!r}; there are: {', '.join(self.names) or 'none'}"

    async def runs(self, client: Client, limit: int, filters: dict[str, Any]) -> list[RunDescription]:
        """Return the newest `limit` runs that match `filters` and are stepped by one of these workflows."""
        found: list[RunDescription] = []
        for name in self.names:
            count = 0
            async for run in _each(client, name, min(limit, PAGE), filters):
                if self.of(run) is not None:
                    found.append(run)
                    count += 1
                    if count >= limit:
                        break
        return sorted(found, key=lambda run: run.started_at, reverse=True)[:limit]


async def _each(client: Client, name: str, page_size: int, filters: dict[str, Any]) -> AsyncIterator[RunDescription]:
    before: RunDescription | None = None
    while True:
        page = await client.list(workflow=name, limit=page_size, before=before, **filters)
        for run in page:
            yield run
        if len(page) < page_size:
            return
        before = page[-1]
