"""From a declared type to its plan: the one place that knows all kinds of hints."""

# Values are Any here, and a checker fills in unknown type arguments wherever such a value is narrowed to a generic class.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import inspect
import math
import sys
import types
import typing
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence, MutableSet, Sequence, Set
from typing import Any

import msgspec

from ..errors import DefinitionError
from . import _structs
from ._containers import known_container, list_plan, mapping_plan, set_plan, tuple_of_plan, tuple_plan
from ._hints import class_hints, substituted
from ._plan import Convert, Misfit, Plan, hint_name, refuse, type_name
from ._scalars import EXACT, INT_MAX, INT_MIN, scalar_plan
from ._unions import literal_plan, union_plan

_ABSTRACT = (Sequence, MutableSequence, Iterable, Collection, Set, MutableSet, Mapping, MutableMapping)
_WRAPPERS: tuple[Any, ...] = tuple(
    getattr(typing, name)
    for name in ("Final", "ClassVar", "Required", "NotRequired", "ReadOnly")
    if hasattr(typing, name)
)
_AS_ANY: tuple[Any, ...] = (Any, object, inspect.Parameter.empty, typing.Never, typing.NoReturn)
_UNHASHABLE_MAX = 1_000  # plans for hints like Annotated[int, []], kept by identity; past it they are built anew

_plans: dict[Any, Plan] = {}
_unhashable: dict[int, tuple[Any, Plan]] = {}


def plan_of(hint: Any, namespace: Mapping[str, Any] | None = None) -> Plan:
    """Return the plan of a declared type; built once. `namespace` has local names that its classes may refer to.

    Raises `DefinitionError` for an annotation that leads nowhere.
    """
    try:
        plan = _plans.get(hint)
    except TypeError:
        known = _unhashable.get(id(hint))
        if known is not None:
            return known[1]
        plan = _built(hint, namespace or {})
        if len(_unhashable) < _UNHASHABLE_MAX:
            _unhashable[id(hint)] = (hint, plan)  # the hint is kept as well, so that its id stays its own
        return plan
    return plan if plan is not None else _built(hint, namespace or {})


def _built(hint: Any, namespace: Mapping[str, Any]) -> Plan:
    builder = _Builder(namespace)
    plan = builder.plan(hint)
    _plans.update(builder.done)  # only now: a plan of a type that contains itself is whole once all of it is
    return plan


class _Builder:
    """Builds the plans of one hint and of all that it contains."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self.done: dict[Any, Plan] = {}
        self._under_way: dict[Any, Plan] = {}

    def plan(self, hint: Any) -> Plan:
        try:
            if (plan := _plans.get(hint) or self.done.get(hint)) is not None:
                return plan
            if (outer := self._under_way.get(hint)) is not None:
                return outer.late()
        except TypeError:
            return self._new(hint)
        plan = self._new(hint)
        self.done[hint] = plan
        return plan

    def _new(self, hint: Any) -> Plan:
        if (plan := EXACT.get(hint) if hint is None or isinstance(hint, type) else None) is not None:
            return plan
        if any(hint is each for each in _AS_ANY) or isinstance(hint, typing.TypeVar):
            return ANY
        if isinstance(hint, str | typing.ForwardRef):
            raise DefinitionError(f"the type {hint_name(hint)!r} is written as text and was not resolved")
        if hasattr(hint, "__supertype__"):  # NewType
            return self.plan(getattr(hint, "__supertype__"))  # noqa: B009 - a checker thinks it may be None
        origin = typing.get_origin(hint)
        if hasattr(origin if origin is not None and hasattr(origin, "__value__") else hint, "__value__"):
            return self._alias(hint, origin)
        if origin is typing.Annotated or origin in _WRAPPERS:
            return self.plan(typing.get_args(hint)[0])
        if origin is typing.Literal:
            return literal_plan(typing.get_args(hint))
        if origin is typing.Union or isinstance(hint, types.UnionType):
            return self._union(typing.get_args(hint))
        if isinstance(origin, type):
            return self._class(hint, origin, typing.get_args(hint))
        if isinstance(hint, type):
            return self._class(hint, hint, ())
        return _unsupported(hint)

    def _alias(self, hint: Any, origin: Any) -> Plan:
        """A `type X = ...` statement; it may contain itself."""
        outer = self._under_way[hint] = Plan(hint_name(hint), _not_yet, _not_yet)
        alias = origin if origin is not None else hint
        value = alias.__value__
        if origin is not None:
            value = substituted(value, dict(zip(alias.__type_params__, typing.get_args(hint), strict=False)))
        plan = self.plan(value)
        outer.dump, outer.load, outer.kinds, outer.classes = plan.dump, plan.load, plan.kinds, plan.classes
        return plan

    def _union(self, hints: Sequence[Any]) -> Plan:
        plans = [self.plan(hint) for hint in hints]
        if any(plan is ANY for plan in plans):
            return ANY
        # Literal["a"] | str is str: the literal adds nothing, and would make every text ambiguous.
        bare = {
            plan.classes[0] for hint, plan in zip(hints, plans, strict=True) if EXACT.get(hint) is plan and plan.plain
        }
        kept = [
            (hint, plan) for hint, plan in zip(hints, plans, strict=True)
            if typing.get_origin(hint) is not typing.Literal or not {type(v) for v in typing.get_args(hint)} <= bare
        ]  # fmt: skip
        if len(kept) == 1:
            return kept[0][1]
        return union_plan([plan for _, plan in kept], _tags([hint for hint, _ in kept]))

    def _class(self, hint: Any, cls: Any, arguments: tuple[Any, ...]) -> Plan:
        if cls is tuple:
            return self._tuple(arguments)
        container = known_container(cls) if not typing.is_typeddict(cls) else None
        if container is not None and (cls in _ABSTRACT or issubclass(cls, Collection)):
            return self._container(cls, container, arguments)
        if (plan := self._own_plan(hint, cls)) is not None:
            return plan
        if not _has_fields(cls):
            return scalar_plan(cls) or _unsupported(cls)
        plan = self._under_way[hint] = Plan(hint_name(hint), _not_yet, _not_yet, kinds=(dict,), classes=(cls,))
        try:
            self._fill(plan, cls, arguments)
        except Misfit as misfit:
            return _unsupported(cls, misfit.problem)
        finally:
            del self._under_way[hint]
        return plan

    def _own_plan(self, hint: Any, cls: Any) -> Plan | None:
        pydantic = sys.modules.get("pydantic")  # nothing of it is imported unless the user has
        if pydantic is not None and issubclass(cls, pydantic.BaseModel):
            return _structs.pydantic_plan(cls)
        if issubclass(cls, msgspec.Struct):
            return _structs.msgspec_plan(hint, cls, dump_any)
        return None

    def _tuple(self, arguments: tuple[Any, ...]) -> Plan:
        if not arguments:
            return tuple_of_plan(ANY)
        if arguments == ((),):
            return tuple_plan([])
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple_of_plan(self.plan(arguments[0]))
        return tuple_plan([self.plan(argument) for argument in arguments])

    def _container(self, cls: Any, container: str, arguments: tuple[Any, ...]) -> Plan:
        if container == "mapping":
            key = self.plan(arguments[0]) if arguments else EXACT[str]
            hint = arguments[1] if len(arguments) > 1 else int if cls.__name__ == "Counter" else Any
            return mapping_plan(cls, key, self.plan(hint), _factory(hint))
        item = self.plan(arguments[0]) if arguments else ANY
        return list_plan(cls, item) if container == "list" else set_plan(cls, item)

    def _fill(self, plan: Plan, cls: Any, arguments: tuple[Any, ...]) -> None:
        hints = class_hints(cls, self.namespace)
        if arguments:
            filled = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
            hints = {name: substituted(hint, filled) for name, hint in hints.items()}
        if hasattr(cls, "__dataclass_fields__"):
            fields = _structs.dataclass_fields(cls, hints, self.plan)
            plan.plain = (
                not arguments and not issubclass(cls, BaseException) and _structs.is_plain_dataclass(cls, fields)
            )
            plan.dump, plan.load = _structs.object_converters(cls, plan.name, fields)
        elif hasattr(cls, "__attrs_attrs__"):
            plan.dump, plan.load = _structs.object_converters(
                cls, plan.name, _structs.attrs_fields(cls, hints, self.plan)
            )
        elif typing.is_typeddict(cls):
            fields = [_structs.Field(k, self.plan(h), k, _is_required(cls, k, h)) for k, h in hints.items()]
            plan.dump, plan.load = _structs.typed_dict_converters(plan.name, fields)
            plan.classes = (dict,)
        else:
            fields = [
                _structs.Field(k, self.plan(hints.get(k, Any)), k, k not in cls._field_defaults) for k in cls._fields
            ]
            plan.dump, plan.load = _structs.named_tuple_converters(cls, plan.name, fields)


def _has_fields(cls: Any) -> bool:
    return (
        hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__attrs_attrs__") or typing.is_typeddict(cls)
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    )  # fmt: skip


def _is_required(cls: Any, key: str, hint: Any) -> bool:
    # __required_keys__ is wrong under `from __future__ import annotations`: it cannot see into the text.
    while typing.get_origin(hint) in (typing.Annotated, *_WRAPPERS):
        if typing.get_origin(hint) in (typing.Required, typing.NotRequired):
            return typing.get_origin(hint) is typing.Required
        hint = typing.get_args(hint)[0]
    return key in cls.__required_keys__


def _factory(hint: Any) -> type | None:
    origin = typing.get_origin(hint) or hint
    return origin if origin in (int, float, str, bool, list, dict, set) else None


def _tags(hints: Sequence[Any]) -> list[str]:
    """Name each member: by its class, with its module where two would be the same, by position if that does not help."""
    names = [hint_name(hint) for hint in hints]
    full = [
        f"{getattr(hint, '__module__', '')}.{name}" if names.count(name) > 1 else name
        for hint, name in zip(hints, names, strict=True)
    ]
    return [f"{name}#{index}" if full.count(name) > 1 else name for index, name in enumerate(full)]


def _not_yet(value: Any) -> Any:
    raise AssertionError("a plan was used while it was being built")


def _unsupported(hint: Any, reason: str = "") -> Plan:
    name = hint_name(hint)
    advice = (
        reason or f"values of type {name} cannot be kept as JSON; declare a dataclass, a model or a JSON type instead"
    )

    def dump(value: Any) -> Any:
        if isinstance(hint, type) and not getattr(hint, "_is_protocol", False) and not isinstance(value, hint):
            refuse(name, value)
        raise Misfit(advice, unsupported=True)

    def load(data: Any) -> Any:
        raise Misfit(advice, unsupported=True)

    return Plan(name, dump, load, classes=(hint,) if isinstance(hint, type) else ())


def dump_any(value: Any) -> Any:
    """Return the JSON data of a value without a declared type. What is richer than JSON will come back as this data."""
    cls = type(value)
    if cls is str or cls is bool or value is None:
        return value
    if cls is int:
        if INT_MIN <= value <= INT_MAX:
            return value
        raise Misfit("an int beyond 64 bits is kept only if it is declared as int", unsupported=True)
    if cls is float:
        if math.isfinite(value):
            return value
        raise Misfit("a float that is not finite is kept only if it is declared as float", unsupported=True)
    if cls is dict:
        return _ANY_DICT.dump(value)
    if cls is list or cls is tuple:
        return _ANY_LIST.dump(list(value))
    if cls is object:  # as a hint it means anything, as a value nothing
        return _unsupported(cls).dump(value)
    # The same form as under its declared type, so that a reader who declares it can read it.
    return plan_of(cls).dump(value)


def _load_any(data: Any) -> Any:
    return data


def _any_key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise Misfit(
        f"a key of type {type_name(type(key))} is kept only if the mapping's type is declared", unsupported=True
    )


_dump_any: Convert = dump_any
ANY = Plan("Any", _dump_any, _load_any, plain=True)
_ANY_KEY = Plan("str", _any_key, _load_any, kinds=(str,))
_ANY_DICT, _ANY_LIST = mapping_plan(dict, _ANY_KEY, ANY), list_plan(list, ANY)
