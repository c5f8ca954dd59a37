"""Finds the calls of clocks and random generators in the compiled code of a workflow. Reads no source and runs nothing."""

import dis
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import NamedTuple

from ..errors import DefinitionError

_NOW, _RANDOM, _UUID = "durable.now()", "durable.random()", "durable.uuid4()"
_SECRET = "durable.side_effect(...), or an activity"  # noqa: S105 - names a function

_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time")
_SECRETS = ("randbits", "token_bytes", "token_hex", "token_urlsafe", "randbelow")
REPLACEMENTS: dict[tuple[str, str], str] = {
    **{("time", name): _NOW for name in _CLOCKS},
    ("time", "sleep"): "await durable.sleep(...)",
    ("datetime", "now"): _NOW,
    ("datetime", "utcnow"): _NOW,
    ("datetime", "today"): _NOW,
    ("uuid", "uuid1"): _UUID,
    ("uuid", "uuid4"): _UUID,
    ("uuid", "uuid6"): _UUID,
    ("uuid", "uuid7"): _UUID,
    ("os", "urandom"): _SECRET,
    ("os", "getrandom"): _SECRET,
    **{("secrets", name): _SECRET for name in _SECRETS},
}
"""What to use instead of a function, by its module and name. All functions of the module `random` are `durable.random()`."""

_DEPTH_MAX = 20  # helpers that call helpers; a chain this long is not worth following further
_MISSING: object = object()
_ASYNC = 0x80 | 0x200  # inspect.CO_COROUTINE | CO_ASYNC_GENERATOR
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_LOADS_LOCAL = {"LOAD_DEREF", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK"}


class Finding(NamedTuple):
    """A call that no replay could repeat: the function called, where, and what to use instead."""

    call: str
    filename: str
    line: int
    instead: str

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}: {self.call}() differs on replay; use {self.instead}"


def check_code(function: object) -> None:
    """Raise `DefinitionError` if `impure_calls(function)` finds any; the message has them all, with their replacements."""
    found = impure_calls(function)
    if found:
        listed = "".join(f"\n  {finding}" for finding in found)
        raise DefinitionError(f"{getattr(function, '__qualname__', function)} cannot be replayed:{listed}")


def impure_calls(function: object) -> tuple[Finding, ...]:
    """Return the calls of clocks and generators that `function` makes, itself or through helpers of its own module.

    Only calls count, not mentions: `side_effect(time.time)` is fine, and so is `side_effect(lambda: time.time())`, since a
    lambda is not looked into (nor is a nested `def`, unless it is `async` or called by its name here). Calls through
    objects (`self.clock()`) and other modules are not followed, nor names that are not defined yet: check again when the
    module is complete. Anything but a Python function has no findings.
    """
    findings: dict[Finding, None] = {}
    start = getattr(function, "__func__", function)
    if isinstance(start, FunctionType):
        seen = {start.__code__}
        frontier = [(start, start.__code__, 0)]
        while frontier:
            owner, code, depth = frontier.pop()
            for found in _calls(owner, code):
                if isinstance(found, Finding):
                    findings[found] = None
                elif depth < _DEPTH_MAX:
                    callee, inner = found
                    if inner not in seen:
                        seen.add(inner)
                        frontier.append((callee, inner, depth + 1))
    return tuple(sorted(findings, key=lambda finding: (finding.filename, finding.line)))


def _calls(owner: FunctionType, code: CodeType) -> Iterator[Finding | tuple[FunctionType, CodeType]]:
    """Yield what `code` calls and must not, and the code that it calls and that is to be looked through next."""
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    for inner in nested:
        if inner.co_flags & _ASYNC or inner.co_name in _COMPREHENSIONS:
            yield owner, inner
    ops = list(dis.get_instructions(code))
    names = _local_values(owner, code, ops) | {inner.co_name: inner for inner in nested if inner.co_name != "<lambda>"}
    for path, value, line in _called(owner, names, ops):
        instead = _replacement(value)
        if instead is not None:
            yield Finding(path, code.co_filename, line or code.co_firstlineno, instead)
        elif isinstance(value, CodeType):
            yield owner, value
        elif isinstance(value, FunctionType) and value.__module__ == owner.__module__:
            yield value, value.__code__


def _called(
    owner: FunctionType, names: Mapping[str, object], ops: list[dis.Instruction]
) -> Iterator[tuple[str, object, int | None]]:
    """Yield each callable that is reached by a name and attributes, and then called: its path, itself, its line."""
    path, value, null_before = "", _MISSING, False
    for before, op, after in zip([None, *ops], ops, [*ops[1:], None], strict=False):
        name, bit = str(op.argval), bool((op.arg or 0) & 1)
        null = before is not None and before.opname == "PUSH_NULL"
        if op.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            path, value = name, owner.__globals__.get(name, _MISSING)
            null_before = null or (bit and op.opname == "LOAD_GLOBAL")
            marked = False
        elif op.opname in _LOADS_LOCAL:
            path, value, null_before = name, names.get(name, _MISSING), null
            marked = False
        elif op.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path, value = f"{path}.{name}", _attribute(value, name)
            marked = op.opname == "LOAD_METHOD" or (bit and sys.version_info >= (3, 12))
        else:
            value = _MISSING
            continue
        # A call leaves one of three marks: a NULL before the path or in its first load, a load of a method, a NULL after it.
        ends = after is None or after.opname not in ("LOAD_ATTR", "LOAD_METHOD")
        called = marked or null_before or (after is not None and after.opname == "PUSH_NULL")
        if value is not _MISSING and ends and called:
            yield path, value, op.positions.lineno if op.positions else None


def _local_values(owner: FunctionType, code: CodeType, ops: list[dis.Instruction]) -> dict[str, object]:
    """Return the local names whose values are known before the code runs: closure variables and imports."""
    known: dict[str, object] = {}
    if code is owner.__code__:
        for name, cell in zip(code.co_freevars, owner.__closure__ or (), strict=False):
            try:
                known[name] = cell.cell_contents
            except ValueError:  # not set yet: a function that is defined further down
                continue
    module: object = _MISSING
    value: object = _MISSING
    for op in ops:
        if op.opname == "IMPORT_NAME":
            module = value = sys.modules.get(str(op.argval), _MISSING)
        elif op.opname == "IMPORT_FROM":
            value = _attribute(module, str(op.argval))
        elif op.opname in ("STORE_FAST", "STORE_DEREF") and value is not _MISSING:
            known[str(op.argval)], value = value, _MISSING
    return known


def _attribute(value: object, name: str) -> object:
    """Return the attribute without running code of others: of modules (not of lazy ones), and of `datetime` and `date`."""
    if isinstance(value, ModuleType):
        return vars(value).get(name, _MISSING)
    if isinstance(value, type) and issubclass(value, date):
        return getattr(value, name, _MISSING)
    return _MISSING


def _replacement(value: object) -> str | None:
    """Return what to call instead of `value`, or None if it may be called."""
    if not isinstance(value, FunctionType | BuiltinFunctionType | MethodType):
        return None
    name = value.__name__
    owner: object = getattr(value, "__self__", None)
    module, kind = type(owner).__module__, type(owner).__name__
    if isinstance(owner, type) and issubclass(owner, date):
        return REPLACEMENTS.get(("datetime", name))
    if module == "random":
        if kind == "SystemRandom":  # secrets.choice
            return _SECRET
        return _RANDOM if owner is getattr(sys.modules.get("random"), "_inst", _MISSING) else None
    module = value.__module__
    return REPLACEMENTS.get(("os" if module in ("posix", "nt") else module or "", name))
