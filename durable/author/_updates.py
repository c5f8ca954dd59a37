"""`Update`: a request to a run that changes it and is answered, of a name and types that the workflow and its clients share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast, overload

import msgspec

from .._ids import checked_name
from .._runtime.context import require_run
from .._runtime.run import Run
from .._runtime.updates import UpdateHandler
from ..codec import Codec, Payload
from ..errors import DefinitionError
from ..history import from_raw
from ._definitions import checked_raises, describe
from ._handlers import F, Unfinished, abandons, decoded, taking_name, taking_value

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)
V = TypeVar("V")


class Update(Generic[T, R_co]):
    """A request to a run of name `name`, with a value of type `type` and a result of type `result`.

    It is *accepted* once the run has it in its history, and *completed* once its handler has returned or raised, which may take
    any time and many activities. What a validator refuses was never there: the history has no trace of it. The same
    request, by its update id, is carried out once. `raises` are declared errors: the caller gets them as themselves.
    """

    @overload
    def __init__(self: Update[None, Any], name: str, *, raises: Sequence[type[BaseException]] = ()) -> None: ...
    @overload
    def __init__(
        self: Update[V, Any], name: str, type: type[V], *, raises: Sequence[type[BaseException]] = ()
    ) -> None: ...
    @overload
    def __init__(
        self, name: str, type: type[T], result: type[R_co], *, raises: Sequence[type[BaseException]] = ()
    ) -> None: ...
    @overload
    def __init__(
        self: Update[Any, Any], name: str, type: Any, result: Any = Any, *, raises: Sequence[type[BaseException]] = ()
    ) -> None: ...
    def __init__(
        self,
        name: str,
        type: Any = None,  # noqa: A002 - the field's name
        result: Any = Any,
        *,
        raises: Sequence[type[BaseException]] = (),
    ) -> None:
        self.name = checked_name(name, "update name")
        self.type: Any = type
        self.result: Any = result
        self.raises = checked_raises(raises)

    @overload
    def handler(self, fn: F, /) -> F: ...
    @overload
    def handler(self, /, *, concurrent: bool = False, unfinished: Unfinished = "wait") -> Callable[[F], F]: ...
    def handler(self, fn: Any = None, /, *, concurrent: bool = False, unfinished: Unfinished = "wait") -> Any:
        """Carry out this update by the decorated function, a `def` or `async def` inside the workflow; it may await anything.

        Its result is the caller's, and so is what it raises: the run goes on. Updates that arrived before there was a handler
        are offered to it then. Async handlers of a run, of signals and updates alike, take their messages one at a time, in
        order, unless `concurrent`. The run waits for the handler before it closes, or with `unfinished="abandon"` cancels it
        when the workflow returns; its caller gets an error then. A later handler of the same name takes over. On replay the
        handler runs again, as all recorded code does.
        """
        run = require_run(f"Update({self.name!r}).handler")
        abandon = abandons(unfinished)

        def register(function: F) -> F:
            call = taking_value(function, f"update {self.name!r}", self.type)
            run.updates.register(
                self.name,
                UpdateHandler(
                    call,
                    lambda raw: self._decoded(run, raw),
                    concurrent,
                    abandon,
                    read=lambda raw: self._read(run.codec, raw),
                    encode=lambda result: run.codec.encode(
                        result, self.result, what=f"the result of update {self.name!r}"
                    ),
                    raises=self.raises,
                ),
            )
            return function

        return register if fn is None else register(fn)

    def validator(self, fn: F, /) -> F:
        """Ask the decorated function, a plain `def` inside the workflow, before an update of this name is accepted.

        It takes the value and raises to refuse it: the caller gets `UpdateRejectedError` with that cause, or a declared error
        as itself, and the history has no trace. It may read the workflow's state and must not change it: no replay runs it.
        """
        run = require_run(f"Update({self.name!r}).validator")
        call = taking_value(fn, f"update {self.name!r}", self.type)
        if inspect.iscoroutinefunction(call):
            raise DefinitionError(f"a validator must be a plain def, it cannot await: {describe(fn)}")
        run.updates.register_validator(self.name, call)
        return fn

    @staticmethod
    def dynamic(fn: F, /) -> F:
        """Carry out every update whose name has no handler by the decorated function, a `def` or `async def` inside the workflow.

        It is called with the name and the value, as JSON data, and returns what can be encoded as it is. Takes turns with other
        handlers.
        """
        run = require_run("Update.dynamic")
        call = taking_name(fn, "update")
        handler = UpdateHandler(
            call,
            lambda raw: decoded(run, raw, Any, "the value of an update"),
            read=lambda raw: run.codec.decode(from_raw(raw), Any, what="the value of an update"),
            encode=lambda result: run.codec.encode(result, Any, what="the result of an update"),
            by_name=True,
        )
        run.updates.register_dynamic(handler)
        return fn

    def encode(self, codec: Codec, value: Any) -> Payload:
        """Return `value` as this update's payload. Raises `EncodeError` if it does not fit the type."""
        return codec.encode(value, self.type, what=f"the value of update {self.name!r}")

    def decode_result(self, codec: Codec, payload: Payload) -> R_co:
        """Return the result in `payload`. Raises `DecodeError` if it does not fit the type."""
        return cast(R_co, codec.decode(payload, self.result, what=f"the result of update {self.name!r}"))

    def _read(self, codec: Codec, raw: msgspec.Raw) -> Any:
        return codec.decode(from_raw(raw), self.type, what=f"the value of update {self.name!r}")

    def _decoded(self, run: Run, raw: msgspec.Raw) -> Any:
        return decoded(run, raw, self.type, f"the value of update {self.name!r}")

    def __repr__(self) -> str:
        def shown(hint: Any) -> str:
            return str(getattr(hint, "__name__", hint))

        return f"Update({self.name!r}, {shown(self.type)}, {shown(self.result)})"
