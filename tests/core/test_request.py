from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.actor import UserId, by_policy
from core.clock import TICK
from core.errors import InvalidInput, InvalidStateTransition, MalformedRecord, NotAllowed
from core.request import (
    MAX_APPROVALS,
    MAX_DECIDE_WITHIN,
    MAX_DURATION,
    Approval,
    Request,
    RequestId,
    RequestStatus,
)
from core.request_consistency import judge_rules
from tests.builders import APPROVER, DAY, HOUR, PROD, REQUESTER, SECOND_APPROVER, a_request
from tests.core.strategies import durations, legible_texts, moments
from tests.harness.clock import A_MOMENT

THIRD: Final = UserId("U0THIRD")
EARLY: Final = A_MOMENT + HOUR
DEADLINE: Final = A_MOMENT + DAY
LATE: Final = DEADLINE + HOUR

PENDING, APPROVED, DENIED, EXPIRED, CANCELLED = RequestStatus

# Two approvals are needed; APPROVER voted already, so that one more vote of somebody else decides.
ONE_VOTE: Final = a_request(required_approvals=2).approve(APPROVER, A_MOMENT + TICK, "fine")
STATES: Final[dict[str, tuple[Request, datetime]]] = {
    "pending": (ONE_VOTE, EARLY),
    "reminded": (ONE_VOTE.remind(EARLY - TICK), EARLY),
    "overdue": (ONE_VOTE, LATE),
    "approved": (ONE_VOTE.approve(SECOND_APPROVER, EARLY, "go"), EARLY + HOUR),
    "approved by policy": (a_request().approve_by_policy(A_MOMENT), EARLY),
    "denied": (ONE_VOTE.deny(SECOND_APPROVER, EARLY, "not today"), EARLY + HOUR),
    "expired": (ONE_VOTE.expire(DEADLINE), LATE),
    "cancelled": (ONE_VOTE.cancel(REQUESTER, EARLY), EARLY + HOUR),
}
EVENTS: Final[dict[str, Callable[[Request, datetime], Request]]] = {
    "repeat the vote": lambda request, now: request.approve(APPROVER, now, "again"),
    "decisive vote": lambda request, now: request.approve(SECOND_APPROVER, now, "go again"),
    "vote of a third": lambda request, now: request.approve(THIRD, now),
    "approve by policy": lambda request, now: request.approve_by_policy(now),
    "deny": lambda request, now: request.deny(SECOND_APPROVER, now, "not today, I said"),
    "deny by a third": lambda request, now: request.deny(THIRD, now, "nor by me"),
    "deny by the first voter": lambda request, now: request.deny(APPROVER, now, "on second thoughts"),
    "cancel": lambda request, now: request.cancel(REQUESTER, now),
    "expire": lambda request, now: request.expire(now),
    "remind": lambda request, now: request.remind(now),
}
SAME = "the very same record"
REFUSED = "InvalidStateTransition"
WAITING: Final[dict[str, str]] = {
    "repeat the vote": SAME,
    "decisive vote": APPROVED,
    "vote of a third": APPROVED,
    "approve by policy": APPROVED,
    "deny": DENIED,
    "deny by a third": DENIED,
    "deny by the first voter": DENIED,
    "cancel": CANCELLED,
    "expire": REFUSED,
}
TABLE: Final[dict[str, dict[str, str]]] = {
    "pending": WAITING | {"remind": PENDING},
    "reminded": WAITING | {"remind": SAME},
    "overdue": dict.fromkeys(EVENTS, REFUSED) | {"expire": EXPIRED},
    "approved": dict.fromkeys(EVENTS, REFUSED) | {"repeat the vote": SAME, "decisive vote": SAME},
    "approved by policy": dict.fromkeys(EVENTS, REFUSED),
    "denied": dict.fromkeys(EVENTS, REFUSED) | {"deny": SAME},
    "expired": dict.fromkeys(EVENTS, REFUSED) | {"expire": SAME},
    "cancelled": dict.fromkeys(EVENTS, REFUSED) | {"cancel": SAME},
}
WANTED: Final = {
    "repeat the vote": APPROVED,
    "decisive vote": APPROVED,
    "vote of a third": APPROVED,
    "approve by policy": APPROVED,
    "deny": DENIED,
    "deny by a third": DENIED,
    "deny by the first voter": DENIED,
    "cancel": CANCELLED,
    "expire": EXPIRED,
    "remind": PENDING,
}
SAID_STATUS: Final = {"reminded": "pending", "overdue": "expired", "approved by policy": "approved"}
DECIDED: Final[dict[str, tuple[str | None, datetime | None]]] = {
    "pending": (None, None),
    "reminded": (None, None),
    "overdue": (None, DEADLINE),
    "approved": (SECOND_APPROVER, EARLY),
    "approved by policy": ("policy:prod", A_MOMENT),
    "denied": (SECOND_APPROVER, EARLY),
    "expired": (None, DEADLINE),
    "cancelled": (REQUESTER, EARLY),
}


def test_table_has_every_state_with_every_event() -> None:
    assert {(state, event) for state, row in TABLE.items() for event in row} == {
        (state, event) for state in STATES for event in EVENTS
    }


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_each_event_in_each_state_leads_where_the_table_says(state: str, event: str) -> None:
    request, now = STATES[state]
    before = request.model_dump()
    expected = TABLE[state][event]
    if expected == REFUSED:
        with pytest.raises(InvalidStateTransition) as refusal:
            EVENTS[event](request, now)
        error = refusal.value
        assert (error.record, error.status) == (request.chain, SAID_STATUS.get(state, state))
        assert error.wanted == WANTED[event]
        assert (error.decided_by, error.decided_at) == DECIDED[state]
    elif expected == SAME:
        assert EVENTS[event](request, now) is request
    else:
        assert EVENTS[event](request, now).status == expected
    assert request.model_dump() == before


def _changes(before: Request, after: Request) -> dict[str, object]:
    return {name: value for name, value in after if value != getattr(before, name)}


def test_vote_below_the_quorum_is_only_counted() -> None:
    request = a_request(required_approvals=2)
    assert _changes(request, request.approve(APPROVER, EARLY, "fine")) == {
        "approvals": (Approval(approver=APPROVER, at=EARLY, comment="fine"),)
    }


def test_last_vote_decides_and_opens_the_window_at_that_moment() -> None:
    first, last = Approval(approver=APPROVER, at=A_MOMENT + TICK, comment="fine"), "go"
    assert _changes(ONE_VOTE, ONE_VOTE.approve(SECOND_APPROVER, EARLY, last)) == {
        "status": APPROVED,
        "approver": SECOND_APPROVER,
        "approver_comment": last,
        "approvals": (first, Approval(approver=SECOND_APPROVER, at=EARLY, comment=last)),
        "decided_at": EARLY,
        "access_ends_at": EARLY + HOUR,
    }


def test_policy_approves_in_its_rule_s_name_without_any_vote() -> None:
    request = a_request(rule="prod", required_approvals=3)
    assert _changes(request, request.approve_by_policy(EARLY)) == {
        "status": APPROVED,
        "approver": by_policy("prod"),
        "decided_at": EARLY,
        "access_ends_at": EARLY + HOUR,
    }


def test_denial_keeps_the_votes_that_were_given() -> None:
    assert _changes(ONE_VOTE, ONE_VOTE.deny(THIRD, EARLY, "no")) == {
        "status": DENIED,
        "approver": THIRD,
        "approver_comment": "no",
        "decided_at": EARLY,
    }


def test_cancelled_request_says_when_and_names_its_requester() -> None:
    cancelled = ONE_VOTE.cancel(REQUESTER, EARLY)
    assert _changes(ONE_VOTE, cancelled) == {"status": CANCELLED, "decided_at": EARLY}
    assert cancelled.ended_by == (REQUESTER, EARLY)


def test_cancelled_request_names_the_event_that_replaced_it() -> None:
    replaced = ONE_VOTE.cancel(REQUESTER, EARLY, replaced_by="0123456789abcdef")
    assert _changes(ONE_VOTE.cancel(REQUESTER, EARLY), replaced) == {"replaced_by": "0123456789abcdef"}
    assert replaced.cancel(REQUESTER, EARLY, replaced_by="fedcba9876543210") is replaced
    assert (
        ONE_VOTE.cancel(REQUESTER, EARLY).cancel(REQUESTER, EARLY, replaced_by="fedcba9876543210").replaced_by is None
    )


def test_expiry_changes_the_status_alone() -> None:
    assert _changes(ONE_VOTE, ONE_VOTE.expire(LATE)) == {"status": EXPIRED}


def test_reminder_is_noted_and_nothing_else_changes() -> None:
    assert _changes(ONE_VOTE, ONE_VOTE.remind(EARLY)) == {"reminded_at": EARLY}


@pytest.mark.parametrize(("state", "event"), [(state, event) for state in STATES for event in EVENTS])
def test_no_event_ever_changes_what_was_asked_for(state: str, event: str) -> None:
    request, now = STATES[state]
    if TABLE[state][event] != REFUSED:
        after = EVENTS[event](request, now)
        assert after.facts_to_keep() == request.facts_to_keep()
        assert after.updated_at == request.updated_at, "only a store moves the version"


def test_retention_covers_all_that_was_asked_for() -> None:
    asked = {
        name: value
        for name, value in a_request().to_item().items()
        if name not in {"id", "updated_at", "status", "audit_length"}
    }
    request = a_request()
    ends = (request.approve(APPROVER, EARLY), request.deny(APPROVER, EARLY, "no"), request.cancel(REQUESTER, EARLY))
    assert [each.facts_to_keep() for each in (request, *ends)] == [
        {
            **asked,
            "rights": None,
            "service": None,
            "device": None,
            "asked_by": None,
            "bundle": None,
            "starts_at": None,
            "ticket": None,
        }
    ] * 4


# Boundary times


def test_vote_counts_one_tick_before_the_deadline() -> None:
    now = DEADLINE - TICK
    assert not ONE_VOTE.is_overdue(now)
    assert ONE_VOTE.approve(SECOND_APPROVER, now).status is APPROVED
    assert ONE_VOTE.deny(SECOND_APPROVER, now, "no").status is DENIED
    assert ONE_VOTE.cancel(REQUESTER, now).status is CANCELLED
    assert ONE_VOTE.remind(now).reminded_at == now
    with pytest.raises(InvalidStateTransition, match="its deadline has not passed"):
        ONE_VOTE.expire(now)


@pytest.mark.parametrize("event", [event for event in EVENTS if event != "expire"])
def test_exactly_at_the_deadline_only_expiry_is_left(event: str) -> None:
    with pytest.raises(InvalidStateTransition) as refusal:
        EVENTS[event](ONE_VOTE, DEADLINE)
    assert refusal.value.status == "expired"
    assert ONE_VOTE.expire(DEADLINE).status is EXPIRED


def test_access_ends_exactly_when_the_window_says() -> None:
    approved, _ = STATES["approved"]
    ends_at = EARLY + HOUR
    assert approved.is_granting(ends_at - TICK)
    assert not approved.is_granting(ends_at)


@pytest.mark.parametrize("state", [state for state in STATES if not state.startswith("approved")])
def test_unapproved_request_grants_nothing_at_any_time(state: str) -> None:
    request, _ = STATES[state]
    assert not any(request.is_granting(now) for now in (A_MOMENT, EARLY, DEADLINE, LATE))


def test_request_life_ends_with_its_access_decision_or_deadline() -> None:
    assert {state: request.life_ends_at() for state, (request, _) in STATES.items()} == {
        "pending": DEADLINE,
        "reminded": DEADLINE,
        "overdue": DEADLINE,
        "approved": EARLY + HOUR,
        "approved by policy": A_MOMENT + HOUR,
        "denied": EARLY,
        "expired": DEADLINE,
        "cancelled": EARLY,
    }


# Who may


@pytest.mark.parametrize("state", STATES)
def test_requester_decides_their_own_request_in_no_state(state: str) -> None:
    request, now = STATES[state]
    with pytest.raises(NotAllowed, match="nobody decides on their own request") as approving:
        request.approve(REQUESTER, now)
    with pytest.raises(NotAllowed, match="nobody decides on their own request") as denying:
        request.deny(REQUESTER, now, "changed my mind")
    assert (approving.value.action, denying.value.action) == ("approve", "deny")


@pytest.mark.parametrize("state", STATES)
def test_only_the_requester_cancels_in_any_state(state: str) -> None:
    request, now = STATES[state]
    with pytest.raises(NotAllowed, match="only the requester can cancel"):
        request.cancel(APPROVER, now)


@pytest.mark.parametrize("needed", range(1, MAX_APPROVALS + 1))
def test_exactly_the_quorum_of_different_people_approves(needed: int) -> None:
    request = a_request(required_approvals=needed)
    for number in range(1, needed + 1):
        voter = UserId(f"U0VOTER{number}")
        request = request.approve(voter, EARLY + number * TICK)
        assert request.approve(voter, LATE - DAY, "me again") is request, "an approver counts once"
        assert request.status is (APPROVED if number == needed else PENDING)
    assert len(request.approvals) == needed
    assert request.decided_at == EARLY + needed * TICK


# Records


def test_record_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ONE_VOTE.status = APPROVED  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        ONE_VOTE.approvals[0].comment = "forged"  # type: ignore[misc]


def test_replace_checks_the_new_record_whole() -> None:
    with pytest.raises(ValidationError, match="says who decided"):
        ONE_VOTE.replace(status=DENIED)
    with pytest.raises(ValidationError, match="Extra inputs"):
        ONE_VOTE.replace(aprover=APPROVER)


A_VOTE: Final = {"approver": APPROVER, "at": EARLY}
BROKEN: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "an approver counts once": ("pending", {"approvals": (A_VOTE, A_VOTE), "required_approvals": 3}),
    "nobody decides on their own request": ("pending", {"approvals": ({"approver": REQUESTER, "at": EARLY},)}),
    "a decided request, and only it, says who decided": ("pending", {"approver": APPROVER}),
    "people approve by quorum, the policy without one": ("approved", {"approver": by_policy("prod")}),
    "a quorum approves": ("pending", {"required_approvals": 1}),
    "no vote is counted beyond the quorum": ("approved", {"required_approvals": 1}),
    "a quorum only rises": ("pending", {"raised_approvals": 1}),
    "a denial has a reason": ("denied", {"approver_comment": None}),
    "only a cancelled one is replaced": ("pending", {"replaced_by": "0123456789abcdef"}),
    "an approved request, and only it, has a window": ("cancelled", {"access_ends_at": LATE}),
    "a request that somebody ended says when": ("expired", {"decided_at": EARLY}),
    "the window opens with the approval, or at its start, and lasts as long as it gave": (
        "approved",
        {"access_ends_at": LATE},
    ),
    "nobody is reminded after the deadline": ("expired", {"reminded_at": DEADLINE}),
    "nobody asks for themself on behalf of somebody": ("pending", {"asked_by": REQUESTER}),
    "a vote gives less time than was asked, or all of it": (
        "pending",
        {"approvals": ({"approver": APPROVER, "at": EARLY, "duration": HOUR},)},
    ),
    "only what somebody else asked for is confirmed, before the deadline": ("pending", {"confirmed_at": EARLY}),
    "only the requester, and who asked for them, cancels": ("cancelled", {"cancelled_by": APPROVER}),
    "people decide until the start": ("pending", {"starts_at": EARLY}),
    "questions are numbered as they were asked": (
        "pending",
        {"questions": ({"number": 2, "asker": APPROVER, "at": EARLY, "text": "why now?"},)},
    ),
}
ALSO_BROKEN: Final[list[tuple[str, str, dict[str, object]]]] = [
    ("nobody decides on their own request", "denied", {"approver": REQUESTER}),
    ("a decided request, and only it, says who decided", "denied", {"approver": None}),
    ("people approve by quorum, the policy without one", "approved", {"approvals": ()}),
    ("people approve by quorum, the policy without one", "approved by policy", {"approver": APPROVER}),
    ("an approved request, and only it, has a window", "approved", {"access_ends_at": None}),
    ("a request that somebody ended says when", "cancelled", {"decided_at": None}),
    (
        "the window opens with the approval, or at its start, and lasts as long as it gave",
        "approved",
        {"duration": 2 * HOUR},
    ),
]


def test_every_consistency_rule_has_a_violation_here() -> None:
    assert {rule for _, rule in judge_rules(ONE_VOTE)} == set(BROKEN)


@pytest.mark.parametrize(
    ("rule", "state", "changes"),
    [*((rule, state, changes) for rule, (state, changes) in BROKEN.items()), *ALSO_BROKEN],
)
def test_record_that_breaks_a_rule_cannot_be_made_or_read(rule: str, state: str, changes: dict[str, object]) -> None:
    request, _ = STATES[state]
    with pytest.raises(ValidationError, match=rule):
        request.replace(**changes)
    with pytest.raises(MalformedRecord, match=rule):
        Request.from_item(
            {name: each for name, each in {**request.__dict__, **changes}.items() if name not in Request.BESIDE}
        )


# What cannot be asked for


@pytest.mark.parametrize(
    ("field", "made_of", "fix"),
    [
        ("duration", {"duration": timedelta()}, "more than 0 and at most 8h"),
        ("duration", {"duration": -HOUR}, "more than 0 and at most 8h"),
        ("duration", {"duration": MAX_DURATION + TICK}, "more than 0 and at most 8h"),
        ("duration", {"duration": True}, "Give a timedelta"),
        ("duration", {"duration": 3600.0}, "Give a timedelta"),
        ("duration", {"duration": "1h"}, "Give a timedelta"),
        ("duration", {"duration": 10**400}, "whole microseconds"),
        ("duration", {"duration": 3_600_000_000_001}, "whole microseconds"),
        ("time to decide", {"decide_within": timedelta()}, "more than 0 and at most 7d"),
        ("time to decide", {"decide_within": -HOUR}, "more than 0 and at most 7d"),
        ("time to decide", {"decide_within": MAX_DECIDE_WITHIN + TICK}, "more than 0 and at most 7d"),
        ("created_at", {"now": A_MOMENT.replace(tzinfo=None)}, "datetime.now(UTC)"),
        ("required approvals", {"required_approvals": 0}, "Ask for 1 to 10"),
        ("required approvals", {"required_approvals": 11}, "Ask for 1 to 10"),
        ("rule", {"rule": ""}, "Write 1 to 100"),
        ("id", {"request_id": RequestId("0123456789ABCDEF")}, "16 digits"),
        ("id", {"request_id": RequestId("0123456789abcde")}, "16 digits"),
        ("id", {"request_id": RequestId("0123456789abcdef\n")}, "16 digits"),
        ("user", {"requester": UserId("ann@example.com")}, "U0AB12CD3"),
        ("profile", {"profile": "prod; drop table"}, "letters, digits"),
        ("profile", {"profile": ""}, "letters, digits"),
    ],
)
def test_value_out_of_bounds_is_refused_with_field_and_fix(field: str, made_of: dict[str, Any], fix: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        a_request(**made_of)
    assert refusal.value.field == field
    assert fix in refusal.value.fix


def test_value_just_within_bounds_is_taken() -> None:
    assert a_request(duration=TICK).duration == TICK
    largest = a_request(duration=MAX_DURATION, decide_within=MAX_DECIDE_WITHIN, required_approvals=MAX_APPROVALS)
    assert largest.expires_at == A_MOMENT + MAX_DECIDE_WITHIN
    assert a_request(justification="x" * 10).justification == "x" * 10
    assert a_request(justification="x" * 500).justification == "x" * 500


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" " * 20, "empty"),
        ("\u200b" * 20, "empty"),
        ("\u3164" * 20, "empty"),
        ("\u00a0\u2003" * 20, "empty"),
        ("Deploy \x07 the fix", "U+0007"),
        ("Deploy \x7f the fix", "U+007F"),
        ("Deploy \r the fix", "U+000D"),
        ("Deploy \u202e the fix", "U+202E"),
        ("Deploy \u2066 the fix", "U+2066"),
        ("Deploy \ud800 the fix", "U+D800"),
        ("x" * 9, "9 characters"),
        ("\u200b" * 5 + "x" * 9, "9 characters"),
        ("   xxxxxxxxx   ", "9 characters"),
        ("x" * 501, "501 characters"),
    ],
)
def test_empty_or_deceptive_justification_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        a_request(justification=text)
    assert refusal.value.field == "justification"
    assert problem in refusal.value.problem


def test_ids_and_texts_of_those_who_decide_are_checked_too() -> None:
    with pytest.raises(InvalidInput, match="not a Slack user id"):
        ONE_VOTE.approve(UserId("bob"), EARLY)
    with pytest.raises(InvalidInput, match="comment"):
        ONE_VOTE.approve(THIRD, EARLY, "x" * 501)
    with pytest.raises(InvalidInput, match="comment"):
        ONE_VOTE.deny(THIRD, EARLY, "\u200b")
    with pytest.raises(InvalidInput, match="is not a user, a policy rule or the clock"):
        ONE_VOTE.deny(UserId("U0lower"), EARLY, "no")


# The stored form


@given(
    now=moments,
    text=legible_texts,
    duration=durations(MAX_DURATION),
    votes=st.integers(0, 3),
    end=st.sampled_from(["none", "deny", "cancel", "expire"]),
)
def test_from_item_reads_back_exactly_what_to_item_wrote(
    now: datetime, text: str, duration: timedelta, votes: int, end: str
) -> None:
    request = a_request(now=now, justification=text, duration=duration, required_approvals=3)
    for number in range(votes):
        request = request.approve(UserId(f"U0VOTER{number}"), now + number * TICK, text if number else None)
    if votes < 3 and end != "none":
        request = {
            "deny": lambda: request.deny(THIRD, now, text),
            "cancel": lambda: request.cancel(REQUESTER, now),
            "expire": lambda: request.expire(now + DAY),
        }[end]()
    item = request.to_item()
    assert Request.from_item(item) == request
    assert not [name for name, value in item.items() if value in ("", None, [])]
    assert Request.from_item(item).to_item() == item


def test_stored_form_is_plain_and_leaves_out_what_is_empty() -> None:
    request = a_request(request_id=RequestId("0123456789abcdef"))
    assert request.to_item() == {
        "id": "0123456789abcdef",
        "profile": PROD,
        "requester": REQUESTER,
        "justification": "Deploy the fix for INC-12",
        "duration": 3_600_000_000_000,
        "rule": "prod",
        "required_approvals": 1,
        "status": "pending",
        "created_at": "2026-01-15T03:53:45.120000Z",
        "updated_at": "2026-01-15T03:53:45.120000Z",
        "expires_at": "2026-01-16T03:53:45.120000Z",
        "audit_length": 0,
    }


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("status", "aproved", "status"),
        ("id", 7, "id"),
        ("created_at", "2026-01-15 03:53:45", "created_at"),
        ("created_at", "2026-01-15T03:53:45.120000Z\n", "created_at"),
        ("created_at", 1_700_000_000, "created_at"),
        ("created_at", A_MOMENT.replace(tzinfo=None), "created_at"),
        ("created_at", "9999-12-31T23:59:59.000000Z", "time to decide"),
        ("duration", "1h", "duration"),
        ("duration", 10**400, "duration"),
        ("duration", 1.5, "duration"),
        ("approvals", [{"approver": "bob", "at": "2026-01-15T03:53:45.120000Z"}], "user"),
        ("approvals", [{"approver": "U0BOB"}], r"approvals\.0\.at"),
        ("required_approvals", None, "required_approvals"),
        ("approver", "somebody", "is not a user, a policy rule or the clock"),
    ],
)
def test_unreadable_item_is_named_with_its_first_fault_in_a_line(name: str, value: object, fault: str) -> None:
    item = {**a_request().to_item(), name: value}
    with pytest.raises(MalformedRecord, match=fault) as error:
        Request.from_item(item)
    assert error.value.record == f"REQUEST#{item['id']}"
    assert "\n" not in str(error.value)


def test_item_without_id_or_with_an_endless_window_is_malformed() -> None:
    with pytest.raises(MalformedRecord, match=r"REQUEST#\? cannot be read: id: Field required"):
        Request.from_item({name: value for name, value in a_request().to_item().items() if name != "id"})
    last = "9999-12-31T23:59:59.000000Z"
    approved = STATES["approved"][0].to_item()
    with pytest.raises(MalformedRecord):
        Request.from_item({**approved, "decided_at": last, "access_ends_at": last})


def test_content_digest_covers_all_but_the_place_in_the_chain() -> None:
    request = ONE_VOTE
    assert request.replace(audit_head="abc", audit_length=7).content_digest() == request.content_digest()
    assert request.content_digest(request.to_item()) == request.content_digest()
    assert request.replace(justification="Deploy the fix for INC-13").content_digest() != request.content_digest()
    assert request.replace(updated_at=EARLY).content_digest() != request.content_digest()


# Votes that lapse


def test_lapsed_vote_stays_and_counts_no_more() -> None:
    voted = ONE_VOTE.approve(SECOND_APPROVER, EARLY + TICK, lapsed={APPROVER: "no longer an approver"})
    assert voted.status is PENDING
    first, second = voted.approvals
    assert (first.approver, first.at, first.lapsed_at, first.lapsed_reason) == (
        APPROVER,
        ONE_VOTE.approvals[0].at,
        EARLY + TICK,
        "no longer an approver",
    )
    assert voted.counting_approvals == (second,)
    assert not voted.has_approval_by(APPROVER)


def test_person_whose_vote_lapsed_may_vote_again() -> None:
    voted = ONE_VOTE.approve(SECOND_APPROVER, EARLY, lapsed={APPROVER: "no longer an approver"})
    approved = voted.approve(APPROVER, EARLY + TICK)
    assert [vote.counts for vote in approved.approvals] == [False, True, True]
    assert approved.access_ends_at is not None


def test_stricter_quorum_holds_and_never_falls_again() -> None:
    raised = ONE_VOTE.approve(SECOND_APPROVER, EARLY, quorum=3)
    assert (raised.status, raised.quorum, raised.required_approvals) == (PENDING, 3, 2)
    approved = raised.approve(THIRD, EARLY + TICK, quorum=2)
    assert (approved.quorum, approved.status) == (3, APPROVED)


def test_lower_quorum_changes_nothing() -> None:
    voted = a_request(required_approvals=2).approve(APPROVER, EARLY, quorum=1)
    assert (voted.status, voted.quorum, voted.raised_approvals) == (PENDING, 2, None)


def test_store_would_notice_a_quorum_that_falls() -> None:
    raised = ONE_VOTE.approve(SECOND_APPROVER, EARLY, quorum=4)
    lower = raised.replace(raised_approvals=3)
    assert lower.find_lost(raised.to_item()) == ("raised_approvals",)
    assert raised.find_lost(raised.to_item()) == ()
