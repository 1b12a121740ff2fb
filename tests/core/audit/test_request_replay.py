"""What somebody wrote into a request that people asked for, asked about or gave less time: its own chain tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from core.approval import Approval
from core.audit.replay import find_contradictions
from core.audit.trail import AuditAction
from core.directory import FixedDirectory
from core.question import Question
from core.request import Request, RequestId
from core.services import RequestService
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import ANN, BOB, CLEO, DEPLOY, RITA, ChangingPolicy, by
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.audit.trail import AuditEntry
    from tests.harness.clock import FrozenClock

_QUESTION: Final = "Which ticket is this for?"


def _told(record: Request, entries: Sequence[AuditEntry]) -> str:
    return "; ".join(find_contradictions(record, entries))


@pytest.fixture
def approved(stores: Stores, clock: FrozenClock) -> Request:
    """Requested by ANN for RITA, confirmed, asked about, answered, and approved by two, one of them for less time."""
    requests = RequestService(stores, ChangingPolicy(), clock, directory=FixedDirectory())
    request_id = RequestId(requests.submit(ANN, "prod", 2 * HOUR, DEPLOY, on_behalf_of=RITA).id)
    requests.confirm(request_id, RITA)
    clock.advance(HOUR)
    requests.ask(request_id, BOB, _QUESTION)
    requests.answer(request_id, RITA, 1, "INC-12")
    requests.approve(request_id, BOB, duration=HOUR)
    return requests.approve(request_id, CLEO)


def _vote(request: Request, **changes: object) -> dict[str, object]:
    return {"approvals": (request.approvals[0].model_copy(update=changes), *request.approvals[1:])}


CHANGES: Final[dict[str, tuple[Callable[[Request], dict[str, object]], str]]] = {
    "a vote by a schedule": (
        lambda each: _vote(each, on_call="on-call:primary"),
        "the schedule that let somebody vote is not the one that was recorded",
    ),
    "a longer vote": (
        lambda each: {**_vote(each, duration=None), "access_ends_at": (each.decided_at or A_MOMENT) + 2 * HOUR},
        "the time that a vote gave is not the one that was given",
    ),
    "a longer access": (
        lambda each: {"access_ends_at": (each.decided_at or A_MOMENT) + 2 * HOUR},
        "its access is longer than its votes gave",
    ),
    "another asker": (lambda _: {"asked_by": BOB.id}, "its asked by is not what was asked for"),
    "no asker": (lambda _: {"asked_by": None, "confirmed_at": None}, "its asked by is not what was asked for"),
    "another form": (lambda _: {"bundle": "0123456789abcdef"}, "its bundle is not what was asked for"),
    "no confirmation": (lambda _: {"confirmed_at": None}, "its confirmation is not that of its entries"),
    "another question": (
        lambda each: {"questions": (each.questions[0].model_copy(update={"text": "Lunch?"}),)},
        "its questions and answers are not those of its entries",
    ),
    "another answer": (
        lambda each: {"questions": (each.questions[0].model_copy(update={"answer": "INC-13"}),)},
        "its questions and answers are not those of its entries",
    ),
    "one more question": (
        lambda each: {"questions": (*each.questions, Question(number=2, asker=BOB.id, at=A_MOMENT, text="Why?"))},
        "its questions and answers are not those of its entries",
    ),
}


def test_honest_history_has_no_contradictions(stores: Stores, approved: Request) -> None:
    assert _told(approved, stores.audit.get_chain(approved.chain)) == ""


@pytest.mark.parametrize("change", CHANGES)
def test_forged_request_contradicts_its_chain(stores: Stores, approved: Request, change: str) -> None:
    make, told = CHANGES[change]
    assert told in _told(approved.replace(**make(approved)), stores.audit.get_chain(approved.chain))


def test_decisions_of_the_wrong_people_or_too_early_are_named(stores: Stores, approved: Request) -> None:
    entries = stores.audit.get_chain(approved.chain)
    by_asker = [entry.model_copy(update={"actor": ANN.id}) if entry.actor == by(BOB) else entry for entry in entries]
    voted = approved.replace(approvals=(Approval(approver=ANN.id, at=A_MOMENT, duration=HOUR), approved.approvals[1]))
    assert "the person who asked for it on behalf of its requester voted on it" in _told(voted, by_asker)
    late = next(entry for entry in entries if entry.event is AuditAction.REQUEST_CONFIRMED)
    others = [entry for entry in entries if entry is not late]
    moved = [*others, late.model_copy(update={"seq": 9, "outcome": "approved"})]
    assert "people decided on it before its requester confirmed it" in _told(approved, moved)
    by_another = [entry.model_copy(update={"actor": BOB.id}) if entry is late else entry for entry in entries]
    assert "it was confirmed by somebody else than its requester" in _told(approved, by_another)


def test_cancellation_by_the_wrong_person_is_named(stores: Stores, clock: FrozenClock) -> None:
    requests = RequestService(stores, ChangingPolicy(), clock, directory=FixedDirectory())
    asked = requests.submit(ANN, "prod", HOUR, DEPLOY, on_behalf_of=RITA)
    cancelled = requests.cancel(RequestId(asked.id), RITA)
    entries = stores.audit.get_chain(asked.chain)
    assert _told(cancelled, entries) == ""
    forged = cancelled.replace(cancelled_by=ANN.id)
    assert "it was cancelled by somebody else than its entries name" in _told(forged, entries)
