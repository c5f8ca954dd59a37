"""The URL of a store: what each kind understands, and errors that show no password."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from ..errors import StoreUrlError
from ._rules import PARTITIONS_MAX

_USERINFO = re.compile(r"(?<=//)[^/?#]*@")
# In a URL of another kind all up to the last "@" may be one, however few slashes or how odd a password was typed.
_ANY_USERINFO = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]*:/+)?).+@")
_FILES = ("sqlite:", "memory:")  # what follows is a path or a name, which may hold an "@"
_SECRETS = re.compile(r"(?i)([?&](?:[a-z_]*password|passwd|pass|secret|token|key)=)[^&#]*")
EXPECTED = 'expected "memory:", "memory:name", "sqlite:///relative.db", "sqlite:////absolute.db" or "redis://host:port"'


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A URL in parts: `rest` is decoded and stands between the scheme's colon and the "?"."""

    shown: str  # without any password
    scheme: str
    rest: str
    options: Mapping[str, str]

    def refuse(self, reason: str) -> StoreUrlError:
        """Return an error about this URL, for the caller to raise."""
        return StoreUrlError(f"store URL {self.shown!r}: {reason}")

    def check_options(self, known: Collection[str]) -> None:
        """Raise `StoreUrlError` for an option that is not `known`."""
        for name in self.options:
            if name not in known:
                raise self.refuse(f"unknown option {name!r}; expected one of {', '.join(sorted(known)) or 'none'}")

    def partitions(self, argument: int | None) -> int | None:
        """Return the number of partitions that the URL or `argument` asks for; None if neither does."""
        text = self.options.get("partitions")
        asked = argument
        if text is not None:
            if not text.isdecimal():
                raise self.refuse(f"expected partitions as a whole number, got {text!r}")
            asked = int(text)
            if argument is not None and asked != argument:
                raise self.refuse(f"it asks for {asked} partitions, and the argument for {argument}")
        if asked is not None and not 1 <= asked <= PARTITIONS_MAX:
            raise self.refuse(f"expected 1 to {PARTITIONS_MAX} partitions, got {asked}")
        return asked


def without_password(url: str) -> str:
    """Return `url` as it may be shown: no user, no password, no secret option."""
    if url.lower().startswith(_FILES):
        shown = _USERINFO.sub(lambda found: "***@" if found[0] != "@" else "@", url)
    else:
        shown = _ANY_USERINFO.sub(r"\1***@", url)
    return _SECRETS.sub(r"\1***", shown)


def parse(url: object) -> StoreUrl:
    """Return `url` in parts. Raises `StoreUrlError` if it is none."""
    if not isinstance(url, str):
        raise StoreUrlError(f"expected a store URL as text, got one of type {type(url).__name__}; {EXPECTED}")
    shown = without_password(url)
    scheme, colon, tail = url.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise StoreUrlError(f"store URL {shown!r}: it has no scheme; {EXPECTED}")
    rest, _, query = tail.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    parsed = StoreUrl(shown, scheme.lower(), unquote(rest), options)
    if len(options) != len(pairs):
        raise parsed.refuse("an option is given twice")
    return parsed
