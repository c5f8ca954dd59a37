"""What every command is given: the store's URL and how to open it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import click

from ..errors import StoreError

if TYPE_CHECKING:
    from durable import Client

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_STORE = "sqlite:///durable.db"


@dataclass(slots=True)
class Settings:
    """The options that all commands share."""

    store: str = DEFAULT_STORE
    debug: bool = False

    def redacted(self, text: str) -> str:
        """Return `text` without the credentials of the store's URL, in whatever form they stand there."""
        from ..stores._url import without_password

        text = text.replace(self.store, without_password(self.store))
        try:
            password = urlsplit(self.store).password
        except ValueError:  # not a URL: then there is nothing to hide in it
            return text
        for secret in sorted({password or "", unquote(password or "")} - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def with_client(self, work: Callable[["Client"], Awaitable[T]], *, creates: bool = False) -> T:
        """Open a client, run `work` with it, and return what that returns. `creates`: a new store may be made.

        Raises `StoreError` if there is no store yet and none should be made: a look at nothing must not leave a file behind, or a
        namespace with a number of partitions that nobody chose.
        """
        self._refuse_memory()
        if not creates:
            self._refuse_missing_file()

        async def main() -> T:
            from durable import Client

            async with Client.connect(self.store if creates else self._existing()) as client:
                return await work(client)

        return asyncio.run(main())

    @property
    def shown_store(self) -> str:
        """The store's URL without any password."""
        from ..stores import _url

        return _url.without_password(self.store)

    def _existing(self) -> str:
        """Return the URL; of Redis, one that makes no namespace."""
        from ..stores import _url

        url = _url.parse(self.store)
        if url.scheme.partition("+")[0] not in ("redis", "rediss", "unix") or "create" in url.options:
            return self.store
        return f"{self.store}{'&' if '?' in self.store else '?'}create=no"

    def _refuse_memory(self) -> None:
        from ..stores import _url

        if _url.parse(self.store).scheme == "memory":
            raise StoreError(
                f"the store {self.store!r} is in the memory of one process and ends with this command: nobody else would "
                'see a run of it; name a file with --store or DURABLE_STORE, like "sqlite:///durable.db"'
            )

    def _refuse_missing_file(self) -> None:
        from ..stores import _url

        url = _url.parse(self.store)
        path = url.rest.removeprefix("///")
        if url.scheme == "sqlite" and not Path(path).exists():
            raise StoreError(
                f"there is no store at {url.shown!r} yet; name another with --store or DURABLE_STORE, "
                "or start a worker or a run, which makes it"
            )


def _set_store(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(Settings).store = value


def store_option(command: F) -> F:
    """Let `--store` stand after the command as well."""
    return click.option(
        "--store", metavar="URL", expose_value=False, callback=_set_store, help="Where the runs are kept."
    )(command)


def json_option(command: F) -> F:
    """Add `--json`: exactly one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def run_option(command: F) -> F:
    """Add `--run`: a certain run of the workflow id, not its latest."""
    return click.option("--run", "run_id", metavar="RUN_ID", help="A certain run; else the latest of that id.")(command)
