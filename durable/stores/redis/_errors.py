"""What Redis's errors mean to a caller."""

import re

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - the name of redis-py
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - the name of redis-py
    TryAgainError,
)

from ...errors import (
    DurableError,
    InternalError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

# An error that a script met has its code somewhere inside: Redis 6 wraps it, Redis 7 puts it first.
_CODE = re.compile(
    r"(?:^|[-\s])(OOM|READONLY|NOPERM|NOAUTH|WRONGPASS|WRONGTYPE|LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|MISCONF|NOREPLICAS"
    r"|TRYAGAIN|MOVED|ASK)\b"
)
# What redis-py says if there was no connection yet, and so nothing was sent on it.
_NOT_MADE = re.compile(r"(?:Error -?\d+|Timeout) connecting to ")
_REFUSED = {  # nothing was written: the server refused before the script wrote
    "OOM": (StoreFullError, "the server has reached its maxmemory: give it more"),
    "READONLY": (StoreUnavailableError, "this server is a read-only replica now; the next try connects anew"),
    "NOPERM": (StoreReadOnlyError, "the user's ACL forbids it: it needs the keys and the channels of the namespace"),
    "NOAUTH": (StoreReadOnlyError, "the server wants a password"),
    "WRONGPASS": (StoreReadOnlyError, "the user name or the password is wrong"),
    "WRONGTYPE": (
        StoreFormatError,
        "a key of this namespace is not ours: choose another namespace, or remove that key",
    ),
    "LOADING": (StoreUnavailableError, "the server is still loading its data"),
    "BUSY": (StoreUnavailableError, "the server is busy with a long script"),
    "CLUSTERDOWN": (StoreUnavailableError, "the cluster is not whole"),
    "MASTERDOWN": (StoreUnavailableError, "the replica has lost its primary"),
    "MISCONF": (StoreUnavailableError, "the server takes no writes because it cannot save them: see its log"),
    "NOREPLICAS": (StoreUnavailableError, "the server takes no writes because it has too few replicas"),
    "TRYAGAIN": (StoreUnavailableError, "a slot of the cluster is being moved"),
    "MOVED": (StoreUnavailableError, "a slot of the cluster has moved: use redis+cluster://"),
    "ASK": (StoreUnavailableError, "a slot of the cluster is being moved: use redis+cluster://"),
}


# redis-py takes the code off where it has a class for it.
_CLASSES = {
    NoPermissionError: "NOPERM",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    BusyLoadingError: "LOADING",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    MovedError: "MOVED",
    AskError: "ASK",
    TryAgainError: "TRYAGAIN",
    AuthenticationWrongNumberOfArgsError: "NOAUTH",
    AuthenticationError: "WRONGPASS",
}


def code_of(error: BaseException) -> str:
    """Return the code of an answer of Redis, such as "OOM"; "" if it has none that we know."""
    at: BaseException | None = error
    while at is not None:  # an error at connecting is wrapped
        for kind, code in _CLASSES.items():
            if isinstance(at, kind):
                return code
        at = at.__cause__ or at.__context__
    found = _CODE.search(str(error))
    return found[1] if found else ""


def is_demoted(error: BaseException) -> bool:
    """Return whether the server that was the primary is none any more: the next connection may find the new one."""
    return code_of(error) == "READONLY"


def is_missing_script(error: object) -> bool:
    """Return whether the server does not have the script (any more): a restart, a failover or SCRIPT FLUSH empties its cache."""
    return isinstance(error, NoScriptError)


def not_connected(error: BaseException, where: str, hint: str) -> BaseException:
    """As `mapped`, when nothing was asked for yet. `hint` says what may be wrong if the server ended the connection."""
    found = mapped(error, where)
    ended = any(said in str(error) for said in ("connecting to server", "reading from", "closed by server"))
    if isinstance(found, StoreUnavailableError) and (ended or "Nothing was written" not in str(found)):
        return StoreUnavailableError(f"{where}: {_said(error)}{hint if ended else ''}. Nothing was written")
    return found


def mapped(error: BaseException, where: str) -> BaseException:
    """Return `error` as one of ours; one that is no error of Redis is returned as it is.

    `StoreUnavailableError` leaves the outcome open unless it says that nothing was written; the others say that nothing was written.
    """
    if isinstance(error, DurableError):
        return error
    if isinstance(error, RedisError):
        return _of_redis(error, where)
    if isinstance(error, OSError):
        return StoreUnavailableError(f"{where}: {_said(error)}; whether the call was applied is unknown")
    return error


def _said(error: BaseException) -> str:
    return str(error).rstrip(".")


def _of_redis(error: RedisError, where: str) -> StoreError | InternalError:
    code = code_of(error)
    if code in _REFUSED:
        kind, advice = _REFUSED[code]
        said = str(error) if code in str(error) else f"{code}: {error}"  # redis-py takes some codes off
        return kind(f"{where}: {advice}. Nothing was written ({said})")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        advice = "the server's certificate is not trusted: tls_ca must name the CA that signed it, and the host must be one of its names"
        return StoreUnavailableError(f"{where}: {advice}. Nothing was written ({error})")
    if isinstance(error, ConnectionError | TimeoutError):
        if _NOT_MADE.match(str(error)):
            return StoreUnavailableError(f"{where}: {_said(error)}. Nothing was written")
        return StoreUnavailableError(f"{where}: {_said(error)}; whether the call was applied is unknown")
    if isinstance(error, ResponseError):
        return InternalError(f"{where}: Redis answered {error}")
    return StoreUnavailableError(f"{where}: {_said(error)}; whether the call was applied is unknown")
