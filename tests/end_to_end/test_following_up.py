"""Broken glass in Slack afterwards: seen, closed and reviewed by those who may, each click judged anew."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.break_glass.card import CLOSE, REVIEW, TIMELINE
from bot.views.break_glass.list import OLDER
from core.break_glass import EventId, EventStatus
from core.review import Verdict
from localslack.records import Person
from tests.end_to_end.stage import (
    AIKO,
    JON,
    MIRA,
    SAM,
    Harness,
    said,
    text_of,
)

if TYPE_CHECKING:
    from core.break_glass import BreakGlassEvent

CLOSED_BECAUSE = {"reason": {"answer": "the replica took over"}}
FOUND = {
    "verdict": {"answer": "justified"},
    "notes": {"answer": "The runbook was followed, see INC-13"},
    "follow-up link": {"answer": "https://incidents.example/13"},
}


def stored(stage: Harness, event: BreakGlassEvent) -> BreakGlassEvent:
    return stage.stores.break_glass.get(EventId(event.id))


def press_in_list(stage: Harness, user: str, which: str, button: str) -> None:
    """Press a button of the event that a list shows."""
    stage.break_glass(user, which)
    stage.slack.press(user, stage.slack.ephemerals(user)[-1], button)
    stage.told(user)


@pytest.mark.parametrize("user", [SAM, JON])
def test_invoker_or_an_approver_closes_an_event_with_a_reason(stage: Harness, user: str) -> None:
    event = stage.declare()
    press_in_list(stage, user, "active", CLOSE)
    answer = stage.slack.submit(user, stage.modal(user), CLOSED_BECAUSE)

    assert "Closed." in said(answer)
    ended = stored(stage, event)
    assert (ended.status, ended.closed_by, ended.closed_reason) == (
        EventStatus.CLOSED,
        user,
        "the replica took over",
    )


def test_empty_reason_is_reported_in_its_field(stage: Harness) -> None:
    event = stage.declare()
    press_in_list(stage, JON, "active", CLOSE)
    short = stage.slack.submit(JON, stage.modal(JON), {"reason": {"answer": "ok "}})
    assert "Write at least 3" in short.errors["reason"]
    stage.break_glass(JON, f"close {event.id} it is up again")
    press_in_list(stage, AIKO, "reviews", REVIEW)
    short = stage.slack.submit(AIKO, stage.modal(AIKO), {**FOUND, "notes": {"answer": f"fine{10 * ' '}"}})

    assert "Write at least 10" in short.errors["notes"]
    assert stored(stage, event).review is None


def test_command_closes_it_too_and_a_second_one_names_the_first(stage: Harness) -> None:
    event = stage.declare()
    assert "Closed." in said(stage.break_glass(JON, f"close {event.id} it is up again"))
    stage.clock.advance(timedelta(minutes=2))
    again = said(stage.break_glass(SAM, f"close {event.id} it is up again"))

    assert f"already closed by <@{JON}> 2 minutes ago" in again
    assert stored(stage, event).closed_by == JON


def test_a_close_after_the_end_says_that_its_time_had_passed(stage: Harness) -> None:
    event = stage.declare()
    stage.clock.advance(timedelta(hours=2))
    answer = said(stage.break_glass(SAM, f"close {event.id} it is up again"))

    assert "This expired" in answer
    assert stored(stage, event).status is EventStatus.EXPIRED


def test_event_is_closed_and_seen_by_nobody_else(stage: Harness) -> None:
    event = stage.declare(MIRA)

    assert "You can't do this" in said(stage.break_glass(SAM, f"close {event.id} it is up again"))
    assert event.id not in said(stage.break_glass(SAM, "active"))
    assert stored(stage, event).status is EventStatus.ACTIVE


def test_an_ended_event_waits_for_the_review_of_somebody_else(stage: Harness) -> None:
    event = stage.declare()
    stage.break_glass(SAM, f"close {event.id} it is up again")
    assert event.id not in said(stage.break_glass(SAM, "reviews"))
    press_in_list(stage, JON, "reviews", REVIEW)
    answer = stage.slack.submit(JON, stage.modal(JON), FOUND)

    assert "Review recorded: justified." in said(answer)
    review = stored(stage, event).review
    assert review is not None
    assert (review.reviewer, review.verdict, review.follow_up) == (
        JON,
        Verdict.JUSTIFIED,
        "https://incidents.example/13",
    )
    assert event.id not in said(stage.break_glass(AIKO, "reviews"))


def test_invoker_does_not_review_their_own_event(stage: Harness) -> None:
    event = stage.declare(MIRA)
    stage.break_glass(MIRA, f"close {event.id} it is up again")
    press_in_list(stage, JON, "reviews", REVIEW)
    sent = stage.slack.submit(JON, stage.modal(JON), {**FOUND, "notes": {"answer": "no"}}).payload
    forged = {**sent, "user": {**sent["user"], "id": MIRA}, "view": _with_notes(sent["view"])}
    stage.slack.send_forged("interactive", forged)

    assert stored(stage, event).review is None


def test_the_timeline_is_for_those_who_may_act_on_the_event(stage: Harness) -> None:
    event = stage.declare(MIRA)
    stage.break_glass(JON, "active")
    shown = stage.slack.ephemerals(JON)[-1]
    stage.told(JON)
    pressed = stage.slack.press(JON, shown, TIMELINE)
    assert event.request_id in stage.told(JON)
    forged = {**pressed.payload, "user": {**pressed.payload["user"], "id": SAM}}
    told = len(stage.slack.ephemerals(JON)) + len(stage.slack.ephemerals(SAM))
    stage.slack.send_forged("interactive", forged)
    stage.slack.wait_until(lambda: len(stage.slack.ephemerals(JON)) + len(stage.slack.ephemerals(SAM)) > told)

    # The response_url leads to where the button was pressed; what matters is what is said there.
    latest = max([*stage.slack.ephemerals(JON), *stage.slack.ephemerals(SAM)], key=lambda each: each.ts)
    assert "You can't do this" in text_of(latest)


@pytest.mark.parametrize("which", ["active", "reviews"])
def test_person_who_became_a_guest_is_shown_no_list(stage: Harness, which: str) -> None:
    event = stage.declare()
    if which == "reviews":
        stage.break_glass(SAM, f"close {event.id} it is up again")
    assert event.id in said(stage.break_glass(JON, which))
    _make_guest(stage, JON)

    answer = said(stage.break_glass(JON, which))
    assert "guest" in answer
    assert event.id not in answer


def test_person_who_became_a_guest_turns_no_page(stage: Harness) -> None:
    event = stage.declare()
    stage.break_glass(JON, "active")
    pressed = stage.slack.press(JON, stage.slack.ephemerals(JON)[-1], TIMELINE).payload
    stage.told(JON)
    _make_guest(stage, JON)
    turn = {**pressed["actions"][0], "action_id": OLDER, "value": "active:1"}
    stage.slack.send_forged("interactive", {**pressed, "actions": [turn]})

    stage.slack.wait_until(lambda: any("guest" in text_of(each) for each in stage.slack.ephemerals(JON)))
    assert event.id not in str([each.blocks for each in stage.slack.ephemerals(JON) if "guest" in text_of(each)])


def test_home_shows_what_is_live_and_what_waits_for_review(stage: Harness) -> None:
    event = stage.declare(MIRA)
    assert event.id in str(stage.home(MIRA).blocks)
    assert event.id not in str(stage.home(SAM).blocks)
    stage.break_glass(MIRA, f"close {event.id} it is up again")

    assert REVIEW in str(stage.home(JON).blocks)
    stage.slack.press(SAM, stage.home(SAM), "home:break")
    assert stage.modal(SAM).callback_id == "break_glass:form"


def _with_notes(view: dict[str, object]) -> dict[str, object]:
    values = {"notes": {"answer": {"type": "plain_text_input", "value": "It was all fine, I say"}}}
    state = view["state"]
    assert isinstance(state, dict)
    return {**view, "state": {**state, "values": {**state["values"], **values}}}


def _make_guest(stage: Harness, user: str) -> None:
    """Somebody becomes a guest, and Slack's event about it is lost."""
    stage.slack.workspace.add(Person(id=user, name=user[2:].lower(), is_restricted=True))
    stage.clock.advance(timedelta(minutes=10))
