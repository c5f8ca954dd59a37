"""The arguments and the result of a function as payloads: `[[positional...], {keyword...}]`, each by its own declared type.

If a codec makes something else than JSON of an argument, that one is base64 text in its place, and a third element maps
its position or name to the encoding: `[["gASV..."], {}, {"0": "pickle"}]`. So a history stays readable around it.
"""

# Values are Any here, and a checker fills in unknown type arguments wherever such a value is narrowed to a generic class.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import inspect
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from .. import _limits
from ..errors import CodecError, DecodeError, EncodeError, InvalidCallError, PayloadTooLargeError
from ._hints import FunctionHints, hints_of, local_names, unwrapped
from ._json import JsonCodec, dump, json_data, load, too_large, unwritable
from ._plan import Plan, type_name
from ._protocol import Codec, Payload
from ._types import plan_of

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_KEYWORD = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Signature:
    """A function's parameters and result with their declared types, and the conversions by them.

    Type hints are resolved at the first use, so that a function may name what its module defines further down.
    `DefinitionError` is raised then if one leads nowhere.
    """

    def __init__(self, fn: Callable[..., Any], *, skip_self: bool = False) -> None:
        self.name = type_name(unwrapped(fn))
        self._fn, self._skip_self = fn, skip_self
        self._namespace = local_names(fn)  # can be had only now, while the enclosing function runs
        self._compiled: _Compiled | None = None

    @property
    def hints(self) -> FunctionHints:
        """The parameters and the result with their resolved hints, `self` included."""
        return self._ready().hints

    @property
    def result(self) -> Any:
        """The declared type of the result."""
        return self._ready().hints.result

    def _ready(self) -> "_Compiled":
        if self._compiled is None:
            self._compiled = _Compiled(
                hints_of(self._fn, namespace=self._namespace), self.name, skip_self=self._skip_self
            )
        return self._compiled

    def encode_call(self, codec: Codec, args: Sequence[Any], kwargs: Mapping[str, Any], *, what: str) -> Payload:
        """Return the arguments as a payload.

        Raises `InvalidCallError` if they do not fit the parameters, `EncodeError` naming the argument if a value does not
        fit its declared type or cannot be encoded, `PayloadTooLargeError` if all of them together are over the limit.
        """
        compiled = self._compiled or self._ready()
        plans = compiled.plans
        if type(codec) is not JsonCodec:
            compiled.check_call(args, kwargs)
            return _encode_by(codec, compiled, args, kwargs, what)
        try:
            if kwargs or not compiled.required <= len(args) <= len(plans):
                raise TypeError  # to the slower path
            positional = [plan.dump(value) for plan, value in zip(plans, args, strict=False)]
            data = orjson.dumps((positional, {}))
        except Exception:
            compiled.check_call(args, kwargs)
            data = _encode_slowly(compiled, args, kwargs, what)
        if len(data) > _limits.PAYLOAD_BYTES_MAX:
            raise _arguments_too_large(codec, compiled, args, kwargs, len(data), what)
        return Payload(data)

    def decode_call(self, codec: Codec, payload: Payload, *, what: str = "") -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs), each argument converted to its declared type.

        Parameters that the caller did not know take their defaults. Raises `DecodeError` naming the argument if one does
        not fit its type, is missing, or has no parameter.
        """
        compiled = self._compiled or self._ready()
        if compiled.decoder is not None and type(codec) is JsonCodec:
            try:
                args, kwargs = compiled.decoder(payload[0])
            except Exception:  # noqa: S110 - read again below, in our own words; or fewer arguments than parameters
                pass
            else:
                if not kwargs:
                    return args, {}
        return _decode_call(codec, compiled, payload, what or self.name)

    def encode_result(self, codec: Codec, value: Any, *, what: str = "") -> Payload:
        """Return the function's result as a payload. Raises as `Codec.encode`."""
        return codec.encode(value, self._ready().hints.result, what=what or f"result of {self.name}")

    def decode_result(self, codec: Codec, payload: Payload, *, what: str = "") -> Any:
        """Return the function's result. Raises as `Codec.decode`."""
        return codec.decode(payload, self._ready().hints.result, what=what or f"result of {self.name}")


def signature_of(fn: Callable[..., Any], skip_self: bool = False) -> Signature:
    """Return the signature of `fn`; `skip_self` leaves out its first parameter. Call it where `fn` is decorated."""
    return Signature(fn, skip_self=skip_self)


def positional_signature(name: str, types: Sequence[Any]) -> Signature:
    """Return the signature of a function `name` that takes one argument of each of `types`, by position only."""
    rows = [(inspect.Parameter(f"arg{n}", inspect.Parameter.POSITIONAL_ONLY), hint) for n, hint in enumerate(types, 1)]
    signature = Signature(_anything)
    signature.name = name
    signature._compiled = _Compiled(FunctionHints({p.name: (p, hint) for p, hint in rows}, Any), name, skip_self=False)
    return signature


class UntypedSignature:
    """Stands for a function that is known by its name only: any arguments, under `Any`; the result as declared by the caller."""

    def __init__(self, result: Any = Any) -> None:
        self.result = result

    def encode_call(self, codec: Codec, args: Sequence[Any], kwargs: Mapping[str, Any], *, what: str) -> Payload:
        """Return the arguments as a payload. Raises `EncodeError` naming the argument, `PayloadTooLargeError`."""
        return _ANY_CALL.encode_call(codec, args, kwargs, what=what)

    def decode_call(self, codec: Codec, payload: Payload, *, what: str = "") -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return (args, kwargs) as JSON data."""
        return _ANY_CALL.decode_call(codec, payload, what=what)

    def encode_result(self, codec: Codec, value: Any, *, what: str = "") -> Payload:
        """Return the result as a payload. Raises as `Codec.encode`."""
        return codec.encode(value, self.result, what=what or "result")

    def decode_result(self, codec: Codec, payload: Payload, *, what: str = "") -> Any:
        """Return the result as the declared type. Raises as `Codec.decode`."""
        return codec.decode(payload, self.result, what=what or "result")


def untyped_signature(result: Any = Any) -> UntypedSignature:
    """Return the signature for a function that is known by its name only, whose result is of type `result`."""
    return UntypedSignature(result)


class _Compiled:
    """What a signature needs at each call, once its hints are resolved."""

    def __init__(self, hints: FunctionHints, name: str, *, skip_self: bool) -> None:
        self.hints, self.name = hints, name
        rows = list(hints.parameters.values())[1 if skip_self else 0 :]
        self.signature = inspect.Signature([parameter for parameter, _ in rows])
        every = {p.name: (hint, plan_of(hint, hints.namespace)) for p, hint in rows}
        plan_of(hints.result, hints.namespace)  # so that a result's local names are known to the codec too
        self.positional = [p.name for p, _ in rows if p.kind in _POSITIONAL]
        self.by_name = {p.name: every[p.name] for p, _ in rows if p.kind in _KEYWORD}
        self.by_position = [every[name] for name in self.positional]
        self.rest = next((p.name for p, _ in rows if p.kind is p.VAR_POSITIONAL), None)
        self.rest_hint = every[self.rest] if self.rest else None
        self.extra = next((every[p.name] for p, _ in rows if p.kind is p.VAR_KEYWORD), None)
        self.plans = [plan for _, plan in self.by_position]
        no_default = [p for p, _ in rows if p.default is p.empty]
        self.required = sum(p.kind in _POSITIONAL for p in no_default)
        if any(p.kind is p.KEYWORD_ONLY for p in no_default):
            self.required = len(rows) + 1  # never the fast path: a keyword must be there
        self.decoder = self._fast_decoder()

    def _fast_decoder(self) -> Callable[[bytes], Any] | None:
        """One msgspec decoder for all positional arguments, if msgspec reads their types by our rules."""
        if not all(plan.plain for plan in self.plans) or self.required > len(self.plans):
            return None
        hints = [hint for hint, _ in self.by_position]
        try:
            make: Any = tuple  # subscribed at run time: no type for a checker
            return msgspec.json.Decoder(make[make[tuple(hints)], dict[str, Any]]).decode
        except Exception:  # a type that msgspec cannot resolve by itself
            return None

    def check_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise `InvalidCallError` in Python's own words if the arguments do not fit the parameters."""
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidCallError(f"{self.name}() cannot be called like this: {error}") from None

    def at(self, index: int) -> tuple[str, Any, Plan] | None:
        """Return (name, hint, plan) for a positional argument, or None if there is no parameter for it."""
        if index < len(self.positional):
            return (self.positional[index], *self.by_position[index])
        if self.rest_hint is None:
            return None
        return (f"{self.rest}[{index - len(self.positional)}]", *self.rest_hint)

    def named(self, name: str) -> tuple[str, Any, Plan] | None:
        """Return (name, hint, plan) for a keyword argument, or None if there is no parameter for it."""
        found = self.by_name.get(name) or self.extra
        return None if found is None else (name, *found)

    def each(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> "list[tuple[str, str, Any, Plan, Any]]":
        """Return (key, name, hint, plan, value) for each argument; key is its position or name as text."""
        found = [(str(index), self.at(index), value) for index, value in enumerate(args)]
        found += [(name, self.named(name), value) for name, value in kwargs.items()]
        return [(key, *parameter, value) for key, parameter, value in found if parameter is not None]


def _encode_slowly(compiled: _Compiled, args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> bytes:
    """Encode with keywords, or to find the argument that cannot be."""
    items: list[Any] = []
    for _, name, _, plan, value in compiled.each(args, kwargs):
        which = f"argument '{name}' of {what}"
        data = dump(value, plan, which)
        if (problem := unwritable(data)) is not None:
            raise EncodeError(f"{which}: {problem}")
        items.append(data)
    count = len(args)
    return orjson.dumps((items[:count], dict(zip(kwargs, items[count:], strict=True))))


def _encode_by(codec: Codec, compiled: _Compiled, args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> Payload:
    """Encode each argument with a codec that is not ours, or may make something else than JSON."""
    texts: list[bytes] = []
    encodings: dict[str, str] = {}
    for key, name, hint, _, value in compiled.each(args, kwargs):
        data, encoding = codec.encode(value, hint, what=f"argument '{name}' of {what}")
        if encoding != "json":
            encodings[key], data = encoding, b'"' + b2a_base64(data, newline=False) + b'"'
        texts.append(data)
    count = len(args)
    keywords = [orjson.dumps(name) + b":" + text for name, text in zip(kwargs, texts[count:], strict=True)]
    parts = [b"[" + b",".join(texts[:count]) + b"]", b"{" + b",".join(keywords) + b"}"]
    if encodings:
        parts.append(orjson.dumps(encodings))
    data = b"[" + b",".join(parts) + b"]"
    if len(data) > _limits.PAYLOAD_BYTES_MAX:
        raise _arguments_too_large(codec, compiled, args, kwargs, len(data), what)
    return Payload(data)


def _arguments_too_large(
    codec: Codec, compiled: _Compiled, args: Sequence[Any], kwargs: Mapping[str, Any], size: int, what: str
) -> PayloadTooLargeError:
    """Name the largest argument: it is the one to store elsewhere."""
    sizes: list[tuple[int, str]] = []
    for _, name, hint, _, value in compiled.each(args, kwargs):
        try:
            sizes.append((len(codec.encode(value, hint, what=what).data), name))
        except CodecError:  # over the limit by itself
            sizes.append((size, name))
    largest = f", most of it argument '{max(sizes)[1]}'" if sizes else ""
    return too_large(size, f"arguments of {what}{largest}")


def _decode_call(
    codec: Codec, compiled: _Compiled, payload: Payload, what: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if payload.encoding != "json":
        raise DecodeError(f"arguments of {what}: the payload's encoding is {payload.encoding!r}, expected 'json'")
    data = json_data(payload.data, f"arguments of {what}")
    args, kwargs, encodings = _checked_shape(data, what)
    converted: list[Any] = []
    for key, name, hint, plan, value in _checked_names(compiled, args, kwargs, what):
        which = f"argument '{name}' of {what}"
        if key in encodings:
            converted.append(codec.decode(Payload(_bytes(value, which), encodings[key]), hint, what=which))
        elif type(codec) is JsonCodec:
            converted.append(load(value, plan, which))
        else:
            converted.append(codec.decode(Payload(orjson.dumps(value)), hint, what=which))
    count = len(args)
    result = tuple(converted[:count]), dict(zip(kwargs, converted[count:], strict=True))
    try:
        compiled.signature.bind(*result[0], **result[1])
    except TypeError as error:
        raise DecodeError(
            f"arguments of {what}: {error}; they were sent for another version of {compiled.name}()"
        ) from None
    return result


def _checked_shape(data: Any, what: str) -> tuple[list[Any], dict[str, Any], dict[str, str]]:
    kind: type[Any] = type(data)
    if kind is list:
        items: list[Any] = data
        shape: list[type[Any]] = [type(item) for item in items]
        if shape == [list, dict]:
            return items[0], items[1], {}
        if shape == [list, dict, dict] and all(type(encoding) is str for encoding in items[2].values()):
            return items[0], items[1], items[2]
    raise DecodeError(f"arguments of {what}: expected a list of arguments and an object of keyword arguments")


def _checked_names(
    compiled: _Compiled, args: list[Any], kwargs: dict[str, Any], what: str
) -> "list[tuple[str, str, Any, Plan, Any]]":
    rows = compiled.each(args, kwargs)
    if len(rows) != len(args) + len(kwargs):
        unknown = [repr(name)[:50] for name in kwargs if compiled.named(name) is None]
        problem = (
            f"no parameter {', '.join(unknown)}"
            if unknown
            else f"{len(args)} arguments for {len(compiled.positional)} parameters"
        )
        raise DecodeError(f"arguments of {what}: {problem}; they were sent for another version of {compiled.name}()")
    return rows


def _bytes(data: Any, what: str) -> bytes:
    try:
        return a2b_base64(data, strict_mode=True)
    except (Base64Error, TypeError, ValueError):
        raise DecodeError(f"{what}: expected base64 text") from None


def _anything(*args: Any, **kwargs: Any) -> Any: ...


_ANY_CALL = Signature(_anything)
