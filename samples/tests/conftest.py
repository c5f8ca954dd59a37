"""Makes the samples importable, as a project's own modules are."""

import sys
from pathlib import Path

SAMPLES = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(SAMPLES), str(SAMPLES / "orders")) if path not in sys.path]
