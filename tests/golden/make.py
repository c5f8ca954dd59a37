"""Write the history of each feature that has none yet: `python -m tests.golden.make`. It never overwrites one.

A history that no longer replays tells of a change that would break the runs of those who use the package. Put the code
right, or give it a flag that new runs record (DESIGN §6); do not make the history anew. A new feature gets a new file.
"""

import os
from pathlib import Path

from tests.golden.features import FEATURES

HERE = Path(__file__).parent
_ROOT = f"{HERE.parents[1]}/".encode()
_PYTHON = f"{Path(os.__file__).parent}/".encode()


def write(name: str, folder: Path = HERE) -> Path:
    """Write the history of one feature, and return its path. Raises `FileExistsError` if there is one."""
    path = folder / f"{name}.jsonl"
    with path.open("xb") as file:
        run = FEATURES[name][1]()
        assert run.status != "running", f"{name} has not ended: {run.tags()}"
        # Tracebacks name files: where this checkout lies is nobody's business.
        file.write(b"".join(record.replace(_ROOT, b"").replace(_PYTHON, b"") + b"\n" for record in run.history))
        run.dispose()
    return path


def main() -> None:
    """Write what is missing."""
    for name in FEATURES:
        try:
            print(f"{write(name).name}: written")
        except FileExistsError:
            print(f"{name}.jsonl: kept")


if __name__ == "__main__":
    main()
