"""Tokens: one attempt of an activity as a short text, for whoever is to report its end from elsewhere."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import blake2b

import msgspec

from ..errors import InvalidTokenError
from ..history import UNREADABLE

_PREFIX = "at1."  # attempt token, version 1
_CHECK_BYTES = 4  # a text that was cut or mistyped is told apart from one of ours; no secret, and no protection


class AttemptToken(msgspec.Struct, frozen=True, array_like=True):
    """What a token says. Where the run lives follows from its workflow id; so a token holds for any client of the store."""

    workflow_id: str
    run_id: str
    id: int
    attempt: int

    @property
    def what(self) -> str:
        """The attempt as errors name it."""
        return f"attempt {self.attempt} of activity #{self.id} of {self.workflow_id!r} (run {self.run_id})"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AttemptToken)


def write_token(token: AttemptToken) -> str:
    """Return `token` as text: letters, digits, "-", "_" and one "."."""
    body = _encoder.encode(token)
    return _PREFIX + urlsafe_b64encode(_check(body) + body).decode().rstrip("=")


def read_token(text: str) -> AttemptToken:
    """Return what the token `text` says. Raises `InvalidTokenError` for a text that is none, or a damaged one."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise InvalidTokenError(f"expected the token of an activity, a text, got {text!r}")
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    if not text.startswith(_PREFIX):
        raise InvalidTokenError(
            f"expected a token from activity_info().token, which begins with {_PREFIX!r}, got {shown!r}"
        )
    encoded = text[len(_PREFIX) :]
    try:
        data = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (NotBase64, ValueError):
        data = b""
    body = data[_CHECK_BYTES:]
    if not body or _check(body) != data[:_CHECK_BYTES]:
        raise InvalidTokenError(f"the token {shown!r} is damaged: was it copied as a whole?")
    try:
        return _decoder.decode(body)
    except UNREADABLE:
        raise InvalidTokenError(f"the token {shown!r} is damaged: it names no attempt") from None


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES).digest()
