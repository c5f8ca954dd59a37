"""What a worker was told, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._ids import QueueName
from .._retention import Archive
from ..author import Activity, Workflow
from ..interceptors import Interceptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See the arguments of `Worker`."""

    workflows: Mapping[str, Mapping[str, Workflow[..., Any]]]  # by inbox, and by name
    activities: Mapping[str, Activity[..., Any]]
    queue: QueueName
    activities_max: int
    threads_max: int
    processes_max: int
    cache_runs: int
    lease_ttl_ms: int
    grace_s: float
    renew_in_thread: bool
    interceptors: tuple[Interceptor, ...] = ()
    retention_ms: int | None = None  # None: closed runs are kept, unless their workflow says otherwise
    archive: Archive | None = None
