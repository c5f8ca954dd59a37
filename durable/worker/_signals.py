"""SIGTERM and SIGINT, while a worker runs as the program's main task."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals(on_signal: Callable[[str], None]) -> Generator[None, None, None]:
    """Within the block, have the loop call `on_signal(name)` for each SIGTERM and SIGINT; then restore what was there before.

    Does nothing outside of the main thread, where Python delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(on_signal, signal.Signals(number).name)

    try:
        for number in _SIGNALS:
            # Not `loop.add_signal_handler`: it is missing on Windows, and forgets the handler that was there before.
            # The loop wakes up all the same: `call_soon_threadsafe` writes to what its selector waits for.
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was not set from Python, and cannot be put back
                signal.signal(number, handler)
