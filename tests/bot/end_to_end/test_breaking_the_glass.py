"""Break-glass in Slack: declared at once or by the form, limited, closed, reviewed; each click judged anew."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.blocks.break_glass_card import CLOSE, REVIEW, TIMELINE
from bot.blocks.break_glass_lists import OLDER
from bot.blocks.request_card import DECLARE_INSTEAD
from bot.playground.slack.faults import Stall
from bot.playground.slack.records import Person
from core.actor import UserId
from core.break_glass import EventId, EventStatus
from core.request import RequestStatus
from core.review import Verdict
from tests.bot.end_to_end.stage import (
    ACCESS,
    AIKO,
    EMERGENCY,
    GUEST,
    JON,
    MIRA,
    ROBOT,
    SAM,
    STRANGER,
    Stage,
    text_of,
    walk_text,
)
from tests.bot.end_to_end.test_stalls import a_stalled_store, store_of

if TYPE_CHECKING:
    from pathlib import Path

    from core.break_glass import BreakGlassEvent

CLOSED_BECAUSE = {"reason": {"answer": "the replica took over"}}
FOUND = {
    "verdict": {"answer": "justified"},
    "notes": {"answer": "The runbook was followed, see INC-13"},
    "follow-up link": {"answer": "https://incidents.example/13"},
}


def filled_in(reason: str = "incident", duration: str = "1h", why: str = EMERGENCY) -> dict[str, dict[str, object]]:
    return {
        "profile": {"answer": "prod"},
        "reason": {"answer": reason},
        "duration": {"answer": duration},
        "justification": {"answer": why},
    }


def stored(stage: Stage, event: BreakGlassEvent) -> BreakGlassEvent:
    return stage.stores.break_glass.get(EventId(event.id))


def press_in_list(stage: Stage, user: str, which: str, button: str) -> None:
    """Press a button of the event that a list shows."""
    stage.break_glass(user, which)
    stage.slack.press(user, stage.slack.ephemerals(user)[-1], button)
    stage.told(user)


def said(answer: object) -> str:
    message, view = getattr(answer, "message", None), getattr(answer, "view", None)
    return text_of(message) if message is not None else " ".join(walk_text(view.blocks if view else []))


def test_one_line_gives_access_at_once_and_says_until_when(stage: Stage) -> None:
    answer = stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}")

    (event,) = stage.stores.break_glass.iterate()
    assert (event.invoker, event.status, event.justification) == (SAM, EventStatus.ACTIVE, EMERGENCY)
    assert event.declared_in == ACCESS
    assert "You have `prod` *until" in said(answer)
    assert stage.services.break_glass.find_access(UserId(SAM), event.profile) is not None


def test_the_form_gives_access_too(stage: Stage) -> None:
    stage.break_glass(SAM, "")
    answer = stage.slack.submit(SAM, stage.modal(SAM), filled_in())

    assert "You have `prod` *until" in said(answer)
    assert len(list(stage.stores.break_glass.iterate())) == 1


@pytest.mark.parametrize("way", ["command", "form"])
def test_a_declaration_that_is_delivered_again_is_one(stage: Stage, way: str) -> None:
    if way == "command":
        answer = stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}")
    else:
        stage.break_glass(SAM, "")
        answer = stage.slack.submit(SAM, stage.modal(SAM), filled_in())
    (event,) = stage.stores.break_glass.iterate()
    again = stage.slack.redeliver(answer)

    assert "You have `prod` *until" in again.body
    assert list(stage.stores.break_glass.iterate()) == [event]


def test_only_who_needs_a_code_gets_a_form_for_what_they_typed(stage: Stage) -> None:
    for user in (JON, SAM):
        stage.break_glass(user, "help")
        stage.break_glass(user, "active")
    assert "You have `vault`" in said(stage.break_glass(JON, f"vault incident 1h {EMERGENCY}"))
    stage.break_glass(SAM, f"vault incident 1h {EMERGENCY}")

    form = stage.modal(SAM)
    assert "code" in {block.get("block_id") for block in form.blocks}
    assert EMERGENCY in str(form.blocks)
    assert len(list(stage.stores.break_glass.iterate())) == 1


def test_a_place_that_is_no_channel_keeps_nobody_from_access(stage: Stage) -> None:
    sent = stage.break_glass(SAM, "help").payload
    stage.slack.send_forged(
        "slash_commands", {**sent, "channel_id": "../nowhere", "text": f"prod incident 1h {EMERGENCY}"}
    )

    (event,) = stage.stores.break_glass.iterate()
    assert (event.status, event.declared_in) == (EventStatus.ACTIVE, None)


@pytest.mark.parametrize("user", [JON, GUEST, ROBOT, STRANGER])
def test_who_has_no_right_gets_no_access_and_reads_why(stage: Stage, user: str) -> None:
    answer = stage.break_glass(user, f"prod incident 1h {EMERGENCY}")

    assert "You cannot do this:" in said(answer)
    assert list(stage.stores.break_glass.iterate()) == []


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (f"prod maintenance 1h {EMERGENCY}", "maintenance is not a reason that counts"),
        (f"prod incident 3h {EMERGENCY}", "3h is longer than the 2h that are allowed"),
        ("prod incident 1h why", "Write at least 20, so that a reader can understand."),
        (f"prdo incident 1h {EMERGENCY}", "There is no profile"),
        ("help", "opens the form"),
    ],
)
def test_a_mistake_says_how_to_say_it_right_and_gives_no_access(stage: Stage, typed: str, told: str) -> None:
    assert told in said(stage.break_glass(SAM, typed))
    assert list(stage.stores.break_glass.iterate()) == []


def test_a_limit_says_which_one_and_when_it_ends(stage: Stage) -> None:
    event = stage.declare()
    assert "until" in said(stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))
    stage.services.break_glass.close(EventId(event.id), stage.actor(SAM), "the replica took over")
    again = said(stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))

    assert "cooldown" in again
    assert "30m" in again
    assert len(list(stage.stores.break_glass.iterate())) == 1


def test_a_mistake_in_the_form_stands_in_its_field_and_keeps_what_was_typed(stage: Stage) -> None:
    stage.declare()
    stage.break_glass(SAM, "")
    form = stage.modal(SAM)
    answer = stage.slack.submit(SAM, form, filled_in())

    assert "until" in answer.errors["profile"]
    assert stage.modal(SAM).id == form.id


def test_when_the_store_is_away_nobody_is_told_that_they_have_access(stage: Stage, tmp_path: Path) -> None:
    stage.break_glass(SAM, "help")
    with a_stalled_store(store_of(tmp_path)):
        answer = stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}")
        assert "No access yet" in said(answer)
        told = len(stage.slack.ephemerals(SAM))
    stage.slack.wait_until(lambda: len(stage.slack.ephemerals(SAM)) > told)

    assert "You have `prod`" in text_of(stage.slack.ephemerals(SAM)[-1])


def test_a_form_says_too_that_there_is_no_access_yet(stage: Stage, tmp_path: Path) -> None:
    stage.break_glass(SAM, "")
    form = stage.modal(SAM)
    with a_stalled_store(store_of(tmp_path)):
        assert "No access yet" in said(stage.slack.submit(SAM, form, filled_in()))
    stage.slack.wait_until(lambda: "You have `prod`" in " ".join(walk_text(stage.modal(SAM).blocks)))


def test_the_form_opens_while_slack_does_not_say_who_it_is(stage: Stage) -> None:
    stage.break_glass(SAM, "active")
    stage.clock.advance(timedelta(hours=1))
    stage.slack.faults.next(Stall(), "users.info", times=None)
    stage.break_glass(SAM, "")

    assert stage.modal(SAM).callback_id == "break_glass:form"


def test_when_the_store_cannot_be_reached_the_way_around_it_is_told(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.break_glass(SAM, "help")
    stage.stores.close()
    answer = said(stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))

    assert "No access was given" in answer
    assert "Call the duty manager, who has the sealed envelope." in answer
    assert "a click could not be decided: StoreUnavailable" in caplog.text


@pytest.mark.parametrize("user", [SAM, JON])
def test_its_invoker_or_an_approver_closes_it_with_a_reason(stage: Stage, user: str) -> None:
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


def test_a_reason_that_says_nothing_stands_in_its_field(stage: Stage) -> None:
    event = stage.declare()
    press_in_list(stage, JON, "active", CLOSE)
    short = stage.slack.submit(JON, stage.modal(JON), {"reason": {"answer": "ok "}})
    assert "Write at least 3" in short.errors["reason"]
    stage.break_glass(JON, f"close {event.id} it is up again")
    press_in_list(stage, AIKO, "reviews", REVIEW)
    short = stage.slack.submit(AIKO, stage.modal(AIKO), {**FOUND, "notes": {"answer": f"fine{10 * ' '}"}})

    assert "Write at least 10" in short.errors["notes"]
    assert stored(stage, event).review is None


def test_a_line_closes_it_too_and_a_second_close_says_who_was_first(stage: Stage) -> None:
    event = stage.declare()
    assert "Closed." in said(stage.break_glass(JON, f"close {event.id} it is up again"))
    stage.clock.advance(timedelta(minutes=2))
    again = said(stage.break_glass(SAM, f"close {event.id} it is up again"))

    assert f"already closed by <@{JON}> 2 minutes ago" in again
    assert stored(stage, event).closed_by == JON


def test_a_close_after_the_end_says_that_its_time_had_passed(stage: Stage) -> None:
    event = stage.declare()
    stage.clock.advance(timedelta(hours=2))
    answer = said(stage.break_glass(SAM, f"close {event.id} it is up again"))

    assert "already expired" in answer
    assert stored(stage, event).status is EventStatus.EXPIRED


def test_nobody_else_closes_it_or_sees_it(stage: Stage) -> None:
    event = stage.declare(MIRA)

    assert "You cannot do this" in said(stage.break_glass(SAM, f"close {event.id} it is up again"))
    assert event.id not in said(stage.break_glass(SAM, "active"))
    assert stored(stage, event).status is EventStatus.ACTIVE


def test_an_ended_event_waits_for_the_review_of_somebody_else(stage: Stage) -> None:
    event = stage.declare()
    stage.break_glass(SAM, f"close {event.id} it is up again")
    assert event.id not in said(stage.break_glass(SAM, "reviews"))
    press_in_list(stage, JON, "reviews", REVIEW)
    answer = stage.slack.submit(JON, stage.modal(JON), FOUND)

    assert "Recorded: justified." in said(answer)
    review = stored(stage, event).review
    assert review is not None
    assert (review.reviewer, review.verdict, review.follow_up) == (
        JON,
        Verdict.JUSTIFIED,
        "https://incidents.example/13",
    )
    assert event.id not in said(stage.break_glass(AIKO, "reviews"))


def test_nobody_reviews_their_own_event(stage: Stage) -> None:
    event = stage.declare(MIRA)
    stage.break_glass(MIRA, f"close {event.id} it is up again")
    press_in_list(stage, JON, "reviews", REVIEW)
    sent = stage.slack.submit(JON, stage.modal(JON), {**FOUND, "notes": {"answer": "no"}}).payload
    forged = {**sent, "user": {**sent["user"], "id": MIRA}, "view": _with_notes(sent["view"])}
    stage.slack.send_forged("interactive", forged)

    assert stored(stage, event).review is None


def test_the_timeline_is_for_those_who_may_act_on_the_event(stage: Stage) -> None:
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
    assert "You cannot do this" in text_of(latest)


def test_a_request_that_cannot_wait_is_replaced_by_the_event(stage: Stage) -> None:
    request = stage.ask(MIRA)
    asked = stage.slack.ephemerals(MIRA)[-1]
    stage.slack.press(MIRA, asked, DECLARE_INSTEAD)
    stage.slack.submit(MIRA, stage.modal(MIRA), filled_in())

    (event,) = stage.stores.break_glass.iterate()
    replaced = stage.stored(request)
    assert (replaced.status, replaced.replaced_by) == (RequestStatus.CANCELLED, event.id)
    assert event.instead_of == request.id


def test_the_form_to_replace_a_request_is_for_its_profile_and_opens_without_a_store(stage: Stage) -> None:
    stage.ask(SAM, "vault", "1h")
    stage.slack.press(SAM, stage.slack.ephemerals(SAM)[-1], DECLARE_INSTEAD)
    form = str(stage.modal(SAM).blocks)
    assert "vault" in form
    assert "Production account" not in form
    stage.slack.close(SAM, stage.modal(SAM))
    stage.stores.close()
    stage.slack.press(SAM, stage.slack.ephemerals(SAM)[-1], DECLARE_INSTEAD)

    assert "Production account" in str(stage.modal(SAM).blocks)


def test_nobody_replaces_the_request_of_somebody_else(stage: Stage) -> None:
    request = stage.ask(MIRA)
    pressed = stage.slack.press(MIRA, stage.slack.ephemerals(MIRA)[-1], DECLARE_INSTEAD)
    trigger = stage.slack.backend.tickets.new_trigger(SAM)
    payload = {**pressed.payload, "user": {**pressed.payload["user"], "id": SAM}, "trigger_id": trigger}
    stage.slack.send_forged("interactive", payload)

    assert "nly the requester can replace a request" in stage.told(MIRA)
    assert stage.slack.modal(SAM) is None
    assert stage.status(request) is RequestStatus.PENDING


@pytest.mark.parametrize("which", ["active", "reviews"])
def test_who_became_a_guest_is_shown_no_list(stage: Stage, which: str) -> None:
    event = stage.declare()
    if which == "reviews":
        stage.break_glass(SAM, f"close {event.id} it is up again")
    assert event.id in said(stage.break_glass(JON, which))
    _make_guest(stage, JON)

    answer = said(stage.break_glass(JON, which))
    assert "guest" in answer
    assert event.id not in answer


def test_who_became_a_guest_turns_no_page(stage: Stage) -> None:
    event = stage.declare()
    stage.break_glass(JON, "active")
    pressed = stage.slack.press(JON, stage.slack.ephemerals(JON)[-1], TIMELINE).payload
    stage.told(JON)
    _make_guest(stage, JON)
    turn = {**pressed["actions"][0], "action_id": OLDER, "value": "active:1"}
    stage.slack.send_forged("interactive", {**pressed, "actions": [turn]})

    stage.slack.wait_until(lambda: any("guest" in text_of(each) for each in stage.slack.ephemerals(JON)))
    assert event.id not in str([each.blocks for each in stage.slack.ephemerals(JON) if "guest" in text_of(each)])


def test_home_shows_what_is_live_and_what_waits_for_review(stage: Stage) -> None:
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


def _make_guest(stage: Stage, user: str) -> None:
    """Somebody becomes a guest, and Slack's event about it is lost."""
    stage.slack.workspace.add(Person(id=user, name=user[2:].lower(), is_restricted=True))
    stage.clock.advance(timedelta(minutes=10))
