"""The demo's stage: a folder with the store and the ledger, and one worker process. Whatever happens, it is cleared away."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

WORKER_MODULE = f"{__package__}._worker"


class Stage:
    """`async`-free on purpose: its end must work while everything else falls down.

    In `keep`, if given (an absent or empty folder), files stay; else they are in a temporary folder that is removed.
    """

    def __init__(self, sample: Path, keep: Path | None) -> None:
        self._sample = sample
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None
        self._log: BinaryIO | None = None

    def __enter__(self) -> "Stage":
        if self._keep is None:
            self.folder = Path(tempfile.mkdtemp(prefix="durable-demo-"))
        else:
            self.folder = self._keep.resolve()
            self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.kill_worker()
        finally:
            if self._keep is None:
                shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def store_url(self) -> str:
        """The URL of the shop's store."""
        return f"sqlite:///{(self.folder / 'shop.db').as_posix()}"

    @property
    def ledger_path(self) -> Path:
        """The file of the outside ledger."""
        return self.folder / "ledger.db"

    def start_worker(self) -> int:
        """Start a worker process; return its pid."""
        package_home = str(Path(__file__).resolve().parents[3])
        env = {
            **os.environ,
            "DURABLE_STORE": self.store_url,
            "SHOP_LEDGER": str(self.ledger_path),
            "PYTHONPATH": os.pathsep.join(filter(None, [package_home, os.environ.get("PYTHONPATH", "")])),
            "PYTHONUTF8": "1",
        }
        self._log = (self.folder / "worker.log").open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", WORKER_MODULE, str(self._sample)],
            stdin=subprocess.PIPE,  # closes with this process, and so ends the worker
            stdout=self._log,
            stderr=self._log,
            env=env,
            cwd=self.folder,  # `-m` puts this folder first in the path: one that holds no modules
            start_new_session=True,  # Ctrl-C goes to the demo alone, which then clears up
        )
        return self._process.pid

    def kill_worker(self) -> int:
        """Kill the worker with SIGKILL and wait until it is gone; return its pid (0: there was none)."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        process.wait()
        for file in (process.stdin, self._log):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()
        return process.pid

    def worker_exit(self) -> str | None:
        """Return None while the worker runs, else how it ended by itself, with the end of its log."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        lines = (self.folder / "worker.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"the worker process ended by itself with exit code {code}", *lines[-20:]])
