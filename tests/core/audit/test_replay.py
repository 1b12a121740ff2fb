"""A record that an honest change sealed after somebody had changed it: its own chain tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from core.actor import UserId
from core.approval import Approval
from core.audit.keyring import AuditKeyring
from core.audit.replay import find_beside, find_contradictions
from core.audit.trail import AuditAction, AuditEntry, EntryDraft, seal
from core.break_glass import BreakGlassEvent, EventId
from core.directory import FixedDirectory
from core.request import Request, RequestId
from core.review import Verdict
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.builders import DAY, HOUR
from tests.core.services.harness import ANN, BOB, CLEO, DEPLOY, INCIDENT, NOTES, OUTAGE, RITA, ChangingPolicy, invoke
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import JsonValue

    from core.record import Record
    from tests.harness.clock import FrozenClock

KEYRING: Final = AuditKeyring()
_EMERGENCY: Final = (INCIDENT, OUTAGE, HOUR)
_REVIEW: Final = (Verdict.JUSTIFIED, NOTES)


@pytest.fixture
def requests(stores: Stores, clock: FrozenClock) -> RequestService:
    """The service of one instance."""
    return RequestService(stores, ChangingPolicy(), clock, directory=FixedDirectory())


@pytest.fixture
def break_glass(stores: Stores, clock: FrozenClock) -> BreakGlassService:
    """The service of one instance."""
    return BreakGlassService(stores, ChangingPolicy(), clock, directory=FixedDirectory())


def _told(record: Record, entries: Sequence[AuditEntry]) -> str:
    return "; ".join(find_contradictions(record, entries))


def _launder(record: Record, entries: Sequence[AuditEntry], *, keeps_digest: bool = True) -> list[AuditEntry]:
    """The chain as an honest change would have left it, had it taken this record for a good one."""
    last = entries[-1]
    draft = EntryDraft.model_validate({name: getattr(last, name) for name in EntryDraft.model_fields})
    previous = last.previous_record_digest if keeps_digest else "ef" * 32
    again = seal(
        draft,
        KEYRING,
        chain=last.chain,
        seq=last.seq,
        previous=last.previous,
        at=last.at,
        record_digest=record.content_digest(),
        previous_record_digest=previous,
    )
    return [*entries[:-1], again]


@pytest.fixture
def approved(requests: RequestService, clock: FrozenClock) -> Request:
    """Asked for, reminded of, and approved by two."""
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    requests.approve(RequestId(asked.id), ANN, "Go ahead")
    clock.advance(3 * HOUR)
    requests.remind_due()
    return requests.approve(RequestId(asked.id), BOB)


def test_honest_histories_have_no_contradictions(
    requests: RequestService, break_glass: BreakGlassService, stores: Stores, clock: FrozenClock, approved: Request
) -> None:
    denied = requests.submit(RITA, "prod", HOUR, DEPLOY)
    requests.deny(RequestId(denied.id), ANN, "Not on a Friday")
    cancelled = requests.submit(RITA, "prod", HOUR, DEPLOY)
    requests.cancel(RequestId(cancelled.id), RITA)
    replaced = requests.submit(ANN, "prod", HOUR, DEPLOY)
    event = break_glass.invoke(ANN, "prod", *_EMERGENCY, instead_of=RequestId(replaced.id))
    break_glass.close(EventId(event.id), BOB, "it is up again")
    break_glass.review(EventId(event.id), BOB, *_REVIEW)
    requests.submit(RITA, "prod", HOUR, DEPLOY)
    ended = invoke(break_glass, CLEO, "staging")
    clock.advance(2 * DAY)
    requests.expire_due()
    break_glass.expire_due()
    break_glass.remind_due()
    records = [*stores.requests.iterate(), *stores.break_glass.iterate()]
    assert {ended.id, approved.id, event.id} <= {each.id for each in records}
    assert len(records) == 7
    for record in records:
        assert _told(record, stores.audit.get_chain(record.chain)) == ""


CHANGES: Final[dict[str, tuple[Callable[[Request], dict[str, object]], str]]] = {
    "a planted vote": (
        lambda each: {"approvals": (*each.approvals[:1], Approval(approver=CLEO.id, at=A_MOMENT))},
        "no entry has the vote of U0CLEO; the vote of U0BOB is missing",
    ),
    "a lower quorum": (
        lambda each: {"required_approvals": 1, "approvals": each.approvals[1:]},
        "its required approvals is not what was asked for; it has 1 votes, and its entries 2",
    ),
    "another requester": (lambda _: {"requester": UserId("U0MALLORY")}, "its person is not what was asked for"),
    "another profile": (lambda _: {"profile": "staging"}, "its profile is not what was asked for"),
    "another justification": (lambda _: {"justification": "No reason at all"}, "its justification is not what was"),
    "a longer access": (
        lambda each: {"duration": 2 * HOUR, "access_ends_at": each.decided_at + 2 * HOUR if each.decided_at else None},
        "its duration is not what was asked for; its access ends at another time than was decided",
    ),
    "another comment": (
        lambda each: {
            "approvals": (each.approvals[0].model_copy(update={"comment": "Never"}), each.approvals[1]),
        },
        "the comment of a vote is not the one that was given",
    ),
    "another decider": (lambda _: {"approver": ANN.id}, "its decision is not that of the person whom its entries name"),
    "more steps": (
        lambda _: {"escalated_steps": 2},
        "the steps of its escalation that were announced are not those of its entries",
    ),
    "no reminder": (lambda _: {"reminded_at": None}, "its reminder is not that of its entries"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_laundered_request_contradicts_its_chain(stores: Stores, approved: Request, change: str) -> None:
    make, told = CHANGES[change]
    forged = approved.replace(**make(approved))
    entries = _launder(forged, stores.audit.get_chain(approved.chain))
    assert told in _told(forged, entries)


LAPSE: Final[dict[str, object]] = {"lapsed_at": A_MOMENT + HOUR, "lapsed_reason": "no longer in group:sre"}


def test_lapse_that_no_entry_has_is_named(requests: RequestService, stores: Stores) -> None:
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    voted = requests.approve(RequestId(pending.id), ANN)
    lapsed = voted.replace(approvals=(voted.approvals[0].model_copy(update=LAPSE),))
    entries = stores.audit.get_chain(pending.chain)
    assert _told(lapsed, entries) == "the votes that lapsed are not those of its entries"
    said: dict[str, JsonValue] = {"lapsed": [{"approver": ANN.id, "reason": "no longer in group:sre"}]}
    honest = entries[1].model_copy(update={"details": {**entries[1].details, **said}})
    assert _told(lapsed, [entries[0], honest]) == ""
    assert _told(voted, [entries[0], honest]) == "the votes that lapsed are not those of its entries"


def test_raised_quorum_that_no_entry_has_is_named(requests: RequestService, stores: Stores) -> None:
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    raised = pending.replace(raised_approvals=3)
    told = _told(raised, stores.audit.get_chain(pending.chain))
    assert told == "its raised approvals are not those of its entries"


def test_change_between_two_entries_is_named(stores: Stores, approved: Request) -> None:
    entries = _launder(approved, stores.audit.get_chain(approved.chain), keeps_digest=False)
    assert _told(approved, entries) == "it was changed between entry 3 and entry 4 (request_approved), by no entry"


def test_moves_that_no_machine_makes_are_named(stores: Stores, approved: Request) -> None:
    entries = stores.audit.get_chain(approved.chain)
    denied = entries[1].model_copy(update={"outcome": "denied"})
    told = _told(approved, [entries[0], denied, *entries[2:]])
    assert "entry 3 (request_reminded) makes it pending, and it was denied" in told
    assert "its chain begins with approval_added" in _told(approved, entries[1:])
    own = entries[1].model_copy(update={"actor": RITA.id})
    assert "its requester voted on it" in _told(approved, [entries[0], own, *entries[2:]])
    assert "it was approved by 1 of 2 votes" in _told(approved, [entries[0], *entries[2:]])


def test_status_without_an_entry_is_named(requests: RequestService, stores: Stores) -> None:
    pending = requests.submit(RITA, "prod", HOUR, DEPLOY)
    forged = pending.deny(ANN.id, A_MOMENT, "Not on a Friday")
    assert _told(forged, stores.audit.get_chain(pending.chain)) == "it is denied, and its last entry says pending"


EVENT_CHANGES: Final[dict[str, tuple[dict[str, object], str]]] = {
    "another closer": ({"closed_by": CLEO.id}, "its closing is not that of its entries"),
    "another reason": ({"closed_reason": "nobody knows"}, "its closing is not that of its entries"),
    "no review": ({"review": None}, "its review is not that of its entries"),
    "a question": ({"asked_at": A_MOMENT}, "its question is not that of its entries"),
    "a reminder": ({"reminded_at": A_MOMENT}, "its reminder is not that of its entries"),
    "another kind": ({"reason_code": "other"}, "its reason code is not what was declared"),
    "another invoker": ({"invoker": "U0MALLORY"}, "its person is not what was declared"),
}


@pytest.fixture
def reviewed(break_glass: BreakGlassService) -> BreakGlassEvent:
    """Declared, closed and reviewed."""
    event = invoke(break_glass, ANN)
    break_glass.close(EventId(event.id), ANN, "it is up again")
    return break_glass.review(EventId(event.id), BOB, *_REVIEW)


@pytest.mark.parametrize("change", EVENT_CHANGES)
def test_laundered_event_contradicts_its_chain(stores: Stores, reviewed: BreakGlassEvent, change: str) -> None:
    changes, told = EVENT_CHANGES[change]
    forged = reviewed.replace(**changes)
    assert told in _told(forged, _launder(forged, stores.audit.get_chain(reviewed.chain)))


def test_review_that_says_something_else_is_named(stores: Stores, reviewed: BreakGlassEvent) -> None:
    assert reviewed.review is not None
    forged = reviewed.replace(review=reviewed.review.model_copy(update={"notes": "Nothing to see here at all"}))
    assert _told(forged, stores.audit.get_chain(reviewed.chain)) == "its review does not say what its reviewer said"


def test_unknown_outcome_of_a_newer_version_is_not_judged(stores: Stores, approved: Request) -> None:
    entries = stores.audit.get_chain(approved.chain)
    newer = entries[2].model_copy(update={"outcome": "under_review"})
    assert _told(approved, [*entries[:2], newer, entries[3]]) == ""


def test_ttl_beside_a_record_is_that_of_its_last_entry(stores: Stores, approved: Request) -> None:
    entries = stores.audit.get_chain(approved.chain)
    kept_until = entries[-1].kept_until
    assert kept_until is not None
    found = approved.model_copy(update={"as_read": type(approved.as_read)(ttl=int(kept_until.timestamp()))})
    assert list(find_beside(found, entries)) == []
    sooner = approved.model_copy(update={"as_read": type(approved.as_read)(ttl=1)})
    assert list(find_beside(sooner, entries)) != []
    assert AuditAction.REQUEST_APPROVED in {entry.event for entry in entries}
