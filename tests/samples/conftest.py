"""Makes the sample shop importable as its own programs import it."""

import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"
if str(SAMPLES / "orders") not in sys.path:
    sys.path.insert(0, str(SAMPLES / "orders"))


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the samples."""
    return SAMPLES
