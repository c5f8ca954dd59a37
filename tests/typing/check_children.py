"""What a type checker says of children. Checked, never run."""

from collections.abc import Awaitable
from typing import assert_type

from durable import ChildHandle, proxy, start_child, workflow


@workflow
async def child(n: int) -> str:
    return str(n)


async def right() -> None:
    assert_type(await child(1), str)
    assert_type(proxy(child, id="c")(1), Awaitable[str])
    handle = await start_child(child, parent_close="abandon")(1)
    assert_type(handle, ChildHandle[str])
    assert_type(await handle, str)
    assert_type(await handle.result(), str)


async def wrong() -> None:
    await child("1")  # type: ignore[arg-type]
    await start_child(child)("1")  # type: ignore[arg-type]
    start_child(child, parent_close="keep")  # type: ignore[call-overload]
