"""What a server is asked for: scripts and commands, each on the keys of one partition."""

from collections.abc import Sequence
from typing import NamedTuple

from ._keys import Keys, Shared
from ._lane import Argument
from ._scripts import Script


class Call(NamedTuple):
    """A script to run on the keys of one partition: its fixed ones, then `keys`."""

    script: Script
    where: Keys
    keys: Sequence[bytes]
    args: Sequence[Argument]
    writes: bool = True


class Plain(NamedTuple):
    """A command on a key of one partition, or on the key that all of them share."""

    where: Keys | Shared
    args: Sequence[Argument]
    writes: bool = False


def by_hash(call: Call | Plain) -> tuple[Argument, ...]:
    """Return the command that asks for it; a script is named by its hash."""
    if isinstance(call, Plain):
        return tuple(call.args)
    fixed = call.script.keys(call.where)
    return ("EVALSHA", call.script.sha, len(fixed) + len(call.keys), *fixed, *call.keys, *call.args)


def by_source(call: Call | Plain) -> tuple[Argument, ...]:
    """Return the command that asks for it, for a server that does not have the script."""
    if isinstance(call, Plain):
        return tuple(call.args)
    fixed = call.script.keys(call.where)
    return ("EVAL", call.script.source, len(fixed) + len(call.keys), *fixed, *call.keys, *call.args)


def writing(calls: Sequence[Call | Plain]) -> bool:
    """Return whether one of them may write."""
    return any(call.writes for call in calls)
