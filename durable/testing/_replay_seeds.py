"""Replays in processes of other hash seeds: what differs between them depends on the order of a set, or on `hash()`.

The order in which a set of text gives its members changes with `PYTHONHASHSEED`, which each process draws anew. So a loop
over one may ask for the same activities in another order on another worker, and no replay in one process can show that.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from tempfile import TemporaryFile
from types import ModuleType
from typing import Any, NamedTuple, cast

import msgspec

from .._runtime.matcher import describe
from ..author import Workflow
from ..codec import Codec, JsonCodec, default_codec
from ..errors import DefinitionError, InternalError
from ..history import RecordedEvent
from ._replay_result import Divergence, ReplayResult
from ._replay_run import Asked, Replayed, replay_history, watching

SEED_MAX = 4294967295  # what CPython takes
_OTHER_MAIN = "__durable_main__"  # the user's program, loaded by its file and without its `if __name__ == "__main__"`
_STDERR_LINES = 20


class Job(NamedTuple):
    """A history to replay, and the workflow to replay it with."""

    workflow: Workflow[..., Any]
    history: Sequence[RecordedEvent]
    source: str = ""


class _Target(msgspec.Struct):
    """Where another process finds a workflow."""

    module: str
    qualname: str
    file: str


class _Order(msgspec.Struct):
    """What a process is to do. `codec` is a pickle, or empty for the default one."""

    codec: str
    targets: list[_Target]
    jobs: list[tuple[int, list[str]]]


class _Answer(msgspec.Struct):
    """What it found for one job."""

    result: ReplayResult
    asked: list[Asked]


def checked_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Return the seeds. Raises `ValueError` for one that is no hash seed of CPython."""
    found = tuple(dict.fromkeys(seeds))
    for seed in found:
        if not (isinstance(seed, int) and 0 <= seed <= SEED_MAX):  # type: ignore[redundant-expr] # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"hash_seeds: expected whole numbers from 0 to {SEED_MAX}, got {seed!r}")
    return found


def replay_under(
    seed: int, jobs: Sequence[Job], codec: Codec, on_done: Callable[[], None] = lambda: None
) -> list[Replayed]:
    """Replay `jobs` in a process of its own with that hash seed. `on_done` is called for each that is through.

    Raises `DefinitionError` if the process cannot import a workflow.
    """
    order = _order_of(jobs, codec)
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(seed),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    found: list[Replayed] = []
    with TemporaryFile() as errors:  # not a pipe: nobody would empty it meanwhile
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "durable.testing._replay_seeds"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment,
        )  # fmt: skip
        try:
            for answer in _answers(process, order):
                found.append(Replayed(answer.result, answer.asked))
                on_done()
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if len(found) != len(jobs):
        last = "\n".join(said.strip().splitlines()[-_STDERR_LINES:])
        if process.returncode == _CANNOT_IMPORT:
            raise DefinitionError(f"a process with another hash seed cannot import the workflow:\n{last}")
        raise InternalError(f"the process for hash seed {seed} ended with {process.returncode}:\n{last}")
    return found


def _answers(process: subprocess.Popen[bytes], order: _Order) -> Iterator[_Answer]:
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout:
        try:
            with process.stdin:
                process.stdin.write(msgspec.json.encode(order))
        except BrokenPipeError:
            pass  # it has ended already: the caller finds out why
        for line in process.stdout:
            yield msgspec.json.decode(line, type=_Answer)


def compared(history: Sequence[RecordedEvent], by_seed: Sequence[tuple[str, Replayed]]) -> Divergence | None:
    """Return where the replays of one history part from each other, or what they all part from it by, or None.

    `by_seed` are the replays, each with what its process is called.
    """
    named = [(name, [*replayed.asked, *_diverged(replayed)]) for name, replayed in by_seed]
    (first_name, first), *others = named
    parted: list[tuple[int, str, Asked | None, Asked | None]] = []
    for name, asked in others:
        pairs = ((mine, theirs) for mine, theirs in zip_longest(first, asked) if _key(mine) != _key(theirs))
        if (pair := next(pairs, None)) is not None:
            parted.append((min(one.seq for one in pair if one is not None), name, *pair))
    if not parted:
        return by_seed[0][1].result.divergence
    seq, name, mine, theirs = min(parted, key=lambda item: item[0])
    where = next((one.where for one in (mine, theirs) if one is not None and one.where), "")
    return Divergence(
        kind="hash_seed",
        seq=seq,
        history=_said_at(history, seq),
        code=f"{_text(mine)} with {first_name}, but {_text(theirs)} with {name}",
        where=where,
        cause="the order of a set, or hash(), decides here, and each process has another; use sorted(), a list or a dict",
    )


def _diverged(replayed: Replayed) -> list[Asked]:
    divergence = replayed.result.divergence
    if divergence is None:
        return []
    return [Asked(divergence.seq, divergence.code or divergence.error, "", divergence.where)]


def _key(asked: Asked | None) -> object:
    return None if asked is None else (asked.what, asked.values)


def _text(asked: Asked | None) -> str:
    return "nothing" if asked is None else str(asked)


def _said_at(history: Sequence[RecordedEvent], seq: int) -> str:
    return describe(history[seq - 1].event) if seq <= len(history) else "nothing more"


def _order_of(jobs: Sequence[Job], codec: Codec) -> _Order:
    targets: dict[int, tuple[int, _Target]] = {}
    for job in jobs:
        if id(job.workflow) not in targets:
            targets[id(job.workflow)] = (len(targets), _target(job.workflow))
    pickled = "" if type(codec) is JsonCodec else base64.b64encode(pickle.dumps(codec)).decode()
    records = [(targets[id(job.workflow)][0], [one.record.decode() for one in job.history]) for job in jobs]
    return _Order(pickled, [target for _, target in targets.values()], records)


def _target(workflow: Workflow[..., Any]) -> _Target:
    qualname = workflow.fn.__qualname__
    if "<locals>" in qualname:
        raise DefinitionError(
            f"{workflow!r} is defined inside of a function, where no other process finds it; to replay it under other hash "
            "seeds, move it to the top of its module"
        )
    return _Target(workflow.fn.__module__, qualname, workflow.fn.__code__.co_filename)


# --- in the other process

_CANNOT_IMPORT = 3


def _main() -> int:
    """Replay what standard input asks for; the answers go to standard output, one line each."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the user's code prints must not get among them
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    # Written by the process that started this one, from a codec that it was given.
    codec: Codec = pickle.loads(base64.b64decode(order.codec)) if order.codec else default_codec()  # noqa: S301
    try:
        workflows = [_workflow_at(target) for target in order.targets]
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return _CANNOT_IMPORT
    with watching() as watchdog, answers:
        for index, records in order.jobs:
            history = [RecordedEvent.read(seq, record.encode()) for seq, record in enumerate(records, 1)]
            found = replay_history(workflows[index], history, codec, watchdog)
            answers.write(msgspec.json.encode(_Answer(found.result, found.asked)) + b"\n")
            answers.flush()
    return 0


def _workflow_at(target: _Target) -> Workflow[..., Any]:
    found: Any = _module_at(target)
    for part in target.qualname.split("."):
        found = getattr(found, part)
    if not isinstance(found, Workflow):
        raise DefinitionError(f"{target.module}:{target.qualname} is no workflow but {found!r}")
    return cast("Workflow[..., Any]", found)


def _module_at(target: _Target) -> ModuleType:
    """Import the module, or load its file where it has no name that could be imported (a program, a test)."""
    if target.module != "__main__":
        try:
            return importlib.import_module(target.module)
        except ModuleNotFoundError as missing:
            if missing.name is None or not f"{target.module}.".startswith(f"{missing.name}."):
                raise
    name = _OTHER_MAIN if target.module == "__main__" else target.module
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, target.file)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"the module {target.module!r} cannot be imported, nor its file {target.file!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(_main())
