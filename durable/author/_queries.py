"""`Query`: a question to a run, of a name and an answer's type that the workflow and its clients share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import msgspec

from .._ids import checked_name
from .._runtime.context import require_run
from .._runtime.run import Run
from ..codec import Payload, Signature, signature_of, untyped_signature
from ..errors import DecodeError, DefinitionError, InvalidCallError
from ..history import from_raw
from ._definitions import checked_function, describe
from ._handlers import F, taking_name

R_co = TypeVar("R_co", covariant=True)


class Query(Generic[R_co]):
    """A question to a run, answered by a handler inside its workflow; `type` is the answer's type.

    Answering reads only: the handler is a plain `def` that awaits and commands nothing, and the history has no trace of it.
    A closed run answers as well, from a replay.
    """

    @overload
    def __init__(self: Query[Any], name: str) -> None: ...
    @overload
    def __init__(self, name: str, type: type[R_co]) -> None: ...
    @overload
    def __init__(self: Query[Any], name: str, type: Any) -> None: ...
    def __init__(self, name: str, type: Any = Any) -> None:  # noqa: A002 - the field's name
        self.name = checked_name(name, "query name")
        self.type: Any = type

    def handler(self, fn: F) -> F:
        """Answer this query by the decorated function, a `def` inside the workflow. Raises `DefinitionError` for others."""
        run = require_run(f"Query({self.name!r}).handler")
        function = _plain(checked_function(fn, "query handler"))
        signature = signature_of(function)

        def answer(args: msgspec.Raw) -> Payload:
            return _answer(run, self, signature, function, args)

        run.queries.register(self.name, answer)
        return fn

    @staticmethod
    def dynamic(fn: F, /) -> F:
        """Answer every query whose name has no handler by the decorated function, a `def` inside the workflow.

        It is called with the name and the list of the arguments, as JSON data, and returns what can be encoded as it is.
        """
        run = require_run("Query.dynamic")
        function = _plain(taking_name(fn, "query"))

        def answer(name: str, raw: msgspec.Raw) -> Payload:
            what = f"query {name!r}"
            args, _ = untyped_signature().decode_call(run.codec, from_raw(raw), what=what)
            value = _called(run, name, function, (name, list(args)), {})
            return run.codec.encode(value, Any, what=f"the answer of {what}")

        run.queries.register_dynamic(answer)
        return fn

    def __repr__(self) -> str:
        return f"Query({self.name!r}, {getattr(self.type, '__name__', self.type)})"


def _answer(
    run: Run, query: Query[Any], signature: Signature, function: Callable[..., Any], raw: msgspec.Raw
) -> Payload:
    what = f"query {query.name!r}"
    try:
        args, kwargs = signature.decode_call(run.codec, from_raw(raw), what=what)
    except DecodeError as error:
        raise InvalidCallError(f"the arguments of {what} do not fit its handler: {error}") from None
    value = _called(run, query.name, function, args, kwargs)
    return run.codec.encode(value, query.type, what=f"the answer of {what}")


def _called(run: Run, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what the handler of query `name` returns, within the interceptors."""
    around = run.around
    if around is None or around.handle_query is None:
        return function(*args, **kwargs)
    return around.answer(run, name, function, args, kwargs)


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):
        raise DefinitionError(f"a query handler must be a plain def, it cannot await: {describe(function)}")
    return function
