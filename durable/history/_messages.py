"""Messages from outside that the run's code reads."""

import msgspec

from ._event import Inbound


class CarriedSignal(msgspec.Struct, frozen=True, kw_only=True):
    """A signal that a run begins with: sent along with its start, or not read by the run that it continues."""

    name: str
    request: str
    value: msgspec.Raw
    headers: dict[str, str] | None = None


class SignalReceived(Inbound, frozen=True, kw_only=True):
    """A signal arrived. `request` is the id of the call that sent it: a repeat is dropped."""

    name: str
    request: str
    value: msgspec.Raw
    headers: dict[str, str] | None = None
