"""Plans for types with named fields: dataclass, attrs, NamedTuple, TypedDict, and models that convert themselves.

All are JSON objects by field name. A field that is missing takes its default; an unknown one is passed over, so that a
field can be added or removed while runs are open. Objects are made by calling their class: its own checks hold.
"""

# Values are Any here, and a checker fills in unknown type arguments wherever such a value is narrowed to a generic class.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import orjson

from ._plan import ALL_KINDS, Convert, Misfit, Plan, key_step, refuse, type_name


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field: its name on the wire and as attribute, the constructor's argument (None: set after the construction)."""

    name: str
    plan: Plan
    argument: str | None
    required: bool


Hints = Mapping[str, Any]
PlanOf = Callable[[Any], Plan]


def dataclass_fields(cls: Any, hints: Hints, plan_of: PlanOf) -> list[Field]:
    """Return the fields of a dataclass. Raises `Misfit` if it cannot be made again from them."""
    for name, field in cls.__dataclass_fields__.items():
        if field._field_type.name == "_FIELD_INITVAR":
            raise Misfit(f"{type_name(cls)} cannot be made again: its InitVar '{name}' is not kept", unsupported=True)
    nothing = dataclasses.MISSING
    return [
        Field(
            f.name, plan_of(hints.get(f.name, Any)), f.name if f.init else None,
            f.init and f.default is nothing and f.default_factory is nothing,
        )
        for f in dataclasses.fields(cls)
    ]  # fmt: skip


def is_plain_dataclass(cls: Any, fields: Sequence[Field]) -> bool:
    """Return whether msgspec, which does not call `__init__`, makes the same objects as a call of the class."""
    params = vars(cls).get("__dataclass_params__")
    return (
        params is not None and params.init and all(f.argument is not None and f.plan.plain for f in fields)
        and cls.__new__ is object.__new__ and not hasattr(cls, "__pydantic_validator__")
    )  # fmt: skip


def attrs_fields(cls: Any, hints: Hints, plan_of: PlanOf) -> list[Field]:
    """Return the fields of an attrs class."""
    nothing = sys.modules["attr"].NOTHING
    return [
        Field(f.name, plan_of(hints.get(f.name, Any)), f.alias if f.init else None, f.init and f.default is nothing)
        for f in cls.__attrs_attrs__
    ]


def object_converters(cls: type, name: str, fields: Sequence[Field]) -> tuple[Convert, Convert]:
    """Return (dump, load) for a class whose fields are attributes."""
    names, dumps = tuple(f.name for f in fields), tuple(f.plan.dump for f in fields)
    values_of = _getter(names)

    def dump(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            refuse_instance(cls, name, value)
        try:
            values = values_of(value)
        except AttributeError:
            raise Misfit(f"a field of {name} is not set") from None
        return _dumped(names, dumps, values)

    rows = [(f.name, f.plan.load, f.argument or f.name, f.required) for f in fields]
    late = frozenset(f.name for f in fields if f.argument is None)

    def load(data: Any) -> Any:
        arguments = _loaded(data, name, rows)
        later = {key: arguments.pop(key) for key in late & arguments.keys()} if late else None
        made = made_by(cls, name, arguments)
        if later:
            for key, value in later.items():
                object.__setattr__(made, key, value)
        return made

    return dump, load


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _dumped(names: Sequence[str], dumps: Sequence[Convert], values: Sequence[Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    try:
        for name, convert, value in zip(names, dumps, values, strict=True):
            result[name] = convert(value)
    except Misfit as misfit:
        raise misfit.at(f".{names[len(result)]}") from None
    return result


def _loaded(data: Any, name: str, rows: Sequence[tuple[str, Convert, str, bool]]) -> dict[str, Any]:
    if type(data) is not dict:
        refuse(name, data)
    result: dict[str, Any] = {}
    key = ""
    try:
        for key, convert, argument, required in rows:
            if key in data:
                result[argument] = convert(data[key])
            elif required:
                raise Misfit(f"the field '{key}' of {name} is missing")
    except Misfit as misfit:
        raise misfit.at(f".{key}") if key in data else misfit from None
    return result


def made_by(cls: Callable[..., Any], name: str, arguments: dict[str, Any]) -> Any:
    """Call `cls`, turning what it raises into a `Misfit` without values."""
    try:
        return cls(**arguments)
    except Misfit:
        raise
    except Exception as error:
        raise Misfit(f"{name} refused its fields with {type_name(type(error))}") from None


def refuse_instance(cls: type, name: str, value: Any) -> None:
    """Raise the `Misfit` for a value that is not exactly of class `cls`."""
    if isinstance(value, cls):
        got = type_name(type(value))
        raise Misfit(
            f"expected {name}, got its subclass {got}, which would come back as {name}; declare {got} or a union"
        )
    refuse(name, value)


def named_tuple_converters(cls: type, name: str, fields: Sequence[Field]) -> tuple[Convert, Convert]:
    """Return (dump, load) for a NamedTuple: a JSON object, so that a field with a default can be added later."""
    names, dumps = tuple(f.name for f in fields), tuple(f.plan.dump for f in fields)
    rows = [(f.name, f.plan.load, f.name, f.required) for f in fields]

    def dump(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            refuse_instance(cls, name, value)
        return _dumped(names, dumps, value)

    return dump, lambda data: made_by(cls, name, _loaded(data, name, rows))


def typed_dict_converters(name: str, fields: Sequence[Field]) -> tuple[Convert, Convert]:
    """Return (dump, load) for a TypedDict. Keys that it does not declare are refused on the way in: they would be lost."""
    rows = [(f.name, f.plan.load, f.name, f.required) for f in fields]
    dumps = [(f.name, f.plan.dump, f.name, f.required) for f in fields]
    known = frozenset(f.name for f in fields)

    def dump(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            refuse(name, value)
        if not known >= value.keys():
            raise Misfit(f"expected {name}, got keys that it does not declare")
        return _loaded(dict(value), name, dumps)

    return dump, lambda data: _loaded(data, name, rows)


def pydantic_plan(cls: Any) -> Plan:
    """Return the plan of a pydantic model: it writes and checks itself, with its own serializers and validators.

    Field names are used, never aliases. What was written is validated at once: a model that was changed into something
    invalid, or whose serializers and validators disagree, is refused where it is passed, not where it is read.
    """
    pydantic, core = sys.modules["pydantic"], sys.modules["pydantic_core"]
    name, by_name = cls.__name__, {"by_alias": False, "by_name": True}
    if tuple(int(part) for part in pydantic.VERSION.split(".")[:2]) < (2, 11):
        by_name = {}
    root = issubclass(cls, pydantic.RootModel)

    def read(text: bytes) -> Any:
        try:
            return cls.__pydantic_validator__.validate_json(text, **by_name)
        except core.ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            misfit = Misfit(f"not valid for {name} ({first['type']})")
            for step in reversed(first["loc"]):
                misfit.at(f"[{step}]" if isinstance(step, int) else key_step(step))
            raise misfit from None

    def dump(value: Any) -> Any:
        origin = getattr(type(value), "__pydantic_generic_metadata__", {}).get("origin")
        if type(value) is not cls and origin is not cls:
            refuse_instance(cls, name, value)
        try:
            text = value.__pydantic_serializer__.to_json(value, round_trip=True, by_alias=not by_name, warnings=False)
        except core.PydanticSerializationError:
            raise Misfit(f"{name} cannot write itself as JSON", unsupported=True) from None
        read(text)
        return msgspec.json.decode(text)  # not orjson: it would round an int past 64 bits without a word

    def load(data: Any) -> Any:
        return read(orjson.dumps(data))

    return Plan(name, dump, load, kinds=ALL_KINDS if root else {dict}, classes=(cls,))


def msgspec_plan(hint: Any, cls: Any, dump_any: Convert) -> Plan:
    """Return the plan of a `msgspec.Struct`: msgspec converts it, strictly; what was written is checked at once."""
    name = type_name(cls)

    def load(data: Any) -> Any:
        try:
            return msgspec.convert(data, hint)
        except msgspec.ValidationError:
            raise Misfit(f"not valid for {name}") from None

    def dump(value: Any) -> Any:
        if type(value) is not cls:
            refuse_instance(cls, name, value)
        data = dump_any(msgspec.to_builtins(value, str_keys=True))
        load(data)
        return data

    return Plan(name, dump, load, kinds=(list if cls.__struct_config__.array_like else dict,), classes=(cls,))
