"""What a family of commands offers to the engine: what follows from each, and how that is taken back or put back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..._runtime.run import Run
from ..decision import Decision

Effect = Callable[[Run, Any, Decision], None]


@dataclass(frozen=True, slots=True)
class Family:
    """`add` is by type of command event, the others by type of pending command.

    `add`: the code issued it in a live step. `drop`: the code gave it up. `close`: the run closed while it was pending
    (default: as `drop`). `restore`: the run was reopened while it was pending.
    """

    add: dict[type, Effect] = field(default_factory=dict[type, Effect])
    drop: dict[type, Effect] = field(default_factory=dict[type, Effect])
    close: dict[type, Effect] = field(default_factory=dict[type, Effect])
    restore: dict[type, Effect] = field(default_factory=dict[type, Effect])
