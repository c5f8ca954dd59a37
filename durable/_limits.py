"""Every limit of the package, with the reason for its value."""

ID_BYTES_MAX = 1_000  # an id is part of index keys and of Redis keys; a page of SQLite still holds several
ATTRIBUTES_MAX = 50  # of one run: each is a row of an index
ATTRIBUTES_BYTES_MAX = 32 * 1024  # names and values of one run's attributes together: they are written with each change
ATTRIBUTE_BYTES_MAX = 1_000  # one text in an attribute is part of an index key, as an id is
ATTRIBUTE_NAME_BYTES_MAX = 100  # it stands in each entry of the index
MEMO_BYTES_MAX = 32 * 1024  # of one run: it is read with each list of runs
VERSION_BYTES_MAX = 100  # part of the name of an inbox
PAYLOAD_BYTES_MAX = 2 * 1024 * 1024  # one argument list or result; larger data belongs in a blob store, by reference
HEADERS_CHARS_MAX = 16_384  # of one call's headers together: they are repeated in each event, and are no place for data
BATCH_MESSAGES_MAX = 1_000  # messages read and stepped at once: bounds a commit and, on Redis, a script's run time
HISTORY_PAGE_EVENTS = 2_000  # events read at once while replaying: bounds memory, not length
TASK_DELIVERIES_MAX = 5  # a task that killed its worker this often is parked, where people can see and release it
LEASE_TTL_MS = 5_000  # failover takes at most twice this; renewed every fifth of it
CACHE_RUNS_MAX = 2_000  # live executions a worker keeps: a miss costs one replay, a full garbage collection the longer a pause the more there are
HISTORY_EVENTS_SUGGESTED = (
    10_000  # from here on `continue_as_new_suggested`: a replay takes a tenth of a second. Code may follow it,
)
HISTORY_BYTES_SUGGESTED = (
    10 * 1024 * 1024
)  # so a change of either changes replays: it needs a flag (DESIGN §6). And: what a replay reads
REQUESTS_CARRIED_MAX = (
    1_000  # ids of calls that a run hands on when it continues as new, so that repeats are dropped: 30 KB in a record
)
STEP_CPU_S_MAX = 2.0  # a step is pure computation: past this it is reported as blocked
STUCK_RETRY_MS_MIN, STUCK_RETRY_MS_MAX = 1_000, 60_000  # backoff between attempts to step a stuck run
