"""Plans for types that hold one value: numbers, text, bytes, dates, ids, paths, enums.

The law that all of them keep: what comes back equals what went in. So a bool may be passed for an int, an int for a
float, a `StrEnum` for a str; a datetime for a date may not.
"""

import enum
import math
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import msgspec

from ._plan import Misfit, NoneType, Plan, refuse, type_name

INT_MIN, INT_MAX = -(2**63), 2**64 - 1  # what orjson writes and reads as an int
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_BIG_INT_CHARS = 4_000  # CPython refuses to convert longer text to int (4,300 digits by default)


def _none(value: Any) -> None:
    if value is not None:
        refuse("None", value)


def _dump_bool(value: Any) -> bool:
    return value if value is True or value is False else refuse("bool", value)


def _dump_int(value: Any) -> Any:
    if type(value) is not int:
        if not isinstance(value, int):
            refuse("int", value)
        value = int.__int__(value)
    if INT_MIN <= value <= INT_MAX:
        return value
    # As a JSON number it would be rounded to a float by most readers; as text it is exact, and only a declared int is read so.
    if value.bit_length() > _BIG_INT_CHARS * 3:
        raise Misfit(f"an int of {value.bit_length():,} bits is too long", unsupported=True)
    return str(value)


def _load_int(data: Any) -> int:
    if type(data) is int:
        return data
    if type(data) is str and len(data) <= _BIG_INT_CHARS and data.removeprefix("-").isdecimal() and data.isascii():
        value = int(data)
        if not INT_MIN <= value <= INT_MAX and str(value) == data:
            return value
    return refuse("int", data)


def _dump_float(value: Any) -> Any:
    if type(value) is not float:
        if isinstance(value, float):
            value = float.__float__(value)
        elif isinstance(value, int):
            try:
                return float(value)
            except OverflowError:
                raise Misfit("expected float, got an int beyond the range of float") from None
        else:
            refuse("float", value)
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _load_float(data: Any) -> float:
    if type(data) is float:
        return data
    if type(data) is int:
        return float(data)
    if type(data) is str and data in _NOT_FINITE:
        return _NOT_FINITE[data]
    return refuse("float", data)


def _dump_str(value: Any) -> str:
    if type(value) is str:
        return value
    return str.__str__(value) if isinstance(value, str) else refuse("str", value)


def _load_str(data: Any) -> str:
    return data if type(data) is str else refuse("str", data)


def _load_bool(data: Any) -> bool:
    return data if type(data) is bool else refuse("bool", data)


def text_plan(cls: type, write: Callable[[Any], str], read: Callable[[str], Any], *, name: str | None = None) -> Plan:
    """Return the plan of a class whose instances are written as text. `read` may raise `ValueError`."""
    shown = name or type_name(cls)

    def dump(value: Any) -> str:
        return write(value) if isinstance(value, cls) else refuse(shown, value)

    def load(data: Any) -> Any:
        if type(data) is not str:
            refuse(shown, data)
        try:
            return read(data)
        except (ValueError, OverflowError, InvalidOperation):
            raise Misfit(f"expected {shown}, got other text") from None

    return Plan(shown, dump, load, kinds=(str,), classes=(cls,))


def _base64(value: bytes | bytearray) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


def _from_base64(data: str) -> bytes:
    try:
        return a2b_base64(data.encode("ascii"), strict_mode=True)
    except Base64Error:
        raise ValueError from None


def _write_datetime(value: datetime) -> str:
    text = datetime.isoformat(value)
    if type(value) is not datetime and datetime.fromisoformat(text) != value:
        raise Misfit(f"{type_name(type(value))} holds more than a datetime; it would not come back whole")
    return text


def _read_datetime(data: str) -> datetime:
    if len(data) <= 10:
        raise ValueError
    return datetime.fromisoformat(data)


def _write_date(value: date) -> str:
    return date.isoformat(value) if not isinstance(value, datetime) else refuse("date", value)


def _read_date(data: str) -> date:
    return date.fromisoformat(data)


def _write_time(value: time) -> str:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise Misfit("a time whose zone has no fixed offset would lose it", unsupported=True)
    return time.isoformat(value)


def _write_timedelta(value: timedelta) -> str:
    # ISO 8601 text, exact to the microsecond. A subclass is copied first: msgspec knows the exact class only.
    text: str = msgspec.to_builtins(
        value if type(value) is timedelta else timedelta(value.days, value.seconds, value.microseconds)
    )
    return text


def _read_timedelta(data: str) -> timedelta:
    try:
        return msgspec.convert(data, timedelta)
    except msgspec.ValidationError:
        raise ValueError from None


def _read_uuid(data: str) -> UUID:
    if len(data) != 36:
        raise ValueError
    return UUID(data)


def _read_decimal(data: str) -> Decimal:
    if data.strip() != data or "_" in data:
        raise ValueError
    return Decimal(data)


_INT = Plan("int", _dump_int, _load_int, kinds=(int,), classes=(int,), plain=True)
_FLOAT = Plan("float", _dump_float, _load_float, kinds=(float,), classes=(float,), plain=True)
_BOOL = Plan("bool", _dump_bool, _load_bool, kinds=(bool,), classes=(bool,), plain=True)
_STR = Plan("str", _dump_str, _load_str, kinds=(str,), classes=(str,), plain=True)
_NONE = Plan("None", _none, _none, kinds=(NoneType,), classes=(NoneType,), plain=True)

EXACT: dict[Any, Plan] = {
    int: _INT, float: _FLOAT, bool: _BOOL, str: _STR, NoneType: _NONE, None: _NONE,
    bytes: text_plan(bytes, _base64, _from_base64),
    bytearray: text_plan(bytearray, _base64, lambda data: bytearray(_from_base64(data))),
    datetime: text_plan(datetime, _write_datetime, _read_datetime),
    date: text_plan(date, _write_date, _read_date),
    time: text_plan(time, _write_time, time.fromisoformat),
    timedelta: text_plan(timedelta, _write_timedelta, _read_timedelta),
    UUID: text_plan(UUID, str, _read_uuid),
    Decimal: text_plan(Decimal, Decimal.__str__, _read_decimal),
}  # fmt: skip


def scalar_plan(cls: Any) -> Plan | None:
    """Return the plan of a class that holds one value, a subclass of one included; None for any other class.

    A hint that is a subclass (`class Sku(str)`) is read by calling the class with the plain value.
    """
    if (exact := EXACT.get(cls)) is not None:
        return exact
    if issubclass(cls, enum.Enum):
        return _enum_plan(cls)
    if issubclass(cls, PurePath):
        return _path_plan(cls)
    for base in cls.__mro__:
        if (plan := EXACT.get(base)) is not None:
            return _subclass_plan(cls, plan)
    return None


def _path_plan(cls: Any) -> Plan:
    plan = text_plan(cls, str, cls)
    # Path("a") makes a PosixPath or WindowsPath: that is the class a union meets.
    plan.classes = (cls, type(cls())) if cls in (Path, PurePath) else (cls,)
    return plan


def _subclass_plan(cls: type, base: Plan) -> Plan:
    name, make = type_name(cls), cls

    def dump(value: Any) -> Any:
        return base.dump(value) if isinstance(value, cls) else refuse(name, value)

    def load(data: Any) -> Any:
        plain = base.load(data)
        try:
            return make(plain)
        except Exception as error:
            raise Misfit(f"{name} refused the value with {type_name(type(error))}") from None

    return Plan(name, dump, load, kinds=base.kinds, classes=(cls,))


def _enum_plan(cls: Any) -> Plan:
    """By value if all values are plain text or ints (they are what a database or an API knows), else by name."""
    name = type_name(cls)
    if issubclass(cls, enum.Flag):
        return _flag_plan(cls)
    members: list[Any] = list(cls.__members__.values())  # aliases included: they lead to their member
    by_value = all(type(m.value) is str or (type(m.value) is int and INT_MIN <= m.value <= INT_MAX) for m in members)
    table: dict[Any, Any] = {m.value: m for m in members} if by_value else dict(cls.__members__)
    kinds: set[type] = {type(key) for key in table} or {str}

    def dump(value: Any) -> Any:
        if not isinstance(value, cls):
            refuse(name, value)
        return value.value if by_value else value.name

    def load(data: Any) -> Any:
        if type(data) not in kinds:
            refuse(name, data)
        if (member := table.get(data)) is None:
            raise Misfit(f"expected a member of {name}, got a {type_name(type(data))} that is none")
        return member

    return Plan(name, dump, load, kinds=kinds, classes=(cls,))


def _flag_plan(cls: Any) -> Plan:
    name = type_name(cls)

    def dump(value: Any) -> int:
        return int(value.value) if isinstance(value, cls) else refuse(name, value)

    def load(data: Any) -> Any:
        if type(data) is not int:
            refuse(name, data)
        try:
            return cls(data)
        except ValueError:
            raise Misfit(f"expected flags of {name}, got an int that is none") from None

    return Plan(name, dump, load, kinds=(int,), classes=(cls,))
