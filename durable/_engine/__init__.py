"""The engine: steps runs, and commits what follows."""

from ._local import LocalTasks
from .engine import Engine

__all__ = ["Engine", "LocalTasks"]
