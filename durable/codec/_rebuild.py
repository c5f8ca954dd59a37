"""Exceptions of known classes, made again from data: which classes may be made, from what, and how.

Nothing is imported, unpickled or looked up by a name from the data: a name is compared with those of classes at hand.
"""

# Values are Any here, and a checker fills in unknown type arguments wherever such a value is narrowed to a generic class.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import builtins
import functools
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from .. import errors
from ..errors import CodecError, DefinitionError
from ._hints import class_hints, hints_of
from ._protocol import Codec, Payload

_MISSING: Any = object()
_PAYLOAD_BYTES_MAX = 65_536  # constructor data of one exception; larger is left out, and the message alone is kept


def qualified_name(cls: type) -> str:
    """Return the class with its module, as recorded."""
    return f"{cls.__module__}.{cls.__qualname__}".encode("utf-8", "backslashreplace").decode()


def _always_known() -> dict[str, type[BaseException]]:
    """Built-in exceptions and ours. Those that end a process or a generator (`SystemExit` ...) are never made from data."""
    classes: list[Any] = [value for module in (builtins, errors) for value in vars(module).values()]
    found: dict[str, type[BaseException]] = {}
    for cls in classes:
        if isinstance(cls, type) and issubclass(cls, Exception | BaseExceptionGroup):
            found[qualified_name(cls)] = cls
    return found


_ALWAYS = _always_known()


def known_classes(declared: Iterable[type[BaseException]]) -> Mapping[str, type[BaseException]]:
    """Return the classes that may be made, by recorded name: built-in, ours, `declared` and their loaded subclasses."""
    pending = list(declared)
    if not pending:
        return _ALWAYS
    result = dict(_ALWAYS)
    while pending:
        cls = pending.pop()
        name = qualified_name(cls)
        if name not in result:  # so declaring Exception does not open the door to every class that is loaded
            result[name] = cls
            pending += cls.__subclasses__()
    return result


def payload_of(exc: BaseException, codec: Codec) -> Any:
    """Return what `rebuilt` needs to make `exc` again, as JSON data, or None. Never raises.

    In this order: the fields of a dataclass; attributes named like the constructor's parameters; the arguments, if a call
    with them gives the same exception; the arguments and attributes, set without a call of the constructor.
    """
    if isinstance(exc, BaseExceptionGroup):
        return None
    for how in ("fields", "init", "args", "state"):
        try:
            data = _TAKE[how](exc, codec)
            if data is not None and _same(exc, _MAKE[how](type(exc), data, codec)):
                wire = {"how": how, "data": data}
                return wire if len(orjson.dumps(wire)) <= _PAYLOAD_BYTES_MAX else None
        except BaseException:  # noqa: S112 - all of this runs the user's code; the next way may do
            continue
    return None


def _same(exc: BaseException, other: BaseException) -> bool:
    # `state` leaves out attributes that are no data; what the exception says must be the same in any case.
    return type(other) is type(exc) and str(other) == str(exc)


def rebuilt(
    name: str, bases: Sequence[str], message: str, payload: Any, members: Sequence[BaseException],
    known: Mapping[str, type[BaseException]], codec: Codec,
) -> BaseException | None:  # fmt: skip
    """Return the exception, or None if no class that is known fits. May raise what a constructor raises."""
    cls = known.get(name)
    if members and (cls is None or issubclass(cls, BaseExceptionGroup)):
        return _group(cls, message, members)
    exact = cls is not None
    if cls is None:
        cls = _nearest(bases, known)
    if cls is None or issubclass(cls, BaseExceptionGroup):
        return None
    if exact and type(payload) is dict:
        wire = cast("dict[str, Any]", payload)
        try:
            return _MAKE[wire["how"]](cls, wire["data"], codec)
        except Exception:  # noqa: S110 - the class has changed since: its name and message are still worth having
            pass
    made = cls.__new__(cls, message)
    made.args = (message,)
    # A built-in class whose text is not its first argument (UnicodeDecodeError) would say something else, or nothing.
    return made if str(made) in (message, repr(message)) or name not in _ALWAYS else None


def _nearest(bases: Sequence[str], known: Mapping[str, type[BaseException]]) -> type[BaseException] | None:
    """Return the declared class that is the nearest base by name: `except PaymentError` works for a subclass not loaded here."""
    declared = [cls for name, cls in known.items() if name not in _ALWAYS]
    for base in bases:
        named = [cls for cls in declared if cls.__name__ == base]
        if len(named) == 1:
            return named[0]
    return None


def _group(cls: type[BaseException] | None, message: str, members: Sequence[BaseException]) -> BaseException:
    if cls is not None and cls not in (ExceptionGroup, BaseExceptionGroup):
        try:
            make: Any = cls
            own: BaseException = make(message, members)
            return own
        except Exception:  # noqa: S110 - a constructor of its own: a plain group then
            pass
    return BaseExceptionGroup(message, members)  # an ExceptionGroup if all members are Exceptions


def _take_fields(exc: BaseException, codec: Codec) -> Any:
    return _encoded(exc, type(exc), codec) if hasattr(type(exc), "__dataclass_fields__") else None


def _make_fields(cls: type[BaseException], data: Any, codec: Codec) -> BaseException:
    return cast("BaseException", _decoded(data, cls, codec))


def _take_init(exc: BaseException, codec: Codec) -> Any:
    parameters = _init_parameters(type(exc))
    if parameters is None:
        return None
    result: dict[str, Any] = {}
    for parameter, hint in parameters:
        value = vars(exc).get(parameter.name, _MISSING)
        if value is _MISSING:
            if parameter.default is parameter.empty:
                return None
            continue
        result[parameter.name] = _encoded(value, hint, codec)
    return result if len(result) >= len(vars(exc).keys() - {"__notes__"}) else None


def _make_init(cls: type[BaseException], data: Any, codec: Codec) -> BaseException:
    hints = {parameter.name: hint for parameter, hint in _init_parameters(cls) or ()}
    return cls(**{name: _decoded(value, hints.get(name, Any), codec) for name, value in data.items()})


def _take_args(exc: BaseException, codec: Codec) -> Any:
    # OSError keeps its file name out of args; what it gives to copy and pickle is complete.
    reduced: Any = exc.__reduce__()
    args: tuple[Any, ...] = reduced[1]
    data = [_encoded(value, hint, codec) for value, hint in zip(args, _args_hints(type(exc), len(args)), strict=True)]
    made = _make_args(type(exc), data, codec)
    same = made.args == exc.args and {**vars(made)} == {k: v for k, v in vars(exc).items() if k != "__notes__"}
    return data if same else None


def _make_args(cls: type[BaseException], data: Any, codec: Codec) -> BaseException:
    return cls(*[_decoded(value, hint, codec) for value, hint in zip(data, _args_hints(cls, len(data)), strict=True)])


def _take_state(exc: BaseException, codec: Codec) -> Any:
    hints = _attribute_hints(type(exc))
    attributes: dict[str, Any] = {}
    for name, value in vars(exc).items():
        try:
            if name != "__notes__":
                attributes[name] = _encoded(value, hints.get(name, Any), codec)
        except CodecError:
            continue  # an open connection, a lock: no data
    return {"args": [_encoded(value, Any, codec) for value in exc.args], "attributes": attributes}


def _make_state(cls: type[BaseException], data: Any, codec: Codec) -> BaseException:
    args = [_decoded(value, Any, codec) for value in data["args"]]
    made = cls.__new__(cls, *args)
    made.args = tuple(args)
    hints = _attribute_hints(cls)
    for name, value in data["attributes"].items():
        vars(made)[name] = _decoded(value, hints.get(name, Any), codec)
    return made


_TAKE = {"fields": _take_fields, "init": _take_init, "args": _take_args, "state": _take_state}
_MAKE = {"fields": _make_fields, "init": _make_init, "args": _make_args, "state": _make_state}


def _init_parameters(cls: Any) -> list[tuple[inspect.Parameter, Any]] | None:
    return _cached_parameters(cls)


@functools.lru_cache(maxsize=1_000)  # exception classes are few; the bound is for programs that make them at run time
def _cached_parameters(cls: Any) -> list[tuple[inspect.Parameter, Any]] | None:
    """Return the parameters of a constructor written in Python, with their hints; None if it has none or takes *args."""
    init: Any = cls.__init__
    if not inspect.isfunction(init):
        return None
    try:
        parameters = list(hints_of(init).parameters.values())[1:]
    except DefinitionError:
        parameters = [(parameter, Any) for parameter in list(inspect.signature(init).parameters.values())[1:]]
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    return None if any(parameter.kind in free for parameter, _ in parameters) else parameters


def _args_hints(cls: type[BaseException], count: int) -> list[Any]:
    hints = [hint for _, hint in _init_parameters(cls) or ()][:count]
    return hints + [Any] * (count - len(hints))


def _attribute_hints(cls: Any) -> dict[str, Any]:
    try:
        declared = class_hints(cls, {})
    except DefinitionError:
        declared = {}
    return {**{parameter.name: hint for parameter, hint in _init_parameters(cls) or ()}, **declared}


def _encoded(value: Any, hint: Any, codec: Codec) -> Any:
    payload = codec.encode(value, hint, what="an exception's data")
    if (
        payload.encoding != "json"
    ):  # never a pickle within a failure: whoever reads failures need not trust their writer
        raise CodecError("not JSON")
    return orjson.loads(payload.data)


def _decoded(data: Any, hint: Any, codec: Codec) -> Any:
    return codec.decode(Payload(orjson.dumps(data)), hint, what="an exception's data")
