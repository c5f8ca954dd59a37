"""Commands that are done as soon as they are recorded: side effects and patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...codec import Failure, exception_of, failure_of
from ...history import PatchMarked, SideEffectRecorded, from_raw, null, to_raw
from .. import guard

if TYPE_CHECKING:
    from ..run import Run


def record_side_effect(run: Run, function: Callable[[], Any], hint: Any) -> Any:
    """Return what `function` gave the first time; it runs once, and never on replay.

    Raises what `function` raised (that is recorded as well), and `EncodeError` if its value cannot be recorded.
    """
    id = run.next_command_id()  # noqa: A001 - the field's name
    what = f"the value of side effect {getattr(function, '__qualname__', function)!r}"
    if run.matcher.replaying:
        event = run.matcher.take(SideEffectRecorded, id)
        if event is None:
            run.diverge(f"side effect #{id}")
    else:
        run.check_may_command("a side effect")
        event = _recorded(run, id, function, hint, what)
        run.emit(event)
    if event.failure is not None:
        raise exception_of(Failure.from_wire(event.failure), (), run.codec)
    try:
        return run.codec.decode(from_raw(event.value), hint, what=what)
    except Exception as error:
        run.abort(error)  # it was encoded once: its type was changed, and the run is stuck until that is put right


def _recorded(run: Run, id: int, function: Callable[[], Any], hint: Any, what: str) -> SideEffectRecorded:  # noqa: A002
    try:
        with guard.allowed(), run.reading_only(what):
            value = function()
        return SideEffectRecorded(at=run.now_ms, id=id, value=to_raw(run.codec.encode(value, hint, what=what)))
    except Exception as error:  # recorded too: a replay must raise where the first run did
        return SideEffectRecorded(at=run.now_ms, id=id, value=null(), failure=failure_of(error, run.codec).as_wire())


def is_patched(run: Run, name: str) -> bool:
    """Return whether this run goes the new way at the change `name`.

    True when the change is first met live (recorded as `PatchMarked`) and on every replay of that; False for a run that
    passed this point before the change was made. The first answer holds for the whole run.
    """
    known = run.patches.get(name)
    if known is not None:
        return known
    if run.matcher.replaying:
        event = run.matcher.take_patch(name)
        if event is not None and not event.deprecated:
            run.next_command_id()
    else:
        run.check_may_command(f"patched({name!r})")
        event = PatchMarked(at=run.now_ms, id=run.next_command_id(), name=name)
        run.emit(event)
    _remember(run, name, event)
    return event is not None


def mark_deprecated(run: Run, name: str) -> None:
    """Record that the code knows the change `name` in the new way only. On replay the marker may be there or not."""
    if name in run.patches:
        return
    if run.matcher.replaying:
        event = run.matcher.take_patch(name)
        if event is not None and not event.deprecated:
            run.next_command_id()
    else:
        run.check_may_command(f"deprecate_patch({name!r})")
        event = PatchMarked(at=run.now_ms, id=0, name=name, deprecated=True)  # no number: the call may be removed
        run.emit(event)
    _remember(run, name, event)
    run.patches[name] = True  # there is no old way any more


def _remember(run: Run, name: str, event: PatchMarked | None) -> None:
    run.patches[name] = event is not None
    if event is not None:
        run.marked[name] = event.deprecated
        run.record_changed = True
