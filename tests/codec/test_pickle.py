"""The opt-in codec: pickles only what JSON cannot hold, signed, and never read unless the signature is right."""

import json
import pickle
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable import _limits
from durable.codec import Payload, PickleCodec, default_codec, signature_of
from durable.errors import DecodeError, EncodeError, InvalidCallError, PayloadTooLargeError

from .shapes import Item, Order

KEY = b"0123456789abcdef"
CODEC = PickleCodec(KEY)


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Plain and other.value == self.value


class Bomb:
    went_off = False

    def __reduce__(self) -> Any:
        return (setattr, (Bomb, "went_off", True))


def pickled(value: Any, hint: Any = Any) -> Payload:
    payload = CODEC.encode(value, hint, what="it")
    assert payload.encoding == "pickle"
    return payload


@pytest.mark.parametrize(("value", "hint"), [(1, int), ([Item("a", 1.0)], list[Item]), ({"a": [1]}, Any)])
def test_what_json_can_hold_stays_json(value: Any, hint: Any) -> None:
    """Histories stay readable: a pickle is the exception."""
    payload = CODEC.encode(value, hint, what="it")
    assert payload == default_codec().encode(value, hint, what="it")
    assert CODEC.decode(payload, hint, what="it") == value


def test_what_json_cannot_hold_is_pickled() -> None:
    """Classes of any kind, keys of any kind, local functions, cycles."""
    for value, hint in [
        (Plain(1), Any),
        (Plain([Plain(2)]), Plain),
        ({1: Plain(2)}, Any),
        ({1: 2}, Any),
        (float("inf"), Any),
        (2**70, Any),
    ]:
        assert CODEC.decode(pickled(value, hint), hint, what="it") == value
    number = 41
    assert CODEC.decode(pickled(lambda: number + 1), Any, what="it")() == 42
    cycle: list[Any] = []
    cycle.append(cycle)
    back = CODEC.decode(pickled(cycle), Any, what="it")
    assert back[0] is back


def test_a_misfit_is_refused_all_the_same() -> None:
    """A pickle is no way around a declared type."""
    with pytest.raises(EncodeError, match="it: expected Order, got int"):
        CODEC.encode(42, Order, what="it")
    with pytest.raises(EncodeError, match=r"it: expected Plain, got int"):
        CODEC.encode(42, Plain, what="it")
    with pytest.raises(DecodeError, match="it: expected Item, got Plain"):
        CODEC.decode(pickled(Plain(1)), Item, what="it")


def test_what_cannot_be_pickled_either_is_refused() -> None:
    """The error names the type."""
    with pytest.raises(EncodeError, match=r"it: generator cannot be pickled \(TypeError\)"):
        CODEC.encode((x for x in ()), Any, what="it")


def test_the_limit_holds() -> None:
    """A pickle counts like JSON."""
    with pytest.raises(PayloadTooLargeError, match=r"it: 2,\d+,\d+ bytes as pickle, the limit is 2,097,152 bytes"):
        CODEC.encode(Plain(b"x" * _limits.PAYLOAD_BYTES_MAX), Any, what="it")


@given(data=st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    """No bit of signature or content can be changed, cut off or added."""
    payload = pickled(Plain(1))
    position = data.draw(st.integers(0, len(payload.data) - 1))
    changed = bytearray(payload.data)
    changed[position] ^= data.draw(st.integers(1, 255))
    for forged in (bytes(changed), payload.data[:position], payload.data + b"x"):
        with pytest.raises(DecodeError, match="it: the pickle's signature is wrong"):
            CODEC.decode(Payload(forged, "pickle"), Any, what="it")


def test_a_pickle_without_the_key_never_runs() -> None:
    """The signature is checked before anything of the pickle is read."""
    evil = pickle.dumps(Bomb())
    for forged in (evil, b"\0" * 32 + evil, PickleCodec(b"another key, 16+")._mac(evil) + evil):
        with pytest.raises(DecodeError, match="signature is wrong"):
            CODEC.decode(Payload(forged, "pickle"), Any, what="it")
    assert not Bomb.went_off
    CODEC.decode(Payload(CODEC._mac(evil) + evil, "pickle"), Any, what="it")
    assert Bomb.went_off  # so the test above would have noticed


def test_a_pickle_whose_class_is_gone_is_an_error_of_ours() -> None:
    """What unpickling raises comes out as `DecodeError`."""
    broken = b"\x80\x04\x8c\x07no_such\x94\x8c\x01X\x94\x93\x94."
    with pytest.raises(DecodeError, match=r"it: the pickle cannot be read here \(ModuleNotFoundError\)"):
        CODEC.decode(Payload(CODEC._mac(broken) + broken, "pickle"), Any, what="it")


def test_arguments_are_pickled_one_by_one() -> None:
    """The others stay JSON, in one payload that is JSON as a whole."""

    def fn(item: Item, plain: Plain, *more: Any, key: Any = None) -> None: ...

    signature = signature_of(fn)
    args, kwargs = (Item("a", 1.0), Plain(1), 2, Plain(3)), {"key": Plain(4)}
    payload = signature.encode_call(CODEC, args, kwargs, what="activity fn")
    shown = json.loads(payload.data)
    assert payload.encoding == "json"
    assert shown[0][0] == {"sku": "a", "price": 1.0, "count": 1}
    assert shown[0][2] == 2
    assert shown[2] == {"1": "pickle", "3": "pickle", "key": "pickle"}
    assert signature.decode_call(CODEC, payload) == (args, kwargs)
    with pytest.raises(DecodeError, match=r"argument 'plain' of fn: the payload's encoding is 'pickle'"):
        signature.decode_call(default_codec(), payload)
    with pytest.raises(EncodeError, match="argument 'item' of activity fn: expected Item, got Plain"):
        signature.encode_call(CODEC, (Plain(1), Plain(1)), {}, what="activity fn")
    with pytest.raises(InvalidCallError, match=r"missing a required argument: 'plain'"):
        signature.encode_call(CODEC, (Item("a", 1.0),), {}, what="activity fn")
    plain_json = default_codec()
    sent = signature_of(lambda a: a).encode_call(plain_json, (1,), {}, what="it")
    assert signature_of(lambda a: a).decode_call(CODEC, sent) == ((1,), {})


@pytest.mark.parametrize("key", [b"", b"fifteen bytes..", "text of enough length"])
def test_a_weak_key_is_refused(key: Any) -> None:
    """The key has at least 16 bytes, and the error does not show it."""
    with pytest.raises(InvalidCallError, match=r"^PickleCodec: expected a key of at least 16 bytes$"):
        PickleCodec(key)


def test_the_key_is_never_shown() -> None:
    """Neither repr nor a pickle of the codec has it."""
    assert repr(CODEC) == "PickleCodec(key=***)"
    with pytest.raises(TypeError, match="is not pickled"):
        pickle.dumps(CODEC)


def test_without_cloudpickle_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(InvalidCallError, match=r"install durable-sdk\[pickle\]"):
        PickleCodec(KEY)
