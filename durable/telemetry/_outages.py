"""What goes on and on, such as a store that is away, told without filling the log."""

import logging

_TOLD_EACH_UNTIL, _TOLD_EVERY = 32, 64  # then once in so many: a minute or so at the pace at which most of us try again


class Outage:
    """Failures of one thing that is tried again until it works: the 1st, 2nd, 4th, 8th ... are told, later each 64th, and the end."""

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._log, self._what = logger, what
        self._failures = 0

    def failed(self, error: BaseException, next_s: float) -> None:
        """It failed, and is tried again in `next_s`. Those that are not told are there at level DEBUG."""
        self._failures += 1
        level = logging.WARNING if _is_told(self._failures) else logging.DEBUG
        again = f" ({self._failures} times in a row)" if self._failures > 1 else ""
        self._log.log(level, "%s%s, next try in %g s: %s", self._what, again, next_s, error)

    def ended(self) -> None:
        """It worked."""
        if self._failures > 1:
            self._log.warning("over: %s, after %d tries in vain", self._what, self._failures)
        self._failures = 0


def _is_told(number: int) -> bool:
    return number & (number - 1) == 0 if number <= _TOLD_EACH_UNTIL else number % _TOLD_EVERY == 0
