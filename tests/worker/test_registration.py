"""What a worker takes, and what it says to what it does not."""

import sys
import threading
from typing import Any

import pytest

from durable import Client, JsonCodec, Worker, activity, workflow
from durable.errors import DefinitionError, InvalidCallError, InvalidIdError


@workflow
async def greet() -> str:
    return "hello"


@activity
async def fetch() -> str:
    return "fetched"


class Mailer:
    """Activities that share something."""

    def __init__(self, sender: str) -> None:
        self.sender = sender

    @activity
    async def send(self) -> str:
        return self.sender

    def not_one(self) -> None: ...


def plain() -> None: ...


@pytest.fixture
async def client() -> Any:
    async with Client.connect("memory:") as connected:
        yield connected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"workflows": [plain]}, "decorate it with @workflow"),
        ({"workflows": [lambda: None]}, "a lambda"),
        ({"workflows": [fetch]}, "pass it in `activities`"),
        ({"workflows": [3]}, "3 is no workflow"),
        ({"workflows": greet}, "write workflows="),
        ({"activities": [plain]}, "decorate it with @activity"),
        ({"activities": [lambda: None]}, "a lambda"),
        ({"activities": [greet]}, "pass it in `workflows`"),
        ({"activities": [Mailer]}, "not the class"),
        ({"activities": [object()]}, "no activities in"),
        ({"activities": "fetch"}, "expected a list"),
        ({}, "needs workflows"),
    ],
)
async def test_what_is_not_decorated_is_refused(client: Client, given: dict[str, Any], says: str) -> None:
    """A wrong thing in a list is named, and the message says what to do."""
    with pytest.raises(DefinitionError, match=says):
        Worker(client, **given)


async def test_two_activities_of_one_name_are_refused(client: Client) -> None:
    """Which of the two a task means could not be told."""

    @activity(name="fetch")
    async def other() -> None: ...

    with pytest.raises(DefinitionError, match="two activities have the name 'fetch'"):
        Worker(client, activities=[fetch, other])


async def test_two_workflows_of_one_name_are_refused(client: Client) -> None:
    """Which of the two a run means could not be told."""

    @workflow(name="greet")
    async def other() -> str:
        return "other"

    with pytest.raises(DefinitionError, match="two workflows have the name 'greet'"):
        Worker(client, workflows=[greet, other])


async def test_the_same_twice_is_no_conflict(client: Client) -> None:
    """A function that is named twice, or an instance next to its module, is one and the same."""
    mailer = Mailer("ada")
    Worker(client, workflows=[greet, greet], activities=[fetch, fetch, mailer, mailer])


async def test_two_instances_of_one_class_are_refused(client: Client) -> None:
    """Their activities have the same names, but are not the same."""
    with pytest.raises(DefinitionError, match="two activities have the name 'send'"):
        Worker(client, activities=[Mailer("ada"), Mailer("bo")])


async def test_a_module_gives_all_its_activities(client: Client) -> None:
    """A module stands for the activities in it; what is no activity is passed over."""
    worker = Worker(client, activities=[sys.modules[__name__]])
    assert set(worker._settings.activities) == {"fetch"}


async def test_a_cpu_bound_activity_must_be_found_by_other_processes(client: Client) -> None:
    """A function that only this process can see is refused at registration, not at its first task."""

    @activity(cpu_bound=True)
    def hidden() -> None: ...

    with pytest.raises(DefinitionError, match="at the top of a module"):
        Worker(client, activities=[hidden])


async def test_a_codec_that_other_processes_cannot_have_is_refused() -> None:
    """A child process gets a copy of the codec."""
    from tests.worker.cpu import halve

    class Locked(JsonCodec):
        """Holds what cannot be copied."""

        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    async with Client.connect("memory:", codec=Locked()) as client:
        with pytest.raises(DefinitionError, match="cannot be pickled"):
            Worker(client, activities=[halve])


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrent_activities": 0},
        {"max_threads": 0},
        {"max_processes": True},
        {"cache_runs": -1},
        {"lease_ttl": 0},
        {"grace": -1},
    ],
)
async def test_a_limit_out_of_range_is_refused(client: Client, options: dict[str, Any]) -> None:
    """The message names the option."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Worker(client, activities=[fetch], **options)


async def test_an_empty_queue_is_refused(client: Client) -> None:
    """A queue has a name."""
    with pytest.raises(InvalidIdError):
        Worker(client, activities=[fetch], queue="")


async def test_a_worker_runs_once(client: Client) -> None:
    """A second life would be another session: make another worker."""
    worker = Worker(client, activities=[fetch])
    async with worker:
        pass
    with pytest.raises(InvalidCallError, match="once"):
        async with worker:
            pass
