"""The store that lives in this process: for tests and for trying things out; what the other stores are measured against."""

from .._rules import PARTITIONS_DEFAULT
from ._state import State
from ._store import MemoryStore

__all__ = ["MemoryStore", "State", "shared_state"]

_SHARED: dict[str, State] = {}  # kept until the process ends, so that a test can close everything and open it again


def shared_state(name: str, partitions: int | None) -> State:
    """Return the state that everyone in this process shares under `name`, made now if it is the first time."""
    return _SHARED.setdefault(name, State(partitions or PARTITIONS_DEFAULT))
