"""What we report: metrics and traces through the OpenTelemetry API."""

from ._metrics import (
    attempt_ended,
    commits_answered,
    run_closed,
    run_forgotten,
    run_replayed,
    run_started,
    run_stuck,
    store_went_back,
)
from ._outages import Outage
from ._tracing import TracingInterceptor

__all__ = [
    "Outage",
    "TracingInterceptor",
    "attempt_ended",
    "commits_answered",
    "run_closed",
    "run_forgotten",
    "run_replayed",
    "run_started",
    "run_stuck",
    "store_went_back",
]
