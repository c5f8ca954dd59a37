"""What happened to a run: its events, one family a file, and their wire form."""

from ._activities import (
    ActivityCancelRequested,
    ActivityCompleted,
    ActivityFailed,
    ActivityRetryScheduled,
    ActivityScheduled,
    LocalActivityCompleted,
    LocalActivityFailed,
    LocalActivityScheduled,
)
from ._attributes import AttributesUpserted, AttributeValue
from ._children import (
    ChildCancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    ChildStartFailed,
    ChildStartRequested,
    ParentClose,
)
from ._event import CommandEvent, Event, FailureData, Inbound
from ._external import ExternalCancelRequested, ExternalDelivered, ExternalFailed, ExternalSignalRequested
from ._forks import effective, fork_point, forked
from ._markers import PatchMarked, SideEffectRecorded
from ._messages import CarriedSignal, SignalReceived
from ._payload import UNREADABLE, from_raw, null, to_raw
from ._runs import (
    CancelRequested,
    Close,
    Origin,
    Parent,
    RunCancelled,
    RunCompleted,
    RunContinuedAsNew,
    RunFailed,
    RunForked,
    RunReopened,
    RunStarted,
    RunTerminated,
    RunTimedOut,
)
from ._timers import TimerCancelled, TimerFired, TimerStarted
from ._updates import UpdateAccepted, UpdateCompleted
from ._wire import EVENTS, WIRE, RecordedEvent, Wire, tag_of

__all__ = [
    "EVENTS",
    "UNREADABLE",
    "WIRE",
    "ActivityCancelRequested",
    "ActivityCompleted",
    "ActivityFailed",
    "ActivityRetryScheduled",
    "ActivityScheduled",
    "AttributeValue",
    "AttributesUpserted",
    "CancelRequested",
    "CarriedSignal",
    "ChildCancelRequested",
    "ChildCompleted",
    "ChildFailed",
    "ChildStartFailed",
    "ChildStartRequested",
    "ChildStarted",
    "Close",
    "CommandEvent",
    "Event",
    "ExternalCancelRequested",
    "ExternalDelivered",
    "ExternalFailed",
    "ExternalSignalRequested",
    "FailureData",
    "Inbound",
    "LocalActivityCompleted",
    "LocalActivityFailed",
    "LocalActivityScheduled",
    "Origin",
    "Parent",
    "ParentClose",
    "PatchMarked",
    "RecordedEvent",
    "RunCancelled",
    "RunCompleted",
    "RunContinuedAsNew",
    "RunFailed",
    "RunForked",
    "RunReopened",
    "RunStarted",
    "RunTerminated",
    "RunTimedOut",
    "SideEffectRecorded",
    "SignalReceived",
    "TimerCancelled",
    "TimerFired",
    "TimerStarted",
    "UpdateAccepted",
    "UpdateCompleted",
    "Wire",
    "effective",
    "fork_point",
    "forked",
    "from_raw",
    "null",
    "tag_of",
    "to_raw",
]
