"""Somebody removes, empties or puts back a ledger, and verification names it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.audit.findings import Finding, FindingKind
from core.audit.ledger_check import LedgerExpectations, check_ledgers
from core.audit.trail import AuditAction, EntryDraft
from core.audit.verification import verify_trail
from core.break_glass import EventId
from core.clock import format_time
from core.directory import FixedDirectory
from core.errors import CodeRefused
from core.open_requests import OpenRequests, RequestLimits
from core.services import BreakGlassService, RequestService
from core.usage import HORIZON
from tests.builders import HOUR, a_request
from tests.core.services.harness import ANN, BOB, DEPLOY, INCIDENT, OUTAGE, RITA, ChangingPolicy, invoke, request_id_of
from tests.core.stores.harness import KEYRING, SqliteHarness
from tests.harness.clock import A_MOMENT
from tests.harness.mfa import WrittenCodes

if TYPE_CHECKING:
    from pydantic import JsonValue

    from tests.core.stores.harness import Stored, StoreHarness

ANNS: Final = f"INVOKER#{ANN.id}"


@pytest.fixture
def break_glass(harness: StoreHarness) -> BreakGlassService:
    """The service of one instance, on each engine in turn."""
    return BreakGlassService(
        harness.stores, ChangingPolicy(), harness.clock, mfa=WrittenCodes(), directory=FixedDirectory()
    )


def _findings(harness: StoreHarness) -> list[tuple[str, FindingKind]]:
    return [(each.chain, each.kind) for each in _found(harness)]


def _found(harness: StoreHarness) -> list[Finding]:
    harness.stores.refusals.flush()
    return list(check_ledgers(harness.stores, KEYRING, harness.clock.now()))


def _put_back(harness: StoreHarness, owner: str, earlier: Stored) -> None:
    now = harness.stored_ledgers()[owner]
    harness.spoil_ledger(owner, {**dict.fromkeys(now), **earlier})


def test_untouched_ledgers_have_no_findings(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    assert _findings(harness) == []
    event = invoke(break_glass, ANN)
    assert _findings(harness) == []
    break_glass.close(EventId(event.id), ANN, "it is up again")
    harness.clock.advance(HOUR)
    invoke(break_glass, ANN)
    invoke(break_glass, BOB, "staging")
    assert _findings(harness) == []


@pytest.mark.parametrize("owner", [ANNS, "PROFILE#prod"])
def test_removed_ledger_is_named(harness: StoreHarness, break_glass: BreakGlassService, owner: str) -> None:
    invoke(break_glass, ANN)
    harness.remove_ledger(owner)
    (finding,) = _found(harness)
    assert (finding.chain, finding.kind) == (f"LEDGER#{owner}", FindingKind.LEDGER_REMOVED)
    assert "an event of the last 31 days" in finding.text


def test_verification_of_the_trail_names_a_removed_ledger(
    harness: StoreHarness, break_glass: BreakGlassService
) -> None:
    invoke(break_glass, ANN)
    assert list(verify_trail(harness.stores, KEYRING, harness.clock.now())) == []
    harness.remove_ledger(ANNS)
    (finding,) = verify_trail(harness.stores, KEYRING, harness.clock.now())
    assert (finding.chain, finding.kind) == (f"LEDGER#{ANNS}", FindingKind.LEDGER_REMOVED)


def test_ledger_that_nobody_needs_may_be_gone(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    invoke(break_glass, ANN)
    harness.remove_ledger(ANNS)
    harness.remove_ledger("PROFILE#prod")
    harness.clock.advance(HORIZON + 3 * HOUR)
    assert _findings(harness) == []


def test_changed_and_unreadable_ledgers_are_named(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    invoke(break_glass, ANN)
    harness.spoil_ledger(ANNS, {"usages": []})
    harness.damage_ledger("PROFILE#prod")
    assert set(_findings(harness)) == {
        (f"LEDGER#{ANNS}", FindingKind.LEDGER_CHANGED),
        ("LEDGER#PROFILE#prod", FindingKind.UNREADABLE),
    }


def test_older_ledger_with_its_own_seal_is_named(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    first = invoke(break_glass, ANN)
    break_glass.close(EventId(first.id), ANN, "it is up again")
    earlier = harness.stored_ledgers()[ANNS]
    harness.clock.advance(HOUR)
    invoke(break_glass, ANN)
    _put_back(harness, ANNS, earlier)
    (finding,) = _found(harness)
    assert (finding.chain, finding.kind) == (f"LEDGER#{ANNS}", FindingKind.LEDGER_CHANGED)
    assert "not what the last entry that moved it says" in finding.text
    assert "does not have the event" in finding.text


def test_two_clocks_that_differ_make_no_finding(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    invoke(break_glass, ANN)
    harness.clock.advance(timedelta(seconds=-30))
    invoke(break_glass, BOB)
    assert _findings(harness) == []


def test_removed_ledger_of_wrong_codes_is_named(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    for _ in range(2):
        with pytest.raises(CodeRefused):
            break_glass.invoke(ANN, "vault", INCIDENT, OUTAGE, HOUR, code="wrong")
    assert _findings(harness) == []
    harness.remove_ledger(f"CODES#{ANN.id}")
    assert _findings(harness) == [(f"LEDGER#CODES#{ANN.id}", FindingKind.LEDGER_REMOVED)]


def test_removed_ledger_of_an_open_request_is_named(harness: StoreHarness) -> None:
    request = a_request(requester=RITA.id)
    ledger = OpenRequests.of(RITA.id, request.profile)
    details: dict[str, JsonValue] = {"expires_at": format_time(request.expires_at)}
    draft = EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, RITA.id, details)
    moved = ledger.add(request, (), RequestLimits(), A_MOMENT)
    pending = harness.stores.requests.create(request, draft, ledger=moved)
    assert _findings(harness) == []
    harness.remove_ledger(ledger.owner)
    assert _findings(harness) == [(f"LEDGER#{ledger.owner}", FindingKind.LEDGER_REMOVED)]
    harness.clock.advance(pending.expires_at - harness.clock.now() + HOUR)
    assert _findings(harness) == []


def test_rebuilt_ledger_may_say_what_no_entry_says(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    invoke(break_glass, ANN)
    (entry,) = [each for each in harness.stores.audit.export() if each.ledgers]
    expected = LedgerExpectations(harness.clock.now())
    expected.note(entry.model_copy(update={"ledgers": {ANNS: "ef" * 32}}))
    found = dict(harness.stores.break_glass.scan_ledgers())
    assert [each.chain for each in expected.compare(found)] == [f"LEDGER#{ANNS}"]
    rebuilt = entry.model_copy(update={"event": "ledger_rebuilt", "ledgers": {}, "details": {"ledger": ANNS}})
    expected.note(rebuilt)
    assert list(expected.compare(found)) == []


def test_what_stands_beside_a_ledger_is_compared(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    invoke(break_glass, ANN)
    if isinstance(harness, SqliteHarness):
        harness.ask("UPDATE ledgers SET updated_at = 'later' WHERE owner = ?", ANNS)
    else:
        harness.spoil_ledger(ANNS, {"ttl": int(A_MOMENT.timestamp())})
    assert _findings(harness) == [(f"LEDGER#{ANNS}", FindingKind.LEDGER_CHANGED)]


def test_check_changes_nothing_and_raises_no_alarm(harness: StoreHarness, break_glass: BreakGlassService) -> None:
    invoke(break_glass, ANN)
    harness.spoil_ledger(ANNS, {"usages": []})
    before = harness.stored_ledgers()
    _found(harness)
    assert harness.stored_ledgers() == before
    assert AuditAction.SEAL_BROKEN not in {entry.event for entry in harness.stores.audit.export()}


@pytest.fixture
def one_person(harness: StoreHarness) -> BreakGlassService:
    """The service by a policy for which BOB's and ANN's ids are one person, whose ledger has BOB's name."""
    policy = ChangingPolicy()
    policy.edit({"security_channel": f"same_person: [[{BOB.id}, {ANN.id}]]\nsecurity_channel"})
    return BreakGlassService(harness.stores, policy, harness.clock, mfa=WrittenCodes(), directory=FixedDirectory())


def test_event_counts_in_the_ledger_of_the_person(harness: StoreHarness, one_person: BreakGlassService) -> None:
    invoke(one_person, ANN)
    assert _findings(harness) == []
    harness.remove_ledger(f"INVOKER#{BOB.id}")
    assert _findings(harness) == [(f"LEDGER#INVOKER#{BOB.id}", FindingKind.LEDGER_REMOVED)]


def test_wrong_codes_count_for_the_id_that_has_the_secret(harness: StoreHarness, one_person: BreakGlassService) -> None:
    with pytest.raises(CodeRefused):
        one_person.invoke(ANN, "vault", INCIDENT, OUTAGE, HOUR, code="wrong")
    assert len(harness.stores.break_glass.get_codes(ANN.id).wrong_at) == 1
    assert _findings(harness) == []
    harness.remove_ledger(f"CODES#{ANN.id}")
    assert _findings(harness) == [(f"LEDGER#CODES#{ANN.id}", FindingKind.LEDGER_REMOVED)]


def test_removed_ledger_of_an_approvers_wrong_codes_is_named(harness: StoreHarness) -> None:
    policy = ChangingPolicy()
    policy.edit({"    remind_after: 3h\n": "    remind_after: 3h\n    approver_mfa: required\n"})
    directory = FixedDirectory()
    requests = RequestService(harness.stores, policy, harness.clock, mfa=WrittenCodes(), directory=directory)
    request = requests.submit(RITA, "prod", HOUR, DEPLOY)
    with pytest.raises(CodeRefused):
        requests.approve(request_id_of(request), ANN, shown=request.facts_digest(), code="wrong")
    assert _findings(harness) == []
    harness.remove_ledger(f"CODES#{ANN.id}")
    assert _findings(harness) == [(f"LEDGER#CODES#{ANN.id}", FindingKind.LEDGER_REMOVED)]
