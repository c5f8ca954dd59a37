"""What a family of steps offers: a handler for each type of message or due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..decision import Decision
from ..execution import Execution

Handlers = dict[type, Callable[[Execution, Any, int, Decision], None]]
"""By type of message: delivers one at `now_ms` and adds what follows to the decision."""
