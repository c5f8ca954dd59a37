"""The scripts: Lua files, put together from the parts that each names, with the keys that those parts need."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ._keys import FIXED, Keys

_KEY = re.compile(r"\bK\.(\w+)")


@dataclass(frozen=True, eq=False)
class Script:
    """A script as the server gets it. `fixed` are the keys of the partition that it takes first."""

    name: str
    source: bytes
    sha: str
    fixed: tuple[str, ...]

    def keys(self, keys: Keys) -> list[bytes]:
        """Return the fixed keys of that partition."""
        return [keys.fixed[name] for name in self.fixed]


def _header(source: str, what: str) -> list[str]:
    """Return the words after "-- what:" at the top of a file, up to "then", without remarks in brackets."""
    found = re.search(rf"^-- {what}:(.*)$", source, re.MULTILINE)
    words = re.sub(r"\(.*?\)", " ", found[1]) if found else ""
    return re.sub(r"\bthen\b.*", "", words).split()


def _text(name: str) -> str:
    return (files("durable.stores.redis") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


@cache
def script(name: str) -> Script:
    """Return the script of that name. `K.name` in its parts stands for a key, `K.rest` for how many keys come before the others."""
    main = _text(name)
    parts = [*(_text(used) for used in _header(main, "uses")), main]
    fixed = tuple(dict.fromkeys(key for part in parts for key in _header(part, "keys")))
    unknown = [key for key in fixed if key not in FIXED]
    if unknown:
        raise ValueError(f"script {name!r} names keys that there are not: {unknown}")

    def place(found: re.Match[str]) -> str:
        key = found[1]
        return str(len(fixed)) if key == "rest" else f"KEYS[{fixed.index(key) + 1}]"

    # Comments are left out: the server keeps the source of each script.
    lines = (
        line for part in parts for line in part.splitlines() if line.strip() and not line.lstrip().startswith("--")
    )
    source = _KEY.sub(place, "\n".join(lines)).encode()
    return Script(name, source, hashlib.sha1(source, usedforsecurity=False).hexdigest(), fixed)
