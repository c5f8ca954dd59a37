"""Which queries a run answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Answer = Callable[[Any], Any]
"""Takes the arguments as they were sent, and returns the answer as a payload."""


class QueryTable:
    """The query handlers of one run."""

    __slots__ = ("_answers", "_dynamic")

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._dynamic: Callable[[str, Any], Any] | None = None

    @property
    def names(self) -> list[str]:
        """The names of the queries that have a handler, sorted."""
        return sorted(self._answers)

    @property
    def has_dynamic(self) -> bool:
        """Whether there is a handler for unknown names."""
        return self._dynamic is not None

    def answerer(self, name: str) -> Answer | None:
        """Return what answers the query `name`, or None."""
        answer = self._answers.get(name)
        return partial(self._dynamic, name) if answer is None and self._dynamic is not None else answer

    def register(self, name: str, answer: Answer) -> None:
        """Answer the query `name` by `answer` from now on."""
        self._answers[name] = answer

    def register_dynamic(self, answer: Callable[[str, Any], Any]) -> None:
        """Answer every query whose name has no handler by `answer`, which takes the name as well."""
        self._dynamic = answer
