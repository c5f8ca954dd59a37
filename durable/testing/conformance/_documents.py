"""Documents, what is sent to them, and their streams."""

import asyncio
from dataclasses import replace

import pytest

from ...errors import NameTakenError, RunClosedError, RunNotFoundError
from ...stores._protocol import Append, DocumentUpdate, Store
from .._clock import ManualClock
from ._base import INBOX, NAME, Base, P, applied, contents, document, entry, inbox_of, lease_for


class DocumentTests(Base):
    """Anyone may call these; no lease is needed."""

    async def test_create_adds_the_document_and_its_first_entry(self, store: Store) -> None:
        """`create`: add an open document and put `entry` into its inbox, in one; return the document."""
        new = document()
        assert await store.create(P, new, [entry()]) == new
        assert await store.document(P, id="d-01") == new
        assert [(each.id, each.name, each.data) for each in await inbox_of(store)] == [("e-1", NAME, b"hello")]

    async def test_create_again_by_the_same_request_returns_the_first_document(self, store: Store) -> None:
        """`create`: if the latest document of that name was made by the same request, return that one and write nothing."""
        first = await store.create(P, document(), [entry()])
        before = await contents(store)
        assert await store.create(P, document("d-02"), [entry("e-2")]) == first
        assert await contents(store) == before

    async def test_create_again_by_the_same_request_finds_even_a_closed_document(self, store: Store) -> None:
        """`create`: the latest document counts, open or not: a repeated start must not start a second run."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-01", NAME, closes=True)])
        found = await store.create(P, document("d-02"), [entry("e-2")])
        assert (found.id, found.open) == ("d-01", False)
        assert await inbox_of(store) == []

    async def test_create_refuses_a_name_that_an_open_document_has(self, store: Store) -> None:
        """`create`: raises `NameTakenError` if an open document has the name."""
        await store.create(P, document(), [entry()])
        before = await contents(store)
        with pytest.raises(NameTakenError):
            await store.create(P, document("d-02", request="r-2"), [entry("e-2")])
        assert await contents(store) == before

    async def test_create_puts_all_entries_into_the_inbox_in_order(self, store: Store) -> None:
        """`create`: put `entries` into its inbox, in order, all in one; a repeat writes none of them."""
        entries = [entry("e-2", data=b"second"), entry("e-1"), entry("e-2", data=b"a repeat"), entry("e-3")]
        await store.create(P, document(), entries)
        assert [(each.id, each.data) for each in await inbox_of(store)] == [
            ("e-2", b"second"),
            ("e-1", b"hello"),
            ("e-3", b"hello"),
        ]
        before = await contents(store)
        await store.create(P, document("d-02"), [entry("e-8")])
        assert await contents(store) == before
        await store.create(P + 1, document(), [])
        assert await inbox_of(store, partition=P + 1) == []

    async def test_create_can_ask_that_there_was_no_document_of_the_name(self, store: Store) -> None:
        """`create`: `latest` "" says that there is no document of the name; raises `NameTakenError` if there is one."""
        lease = await lease_for(store)
        with pytest.raises(NameTakenError, match="d-00"):
            await store.create(P, document(), [entry()], latest="d-00")
        await store.create(P, document(), [entry()], latest="")
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-01", NAME, closes=True)])
        before = await contents(store)
        with pytest.raises(NameTakenError, match="d-01"):
            await store.create(P, document("d-02", request="r-2"), [entry("e-2")], latest="")
        assert await contents(store) == before
        assert (await store.create(P, document("d-02"), [entry("e-2")], latest="")).id == "d-01"
        assert await contents(store) == before
        await store.create(P + 1, document("d-02", request="r-2"), [entry("e-2")], latest="")

    async def test_create_can_ask_for_the_latest_document_that_its_caller_saw(self, store: Store) -> None:
        """`create`: `latest` is the id that the latest of the name must have; the same request is looked at first."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        with pytest.raises(NameTakenError):  # the latest is the one expected, but open
            await store.create(P, document("d-02", request="r-2"), [entry("e-2")], latest="d-01")
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-01", NAME, closes=True)])
        second = await store.create(P, document("d-02", request="r-2"), [entry("e-2")], latest="d-01")
        assert second.id == "d-02"
        assert await store.create(P, document("d-03", request="r-2"), [entry("e-3")], latest="d-01") == second
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-02", NAME, closes=True)])
        before = await contents(store)
        with pytest.raises(NameTakenError, match="d-02"):
            await store.create(P, document("d-03", request="r-3"), [entry("e-3")], latest="d-01")
        assert await contents(store) == before

    async def test_of_two_that_saw_the_same_latest_one_creates(self, store: Store) -> None:
        """`create`: the check and the write are one."""
        both = [
            store.create(P, document(f"d-0{number}", request=f"r-{number}"), [entry(f"e-{number}")], latest="")
            for number in (1, 2)
        ]
        answers = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["Document", "NameTakenError"]
        assert len(await inbox_of(store)) == 1

    async def test_create_refuses_an_id_that_is_in_use(self, store: Store) -> None:
        """`Document.id` is unique."""
        await store.create(P, document(), [entry()])
        before = await contents(store)
        with pytest.raises(NameTakenError):
            await store.create(P, document("d-01", "other", request="r-2"), [entry("e-2", "other")])
        assert await contents(store) == before

    async def test_a_name_is_free_again_once_its_document_is_closed(self, store: Store) -> None:
        """At most one *open* document has a given name; any number of closed ones may."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-01", NAME, closes=True)])
        await store.create(P, document("d-02", request="r-2"), [entry("e-2")])
        latest = await store.document(P, name=NAME)
        assert latest is not None and latest.id == "d-02"

    async def test_the_latest_of_a_name_is_the_one_created_last_whatever_its_id_and_time(self, store: Store) -> None:
        """`create`: the latest is the one created last: clocks differ, so its id and its time may be the smaller ones."""
        lease = await lease_for(store)
        await store.create(P, document("d-09"), [entry()])
        await applied(
            store,
            lease,
            documents=[DocumentUpdate("d-09", NAME, closes=True)],
            consumed=[(await inbox_of(store))[0].seq],
        )
        second = replace(document("d-01", request="r-2"), created_ms=document().created_ms - 5)
        created = await store.create(P, second, [entry("e-2")])
        assert created == replace(second, created_ms=document().created_ms + 1)
        assert await store.create(P, replace(second, id="d-03"), [entry("e-3")]) == created
        (read,) = await inbox_of(store)
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, closes=True)], consumed=[read.seq])
        latest = await store.document(P, name=NAME)
        assert latest is not None and latest.id == "d-01"

    async def test_the_same_name_in_another_partition_is_another_document(self, store: Store) -> None:
        """Nothing needs two partitions at once: a name is unique in its partition."""
        await store.create(P, document(), [entry()])
        await store.create(P + 1, document("d-02", request="r-2"), [entry()])
        assert len(await inbox_of(store, partition=P + 1)) == 1

    async def test_a_document_that_is_not_open_cannot_be_created(self, store: Store) -> None:
        """`create` adds an *open* document."""
        with pytest.raises(ValueError, match="open"):
            await store.create(P, replace(document(), open=False), [entry()])
        assert await store.document(P, id="d-01") is None

    async def test_a_partition_that_is_not_there_is_refused(self, store: Store) -> None:
        """The number of partitions is fixed."""
        for partition in (-1, store.partitions):
            with pytest.raises(ValueError, match="partition"):
                await store.create(partition, document(), [entry()])
            with pytest.raises(ValueError, match="partition"):
                await store.read(partition, "history")

    async def test_document_is_found_by_id_and_the_latest_by_name(self, store: Store) -> None:
        """`document`: the document of `id`, or of `name` the open one, else the latest, or None."""
        await store.create(P, document(), [entry()])
        assert await store.document(P, id="d-99") is None
        assert await store.document(P, name="nobody") is None
        assert await store.document(P + 1, id="d-01") is None
        assert await store.document(P, name=NAME) == document()

    async def test_send_appends_to_the_inbox_of_the_open_document(self, store: Store) -> None:
        """`send`: append `entry` to the inbox of the open document named `entry.name` and return that document."""
        await store.create(P, document(inbox="elsewhere"), [entry()])
        sent_to = await store.send(P, entry("e-2", data=b"\x00\xff"))
        assert sent_to.id == "d-01"
        assert [(each.id, each.data) for each in await inbox_of(store, inbox="elsewhere")] == [
            ("e-1", b"hello"),
            ("e-2", b"\x00\xff"),
        ]
        assert await inbox_of(store) == []

    async def test_send_to_nobody_is_refused(self, store: Store) -> None:
        """`send`: raises `RunNotFoundError` if there is no such document."""
        await store.create(P, document(), [entry()])
        before = await contents(store)
        with pytest.raises(RunNotFoundError):
            await store.send(P, entry("e-2", "nobody"))
        with pytest.raises(RunNotFoundError):
            await store.send(P, entry("e-2", "nobody"), closed_too=True)
        with pytest.raises(RunNotFoundError):
            await store.send(P, entry("e-2"), id="d-99")
        with pytest.raises(RunNotFoundError):
            await store.send(P, entry("e-2", "not its name"), id="d-01")
        assert await contents(store) == before

    async def test_send_to_a_closed_document_is_refused_unless_it_will_do(self, store: Store) -> None:
        """`send`: raises `RunClosedError` if it is closed; with `closed_too`, a closed one will do."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-01", NAME, closes=True)])
        before = await contents(store)
        with pytest.raises(RunClosedError):
            await store.send(P, entry("e-2"))
        with pytest.raises(RunClosedError):
            await store.send(P, entry("e-2"), id="d-01")
        assert await contents(store) == before
        assert (await store.send(P, entry("e-3"), closed_too=True)).id == "d-01"
        assert (await store.send(P, entry("e-4"), id="d-01", closed_too=True)).id == "d-01"
        assert [each.id for each in await inbox_of(store)] == ["e-3", "e-4"]

    async def test_send_by_name_prefers_the_open_document(self, store: Store) -> None:
        """`send`: to the open document of the name, even if a later one is closed (a reopened run)."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-01", NAME, closes=True)])
        await store.create(P, document("d-02", request="r-2"), [entry("e-2")])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq], documents=[DocumentUpdate("d-02", NAME, closes=True)])
        assert (await store.send(P, entry("e-3"), closed_too=True)).id == "d-02"
        await applied(store, lease, documents=[DocumentUpdate("d-01", NAME, opens=True)])
        assert (await store.send(P, entry("e-4"), closed_too=True)).id == "d-01"
        assert (await store.send(P, entry("e-5"))).id == "d-01"
        found = await store.document(P, name=NAME)
        assert found is not None and found.id == "d-01"

    async def test_an_entry_whose_id_is_unread_is_dropped(self, store: Store) -> None:
        """`send`: an entry whose id is in the inbox already is dropped, and the call answers as the first one did."""
        await store.create(P, document(), [entry()])
        await store.send(P, entry("e-2", data=b"first"))
        assert (await store.send(P, entry("e-2", data=b"again"))).id == "d-01"
        assert [each.data for each in await inbox_of(store)] == [b"hello", b"first"]

    async def test_an_id_can_be_sent_again_once_it_was_read(self, store: Store) -> None:
        """`Entry.id` is unique among the *unread* entries of a partition, and in no other partition."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        await store.create(P + 1, document("d-02"), [entry()])
        (read,) = await inbox_of(store)
        await applied(store, lease, consumed=[read.seq])
        await store.send(P, entry())
        assert [each.id for each in await inbox_of(store)] == ["e-1"]
        assert [each.id for each in await inbox_of(store, partition=P + 1)] == ["e-1"]

    async def test_an_inbox_is_read_in_order_from_where_one_was(self, store: Store) -> None:
        """`read_inboxes`: for each (lease, after), up to `limit` entries with seq > after, in order; seq grows, also after removal."""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        for number in range(2, 6):
            await store.send(P, entry(f"e-{number}"))
        entries = await inbox_of(store)
        assert [each.id for each in entries] == ["e-1", "e-2", "e-3", "e-4", "e-5"]
        assert [each.seq for each in entries] == sorted({each.seq for each in entries})
        pages = await store.read_inboxes([(lease, 0), (lease, entries[2].seq), (replace(lease, inbox="other"), 0)], 2)
        assert [[each.id for each in page] for page in pages] == [["e-1", "e-2"], ["e-4", "e-5"], []]
        await applied(store, lease, consumed=[each.seq for each in entries])
        await store.send(P, entry("e-6"))
        assert [each.id for each in await inbox_of(store, after=entries[-1].seq)] == ["e-6"]

    async def test_a_stream_is_read_in_pages(self, store: Store) -> None:
        """`read`: up to `limit` records after number `after`, in order. `read_last`: the last one and its number."""
        lease = await lease_for(store)
        records = [bytes([number]) * number for number in range(1, 8)]
        await applied(store, lease, appends=[Append("history", 0, records)])
        assert await store.read(P, "history") == records
        assert await store.read(P, "history", after=2, limit=3) == records[2:5]
        assert await store.read(P, "history", after=7) == []
        assert await store.read_last(P, "history") == (7, records[-1])

    async def test_a_stream_without_records_is_empty(self, store: Store) -> None:
        """A stream needs no creation; each partition has its own."""
        lease = await lease_for(store)
        await applied(store, lease, appends=[Append("history", 0, [b"x"])])
        assert await store.read(P, "nothing") == []
        assert await store.read_last(P, "nothing") is None
        assert await store.read(P + 1, "history") == []

    async def test_records_are_kept_byte_for_byte(self, store: Store) -> None:
        """A store holds opaque bytes: empty ones, long ones, and any text in names."""
        lease = await lease_for(store)
        records = [b"", b"\x00", bytes(range(256)) * 5_000, "grüße, 世界".encode()]
        await applied(store, lease, appends=[Append("stream/ü'\"%?,", 0, records)])
        assert await store.read(P, "stream/ü'\"%?,") == records

    async def test_what_was_acknowledged_is_there_after_a_restart(self, store: Store, clock: ManualClock) -> None:
        """An acknowledged call is durable. (Stores whose contents die with the process skip this.)"""
        lease = await lease_for(store)
        await store.create(P, document(), [entry()])
        await applied(store, lease, appends=[Append("history", 0, [b"1", b"2"])])
        before = await contents(store)
        again = await self.reopen(store, clock)
        if again is None:
            pytest.skip("nothing of this store survives its end")
        try:
            assert again.partitions >= P + 1
            assert await contents(again) == before
            assert await again.holders(INBOX) == {P: "s-1"}
            await applied(again, lease, appends=[Append("history", 2, [b"3"])])
        finally:
            await again.close()

    async def test_a_closed_store_refuses_calls(self, store: Store) -> None:
        """`close`: lets go of all resources; a second call does nothing."""
        await store.close()
        await store.close()
        with pytest.raises(Exception, match="closed"):
            await store.create(P, document(), [entry()])
