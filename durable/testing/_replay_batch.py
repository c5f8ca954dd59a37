"""Many replays: one after the other here, and all of them together in a process for each hash seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from ..codec import Codec
from ._replay_result import ReplayResult
from ._replay_run import Replayed, replay_history, watching
from ._replay_seeds import Job, compared, replay_under

OnProgress: TypeAlias = Callable[[int, int], None]
"""Takes how many replays are through, and how many there are."""


class Batch:
    """Collects the results of `count` histories, in the order in which they are added.

    Without hash seeds, each is replayed as it is added and not kept. With them, the histories are kept until `results`.
    """

    def __init__(self, codec: Codec, seeds: Sequence[int], count: int, on_progress: OnProgress | None = None) -> None:
        self._codec, self._seeds, self._on_progress = codec, seeds, on_progress
        self._total, self._done = count * (1 + len(seeds)), 0
        self._results: list[ReplayResult] = []
        self._kept: list[tuple[int, Job, Replayed]] = []

    def add(self, job: Job) -> None:
        """Replay a history here. Raises `HistoryError` if it is none."""
        with watching() as watchdog:
            replayed = replay_history(job.workflow, job.history, self._codec, watchdog)
        if self._seeds:
            self._kept.append((len(self._results), job, replayed))
        self._results.append(replace(replayed.result, source=job.source))
        self._tick(1)

    def cannot(self, result: ReplayResult) -> None:
        """Take the result of a history that cannot be replayed."""
        self._results.append(result)
        self.skip()

    def skip(self) -> None:
        """Pass over a history."""
        self._tick(1 + len(self._seeds))

    def results(self) -> list[ReplayResult]:
        """Return all results, once the histories are replayed under each seed. Raises as `replay_under`."""
        jobs = [job for _, job, _ in self._kept]
        elsewhere = [
            (f"hash seed {seed}", replay_under(seed, jobs, self._codec, lambda: self._tick(1)))
            for seed in (self._seeds if jobs else ())
        ]
        for number, (index, job, here) in enumerate(self._kept):
            by_seed = [(name, replays[number]) for name, replays in elsewhere]
            divergence = compared(job.history, [*by_seed, ("the seed of this process", here)])
            self._results[index] = replace(self._results[index], divergence=divergence)
        return self._results

    def _tick(self, count: int) -> None:
        self._done += count
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)
