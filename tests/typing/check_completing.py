"""Checked by mypy and pyright, never run: activities that are completed from outside, and what cancelling them means."""

from typing import Any, assert_type

from durable import ActivityHandle, Client, activity, complete_later, proxy


@activity(cancellation="wait")
async def ask(question: str) -> str:
    """Leaves its end to others, whatever its declared type."""
    return complete_later()


@activity
def ask_in_thread(question: str) -> int:
    """As a plain function."""
    return complete_later()


async def check_handle(client: Client) -> None:
    """With the activity given, the result is of its type."""
    assert_type(client.activity("token"), ActivityHandle[Any])
    handle = client.activity("token", activity=ask)
    assert_type(handle, ActivityHandle[str])
    await handle.complete("yes")
    await handle.complete(5)  # type: ignore[arg-type]
    assert_type(client.activity("token", activity=ask_in_thread), ActivityHandle[int])
    await handle.fail("no")
    await handle.fail(ValueError("no"))
    await handle.fail(5)  # type: ignore[arg-type]


def check_kinds() -> None:
    """An unknown kind of cancellation is found before it runs."""
    proxy(ask, cancellation="abandon")
    activity(cancellation="later")  # type: ignore[call-overload]
