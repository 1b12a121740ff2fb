from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.actor import UserId
from core.break_glass import MAX_DURATION, BreakGlassEvent, EventId, EventStatus
from core.clock import TICK
from core.errors import InvalidInput, InvalidStateTransition, MalformedRecord, NotAllowed
from core.review import Review, Verdict
from tests.builders import APPROVER, HOUR, INVOKER, REVIEWER, a_reviewed_event, an_event
from tests.core.strategies import durations, legible_texts, moments
from tests.harness.clock import A_MOMENT

ACTIVE, CLOSED, EXPIRED = EventStatus

EARLY: Final = A_MOMENT + HOUR / 2
DEADLINE: Final = A_MOMENT + HOUR
LATE: Final = DEADLINE + HOUR
NOTES: Final = "The runbook left no other way"

LIVE: Final = an_event()
SHUT: Final = LIVE.close(APPROVER, EARLY, "it is up again")
STATES: Final[dict[str, tuple[BreakGlassEvent, datetime]]] = {
    "active": (LIVE, EARLY),
    "asked": (LIVE.ask(EARLY), EARLY),
    "overdue": (LIVE, LATE),
    "closed": (SHUT, LATE),
    "expired": (LIVE.expire(DEADLINE), LATE),
    "closed and reminded": (SHUT.remind(LATE), LATE),
    "expired and reminded": (LIVE.expire(DEADLINE).remind(LATE), LATE),
    "closed and reviewed": (a_reviewed_event(SHUT, now=LATE), LATE + HOUR),
    "expired and reviewed": (a_reviewed_event(LIVE.expire(DEADLINE), now=LATE), LATE + HOUR),
}
EVENTS: Final[dict[str, Callable[[BreakGlassEvent, datetime], BreakGlassEvent]]] = {
    "close": lambda event, now: event.close(APPROVER, now, "it is up again, I said"),
    "close by another": lambda event, now: event.close(INVOKER, now, "done with it"),
    "expire": lambda event, now: event.expire(now),
    "ask": lambda event, now: event.ask(now),
    "remind": lambda event, now: event.remind(now + HOUR),
    "review": lambda event, now: event.add_review(REVIEWER, now, Verdict.NOT_JUSTIFIED, NOTES),
    "review by another": lambda event, now: event.add_review(APPROVER, now, Verdict.NOT_JUSTIFIED, NOTES),
}
SAME = "the very same record"
REFUSED = "InvalidStateTransition"
GAINS_REVIEW = "gains its review"
IS_ASKED = "the invoker is asked"
IS_REMINDED = "the reviewers are reminded"
GAINS: Final = {GAINS_REVIEW: "review", IS_ASKED: "asked_at", IS_REMINDED: "reminded_at"}
TABLE: Final[dict[str, dict[str, str]]] = {
    "active": {
        "close": CLOSED,
        "close by another": CLOSED,
        "expire": REFUSED,
        "ask": IS_ASKED,
        "remind": REFUSED,
        "review": REFUSED,
        "review by another": REFUSED,
    },
    "asked": {
        "close": CLOSED,
        "close by another": CLOSED,
        "expire": REFUSED,
        "ask": SAME,
        "remind": REFUSED,
        "review": REFUSED,
        "review by another": REFUSED,
    },
    "overdue": dict.fromkeys(EVENTS, REFUSED) | {"expire": EXPIRED},
    "closed": {
        "close": SAME,
        "close by another": REFUSED,
        "expire": REFUSED,
        "ask": REFUSED,
        "remind": IS_REMINDED,
        "review": GAINS_REVIEW,
        "review by another": GAINS_REVIEW,
    },
    "expired": {
        "close": REFUSED,
        "close by another": REFUSED,
        "expire": SAME,
        "ask": REFUSED,
        "remind": IS_REMINDED,
        "review": GAINS_REVIEW,
        "review by another": GAINS_REVIEW,
    },
    "closed and reviewed": {
        "close": SAME,
        "close by another": REFUSED,
        "expire": REFUSED,
        "ask": REFUSED,
        "remind": REFUSED,
        "review": SAME,
        "review by another": REFUSED,
    },
    "expired and reviewed": {
        "close": REFUSED,
        "close by another": REFUSED,
        "expire": SAME,
        "ask": REFUSED,
        "remind": REFUSED,
        "review": SAME,
        "review by another": REFUSED,
    },
}
# Reminders change nothing of what may happen.
TABLE["closed and reminded"] = TABLE["closed"]
TABLE["expired and reminded"] = TABLE["expired"]
STATUS_WHEN_ENDING: Final = {
    "active": "active",
    "asked": "active",
    "closed and reminded": "closed",
    "expired and reminded": "expired",
    "overdue": "expired",
    "closed": "closed",
    "expired": "expired",
    "closed and reviewed": "closed",
    "expired and reviewed": "expired",
}
ENDED: Final[dict[str, tuple[str | None, datetime | None]]] = {
    "active": (None, None),
    "asked": (None, None),
    "closed and reminded": (APPROVER, EARLY),
    "expired and reminded": (None, DEADLINE),
    "overdue": (None, DEADLINE),
    "closed": (APPROVER, EARLY),
    "expired": (None, DEADLINE),
    "closed and reviewed": (APPROVER, EARLY),
    "expired and reviewed": (None, DEADLINE),
}


def test_table_has_every_state_with_every_event() -> None:
    assert {(state, event) for state, row in TABLE.items() for event in row} == {
        (state, event) for state in STATES for event in EVENTS
    }


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_each_event_in_each_state_leads_where_the_table_says(state: str, event: str) -> None:
    record, now = STATES[state]
    before = record.model_dump()
    expected = TABLE[state][event]
    if expected == REFUSED:
        with pytest.raises(InvalidStateTransition) as refusal:
            EVENTS[event](record, now)
        error = refusal.value
        assert error.record == record.chain
        if event in {"ask", "remind"}:
            is_reviewed = event == "remind" and record.review is not None
            status = "active" if event == "remind" and state == "overdue" else STATUS_WHEN_ENDING[state]
            assert (error.status, error.wanted) == ("reviewed" if is_reviewed else status, f"{event}ed")
        elif not event.startswith("review"):
            assert (error.status, error.wanted) == (
                STATUS_WHEN_ENDING[state],
                "expired" if event == "expire" else CLOSED,
            )
            assert (error.decided_by, error.decided_at) == ENDED[state]
        elif record.review is not None:
            assert (error.status, error.wanted) == ("reviewed", "reviewed")
            assert (error.decided_by, error.decided_at) == (REVIEWER, LATE)
        else:
            assert (error.status, error.wanted, error.reason) == ("active", "reviewed", "it has not ended")
    elif expected == SAME:
        assert EVENTS[event](record, now) is record
    elif expected in GAINS:
        after = EVENTS[event](record, now)
        assert set(_changes(record, after)) == {GAINS[expected]}
    else:
        assert EVENTS[event](record, now).status == expected
    assert record.model_dump() == before


def _changes(before: BreakGlassEvent, after: BreakGlassEvent) -> dict[str, object]:
    return {name: value for name, value in after if value != getattr(before, name)}


def test_close_says_who_when_and_why_and_changes_nothing_else() -> None:
    assert _changes(LIVE, SHUT) == {
        "status": CLOSED,
        "closed_by": APPROVER,
        "closed_reason": "it is up again",
        "closed_at": EARLY,
    }


def test_expiry_changes_the_status_alone() -> None:
    assert _changes(LIVE, LIVE.expire(LATE)) == {"status": EXPIRED}


def test_review_says_who_when_and_what_was_found() -> None:
    reviewed = SHUT.add_review(REVIEWER, LATE, Verdict.PARTLY_JUSTIFIED, NOTES, "https://example.com/INC-12")
    assert reviewed.review == Review(
        reviewer=REVIEWER,
        at=LATE,
        verdict=Verdict.PARTLY_JUSTIFIED,
        notes=NOTES,
        follow_up="https://example.com/INC-12",
    )


@pytest.mark.parametrize(("state", "event"), [(state, event) for state in STATES for event in EVENTS])
def test_fixed_fields_of_an_event_are_changed_by_no_transition(state: str, event: str) -> None:
    record, now = STATES[state]
    if TABLE[state][event] != REFUSED:
        after = EVENTS[event](record, now)
        item, item_after = record.to_item(), after.to_item()
        fixed = set(item) - {"status", "reminded_at"}
        assert {name: item_after.get(name) for name in fixed} == {name: item[name] for name in fixed}


def test_retention_grows_with_the_end_and_the_review() -> None:
    when_invoked = {
        name: value
        for name, value in LIVE.to_item().items()
        if name not in {"id", "updated_at", "status", "audit_length"}
    }
    unset: dict[str, object] = {"mfa_method": None, "declared_in": None, "instead_of": None, "rights": None}
    unset |= {"access_problem": None}
    assert LIVE.facts_to_keep() == SHUT.facts_to_keep() == {**when_invoked, **unset, "asked_at": None}
    when_ended = {
        **SHUT.facts_to_keep(),
        "closed_by": APPROVER,
        "closed_reason": "it is up again",
        "closed_at": SHUT.to_item()["closed_at"],
        "review": None,
    }
    assert a_reviewed_event(SHUT).facts_to_keep() == SHUT.remind(LATE).facts_to_keep() == when_ended


def test_invoker_is_asked_once_and_an_end_keeps_when() -> None:
    asked, _ = STATES["asked"]
    at = asked.to_item()["asked_at"]
    assert asked.facts_to_keep()["asked_at"] is None, "the stored event has not been asked about yet"
    assert asked.close(INVOKER, EARLY, "done with it").facts_to_keep()["asked_at"] == at
    assert asked.expire(LATE).facts_to_keep()["asked_at"] == at
    assert asked.expire(LATE).remind(LATE).facts_to_keep()["asked_at"] == at


def test_each_end_replaces_only_an_active_event() -> None:
    assert {state: record.legal_sources() for state, (record, _) in STATES.items()} == {
        "active": frozenset(),
        "asked": {ACTIVE},
        "overdue": frozenset(),
        "closed": {ACTIVE},
        "expired": {ACTIVE},
        "closed and reminded": {CLOSED},
        "expired and reminded": {EXPIRED},
        "closed and reviewed": {CLOSED},
        "expired and reviewed": {EXPIRED},
    }


def test_event_waits_for_its_review_from_its_recorded_end_on() -> None:
    waiting = {"closed", "expired", "closed and reminded", "expired and reminded"}
    assert {state for state, (record, _) in STATES.items() if record.is_waiting_for_review} == waiting


# Boundary times


def test_event_grants_and_can_be_closed_one_tick_before_its_end() -> None:
    now = DEADLINE - TICK
    assert LIVE.is_granting(now)
    assert not LIVE.is_overdue(now)
    assert LIVE.close(INVOKER, now, "done with it").closed_at == now
    with pytest.raises(InvalidStateTransition, match="it has time left"):
        LIVE.expire(now)


def test_event_grants_nothing_and_can_only_expire_at_its_end() -> None:
    assert not LIVE.is_granting(DEADLINE)
    assert LIVE.is_overdue(DEADLINE)
    assert LIVE.expire(DEADLINE).status is EXPIRED
    with pytest.raises(InvalidStateTransition) as refusal:
        LIVE.close(INVOKER, DEADLINE, "done with it")
    assert refusal.value.status == "expired"


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"active", "asked"}])
def test_ended_event_grants_nothing_even_to_a_clock_gone_back(state: str) -> None:
    record, now = STATES[state]
    assert not record.is_granting(now)
    if record.status is not ACTIVE:
        assert not record.is_granting(A_MOMENT)


def test_event_is_kept_until_its_review_however_long_that_takes() -> None:
    assert {state: record.life_ends_at() for state, (record, _) in STATES.items()} == {
        "active": None,
        "asked": None,
        "overdue": None,
        "closed": None,
        "expired": None,
        "closed and reminded": None,
        "expired and reminded": None,
        "closed and reviewed": LATE,
        "expired and reviewed": LATE,
    }


@pytest.mark.parametrize("state", STATES)
def test_invoker_reviews_their_own_event_in_no_state(state: str) -> None:
    record, now = STATES[state]
    with pytest.raises(NotAllowed, match="nobody reviews their own") as refusal:
        record.add_review(INVOKER, now, Verdict.JUSTIFIED, NOTES)
    assert refusal.value.action == "review"


# Records


def test_record_is_frozen_and_so_is_its_review() -> None:
    record, _ = STATES["closed and reviewed"]
    with pytest.raises(ValidationError, match="frozen"):
        record.closed_by = INVOKER  # type: ignore[misc]
    assert record.review is not None
    with pytest.raises(ValidationError, match="frozen"):
        record.review.verdict = Verdict.NOT_JUSTIFIED  # type: ignore[misc]


BROKEN: Final[list[tuple[str, str, dict[str, object]]]] = [
    ("the window lasts for the duration", "active", {"expires_at": LATE}),
    ("the window lasts for the duration", "closed", {"duration": 2 * HOUR}),
    ("a closed event says who, when and why", "closed", {"closed_by": None}),
    ("a closed event says who, when and why", "closed", {"closed_reason": None}),
    ("a closed event says who, when and why", "closed", {"closed_at": None}),
    ("a closed event says who, when and why", "expired", {"closed_by": APPROVER}),
    ("a closed event says who, when and why", "active", {"closed_at": EARLY}),
    ("a verified step-up names its method", "active", {"mfa_verified": True}),
    ("a verified step-up names its method", "active", {"mfa_method": "totp"}),
    ("only an ended event has reminders", "active", {"reminded_at": LATE}),
    (
        "only an ended event has a review",
        "closed and reviewed",
        {"status": ACTIVE, **dict.fromkeys(("closed_by", "closed_reason", "closed_at"))},
    ),
    ("nobody reviews their own event", "closed and reviewed", {"invoker": REVIEWER}),
]


def test_every_consistency_rule_has_a_violation_here() -> None:
    assert {rule for _, rule in LIVE._consistency()} == {rule for rule, _, _ in BROKEN}  # noqa: SLF001  The whole list.


@pytest.mark.parametrize(("rule", "state", "changes"), BROKEN)
def test_record_that_breaks_a_rule_cannot_be_made_or_read(rule: str, state: str, changes: dict[str, object]) -> None:
    record, _ = STATES[state]
    with pytest.raises(ValidationError, match=rule):
        record.replace(**changes)
    stored = {name: each for name, each in record.__dict__.items() if name not in record.BESIDE}
    with pytest.raises(MalformedRecord, match=rule):
        BreakGlassEvent.from_item({**stored, **changes})


@pytest.mark.parametrize(
    ("field", "made_of", "fix"),
    [
        ("duration", {"duration": timedelta()}, "more than 0 and at most 4h"),
        ("duration", {"duration": -HOUR}, "more than 0 and at most 4h"),
        ("duration", {"duration": MAX_DURATION + TICK}, "more than 0 and at most 4h"),
        ("duration", {"duration": False}, "Give a timedelta"),
        ("duration", {"duration": 0.5}, "Give a timedelta"),
        ("created_at", {"now": A_MOMENT.replace(tzinfo=None)}, "datetime.now(UTC)"),
        ("rule", {"rule": ""}, "Write 1 to 100"),
        ("mfa method", {"mfa_method": ""}, "Write 1 to 100"),
        ("id", {"event_id": EventId("not an id")}, "16 digits"),
        ("user", {"invoker": UserId("B0BOT")}, "U0AB12CD3"),
        ("profile", {"profile": "../prod"}, "letters, digits"),
        ("justification", {"justification": "x" * 19}, "at least 20"),
        ("justification", {"justification": "x" * 1001}, "Shorten it to 1000"),
        ("justification", {"justification": "\u200b" * 30}, "Write 20 to 1000"),
        ("justification", {"justification": "The checkout is \u202e down"}, "Remove it"),
        ("justification", {"justification": "The checkout is \udfff down"}, "Remove it"),
        ("justification", {"justification": "The checkout is \x1b[2J down"}, "Remove it"),
    ],
)
def test_value_out_of_bounds_is_refused_with_field_and_fix(field: str, made_of: dict[str, Any], fix: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        an_event(**made_of)
    assert refusal.value.field == field
    assert fix in refusal.value.fix


def test_value_just_within_bounds_is_taken() -> None:
    assert an_event(duration=MAX_DURATION).expires_at == A_MOMENT + MAX_DURATION
    assert an_event(duration=TICK).expires_at == A_MOMENT + TICK
    assert len(an_event(justification="x" * 20).justification) == 20
    assert len(an_event(justification="x" * 1000).justification) == 1000


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("reason", lambda: LIVE.close(INVOKER, EARLY, "ok")),
        ("reason", lambda: LIVE.close(INVOKER, EARLY, "x" * 501)),
        ("user", lambda: LIVE.close(UserId("bob"), EARLY, "done with it")),
        ("user", lambda: SHUT.add_review(UserId("bob"), LATE, Verdict.JUSTIFIED, NOTES)),
        ("notes", lambda: SHUT.add_review(REVIEWER, LATE, Verdict.JUSTIFIED, "fine")),
        ("notes", lambda: SHUT.add_review(REVIEWER, LATE, Verdict.JUSTIFIED, "x" * 2001)),
        ("follow-up link", lambda: SHUT.add_review(REVIEWER, LATE, Verdict.JUSTIFIED, NOTES, "none")),
        ("at", lambda: SHUT.add_review(REVIEWER, LATE.replace(tzinfo=None), Verdict.JUSTIFIED, NOTES)),
    ],
)
def test_texts_of_others_are_checked_too(field: str, change: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        change()
    assert refusal.value.field == field


# The stored form


@given(
    now=moments,
    text=legible_texts,
    duration=durations(MAX_DURATION),
    mfa_method=st.none() | st.sampled_from(["totp", "push"]),
    end=st.sampled_from(["none", "close", "expire"]),
    verdict=st.none() | st.sampled_from(Verdict),
    follow_up=st.none() | legible_texts,
)
def test_from_item_reads_back_exactly_what_to_item_wrote(
    now: datetime,
    text: str,
    duration: timedelta,
    mfa_method: str | None,
    end: str,
    verdict: Verdict | None,
    follow_up: str | None,
) -> None:
    event = an_event(now=now, justification=text, duration=duration, mfa_method=mfa_method)
    if end != "none":
        event = event.close(APPROVER, now, text) if end == "close" else event.expire(now + duration)
        if verdict is not None:
            event = event.add_review(REVIEWER, now, verdict, text, follow_up)
    item = event.to_item()
    assert BreakGlassEvent.from_item(item) == event
    assert BreakGlassEvent.from_item(item).to_item() == item
    assert not [name for name, value in item.items() if value in ("", None, [])]


def test_stored_text_is_read_as_an_older_version_wrote_it() -> None:
    hidden = "INC-12: the checkout is down\U000e0061\u200b\u200b"
    item = {**an_event().to_item(), "justification": hidden}
    assert BreakGlassEvent.from_item(item).justification == hidden


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("status", "ended", "status"),
        ("reason_code", "boredom", "reason_code"),
        ("request_id", "0123", "id"),
        ("expires_at", "9999-12-31T23:59:59.999999Z", "the window lasts for the duration"),
        ("review", {"reviewer": REVIEWER}, r"review\.at"),
    ],
)
def test_unreadable_item_is_named_with_its_first_fault(name: str, value: object, fault: str) -> None:
    item = {**LIVE.to_item(), name: value}
    with pytest.raises(MalformedRecord, match=fault) as error:
        BreakGlassEvent.from_item(item)
    assert error.value.record == LIVE.chain


def test_item_whose_window_ends_after_time_itself_is_malformed() -> None:
    last = "9999-12-31T23:59:59.999999Z"
    with pytest.raises(MalformedRecord):
        BreakGlassEvent.from_item({**LIVE.to_item(), "created_at": last, "expires_at": last})


def test_each_event_gets_ids_of_its_own() -> None:
    assert (
        len({identity for _ in range(50) for event in [an_event()] for identity in (event.id, event.request_id)}) == 100
    )
