"""What a worker counts, through the OpenTelemetry API: without an SDK set up, all of this does nothing.

| instrument | unit | attributes |
|---|---|---|
| `durable.runs.started` | runs | `workflow` |
| `durable.runs.closed` | runs | `workflow`, `status` |
| `durable.runs.stuck` | times a run became stuck, or stuck for another reason | `reason`: the class of the error |
| `durable.runs.forgotten` | closed runs that were removed, since they were old enough | `workflow` |
| `durable.replays` | replays of a run that was not in the cache | |
| `durable.replayed.events` | events | |
| `durable.commits` | commits | `outcome`: applied, refused |
| `durable.commit.duration` | seconds, of one call to the store | |
| `durable.store.went_back` | times that a partition's store was found to have lost what it had acknowledged | |
| `durable.activity.attempts` | attempts that ended | `activity`, `outcome`: completed, failed, timed_out |

Nothing is counted on replay (invariant 5): a count belongs to a commit that was applied, or to an attempt that ended.
"""

from opentelemetry import metrics

_meter = metrics.get_meter("durable")

_runs_started = _meter.create_counter(
    "durable.runs.started", unit="{run}", description="runs that took their first step"
)
_runs_closed = _meter.create_counter("durable.runs.closed", unit="{run}", description="runs that ended")
_runs_stuck = _meter.create_counter("durable.runs.stuck", unit="{run}", description="runs that could not be stepped")
_runs_forgotten = _meter.create_counter(
    "durable.runs.forgotten", unit="{run}", description="closed runs that were removed"
)
_replays = _meter.create_counter("durable.replays", unit="{replay}", description="runs loaded from their history")
_replayed = _meter.create_counter("durable.replayed.events", unit="{event}", description="events replayed")
_commits = _meter.create_counter("durable.commits", unit="{commit}", description="commits of partitions")
_commit_s = _meter.create_histogram("durable.commit.duration", unit="s", description="time of one call to the store")
_went_back = _meter.create_counter(
    "durable.store.went_back", unit="{loss}", description="losses of the store that an owner of a partition noticed"
)
_attempts = _meter.create_counter(
    "durable.activity.attempts", unit="{attempt}", description="activity attempts that ended"
)


def run_started(workflow: str) -> None:
    """The commit with a run's first event is applied."""
    _runs_started.add(1, {"workflow": workflow})


def run_closed(workflow: str, status: str) -> None:
    """The commit that closes a run is applied."""
    _runs_closed.add(1, {"workflow": workflow, "status": status})


def run_forgotten(workflow: str) -> None:
    """A closed run of `workflow` is removed from the store."""
    _runs_forgotten.add(1, {"workflow": workflow})


def run_stuck(reason: str) -> None:
    """A run cannot be stepped; `reason` is the class of the error."""
    _runs_stuck.add(1, {"reason": reason})


def run_replayed(events: int) -> None:
    """A run was loaded from its history."""
    _replays.add(1)
    _replayed.add(events)


def commits_answered(applied: int, refused: int, seconds: float) -> None:
    """The store has answered a call with so many commits."""
    if applied:
        _commits.add(applied, {"outcome": "applied"})
    if refused:
        _commits.add(refused, {"outcome": "refused"})
    _commit_s.record(seconds)


def store_went_back() -> None:
    """The owner of a partition found that the store has lost what it had acknowledged."""
    _went_back.add(1)


def attempt_ended(activity: str, outcome: str) -> None:
    """An attempt of an activity ended: "completed", "failed" or "timed_out"."""
    _attempts.add(1, {"activity": activity, "outcome": outcome})
