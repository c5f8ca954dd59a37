"""The proxy of the soak, in a process of its own: `python -m tests.chaos.cutter SOCKET`. It says its URL, and is told what to do line by line.

- `cut`: end all connections
- `silent`: leave them half-open
- `lose NAME`: lose the answer to the next call of that script
"""

import asyncio
import sys

from tests.faults.proxy import Proxy
from tests.faults.scripts import marker


async def main() -> None:
    """Pass everything on until there is nobody to say what to do."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with Proxy(sys.argv[1]) as proxy:
        print(proxy.url, flush=True)
        while line := await lines.readline():
            match line.decode().split():
                case ["cut"]:
                    proxy.cut()
                case ["silent"]:
                    proxy.go_silent()
                case ["lose", name]:
                    proxy.lose_answer(marker(name))
                case _:
                    raise ValueError(f"expected cut, silent or lose NAME, got {line!r}")


if __name__ == "__main__":
    asyncio.run(main())
