"""What we report: metrics through the OpenTelemetry API."""

from ._metrics import (
    attempt_ended,
    commits_answered,
    run_closed,
    run_replayed,
    run_started,
    run_stuck,
)

__all__ = ["attempt_ended", "commits_answered", "run_closed", "run_replayed", "run_started", "run_stuck"]
