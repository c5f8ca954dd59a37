"""Types of all the kinds that a workflow's author may declare."""

import enum
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import KW_ONLY, dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Required, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pydantic

T = TypeVar("T")
Sku = NewType("Sku", str)


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"
    ALSO_RED = "red"  # noqa: PIE796 - an alias is meant


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    YES = "yes"
    NO = "no"


class Shape(enum.Enum):
    DOT = (0, 0)
    LINE = (1, 0)


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclass
class Item:
    sku: Sku
    price: float
    count: int = 1


@dataclass(kw_only=True)
class Order:
    id: UUID
    items: list[Item]
    placed: datetime
    notes: dict[str, str | None] = field(default_factory=dict)
    total: Money | None = None
    tags: frozenset[str] = frozenset()


@dataclass
class SpecialOrder(Order):
    reason: str = ""


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)
    parent: "Tree | None" = None


@dataclass
class Box(Generic[T]):
    content: T
    more: list[T] = field(default_factory=list)


@dataclass
class IntBox(Box[int]):
    label: str = ""


@dataclass
class Pair(Box[T], Generic[T]):
    second: "T | None" = None


@dataclass
class Mixed:
    first: int
    _: KW_ONLY
    derived: int = field(init=False, default=0)

    def bump(self) -> "Mixed":
        self.derived += 1
        return self


@dataclass
class Positive:
    number: int

    def __post_init__(self) -> None:
        if self.number <= 0:
            raise ValueError(f"not positive: {self.number}")


class Point(NamedTuple):
    x: int
    y: float = 0.0
    at: date | None = None


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Extra(Movie, total=False):
    rating: Required[float]
    when: date


@attrs.define
class Car:
    brand: str
    _secret: int = 0
    parts: set[str] = attrs.Factory(set)
    sold: date | None = None


@attrs.frozen(kw_only=True)
class Key:
    value: bytes


class User(pydantic.BaseModel):
    id: UUID
    name: str = pydantic.Field(alias="userName", default="")
    born: date | None = None
    scores: dict[str, float] = {}


class Admin(User):
    rights: set[str] = set()


class Team(pydantic.BaseModel, Generic[T]):
    members: list[User]
    extra: T | None = None


class Ids(pydantic.RootModel[list[int]]):
    pass


class Packet(msgspec.Struct):
    data: bytes
    when: datetime | None = None


class Sized(str):
    pass


HINTS: list[Any] = [
    None, bool, int, float, str, bytes, bytearray, date, time, timedelta, UUID, Decimal,
    Color, Level, Word, Shape, Access, Money, Item, Order, Tree, Box[int], Box[list[date]], IntBox, Pair[str], Point, Movie, Extra,
    Car, Key, list[int], list[float], list[str], list[Item], set[int], set[Money], frozenset[str], frozenset[tuple[int, str]],
    tuple[int, str, date], tuple[int, ...], tuple[()], tuple[Money, ...], dict[str, int], dict[str, float], dict[int, str],
    dict[UUID, Item], dict[date, int], dict[Color, int], dict[Level, str], dict[tuple[int, str], bool], dict[Money, str],
    dict[bool, int], dict[Sku, Item], list[dict[str, list[Point]]], deque[int], OrderedDict[str, int], defaultdict[str, list[int]],
    Counter[str], Literal["a", 1, True, None, b"x", Color.RED], Annotated[int, "meta"], Annotated[list[int], {"un": "hashable"}], Sku,
    int | None, str | None, Item | None, list[int] | None, int | str, int | float, bool | int | float | str | None,
    int | float | str, date | str, datetime | date, datetime | date | time | str, Money | Item, Item | Money | None,
    Item | dict[str, int], Level | int, Word | str, Color | Word, list[int] | list[str], set[int] | list[int], tuple[int, ...] | list[int],
    Movie | Item, Point | Car, UUID | bytes, Decimal | float, Decimal | int | str, Literal["a", "b"] | str, Literal["a"] | int,
    list[Money | Item], dict[str, Money | Item | Point], Box[int] | Box[str], (int | str) | list[int | str | Item], Car | Key,
]  # fmt: skip

PATHS: list[Any] = [Path, PurePath, PurePosixPath, PureWindowsPath, Path | str, Path | None, dict[str, Path]]
