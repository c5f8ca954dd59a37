"""Messages from outside that the run's code reads."""

import msgspec

from ._event import Inbound


class SignalReceived(Inbound, frozen=True, kw_only=True):
    """A signal arrived. `request` is the id of the call that sent it: a repeat is dropped."""

    name: str
    request: str
    value: msgspec.Raw
    headers: dict[str, str] | None = None
