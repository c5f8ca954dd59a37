"""What follows from the end of an update: whoever waits for it is woken, and finds it in the history."""

from __future__ import annotations

from ..._log import QueryReply, update_reply_id
from ..._runtime.run import Run
from ...history import UpdateCompleted
from ..decision import Decision
from ._family import Family


def _add(run: Run, event: UpdateCompleted, decision: Decision) -> None:
    decision.replies.append((update_reply_id(run.run_id, event.update), QueryReply()))


FAMILY = Family(add={UpdateCompleted: _add})
