"""Plans for unions, optional values and literals."""

# Values are Any here, and a checker fills in unknown type arguments wherever such a value is narrowed to a generic class.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import enum
from collections.abc import Sequence
from typing import Any

from ._plan import Convert, Misfit, NoneType, Plan, refuse
from ._scalars import EXACT, scalar_plan

TAG, VALUE = "$type", "$value"
"""`{"$type": "Order", "$value": ...}`: a member of a union that its JSON form alone does not tell from another member."""


def union_plan(members: Sequence[Plan], tags: Sequence[str]) -> Plan:
    """Return the plan for a union of `members`, whose `tags` are unique.

    Writing: the member of the value's exact class, else the first that takes the value. Its JSON form is tagged unless
    that kind of JSON data belongs to this member alone. Reading: by the tag; untagged by the kind of data; and where that
    leaves a choice (a declared type that became a union later, a renamed class), the first member that takes it.
    """
    others = [member for member in members if member is not EXACT[NoneType]]
    if len(members) == 2 and len(others) == 1 and NoneType not in others[0].kinds:
        return _optional_plan(others[0])
    name = " | ".join(member.name for member in members)
    by_class, owner = _only(members, "classes"), _only(members, "kinds")
    by_tag, tag_of = dict(zip(tags, members, strict=True)), {id(m): tag for tag, m in zip(tags, members, strict=True)}

    def dump(value: Any) -> Any:
        member = by_class.get(type(value))
        if member is not None:
            data: Any = member.dump(value)
        else:
            member, data = _first_fit(members, [m.dump for m in members], value, name)
        kind: type[Any] = type(data)
        if owner.get(kind) is member and not (kind is dict and TAG in data):
            return data
        return {TAG: tag_of[id(member)], VALUE: data}

    def load(data: Any) -> Any:
        if _is_tagged(data):
            tag, data = data[TAG], data[VALUE]
            if type(tag) is str and (member := by_tag.get(tag)) is not None:
                return member.load(data)
        elif (member := owner.get(type(data))) is not None:
            return member.load(data)
        return _first_fit(members, [m.load for m in members], data, name)[1]

    kinds = {kind for kind, member in owner.items() if member is not None}
    if len(kinds) < len(owner):
        kinds.add(dict)
    classes = [c for m in members for c in m.classes]
    return Plan(name, dump, load, kinds=kinds, classes=classes)


def _is_tagged(data: Any) -> bool:
    kind: type[Any] = type(data)
    return kind is dict and len(data) == 2 and TAG in data and VALUE in data


def _optional_plan(plan: Plan) -> Plan:
    dump_value, load_value = plan.dump, plan.load

    def dump(value: Any) -> Any:
        return None if value is None else dump_value(value)

    def load(data: Any) -> Any:
        return None if data is None else load_value(data)

    name = f"{plan.name} | None"
    return Plan(name, dump, load, kinds=plan.kinds | {NoneType}, classes=(*plan.classes, NoneType), plain=plan.plain)


def _only(members: Sequence[Plan], attribute: str) -> dict[type, Plan | None]:
    """Return for each class named by a member's `attribute` the one member that names it, or None if several do."""
    result: dict[type, Plan | None] = {}
    for member in members:
        for cls in getattr(member, attribute):
            result[cls] = None if cls in result else member
    return result


def _first_fit(members: Sequence[Plan], converts: Sequence[Convert], value: Any, name: str) -> tuple[Plan, Any]:
    inner: list[Misfit] = []
    for member, convert in zip(members, converts, strict=True):
        try:
            return member, convert(value)
        except Misfit as misfit:
            if misfit.steps or misfit.unsupported:
                inner.append(misfit)
    if len(inner) == 1:  # one member was the right one but for something inside it: that is the news
        raise inner[0]
    return refuse(name, value)


def literal_plan(values: Sequence[Any]) -> Plan:
    """Return the plan of `Literal[values]`: each written as its own class is."""
    out: dict[tuple[type, Any], Any] = {}
    back: dict[tuple[type, Any], Any] = {}
    for value in values:
        cls: type[Any] = type(value)
        plan = (scalar_plan(cls) if issubclass(cls, enum.Enum) else None) or EXACT[cls]
        data = plan.dump(value)
        out[cls, value] = data
        back.setdefault((type(data), data), value)
    if len(back) != len(out):  # Literal[Color.RED, "red"]: by position, as nothing else tells them apart
        out = {key: index for index, key in enumerate(out)}
        back = {(int, index): key[1] for key, index in out.items()}
    kinds: set[type] = {type(data) for data in out.values()}
    name = "Literal of " + " or ".join(sorted({cls.__name__ for cls, _ in out}))

    def dump(value: Any) -> Any:
        try:
            return out[type(value), value]
        except (KeyError, TypeError):
            raise Misfit(
                f"expected one of the {len(out)} values of a {name}, got another {type(value).__name__}"
            ) from None

    def load(data: Any) -> Any:
        try:
            return back[type(data), data]
        except (KeyError, TypeError):
            raise Misfit(
                f"expected one of the {len(out)} values of a {name}, got another {type(data).__name__}"
            ) from None

    return Plan(name, dump, load, kinds=kinds)
