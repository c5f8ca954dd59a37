"""Tests of `parallel.py`: how much goes on at a time."""

from datetime import timedelta

import pytest
from parallel import AT_ONCE, album, bind, contact_sheet, scale

from durable.errors import RunFailedError
from durable.testing import TestEnvironment

PICTURES = [f"{number}.jpg" for number in range(12)]


def scaled(picture: str) -> str:
    """Stand for the service that scales."""
    return f"small {picture}"


async def test_an_album_is_scaled_a_few_at_a_time() -> None:
    """Twelve pictures of a minute each, five at a time, are three minutes; and never are there more."""
    async with TestEnvironment(workflows=[album], activities=[bind]) as env:
        env.fake(scale, returns=scaled, takes="1 min")
        began = env.now
        text = await env.client.execute(album)(PICTURES)
        assert text == "an album of 12 pictures, from small 0.jpg to small 11.jpg"
        assert env.now - began == timedelta(minutes=3)
        starts = [call.at for call in env.calls(scale)]
        assert max(starts.count(at) for at in starts) == AT_ONCE


async def test_a_contact_sheet_is_scaled_all_at_once() -> None:
    """In the order of the pictures."""
    async with TestEnvironment(workflows=[contact_sheet]) as env:
        env.fake(scale, returns=scaled, takes="1 min")
        began = env.now
        assert await env.client.execute(contact_sheet)(PICTURES) == [f"small {picture}" for picture in PICTURES]
        assert env.now - began == timedelta(minutes=1)


async def test_one_bad_picture_stops_the_album() -> None:
    """The others are cancelled with it, and nothing is bound."""

    def all_but_one(picture: str) -> str:
        if picture == "3.jpg":
            raise TypeError("no picture at all")
        return scaled(picture)

    async with TestEnvironment(workflows=[album]) as env:
        env.fake(scale, calls=all_but_one)
        env.fake(bind, returns="an album")
        with pytest.raises(RunFailedError):
            await env.client.execute(album)(PICTURES)
        assert env.calls(bind) == []
