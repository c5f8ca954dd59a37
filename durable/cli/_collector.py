"""How often Python looks for garbage in a process that does nothing but run workflows."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

# By default Python looks each time 700 objects more were made than freed, and a run in flight alone has a hundred. What this package
# drops is freed at once, without the collector's help, so it finds nothing: at 20,000 runs take a seventh less CPU time, and no more memory.
THRESHOLDS = (20_000, 20, 20)


@contextmanager
def sparing_the_collector() -> Generator[None]:
    """Look for garbage less often while the block runs, and not among what has been loaded before. For a process of our own."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
