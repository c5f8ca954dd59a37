"""Refuses in workflow code what no replay could repeat: I/O while it runs, clocks and chance when it is registered.

Two nets with different meshes (docs/decisions/0003-guards.md):

- While a step runs, between `enter()` and `leave()`, an audit hook of the interpreter raises on files, sockets, processes
  and threads, however deep the call is. It sees only the thread that entered.
- `check_code(function)` looks through the compiled code of a workflow for calls of clocks and generators, which raise no
  audit event: through modules and aliases, in nested functions and in the helpers of its module that it calls.
"""

import sys
from _thread import get_ident
from types import FrameType, TracebackType

from ..errors import NonDeterminismError
from ._code_check import Finding, check_code, impure_calls
from ._collector import collecting, watch_collector

__all__ = ["Finding", "allowed", "check_code", "enter", "impure_calls", "install", "is_active", "leave"]

_ACTIVITY = "move it into an activity"
_THREAD = "make it an activity (a plain `def` runs in a thread)"
_FILE = "read and write files in an activity"
_NETWORK = "talk to the network in an activity"
_PROCESS = "start processes in an activity"

_ADVICE = {
    "_thread.start_joinable_thread": _THREAD,
    "_thread.start_new_thread": _THREAD,
    "builtins.input": "wait for a signal instead",
    "open": _FILE,
    "os.chdir": _FILE,
    "os.chmod": _FILE,
    "os.chown": _FILE,
    "os.exec": _PROCESS,
    "os.fork": _PROCESS,
    "os.forkpty": _PROCESS,
    "os.fwalk": _FILE,
    "os.kill": _PROCESS,
    "os.killpg": _PROCESS,
    "os.link": _FILE,
    "os.listdir": _FILE,
    "os.mkdir": _FILE,
    "os.posix_spawn": _PROCESS,
    "os.putenv": _ACTIVITY,
    "os.remove": _FILE,
    "os.rename": _FILE,
    "os.rmdir": _FILE,
    "os.scandir": _FILE,
    "os.spawn": _PROCESS,
    "os.startfile": _PROCESS,
    "os.symlink": _FILE,
    "os.system": _PROCESS,
    "os.truncate": _FILE,
    "os.unsetenv": _ACTIVITY,
    "os.utime": _FILE,
    "os.walk": _FILE,
    "pty.spawn": _PROCESS,
    "socket.__new__": _NETWORK,
    "socket.bind": _NETWORK,
    "socket.connect": _NETWORK,
    "socket.getaddrinfo": _NETWORK,
    "socket.gethostbyaddr": _NETWORK,
    "socket.gethostbyname": _NETWORK,
    "socket.gethostname": _NETWORK,
    "socket.getnameinfo": _NETWORK,
    "socket.getservbyname": _NETWORK,
    "socket.sendmsg": _NETWORK,
    "socket.sendto": _NETWORK,
    "sqlite3.connect": "use a database in an activity",
    "subprocess.Popen": _PROCESS,
    "time.sleep": "await durable.sleep(...) instead",  # an event since Python 3.13; before, `check_code` alone finds it
    "urllib.Request": _NETWORK,
    "webbrowser.open": _ACTIVITY,
}

# Code that reads files on its own account, in the middle of anything: it may, since it changes nothing for the workflow.
_TRUSTED = frozenset(
    {
        "importlib._bootstrap", "importlib._bootstrap_external", "zipimport",  # an import inside of workflow code
        "linecache", "traceback", "warnings", "tokenize",  # the source lines of a traceback
        "logging", "logging.handlers",  # a handler may open its file at the first line
        "bdb", "pdb", "coverage.collector", "coverage.control",  # tools for people
    }
)  # fmt: skip

_active: dict[int, int] = {}  # threads that run workflow code now; a thread-local would cost three times as much
_installed = False


def install() -> None:
    """Install the audit hook. Cannot be undone (the interpreter has no way), so it is done once, by the first worker."""
    global _installed
    if not _installed:
        _installed = True
        watch_collector()
        sys.addaudithook(_audit)


def enter() -> None:
    """Begin to watch this thread: workflow code is about to run. Does nothing to speak of before `install()`."""
    _active[get_ident()] = 1


def leave() -> None:
    """Stop watching this thread."""
    _active.pop(get_ident(), None)


def is_active() -> bool:
    """Return whether this thread is being watched."""
    return get_ident() in _active


class allowed:  # noqa: N801 - reads as a statement: `with guard.allowed():`
    """Lift the guard within a block, for the package's own work during a step, or what the author asked for by name."""

    __slots__ = ("_was",)

    def __enter__(self) -> None:
        self._was = _active.pop(get_ident(), None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._was is not None:
            _active[get_ident()] = self._was


def _audit(event: str, args: tuple[object, ...]) -> None:
    # Called for every audit event of the process, imports and attribute look-ups among them: it must end quickly.
    if not _active or event not in _ADVICE or get_ident() not in _active:
        return
    if collecting() or _is_trusted(sys._getframe(1)) or (event == "open" and _is_zone(args[0])):
        return
    what = event if not args or not isinstance(args[0], str | bytes | int) else f"{event}({args[0]!r})"
    raise NonDeterminismError(f"workflow code called {what}, which no replay could repeat; {_ADVICE[event]}")


def _is_trusted(frame: FrameType | None) -> bool:
    """Return whether code of `_TRUSTED` is on the stack, and so the call is not the workflow's own."""
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name in _TRUSTED:
            return True
        if name == "durable._runtime.loop":
            return False  # below this it is the worker's stack
        frame = frame.f_back
    return False


def _is_zone(path: object) -> bool:
    """Return whether `path` holds the rules of a time zone: `ZoneInfo("Europe/Paris")` opens it from C, without a frame."""
    roots: tuple[str, ...] = getattr(sys.modules.get("zoneinfo"), "TZPATH", ())
    return isinstance(path, str) and any(path.startswith(root) for root in roots)
