"""Plans for lists, tuples, sets and mappings."""

# Values are Any here, and a checker fills in unknown type arguments wherever such a value is narrowed to a generic class.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import math
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import orjson

from ._plan import Convert, Misfit, Plan, key_step, refuse, type_name
from ._scalars import INT_MAX, INT_MIN

# As plain values: a type checker would fill in unknown type arguments after issubclass.
_LISTS: tuple[type, ...] = (list, deque)
_SETS: tuple[type, ...] = (set, frozenset)
_DICT: type = dict
_DEFAULTDICT: type = defaultdict


def _bulk_check(item: Plan) -> Callable[[Collection[Any]], bool] | None:
    """Return a test, in C for the most part, whether `item.dump` would leave every element of a collection as it is."""
    if item.classes == (str,):
        return lambda items: set(map(type, items)) <= {str}
    if item.classes == (bool,):
        return lambda items: set(map(type, items)) <= {bool}
    if item.classes == (int,):
        return lambda items: (
            not items or (set(map(type, items)) == {int} and min(items) >= INT_MIN and max(items) <= INT_MAX)
        )
    if item.classes == (float,):
        return lambda items: set(map(type, items)) <= {float} and all(map(math.isfinite, items))
    return None


def _dump_each(item: Plan) -> Callable[[Collection[Any]], list[Any]]:
    convert, check = item.dump, _bulk_check(item) if item.plain else None

    def dump(items: Collection[Any]) -> list[Any]:
        if check is not None and check(items):
            return list(items)
        return _each(items, convert)

    return dump


def _each(items: Iterable[Any], convert: Convert) -> list[Any]:
    # Not a comprehension: the length of what is done says which item failed. To search for it by converting once more
    # was tried: in nested lists each level doubles the work of the one below.
    result: list[Any] = []
    add = result.append
    try:
        for item in items:
            add(convert(item))
    except Misfit as misfit:
        raise misfit.at(f"[{len(result)}]") from None
    return result


def _load_each(convert: Convert, name: str) -> Callable[[Any], list[Any]]:
    def load(data: Any) -> list[Any]:
        kind: type[Any] = type(data)
        if kind is not list:
            refuse(name, data)
        return _each(data, convert)

    return load


def list_plan(origin: Any, item: Plan) -> Plan:
    """Lists, deques, and the abstract `Sequence`, `Iterable`, `Collection`: these take a tuple too, and come back as a list."""
    name, dump_each = f"{type_name(origin)}[{item.name}]", _dump_each(item)
    load_each = _load_each(item.load, name)
    is_own = issubclass(origin, _LISTS)
    accepted: Any = (origin,) if is_own else (list, tuple, deque)

    def dump(value: Any) -> list[Any]:
        return dump_each(value) if isinstance(value, accepted) else refuse(name, value)

    def load(data: Any) -> Any:
        return origin(load_each(data))

    make = origin is not list and is_own
    classes: tuple[type, ...] = (origin,) if is_own else (list, tuple)
    return Plan(
        name, dump, load if make else load_each, kinds=(list,), classes=classes, plain=item.plain and origin is list
    )


def set_plan(origin: Any, item: Plan) -> Plan:
    """Sets and frozensets, as a sorted list, so that the same set is the same text under any hash seed."""
    make: Any = origin if issubclass(origin, _SETS) else set
    name, dump_each = f"{type_name(origin)}[{item.name}]", _dump_each(item)
    load_each = _load_each(item.load, name)
    accepted: Any = _SETS if origin in _SETS else (origin,)  # set() == frozenset()

    def dump(value: Any) -> list[Any]:
        if not isinstance(value, accepted):
            refuse(name, value)
        items = dump_each(value)
        try:
            items.sort()
        except TypeError:
            items.sort(key=orjson.dumps)
        return items

    def load(data: Any) -> Any:
        items = load_each(data)
        try:
            return make(items)
        except TypeError:
            raise Misfit(f"expected {name}, got elements that cannot be hashed") from None

    return Plan(name, dump, load, kinds=(list,), classes=(make,))


def tuple_plan(items: Sequence[Plan]) -> Plan:
    """A tuple of fixed length."""
    names, count = ", ".join(plan.name for plan in items) or "()", len(items)
    name, dumps, loads = f"tuple[{names}]", [plan.dump for plan in items], [plan.load for plan in items]

    def each(converts: list[Convert], values: Sequence[Any]) -> Iterator[Any]:
        if len(values) != count:
            raise Misfit(f"expected {count} elements, got {len(values)}")
        for index, (convert, value) in enumerate(zip(converts, values, strict=True)):
            try:
                yield convert(value)
            except Misfit as misfit:
                raise misfit.at(f"[{index}]") from None

    def dump(value: Any) -> list[Any]:
        return list(each(dumps, value)) if isinstance(value, tuple) else refuse(name, value)

    def load(data: Any) -> tuple[Any, ...]:
        return tuple(each(loads, data)) if type(data) is list else refuse(name, data)

    return Plan(name, dump, load, kinds=(list,), classes=(tuple,), plain=all(plan.plain for plan in items))


def tuple_of_plan(item: Plan) -> Plan:
    """A tuple of any length."""
    name, dump_each = f"tuple[{item.name}, ...]", _dump_each(item)
    load_each = _load_each(item.load, name)

    def dump(value: Any) -> list[Any]:
        return dump_each(value) if isinstance(value, tuple) else refuse(name, value)

    return Plan(name, dump, lambda data: tuple(load_each(data)), kinds=(list,), classes=(tuple,), plain=item.plain)


def mapping_plan(origin: Any, key: Plan, value: Plan, factory: type | None = None) -> Plan:
    """Mappings: a JSON object if the keys are written as text (or are ints), else a list of pairs.

    `factory` is what a `defaultdict` makes. Key order is kept.
    """
    name, make = f"{type_name(origin)}[{key.name}, {value.name}]", _maker(origin, factory)
    is_own = issubclass(origin, _DICT)
    accepted: Any = (origin,) if is_own else (Mapping,)
    if key.text:
        writes, reads = key.dump, key.load
    elif key.classes == (int,) and key.plain:
        writes, reads = _writer_of_int_keys(key), _read_int_key
    else:
        return _pairs_plan(name, accepted, make, tuple_plan([key, value]))
    dump_value, load_value, check = value.dump, value.load, _bulk_check(value) if value.plain else None
    keys_are_str = key.classes == (str,) and key.plain

    def dump(data: Any) -> dict[str, Any]:
        if not isinstance(data, accepted):
            refuse(name, data)
        if keys_are_str and check is not None and check(data.values()) and set(map(type, data)) <= {str}:
            return dict(data)
        return _entries(data, writes, dump_value)

    def load(data: Any) -> Any:
        if type(data) is not dict:
            refuse(name, data)
        entries = _entries(data, reads, load_value)
        return entries if make is None else make(entries)

    plain = keys_are_str and value.plain and make is None
    return Plan(name, dump, load, kinds=(dict,), classes=(origin,) if is_own else (dict,), plain=plain)


def _entries(data: Mapping[Any, Any], convert_key: Convert, convert_value: Convert) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    position = -1
    for position, (key, value) in enumerate(data.items()):
        try:
            new_key = convert_key(key)
        except Misfit as misfit:
            raise misfit.at(f"[key {position}]") from None
        try:
            result[new_key] = convert_value(value)
        except Misfit as misfit:
            raise misfit.at(key_step(key, position)) from None
    if len(result) != position + 1:
        raise Misfit("two keys become the same text")
    return result


def _pairs_plan(name: str, accepted: Any, make: Convert | None, pair: Plan) -> Plan:
    dump_each, load_each = _dump_each(pair), _load_each(pair.load, name)

    def dump(data: Any) -> list[Any]:
        return dump_each(list(data.items())) if isinstance(data, accepted) else refuse(name, data)

    def load(data: Any) -> Any:
        try:
            entries = dict(load_each(data))
        except TypeError:
            raise Misfit(f"expected {name}, got keys that cannot be hashed") from None
        return entries if make is None else make(entries)

    return Plan(name, dump, load, kinds=(list,), classes=tuple(c for c in accepted if c is not Mapping) or (dict,))


def _writer_of_int_keys(key: Plan) -> Convert:
    return lambda value: str(key.dump(value))


def _read_int_key(data: Any) -> int:
    try:
        value = int(data)
    except ValueError:
        raise Misfit("expected an int as key, got other text") from None
    if str(value) != data:
        raise Misfit("expected an int as key, got other text")
    return value


def _maker(origin: Any, factory: type | None) -> Convert | None:
    if origin is dict or not issubclass(origin, _DICT):
        return None
    if issubclass(origin, _DEFAULTDICT):
        return lambda entries: origin(factory, entries)
    return lambda entries: origin(entries)


def known_container(origin: Any) -> str | None:
    """Return "list", "set" or "mapping" for a class that one of these plans serves; None for any other."""
    if (
        issubclass(origin, list | deque)
        or origin in (Sequence, Iterable, Collection)
        or origin.__name__ == "MutableSequence"
    ):
        return "list"
    if issubclass(origin, _SETS) or origin is Set or origin.__name__ == "MutableSet":
        return "set"
    if issubclass(origin, _DICT) or origin is Mapping or origin.__name__ == "MutableMapping":
        return "mapping"
    return None
