"""Which run is a child's present one. A child keeps its parent over a continue-as-new, so the run's record says whose it is."""

from __future__ import annotations

import msgspec

from ..history import Parent
from ..stores import Document, Store
from ._runs import read_run


class ChildRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A child, as its parent knows it: the run that started it, by which command, issued after which reopening."""

    run_id: str
    command: int
    reopened: int = 0

    def is_of(self, parent: Parent | None) -> bool:
        """Return whether a run with this `parent` is the child."""
        return parent is not None and (parent.run_id, parent.command, parent.reopened) == (
            self.run_id, self.command, self.reopened,
        )  # fmt: skip


async def child_document(store: Store, partition: int, workflow_id: str, child: ChildRef) -> Document | None:
    """Return the document of the child's last run; None if there is none, or another run has taken its workflow id since."""
    document = await store.document(partition, name=workflow_id)
    return document if document is not None and child.is_of(read_run(document).body.parent) else None
