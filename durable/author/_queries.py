"""`Query`: a question to a run, of a name and an answer's type that the workflow and its clients share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

import msgspec

from .._ids import checked_name
from .._runtime.context import require_run
from .._runtime.run import Run
from ..codec import Codec, Payload, Signature, positional_signature, signature_of, untyped_signature
from ..errors import DecodeError, DefinitionError, InvalidCallError
from ..history import from_raw
from ._definitions import checked_function, describe
from ._handlers import F, taking_name

R_co = TypeVar("R_co", covariant=True)


class Query(Generic[R_co]):
    """A question to a run, answered by a handler inside its workflow; `type` is the answer's type.

    `args` are the types of the arguments that it takes, by position: `Query("page", list[str], args=(int, int))`. Then whoever
    asks is told of arguments that do not fit before anything is sent. Without it, by what its handler takes: by the worker.

    Answering reads only: the handler is a plain `def` that awaits and commands nothing, and the history has no trace of it.
    A closed run answers as well, from a replay.
    """

    @overload
    def __init__(self: Query[Any], name: str, *, args: Sequence[Any] | None = None) -> None: ...
    @overload
    def __init__(self, name: str, type: type[R_co], *, args: Sequence[Any] | None = None) -> None: ...
    @overload
    def __init__(self: Query[Any], name: str, type: Any, *, args: Sequence[Any] | None = None) -> None: ...
    def __init__(
        self,
        name: str,
        type: Any = Any,  # noqa: A002 - the field's name
        *,
        args: Sequence[Any] | None = None,
    ) -> None:
        self.name = checked_name(name, "query name")
        self.type: Any = type
        self.args = None if args is None else _types(args)
        self._call = untyped_signature() if self.args is None else positional_signature(self.name, self.args)

    def handler(self, fn: F) -> F:
        """Answer this query by the decorated function, a `def` inside the workflow.

        Raises `DefinitionError` for others, and for one that does not take the arguments of the query, if these are declared.
        """
        run = require_run(f"Query({self.name!r}).handler")
        function = _plain(checked_function(fn, "query handler"))
        if self.args is not None:
            _check_takes(function, self.args, self.name)
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

    def encode_call(self, codec: Codec, args: Sequence[Any]) -> Payload:
        """Return the arguments `args` as a payload.

        Raises `InvalidCallError` if they are more or fewer than declared, `EncodeError` if one does not fit its declared type
        or cannot be encoded, `PayloadTooLargeError`.
        """
        return self._call.encode_call(codec, args, {}, what=f"query {self.name!r}")

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


def _types(args: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(args, tuple | list):
        return tuple(args)
    raise DefinitionError(f"args: expected the types of the query's arguments, as a tuple, got {args!r}")


def _check_takes(function: Callable[..., Any], args: tuple[Any, ...], name: str) -> None:
    try:
        inspect.signature(function).bind(*args)
    except TypeError as error:
        raise DefinitionError(
            f"the handler {describe(function)} does not take the {len(args)} arguments of query {name!r}: {error}"
        ) from None


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):
        raise DefinitionError(f"a query handler must be a plain def, it cannot await: {describe(function)}")
    return function
