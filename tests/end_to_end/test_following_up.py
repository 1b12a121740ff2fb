"""Break-glass follow-up in Slack: listed, closed and reviewed by those who may, each click judged again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.break_glass.card import CLOSE, REVIEW, TIMELINE
from bot.views.break_glass.list import OLDER
from core.break_glass import EventId, EventStatus
from core.review import Verdict
from localslack.records import Person
from tests.end_to_end.harness import (
    AIKO,
    EMERGENCY,
    JON,
    MIRA,
    SAM,
    Harness,
    said,
    text_of,
    walk_text,
)

if TYPE_CHECKING:
    from core.break_glass import BreakGlassEvent

CLOSED_BECAUSE = {"reason": {"answer": "the replica took over"}}
FOUND = {
    "verdict": {"answer": "justified"},
    "notes": {"answer": "The runbook was followed, see INC-13"},
    "follow-up link": {"answer": "https://incidents.example/13"},
}


def stored(harness: Harness, event: BreakGlassEvent) -> BreakGlassEvent:
    return harness.stores.break_glass.get(EventId(event.id))


def press_in_list(harness: Harness, user: str, which: str, button: str) -> None:
    """Press a button of the event that a list shows."""
    harness.break_glass(user, which)
    harness.next_reply(user)
    harness.slack.press(user, harness.slack.ephemerals(user)[-1], button)


@pytest.mark.parametrize("user", [SAM, JON])
def test_invoker_or_an_approver_closes_an_event_with_a_reason(harness: Harness, user: str) -> None:
    event = harness.declare()
    press_in_list(harness, user, "active", CLOSE)
    form = harness.modal(user)
    assert EMERGENCY in " ".join(walk_text(form.blocks))
    answer = harness.slack.submit(user, form, CLOSED_BECAUSE)

    assert answer.view is None
    assert harness.reads(user, "Closed.")
    ended = stored(harness, event)
    assert (ended.status, ended.closed_by, ended.closed_reason) == (
        EventStatus.CLOSED,
        user,
        "the replica took over",
    )


def test_empty_reason_is_reported_in_its_field(harness: Harness) -> None:
    event = harness.declare()
    press_in_list(harness, JON, "active", CLOSE)
    short = harness.slack.submit(JON, harness.modal(JON), {"reason": {"answer": "ok "}})
    assert "Write at least 3" in short.errors["reason"]
    harness.break_glass(JON, f"close {event.id} it is up again")
    press_in_list(harness, AIKO, "reviews", REVIEW)
    short = harness.slack.submit(AIKO, harness.modal(AIKO), {**FOUND, "notes": {"answer": f"fine{10 * ' '}"}})

    assert "Write at least 10" in short.errors["notes"]
    assert stored(harness, event).review is None


def test_command_closes_it_too_and_a_second_one_names_the_first(harness: Harness) -> None:
    event = harness.declare()
    assert "Closed." in said(harness.break_glass(JON, f"close {event.id} it is up again"))
    harness.clock.advance(timedelta(minutes=2))
    again = said(harness.break_glass(SAM, f"close {event.id} it is up again"))

    assert f"already closed by <@{JON}> 2 minutes ago" in again
    assert stored(harness, event).closed_by == JON


def test_close_after_the_end_says_that_its_time_had_passed(harness: Harness) -> None:
    event = harness.declare()
    harness.clock.advance(timedelta(hours=2))
    answer = said(harness.break_glass(SAM, f"close {event.id} it is up again"))

    assert "This expired" in answer
    assert stored(harness, event).status is EventStatus.EXPIRED


def test_event_is_closed_and_seen_by_nobody_else(harness: Harness) -> None:
    event = harness.declare(MIRA)

    assert "You can't do this" in said(harness.break_glass(SAM, f"close {event.id} it is up again"))
    assert event.id not in said(harness.break_glass(SAM, "active"))
    assert stored(harness, event).status is EventStatus.ACTIVE


def test_ended_event_waits_for_the_review_of_somebody_else(harness: Harness) -> None:
    event = harness.declare()
    harness.break_glass(SAM, f"close {event.id} it is up again")
    assert event.id not in said(harness.break_glass(SAM, "reviews"))
    press_in_list(harness, JON, "reviews", REVIEW)
    harness.slack.submit(JON, harness.modal(JON), FOUND)

    assert harness.reads(JON, "Review recorded: justified.")
    review = stored(harness, event).review
    assert review is not None
    assert (review.reviewer, review.verdict, review.follow_up) == (
        JON,
        Verdict.JUSTIFIED,
        "https://incidents.example/13",
    )
    assert event.id not in said(harness.break_glass(AIKO, "reviews"))


def test_invoker_does_not_review_their_own_event(harness: Harness) -> None:
    event = harness.declare(MIRA)
    harness.break_glass(MIRA, f"close {event.id} it is up again")
    press_in_list(harness, JON, "reviews", REVIEW)
    sent = harness.slack.submit(JON, harness.modal(JON), {**FOUND, "notes": {"answer": "no"}}).payload
    forged = {**sent, "user": {**sent["user"], "id": MIRA}, "view": _with_notes(sent["view"])}
    harness.slack.send_forged("interactive", forged)

    assert stored(harness, event).review is None


def test_timeline_is_for_those_who_may_act_on_the_event(harness: Harness) -> None:
    event = harness.declare(MIRA)
    harness.break_glass(JON, "active")
    shown = harness.slack.ephemerals(JON)[-1]
    harness.next_reply(JON)
    pressed = harness.slack.press(JON, shown, TIMELINE)
    assert event.id in harness.next_reply(JON)
    forged = {**pressed.payload, "user": {**pressed.payload["user"], "id": SAM}}
    told = len(harness.slack.ephemerals(JON)) + len(harness.slack.ephemerals(SAM))
    harness.slack.send_forged("interactive", forged)
    harness.slack.wait_until(lambda: len(harness.slack.ephemerals(JON)) + len(harness.slack.ephemerals(SAM)) > told)

    # The response_url leads to where the button was pressed; what matters is what is said there.
    latest = max([*harness.slack.ephemerals(JON), *harness.slack.ephemerals(SAM)], key=lambda each: each.ts)
    assert "You can't do this" in text_of(latest)


@pytest.mark.parametrize("which", ["active", "reviews"])
def test_person_who_became_a_guest_is_shown_no_list(harness: Harness, which: str) -> None:
    event = harness.declare()
    if which == "reviews":
        harness.break_glass(SAM, f"close {event.id} it is up again")
    assert event.id in said(harness.break_glass(JON, which))
    _make_guest(harness, JON)

    answer = said(harness.break_glass(JON, which))
    assert "guest" in answer
    assert event.id not in answer


def test_person_who_became_a_guest_turns_no_page(harness: Harness) -> None:
    event = harness.declare()
    harness.break_glass(JON, "active")
    pressed = harness.slack.press(JON, harness.slack.ephemerals(JON)[-1], TIMELINE).payload
    harness.next_reply(JON)
    _make_guest(harness, JON)
    turn = {**pressed["actions"][0], "action_id": OLDER, "value": "active:1"}
    harness.slack.send_forged("interactive", {**pressed, "actions": [turn]})

    harness.slack.wait_until(lambda: any("guest" in text_of(each) for each in harness.slack.ephemerals(JON)))
    assert event.id not in str([each.blocks for each in harness.slack.ephemerals(JON) if "guest" in text_of(each)])


def test_home_shows_what_is_live_and_what_waits_for_review(harness: Harness) -> None:
    event = harness.declare(MIRA)
    assert event.id in str(harness.home(MIRA).blocks)
    assert event.id not in str(harness.home(SAM).blocks)
    harness.break_glass(MIRA, f"close {event.id} it is up again")

    assert REVIEW in str(harness.home(JON).blocks)
    harness.slack.press(SAM, harness.home(SAM), "home:break")
    assert harness.modal(SAM).callback_id == "break_glass:form"


def _with_notes(view: dict[str, object]) -> dict[str, object]:
    values = {"notes": {"answer": {"type": "plain_text_input", "value": "It was all fine, I say"}}}
    state = view["state"]
    assert isinstance(state, dict)
    return {**view, "state": {**state, "values": {**state["values"], **values}}}


def _make_guest(harness: Harness, user: str) -> None:
    """Somebody becomes a guest, and Slack's event about it is lost."""
    harness.slack.workspace.add(Person(id=user, name=user[2:].lower(), is_restricted=True))
    harness.clock.advance(timedelta(minutes=10))
