"""The places of the messages about a record: stored beside its chain, and invisible in the trail."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from core.audit.findings import FindingKind, Tally
from core.audit.trail import REFUSALS_KIND, AuditAction, seal
from core.audit.verification import verify_trail
from core.clock import new_id
from core.errors import MalformedRecord
from core.outbox.outbox import LEASE
from core.stores import open_stores
from core.stores.messages import MessageRef
from core.stores.sqlite.database import Database
from tests.builders import HOUR, INVOKER, REQUESTER, a_draft, a_refusal, a_request
from tests.core.stores.harness import KEYRING
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from pathlib import Path

    from core.stores.base import Stores
    from tests.core.stores.harness import DynamoHarness, StoreHarness

CARD = MessageRef(channel="C0ACCESS1", ts="1768449225.120000")
REPLY = MessageRef(channel="C0ACCESS1", ts="1768449226.000100")
SOON = A_MOMENT + HOUR


def test_chain_without_messages_has_no_message_refs(stores: Stores) -> None:
    request = stores.requests.create(a_request(), a_draft())
    assert stores.messages.get_messages(request.chain) == {}
    assert stores.messages.get_messages("REQUEST#nobody") == {}


def test_each_name_keeps_the_last_message_saved(harness: StoreHarness) -> None:
    stores, other = harness.stores, harness.open()
    request, another = (stores.requests.create(a_request(), a_draft()) for _ in range(2))
    stores.messages.save_message(request.chain, "card", CARD)
    other.messages.save_message(request.chain, "thread:2", REPLY)
    stores.messages.save_message(another.chain, "card", REPLY)
    assert other.messages.get_messages(request.chain) == {"card": CARD, "thread:2": REPLY}
    other.messages.save_message(request.chain, "card", REPLY)
    assert stores.messages.get_messages(request.chain) == {"card": REPLY, "thread:2": REPLY}
    assert stores.messages.get_messages(another.chain) == {"card": REPLY}


def test_messages_saved_at_once_are_all_kept(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    instances = [harness.stores, harness.open()]
    names = [f"thread:{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: instances[len(name) % 2].messages.save_message(request.chain, name, CARD), names))
    assert harness.open().messages.get_messages(request.chain) == dict.fromkeys(names, CARD)


def test_messages_change_nothing_of_the_trail(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(), a_draft())
    stores.requests.update(
        request.cancel(REQUESTER, A_MOMENT), a_draft(AuditAction.REQUEST_CANCELLED, outcome="cancelled")
    )
    chain, exported = stores.audit.get_chain(request.chain), list(stores.audit.export(until=SOON))
    due = list(stores.outbox.iterate_due(SOON))
    stores.messages.save_message(request.chain, "card", CARD)
    tally = Tally()
    assert list(verify_trail(stores, KEYRING, SOON, tally)) == []
    assert (tally.chains, tally.entries, tally.records) == (1, 2, 1)
    assert stores.audit.get_chain(request.chain) == chain
    assert list(stores.audit.export(until=SOON)) == exported
    assert list(stores.audit.iterate_chains()) == [(request.chain, chain)]
    assert list(stores.outbox.iterate_due(SOON)) == due


def test_messages_hide_no_entry_that_was_removed(harness: StoreHarness) -> None:
    request = harness.stores.requests.create(a_request(), a_draft())
    harness.stores.messages.save_message(request.chain, "card", CARD)
    harness.remove_entry(harness.stores.audit.get_chain(request.chain)[0])
    assert {each.kind for each in verify_trail(harness.stores, KEYRING, SOON)} == {FindingKind.REMOVED}


def test_entry_in_delivery_can_save_its_messages(stores: Stores) -> None:
    request = stores.requests.create(a_request(), a_draft())
    (due,) = stores.outbox.iterate_due(SOON)
    leased = stores.outbox.lease(due, "a", SOON, SOON + LEASE)
    assert leased is not None
    stores.messages.save_message(request.chain, "card", CARD)
    stores.outbox.finish(leased)
    assert list(stores.outbox.iterate_due(SOON + LEASE)) == []
    assert stores.messages.get_messages(request.chain) == {"card": CARD}


def test_chain_of_refusals_takes_messages_and_goes_on(stores: Stores) -> None:
    chain = f"{REFUSALS_KIND}#{new_id()}"
    stores.messages.save_message(chain, "dm:1", REPLY)
    assert stores.audit.get_refusals_head(chain) == (0, "")
    first = seal(a_refusal(actor=INVOKER), KEYRING, chain=chain, seq=1, previous="", at=A_MOMENT)
    second = seal(a_refusal(actor=INVOKER), KEYRING, chain=chain, seq=2, previous=first.digest, at=A_MOMENT)
    stores.audit.append_refusals([first])
    stores.messages.save_message(chain, "dm:2", REPLY)
    stores.audit.append_refusals([second])
    assert stores.audit.get_refusals_head(chain) == (2, second.digest)
    assert stores.messages.get_messages(chain) == {"dm:1": REPLY, "dm:2": REPLY}
    assert list(verify_trail(stores, KEYRING, SOON)) == []


def test_messages_of_a_long_life_fit(stores: Stores) -> None:
    """Ten votes, a decision and a reminder every hour of a week, each with a reply and a direct message."""
    request = stores.requests.create(a_request(), a_draft())
    names = [f"{kind}:{number}" for number in range(180) for kind in ("thread", "dm")]
    for name in names:
        stores.messages.save_message(request.chain, name, CARD)
    assert stores.messages.get_messages(request.chain).keys() == set(names)


@pytest.mark.parametrize(("channel", "ts"), [("", "1.2"), ("C0ACCESS1", ""), ("C" * 101, "1.2")])
def test_message_ref_names_a_message(channel: str, ts: str) -> None:
    with pytest.raises(ValidationError):
        MessageRef(channel=channel, ts=ts)


def test_save_is_one_write_and_a_look_is_one_read_of_dynamodb(dynamo: DynamoHarness) -> None:
    with dynamo.calls() as calls:
        dynamo.stores.messages.save_message("REQUEST#1", "card", CARD)
        dynamo.stores.messages.get_messages("REQUEST#1")
    assert [operation for operation, _ in calls] == ["UpdateItem", "BatchGetItem"]
    assert all(table["ConsistentRead"] is True for table in calls[1][1]["RequestItems"].values())


def test_messages_of_an_older_version_are_found_on_dynamodb(dynamo: DynamoHarness) -> None:
    """It had them in the audit table. Without them, every card would be posted a second time."""
    request = dynamo.stores.requests.create(a_request(), a_draft())
    for name in ("card", "thread:1"):
        dynamo.add_older_place(request, name, CARD)
    assert dynamo.stores.messages.get_messages(request.chain) == {"card": CARD, "thread:1": CARD}
    dynamo.stores.messages.save_message(request.chain, "card", REPLY)
    assert dynamo.stores.messages.get_messages(request.chain) == {"card": REPLY, "thread:1": CARD}
    assert list(verify_trail(dynamo.stores, KEYRING, SOON)) == []


def test_unreadable_message_ref_is_named_on_dynamodb(dynamo: DynamoHarness) -> None:
    request = dynamo.stores.requests.create(a_request(), a_draft())
    for junk in ({"S": "C0ACCESS1"}, {"B": b"\x00"}):
        dynamo.spoil_places(request, {"place:card": junk})
        with pytest.raises(MalformedRecord, match=f"the places of {request.chain}"):
            dynamo.stores.messages.get_messages(request.chain)


def _make_older(path: Path) -> None:
    open_stores(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE places")


def test_database_of_an_older_version_gets_messages_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    _make_older(path)
    with closing(open_stores(f"sqlite:///{path}")) as stores:
        stores.messages.save_message("REQUEST#1", "card", CARD)
    with closing(open_stores(f"sqlite:///{path}")) as stores:
        assert stores.messages.get_messages("REQUEST#1") == {"card": CARD}


def test_database_of_an_older_version_is_only_read_by_a_check(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    _make_older(path)
    for _ in range(2):
        with closing(Database(str(path), is_upgraded=False)) as database:
            assert database.find_differences() == ("the table places is missing",)


def test_unreadable_message_ref_is_named_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(open_stores(f"sqlite:///{path}")) as stores:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO places VALUES ('REQUEST#1', 'card', '', '1.2')")
        with pytest.raises(MalformedRecord, match="the places of REQUEST#1 cannot be read: channel"):
            stores.messages.get_messages("REQUEST#1")
