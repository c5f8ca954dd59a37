"""The command line `durable`: an edge for people and scripts, over the client. Needs the extra `cli`."""

import sys
from collections.abc import Sequence

_EXTRA = {"click", "rich"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (the process's own arguments if it is None) and return the exit code.

    Exit codes are listed in `durable.cli._app`. Without the extra `cli` it says what to install and returns 2.
    """
    try:
        from ._app import run
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(
            f'durable: the command line needs the package {missing.name!r}; install it with: pip install "durable-sdk[cli]"\n'
        )
        return 2
    return run(argv)
