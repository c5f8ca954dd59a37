"""Every error that this package raises.

DurableError
├── InvalidIdError, InvalidTokenError, DefinitionError, InvalidCallError   the caller's mistake: correct it, nothing was written
├── CodecError                                              a value and its declared type do not fit
│   ├── EncodeError, DecodeError, PayloadTooLargeError
├── NonDeterminismError, BlockedStepError                   workflow code that cannot be replayed
├── ActivityError                                           in workflow code: an activity failed for good
│   └── ActivityTimeoutError
├── ChildWorkflowError                                      in workflow code: a child did not complete
├── RunOutcomeError                                         from `handle.result()`: how the run ended
│   ├── RunFailedError, RunCancelledError, RunTerminatedError, RunTimedOutError
├── RunNotFoundError, RunClosedError, RunAlreadyOpenError   the run that was asked for
├── WorkflowIdUsedError                                     an id that is not to be used again
├── AttemptOverError, AttemptCancelledError                 the attempt of an activity that a token names
├── RequestFailedError, RequestTimeoutError                 a query, update or request that its run did not answer well
│   └── UpdateRejectedError                                 an update that was not accepted
├── HistoryError                                            a record that cannot be read
│   ├── DamagedRecordError, FutureVersionError
├── StoreError                                              the store
│   ├── StoreUrlError, StoreFormatError, StoreReadOnlyError, StoreFullError
│   ├── StoreUnavailableError                               the outcome is unknown; a repeat is safe
│   ├── StaleLeaseError, WrongSequenceError, UnreadMessagesError, NameTakenError, ClaimLostError   refused, nothing written
│   └── StoreWentBackError                                  refused: the store has lost what it had acknowledged
├── StuckTestError                                          in tests: what a test waits for cannot come
└── InternalError                                           a bug in this package

`retryable` says whether the same call may succeed later without a change.
"""

from typing import Any


class DurableError(Exception):
    """The base of all errors of this package."""

    retryable = False


class InvalidIdError(DurableError, ValueError):
    """An id or name that the user chose is empty, too long or not text. Choose another; nothing was written."""


class InvalidTokenError(DurableError, ValueError):
    """A text is no token of an activity's attempt, or was damaged on its way. Take it from `activity_info().token` as it is."""


class DefinitionError(DurableError, TypeError):
    """A function cannot be a workflow, activity or handler, or two share a name. Change the definition."""


class InvalidCallError(DurableError, TypeError):
    """A function of this package was called where or how it cannot work. The message says what to do instead."""


class CodecError(DurableError):
    """A value could not be turned into a payload or back."""


class EncodeError(CodecError, TypeError):
    """A value cannot be encoded. Raised at the call, naming the argument and type; nothing was written."""


class DecodeError(CodecError, ValueError):
    """A payload does not fit the declared type. The message has the path inside the value."""


class PayloadTooLargeError(CodecError, ValueError):
    """A value is over the size limit. Store it elsewhere and pass a reference; nothing was written."""


class NonDeterminismError(DurableError):
    """Workflow code did something else than its history says, or something that no replay could repeat.

    The run is not failed by it: it is marked stuck and goes on once code that fits the history is deployed.
    `history` and `code` show both sides, `where` the source line, `hint` the likely cause. `event` is the event of the
    history that the code did not ask for, or None where the history has no more.
    """

    retryable = True

    def __init__(self, message: str, *, history: str = "", code: str = "", where: str = "", hint: str = "") -> None:
        lines = [message]
        lines += [f"  {label}: {text}" for label, text in (
            ("the history says", history), ("the code asked for", code), ("at", where), ("likely cause", hint),
        ) if text]  # fmt: skip
        super().__init__("\n".join(lines))
        self.history, self.code, self.where, self.hint = history, code, where, hint
        self.event: object = None


class BlockedStepError(DurableError):
    """Workflow code computed for too long without an await. Move the work into an activity."""

    retryable = True


class ActivityError(DurableError):
    """An activity failed and is not tried again. `__cause__` is its exception; `activity` and `attempt` say which try."""

    def __init__(self, message: str, *, activity: str = "", attempt: int = 0) -> None:
        super().__init__(message)
        self.activity, self.attempt = activity, attempt


class ActivityTimeoutError(ActivityError, TimeoutError):
    """An activity ran out of time. `kind` is "attempt", "total", "queue" or "heartbeat"."""

    def __init__(self, message: str, *, activity: str = "", attempt: int = 0, kind: str = "") -> None:
        super().__init__(message, activity=activity, attempt=attempt)
        self.kind = kind


class ChildWorkflowError(DurableError):
    """A child workflow did not complete. `__cause__` says why; `workflow_id` which."""

    def __init__(self, message: str, *, workflow_id: str = "") -> None:
        super().__init__(message)
        self.workflow_id = workflow_id


class RemoteError(DurableError):
    """Stands for an exception of another process whose class is not to be had here. `type` and `traceback` describe it.

    Classes named by a store's content are never imported: only classes that this process declared are raised as themselves.
    """

    def __init__(self, message: str, *, type: str = "", traceback: str = "") -> None:  # noqa: A002 - the field's name
        super().__init__(f"{type}: {message}" if type else message)
        self.type, self.traceback, self.message = type, traceback, message


class RunOutcomeError(DurableError):
    """The run is closed and has no result. `workflow_id` and `run_id` say which run."""

    def __init__(self, message: str, *, workflow_id: str = "", run_id: str = "") -> None:
        super().__init__(message)
        self.workflow_id, self.run_id = workflow_id, run_id


class RunFailedError(RunOutcomeError):
    """The workflow's code raised; `__cause__` is its exception. `handle.retry()` reopens the run."""


class RunCancelledError(RunOutcomeError):
    """The run ended because it was cancelled."""


class RunTerminatedError(RunOutcomeError):
    """The run was terminated from outside."""


class RunTimedOutError(RunOutcomeError, TimeoutError):
    """The run reached its time limit (`kind` is "run"), or that of its whole chain ("execution")."""

    def __init__(self, message: str, *, workflow_id: str = "", run_id: str = "", kind: str = "run") -> None:
        super().__init__(message, workflow_id=workflow_id, run_id=run_id)
        self.kind = kind


class RunNotFoundError(DurableError, LookupError):
    """No run of this id exists in the store's namespace."""


class RunClosedError(DurableError):
    """The run has ended, and takes no more signals, updates or cancellations."""


class RunAlreadyOpenError(DurableError):
    """A run of this workflow id is open. `handle` is the handle of that run."""

    def __init__(self, message: str, *, handle: Any = None) -> None:
        super().__init__(message)
        self.handle = handle


class WorkflowIdUsedError(DurableError):
    """The workflow id has a run already, and `reuse` does not allow another. `run_id` is that run, `status` how it ended.

    `handle` is its handle. Nothing was started; choose another id.
    """

    def __init__(
        self, message: str, *, handle: Any = None, workflow_id: str = "", run_id: str = "", status: str = ""
    ) -> None:
        super().__init__(message)
        self.handle, self.workflow_id, self.run_id, self.status = handle, workflow_id, run_id, status


class AttemptOverError(DurableError):
    """The attempt that a token names takes no more reports: it has ended, its time was up, it was given up, or its run is closed.

    The message says which. Nothing was written. Stop working on it: a later attempt has a token of its own.
    """


class AttemptCancelledError(DurableError):
    """The workflow has cancelled the attempt that a token names, and waits for its end: stop, and say so by `cancel()`."""


class RequestFailedError(DurableError):
    """A query's or update's handler, or another request to a run, failed. `__cause__` is what it raised, if there is one."""


class UpdateRejectedError(RequestFailedError):
    """The run did not accept the update: its validator refused it, or it has no such handler. It left no trace there."""


class RequestTimeoutError(DurableError, TimeoutError):
    """No worker answered in time. Is one running for the run's task queue?"""

    retryable = True


class HistoryError(DurableError):
    """A record of a history cannot be read; its run is stuck, all others go on."""

    retryable = True


class DamagedRecordError(HistoryError):
    """A stored record is not what was written."""


class FutureVersionError(HistoryError):
    """A record was written by a newer version of this package. Upgrade this process."""


class StoreError(DurableError):
    """The base of what a store raises."""


class StoreUrlError(StoreError, ValueError):
    """The store's URL is not understood. The message shows it without its password, and what was expected."""


class StoreFormatError(StoreError):
    """The file or namespace is not ours, or of a newer version than this code knows. Nothing was changed."""


class StoreReadOnlyError(StoreError):
    """The store cannot be written. Nothing was written."""


class StoreFullError(StoreError):
    """The store has no room left. Nothing of this call was written."""

    retryable = True


class StoreUnavailableError(StoreError):
    """The store cannot be reached, and whether this call was applied is unknown. A repeat with the same ids is safe."""

    retryable = True


class StaleLeaseError(StoreError):
    """Another session owns the lease now. Drop what you derived from it and acquire again; a repeat cannot help."""


class WrongSequenceError(StoreError):
    """A stream is not at the expected position. Read it again and decide anew."""


class StoreWentBackError(StoreError):
    """The store does not hold a commit or message that it had acknowledged: it fell back to an earlier state.

    That is so after a failover to a copy that lagged, or a restore from a backup. Drop what you derived from it, acquire the
    lease anew, and read from the front.
    """


class UnreadMessagesError(StoreError):
    """A document cannot be closed while its inbox holds unread entries for it (`names`). Read them first."""

    retryable = True

    def __init__(self, message: str, *, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names


class NameTakenError(StoreError):
    """An open document has the name already."""


class ClaimLostError(StoreError):
    """The task is not claimed by this session any more; its result was not recorded."""


class StuckTestError(DurableError, AssertionError):
    """What a test waits for in a `TestEnvironment` cannot come any more. The message says what each run waits for."""


class InternalError(DurableError):
    """A bug in this package: please report it. It never fails a run."""

    retryable = True
