"""The planted bugs."""

from ..harness import Planted
from . import engine, store, workflows

BUGS: dict[str, list[Planted]] = {"store": store.BUGS, "engine": engine.BUGS, "workflows": workflows.BUGS}
