"""The scripts of the store, by what names them on the wire."""

from importlib.resources import files

from durable.stores.redis._scripts import script
from tests.redis_server import RedisServer

NAMES = sorted(
    each.name.removesuffix(".lua")
    for each in (files("durable.stores.redis") / "lua").iterdir()
    if each.name.endswith(".lua") and not each.name.startswith("_")
)


def marker(name: str) -> bytes:
    """Return what a call of the script has in it."""
    return script(name).sha.encode()


def load_all(server: RedisServer) -> None:
    """Let the server know all scripts, so that each call is one round trip."""
    with server.client() as client:
        for name in NAMES:
            client.script_load(script(name).source)
