"""Somebody writes to the store past the bot, without its audit key: nothing is decided on it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from core.actor import UserId
from core.audit.findings import Finding, FindingKind
from core.audit.trail import REFUSALS_KIND, AuditAction, AuditEntry
from core.audit.verification import verify_trail
from core.break_glass import EventId
from core.clock import format_time
from core.directory import FixedDirectory
from core.duration import to_nanoseconds
from core.errors import BrokenSeal, ConcurrentModification, NotAllowed
from core.request import RequestId, RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.builders import APPROVER, DAY, HOUR, INVOKER, PROD, REQUESTER, a_draft, a_request, an_event
from tests.core.services.harness import ANN, BOB, DEPLOY, RITA, ChangingPolicy, by, invoke
from tests.core.stores.harness import KEYRING, SqliteHarness
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.request import Request
    from tests.core.stores.harness import Stored, StoreHarness
    from tests.harness.clock import FrozenClock

PLANTED: Final = {"approver": "U0CLEO", "at": format_time(A_MOMENT)}
ATTACKS: Final[dict[str, Stored]] = {
    "a vote": {"approvals": [PLANTED]},
    "the requester": {"requester": "U0MALLORY"},
    "the duration": {"duration": to_nanoseconds(4 * HOUR)},
    "the quorum": {"required_approvals": 1},
    "the deadline": {"expires_at": format_time(A_MOMENT + 2 * DAY)},
    "the profile": {"profile": "staging"},
}


@pytest.fixture
def requests(harness: StoreHarness) -> RequestService:
    """The service of one instance, on each engine in turn."""
    return RequestService(harness.stores, ChangingPolicy(), harness.clock, directory=FixedDirectory())


@pytest.fixture
def break_glass(harness: StoreHarness) -> BreakGlassService:
    """The service of one instance, on each engine in turn."""
    return BreakGlassService(harness.stores, ChangingPolicy(), harness.clock, directory=FixedDirectory())


def _findings(harness: StoreHarness) -> list[Finding]:
    return list(verify_trail(harness.stores, KEYRING, harness.clock.now()))


def _refusals(harness: StoreHarness) -> list[AuditEntry]:
    harness.stores.refusals.flush()
    chains = [chain for chain, _ in harness.stores.audit.iterate_chains() if chain.startswith(REFUSALS_KIND)]
    return [entry for chain in chains for entry in harness.stores.audit.get_chain(chain)]


def _submit(requests: RequestService) -> Request:
    return requests.submit(RITA, "prod", HOUR, DEPLOY)


@pytest.fixture(params=[False, True], ids=["seal kept", "seal taken away"])
def is_stripped(request: pytest.FixtureRequest) -> bool:
    """Whether the forger also takes the seal away, so that the record looks like an older version's."""
    return bool(request.param)


@pytest.mark.parametrize("attack", ATTACKS)
def test_changed_request_is_refused_and_not_laundered(
    harness: StoreHarness, requests: RequestService, attack: str, *, is_stripped: bool
) -> None:
    pending = _submit(requests)
    harness.spoil(pending, ATTACKS[attack] | ({"seal": None} if is_stripped else {}))
    before = harness.stored(pending)
    with pytest.raises(BrokenSeal) as caught:
        requests.approve(RequestId(pending.id), ANN)
    assert caught.value.record == pending.chain
    assert "Nothing was changed" in str(caught.value)
    with pytest.raises(BrokenSeal):
        requests.deny(RequestId(pending.id), BOB, "Not today")
    with pytest.raises(BrokenSeal):
        requests.cancel(RequestId(pending.id), RITA)
    harness.clock.advance(5 * HOUR)
    requests.remind_due()
    harness.clock.advance(3 * DAY)
    requests.expire_due()
    assert harness.stored(pending) == before
    assert FindingKind.RECORD_CHANGED in {each.kind for each in _findings(harness) if each.chain == pending.chain}


def test_every_instance_refuses_what_was_changed(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    requests.approve(RequestId(pending.id), ANN)
    second = RequestService(harness.open(), ChangingPolicy(), harness.clock, directory=FixedDirectory())
    harness.spoil(pending, ATTACKS["the quorum"])
    for instance in (requests, second):
        with pytest.raises(BrokenSeal):
            instance.approve(RequestId(pending.id), BOB)
    stored = harness.stored(pending)
    assert stored is not None
    assert (stored["status"], len(stored["approvals"])) == ("pending", 1)


def test_public_seal_finds_accidents_without_a_key(tmp_path: Path, clock: FrozenClock) -> None:
    harness = SqliteHarness(tmp_path / "unkeyed.db", clock)
    with closing(SqliteStores(str(harness.path), StoreSettings(clock=clock))) as unkeyed:
        made = unkeyed.requests.create(a_request(), a_draft())
        assert unkeyed.requests.get(RequestId(made.id)) == made
        # A key that is set later does not make the public seal of before a genuine one.
        with pytest.raises(BrokenSeal, match="COUNTERSIGN_AUDIT_KEY does not hold"):
            harness.stores.requests.get(RequestId(made.id))
        harness.spoil(made, {"required_approvals": 2})
        with pytest.raises(BrokenSeal):
            unkeyed.requests.get(RequestId(made.id))
    harness.close()


def test_changed_event_is_refused_and_found(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    event = invoke(break_glass, ANN)
    harness.spoil(event, {"invoker": "U0MALLORY"})
    with pytest.raises(BrokenSeal):
        break_glass.close(EventId(event.id), ANN, "it is up again")
    assert {each.chain for each in _findings(harness)} == {event.chain}


def test_vote_planted_between_read_and_write_does_not_count(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    read = harness.stores.requests.get(RequestId(pending.id))
    harness.spoil(pending, {"approvals": [PLANTED]})
    with pytest.raises((BrokenSeal, ConcurrentModification)):
        harness.stores.requests.update(read.approve(ANN.id, A_MOMENT), a_draft(AuditAction.APPROVAL_ADDED))
    assert len(harness.stores.audit.get_chain(pending.chain)) == 1


def test_record_under_another_head_is_not_replaced(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    read = harness.stores.requests.get(RequestId(pending.id))
    for name in ("audit_head", "seal"):
        harness.spoil(pending, {"audit_head": read.audit_head, "seal": read.as_read.seal, name: "ef" * 32})
        with pytest.raises(BrokenSeal):
            harness.stores.requests.update(read.approve(ANN.id, A_MOMENT), a_draft(AuditAction.APPROVAL_ADDED))


def test_record_in_another_ones_place_is_refused(harness: StoreHarness) -> None:
    first, second = (harness.stores.requests.create(a_request(), a_draft()) for _ in range(2))
    stored = harness.stored(second)
    assert stored is not None
    harness.spoil(first, {**stored, "id": first.id})
    with pytest.raises(BrokenSeal):
        harness.stores.requests.get(RequestId(first.id))


def test_record_of_an_older_version_is_proved_by_its_chain(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    harness.spoil(pending, {"seal": None})
    assert harness.stores.requests.list_by_status(RequestStatus.PENDING).items == (pending,)
    voted = requests.approve(RequestId(pending.id), ANN)
    stored = harness.stored(voted)
    assert stored is not None
    assert stored["seal"].startswith(f"{KEYRING.key_id}:")
    assert requests.approve(RequestId(pending.id), BOB).status is RequestStatus.APPROVED
    assert _findings(harness) == []


def test_record_without_seal_and_chain_is_refused(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    harness.remove_entry(harness.stores.audit.get_chain(pending.chain)[0])
    harness.spoil(pending, {"seal": None})
    with pytest.raises(BrokenSeal):
        requests.approve(RequestId(pending.id), ANN)


def test_list_names_a_record_with_a_broken_seal_as_malformed(harness: StoreHarness) -> None:
    good, broken, stripped = (harness.stores.requests.create(a_request(), a_draft()) for _ in range(3))
    harness.spoil(broken, {"rule": "another"})
    harness.spoil(stripped, {"rule": "another", "seal": None})
    page = harness.stores.requests.list_by_requester(REQUESTER)
    assert (page.items, set(page.malformed)) == ((good,), {broken.id, stripped.id})


def test_broken_seal_is_alarmed_once_and_each_attempt_noted(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    harness.spoil(pending, {"required_approvals": 1})
    for _ in range(3):
        with pytest.raises(BrokenSeal):
            requests.approve(RequestId(pending.id), ANN)
        requests.expire_due()
        harness.stores.refusals.flush()
    noted = _refusals(harness)
    alarms = [each for each in noted if each.event is AuditAction.SEAL_BROKEN]
    assert [each.record for each in alarms] == [pending.chain]
    attempts = [each for each in noted if each.event is AuditAction.APPROVE_REFUSED]
    assert {each.actor for each in attempts} == {by(ANN)}
    waiting = [due.entry.event for due in harness.stores.outbox.iterate_due(harness.clock.now() + DAY)]
    assert sorted(waiting) == [AuditAction.REQUEST_SUBMITTED, AuditAction.SEAL_BROKEN]


LEDGER_ATTACKS: Final[dict[str, Callable[[StoreHarness, str], None]]] = {
    "emptied": lambda harness, owner: harness.spoil_ledger(owner, {"usages": []}),
    "seal taken away": lambda harness, owner: harness.spoil_ledger(owner, {"usages": [], "seal": None}),
    "seal replaced": lambda harness, owner: harness.spoil_ledger(owner, {"seal": "ef" * 32}),
    "its version changed": lambda harness, owner: harness.spoil_ledger(
        owner, {"updated_at": format_time(A_MOMENT + DAY)}
    ),
}


@pytest.mark.parametrize("attack", LEDGER_ATTACKS)
def test_changed_ledger_is_not_judged_on(harness: StoreHarness, break_glass: BreakGlassService, attack: str) -> None:
    invoke(break_glass, ANN)
    LEDGER_ATTACKS[attack](harness, f"INVOKER#{ANN.id}")
    with pytest.raises(BrokenSeal) as caught:
        harness.stores.break_glass.get_ledgers(ANN.id, PROD)
    assert caught.value.record == f"LEDGER#INVOKER#{ANN.id}"
    assert [each.record for each in _refusals(harness)] == [f"LEDGER#INVOKER#{ANN.id}"]


def test_unlocked_mfa_ledger_is_not_judged_on(harness: StoreHarness) -> None:
    *_, codes = harness.stores.break_glass.get_ledgers_and_codes(INVOKER, PROD)
    harness.stores.break_glass.put_codes(codes.count_wrong(A_MOMENT))
    harness.spoil_ledger(codes.owner, {"wrong_at": []})
    with pytest.raises(BrokenSeal):
        harness.stores.break_glass.get_ledgers_and_codes(INVOKER, PROD)


def test_ledger_changed_between_read_and_write_is_a_conflict(harness: StoreHarness) -> None:
    *_, codes = harness.stores.break_glass.get_ledgers_and_codes(INVOKER, PROD)
    harness.stores.break_glass.put_codes(codes.count_wrong(A_MOMENT))
    *_, read = harness.stores.break_glass.get_ledgers_and_codes(INVOKER, PROD)
    harness.spoil_ledger(codes.owner, {"wrong_at": [], "seal": "forged"})
    with pytest.raises(ConcurrentModification):
        harness.stores.break_glass.put_codes(read.count_wrong(A_MOMENT))


def test_ledger_of_somebody_else_is_refused(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    invoke(break_glass, ANN)
    invoke(break_glass, BOB, "staging")
    mine, theirs = f"INVOKER#{ANN.id}", f"INVOKER#{BOB.id}"
    stored = {name: value for name, value in harness.stored_ledgers()[theirs].items() if name != "pk"}
    harness.spoil_ledger(mine, stored)
    with pytest.raises(BrokenSeal):
        harness.stores.break_glass.get_ledgers(ANN.id, PROD)


def test_entry_names_content_before_and_after_and_its_ledgers(harness: StoreHarness) -> None:
    stores = harness.stores
    request = stores.requests.create(a_request(), a_draft())
    approved = stores.requests.update(request.approve(APPROVER, A_MOMENT), a_draft())
    first, second = stores.audit.get_chain(request.chain)
    assert (first.previous_record_digest, first.ledgers) == (None, {})
    assert second.previous_record_digest == first.record_digest == request.content_digest()
    assert second.record_digest == approved.content_digest()
    event = an_event()
    by_invoker, by_profile = stores.break_glass.get_ledgers(event.invoker, event.profile)
    stores.break_glass.create(event, a_draft(), [by_invoker.add(event), by_profile.add(event)])
    (entry,) = stores.audit.get_chain(event.chain)
    now_invoker, now_profile = stores.break_glass.get_ledgers(event.invoker, event.profile)
    assert entry.ledgers == {each.owner: each.as_read.digest for each in (now_invoker, now_profile)}


def test_refused_attempt_is_not_a_broken_seal(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    with pytest.raises(NotAllowed):
        requests.approve(RequestId(pending.id), RITA)
    assert [each.event for each in _refusals(harness)] == [AuditAction.APPROVE_REFUSED]
    assert UserId(pending.requester) == RITA.id


@pytest.mark.parametrize("name", ["awaits", "ttl", "person", "profile", "status", "created_at", "updated_at"])
def test_what_stands_beside_a_record_is_compared(
    harness: StoreHarness, break_glass: BreakGlassService, name: str
) -> None:
    if (name == "ttl") == (harness.name == "sqlite") or (name not in {"awaits", "ttl"} and harness.name != "sqlite"):
        pytest.skip("this engine has no such attribute beside the record")
    event = invoke(break_glass, ANN)
    closed = break_glass.close(EventId(event.id), ANN, "it is up again")
    assert _findings(harness) == []
    harness.spoil_beside(closed, {name: 1 if name == "ttl" else "elsewhere"})
    (finding,) = _findings(harness)
    assert (finding.chain, finding.kind) == (event.chain, FindingKind.RECORD_CHANGED)
    assert f"beside it, {name}" in finding.text


def test_unreadable_record_without_a_chain_is_a_finding(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    harness.remove_entry(harness.stores.audit.get_chain(pending.chain)[0])
    harness.make_unreadable(pending)
    (finding,) = _findings(harness)
    assert (finding.chain, finding.kind) == (pending.chain, FindingKind.UNREADABLE)


def test_changed_request_makes_no_room_for_another(harness: StoreHarness, requests: RequestService) -> None:
    pending = _submit(requests)
    harness.spoil(pending, ATTACKS["the deadline"])
    with pytest.raises(BrokenSeal):
        _submit(requests)
    assert [key for key in harness.stored_ledgers() if key.startswith("OPEN#")] == [f"OPEN#{RITA.id}#prod"]
    # One that is gone is found by the verification, and keeps nobody out.
    harness.remove(pending)
    assert _submit(requests).id != pending.id
