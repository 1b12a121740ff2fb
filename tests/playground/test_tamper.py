"""What is changed behind the bot's back is refused, found and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction
from core.errors import BrokenSeal, CountersignError, InvalidInput
from core.request import Request, RequestId
from core.stores.opening import open_stores
from localslack.refusals import NotOnScreen
from playground.tamper import Tampering
from tests.builders import APPROVER, a_draft, a_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from localslack.records import Json
    from tests.harness.clock import FrozenClock

KEYRING = AuditKeyring.from_text("5d1f7c0e93a84b26d0c7e1f5a2b3948671c0de5fab3e4d29")
BEFORE_A_DECISION = ("who", "duration", "status", "delete", "delete_all", "entry")


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    stores = open_stores(f"sqlite:///{tmp_path / 'store.db'}", keyring=KEYRING, clock=clock)
    yield stores
    stores.close()


@pytest.fixture
def tampering(tmp_path: Path, stores: Stores, clock: FrozenClock) -> Tampering:
    return Tampering(tmp_path / "store.db", tmp_path / "originals.json", stores, KEYRING, clock, lambda _: None)


@pytest.fixture
def request_(stores: Stores, clock: FrozenClock) -> Request:
    made = a_request(now=clock.now())
    return stores.requests.create(made, a_draft(AuditAction.REQUEST_SUBMITTED))


def _change(tampering: Tampering, request: Request, change: str) -> Json:
    return tampering.carry_out({"do": "change", "table": "requests", "id": request.id, "change": change})


def _findings(tampering: Tampering) -> list[Json]:
    found: list[Json] = tampering.carry_out({"do": "verify"})["findings"]
    return found


@pytest.mark.parametrize("change", BEFORE_A_DECISION)
def test_each_change_is_found_and_put_back(
    tampering: Tampering, stores: Stores, request_: Request, change: str
) -> None:
    untouched = _findings(tampering)
    (listed,) = tampering.carry_out({"do": "show"})["records"]
    assert [each["change"] for each in listed["changes"]] == list(BEFORE_A_DECISION)
    (shown,) = _change(tampering, request_, change)["tampered"]
    assert shown["before"] != shown["after"]
    # Without a checkpoint, nothing is left of a chain that is gone as a whole.
    assert (_findings(tampering) != untouched) is (change != "delete_all")

    assert tampering.carry_out({"do": "put_back"})["tampered"] == []
    assert _findings(tampering) == untouched
    assert stores.requests.get(RequestId(request_.id)) == request_


@pytest.mark.parametrize("change", ["who", "duration", "status"])
def test_changed_record_decides_nothing(tampering: Tampering, stores: Stores, request_: Request, change: str) -> None:
    _change(tampering, request_, change)
    with pytest.raises(BrokenSeal):
        stores.requests.get(RequestId(request_.id))


def test_earlier_version_with_its_genuine_seal_is_found(
    tampering: Tampering, stores: Stores, request_: Request, clock: FrozenClock
) -> None:
    tampering.keep_copies()
    denied = request_.deny(APPROVER, clock.now(), "Not now")
    stores.requests.update(denied, a_draft(AuditAction.REQUEST_DENIED, actor=APPROVER, outcome="denied"))
    _change(tampering, request_, "roll_back")
    assert [each["kind"] for each in _findings(tampering)] == ["appended"]
    # Its seal is genuine, so it can be read; but its chain goes on, and no second decision is written.
    with pytest.raises(CountersignError):
        stores.requests.update(
            stores.requests.get(RequestId(request_.id)).deny(APPROVER, clock.now(), "Again"),
            a_draft(AuditAction.REQUEST_DENIED),
        )


def test_decision_after_a_rewritten_entry_is_not_undone(
    tampering: Tampering, stores: Stores, request_: Request, clock: FrozenClock
) -> None:
    _change(tampering, request_, "entry")
    denied = request_.deny(APPROVER, clock.now(), "Not now")
    stored = stores.requests.update(denied, a_draft(AuditAction.REQUEST_DENIED, actor=APPROVER, outcome="denied"))
    assert [each["kind"] for each in _findings(tampering)] == ["edited"]
    tampering.carry_out({"do": "put_back"})
    assert stores.requests.get(RequestId(request_.id)) == stored
    assert _findings(tampering) == []


def test_originals_outlive_a_restart(
    tampering: Tampering, stores: Stores, tmp_path: Path, clock: FrozenClock, request_: Request
) -> None:
    _change(tampering, request_, "delete")
    again = Tampering(tmp_path / "store.db", tmp_path / "originals.json", stores, KEYRING, clock, lambda _: None)
    again.carry_out({"do": "put_back"})
    assert stores.requests.get(RequestId(request_.id)) == request_


def test_records_elsewhere_are_not_touched(tmp_path: Path, stores: Stores, clock: FrozenClock) -> None:
    tampering = Tampering(None, tmp_path / "originals.json", stores, KEYRING, clock, lambda _: None)
    shown = tampering.carry_out({"do": "show"})
    assert "DynamoDB" in shown["problem"]
    assert shown["records"] == []
    with pytest.raises(NotOnScreen, match="DynamoDB"):
        tampering.carry_out({"do": "change", "table": "requests", "id": "0" * 16, "change": "delete"})


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"do": "change", "table": "audit", "id": "0" * 16, "change": "delete"},
        {"do": "change", "table": "requests", "id": "1 OR 1=1", "change": "delete"},
        {"do": "change", "table": "requests", "id": "0" * 16, "change": "drop"},
        {"do": "put_back", "more": 1},
    ],
    ids=str,
)
def test_invalid_request_changes_nothing(tampering: Tampering, asked: object) -> None:
    with pytest.raises(ValidationError):
        tampering.carry_out(asked)


def test_record_that_is_gone_is_not_changed(tampering: Tampering) -> None:
    with pytest.raises(NotOnScreen, match="isn't as it was"):
        tampering.carry_out({"do": "change", "table": "requests", "id": "0" * 16, "change": "delete"})


def test_unreadable_originals_stop_the_start(tmp_path: Path, stores: Stores, clock: FrozenClock) -> None:
    (tmp_path / "originals.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInput, match="--reset"):
        Tampering(None, tmp_path / "originals.json", stores, KEYRING, clock, lambda _: None)
