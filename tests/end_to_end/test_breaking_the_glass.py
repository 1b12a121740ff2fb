"""The glass broken in Slack: at once or by the form, within its limits, with and without a store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.request.card import DECLARE_INSTEAD
from core.actor import UserId
from core.break_glass import EventId, EventStatus
from core.request import RequestStatus
from localslack.faults import Stall
from tests.end_to_end.stage import (
    ACCESS,
    EMERGENCY,
    GUEST,
    JON,
    MIRA,
    ROBOT,
    SAM,
    STRANGER,
    Harness,
    said,
    text_of,
    walk_text,
)
from tests.end_to_end.test_stalls import a_stalled_store, store_of

if TYPE_CHECKING:
    from pathlib import Path


def filled_in(reason: str = "incident", duration: str = "1h", why: str = EMERGENCY) -> dict[str, dict[str, object]]:
    return {
        "profile": {"answer": "prod"},
        "reason": {"answer": reason},
        "duration": {"answer": duration},
        "justification": {"answer": why},
    }


def test_one_line_gives_access_at_once_and_says_until_when(stage: Harness) -> None:
    answer = stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}")

    (event,) = stage.stores.break_glass.iterate()
    assert (event.invoker, event.status, event.justification) == (SAM, EventStatus.ACTIVE, EMERGENCY)
    assert event.declared_in == ACCESS
    assert "You have `prod` *until" in said(answer)
    assert stage.services.break_glass.find_access(UserId(SAM), event.profile) is not None


def test_the_form_gives_access_too(stage: Harness) -> None:
    stage.break_glass(SAM, "")
    answer = stage.slack.submit(SAM, stage.modal(SAM), filled_in())

    assert "You have `prod` *until" in said(answer)
    assert len(list(stage.stores.break_glass.iterate())) == 1


@pytest.mark.parametrize("way", ["command", "form"])
def test_a_declaration_that_is_delivered_again_is_one(stage: Harness, way: str) -> None:
    if way == "command":
        answer = stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}")
    else:
        stage.break_glass(SAM, "")
        answer = stage.slack.submit(SAM, stage.modal(SAM), filled_in())
    (event,) = stage.stores.break_glass.iterate()
    again = stage.slack.redeliver(answer)

    assert "You have `prod` *until" in again.body
    assert list(stage.stores.break_glass.iterate()) == [event]


def test_form_for_a_command_is_only_for_those_who_need_a_code(stage: Harness) -> None:
    for user in (JON, SAM):
        stage.break_glass(user, "help")
        stage.break_glass(user, "active")
    assert "You have `vault`" in said(stage.break_glass(JON, f"vault incident 1h {EMERGENCY}"))
    stage.break_glass(SAM, f"vault incident 1h {EMERGENCY}")

    form = stage.modal(SAM)
    assert "code" in {block.get("block_id") for block in form.blocks}
    assert EMERGENCY in str(form.blocks)
    assert len(list(stage.stores.break_glass.iterate())) == 1


def test_conversation_without_a_channel_still_gives_access(stage: Harness) -> None:
    sent = stage.break_glass(SAM, "help").payload
    stage.slack.send_forged(
        "slash_commands", {**sent, "channel_id": "../nowhere", "text": f"prod incident 1h {EMERGENCY}"}
    )

    (event,) = stage.stores.break_glass.iterate()
    assert (event.status, event.declared_in) == (EventStatus.ACTIVE, None)


@pytest.mark.parametrize("user", [JON, GUEST, ROBOT, STRANGER])
def test_person_without_the_right_gets_no_access_and_reads_why(stage: Harness, user: str) -> None:
    answer = stage.break_glass(user, f"prod incident 1h {EMERGENCY}")

    assert "You can't do this:" in said(answer)
    assert list(stage.stores.break_glass.iterate()) == []


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (f"prod maintenance 1h {EMERGENCY}", "Reason `maintenance` isn't allowed"),
        (f"prod incident 3h {EMERGENCY}", "3h is longer than the 2h that are allowed"),
        ("prod incident 1h why", "Write at least 20, so that a reader can understand."),
        (f"prdo incident 1h {EMERGENCY}", "There is no profile"),
        ("help", "opens the form"),
    ],
)
def test_mistake_says_how_to_fix_it_and_gives_no_access(stage: Harness, typed: str, told: str) -> None:
    assert told in said(stage.break_glass(SAM, typed))
    assert list(stage.stores.break_glass.iterate()) == []


def test_a_limit_says_which_one_and_when_it_ends(stage: Harness) -> None:
    event = stage.declare()
    assert "until" in said(stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))
    stage.services.break_glass.close(EventId(event.id), stage.actor(SAM), "the replica took over")
    again = said(stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))

    assert "cooldown" in again
    assert "30m" in again
    assert len(list(stage.stores.break_glass.iterate())) == 1


def test_mistake_in_the_form_is_shown_in_its_field(stage: Harness) -> None:
    stage.declare()
    stage.break_glass(SAM, "")
    form = stage.modal(SAM)
    answer = stage.slack.submit(SAM, form, filled_in())

    assert "until" in answer.errors["profile"]
    assert stage.modal(SAM).id == form.id


def test_store_outage_never_reports_access(stage: Harness, tmp_path: Path) -> None:
    stage.break_glass(SAM, "help")
    with a_stalled_store(store_of(tmp_path)):
        answer = stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}")
        assert "No access yet" in said(answer)
        told = len(stage.slack.ephemerals(SAM))
    stage.slack.wait_until(lambda: len(stage.slack.ephemerals(SAM)) > told)

    assert "You have `prod`" in text_of(stage.slack.ephemerals(SAM)[-1])


def test_a_form_says_too_that_there_is_no_access_yet(stage: Harness, tmp_path: Path) -> None:
    stage.break_glass(SAM, "")
    form = stage.modal(SAM)
    with a_stalled_store(store_of(tmp_path)):
        assert "No access yet" in said(stage.slack.submit(SAM, form, filled_in()))
    stage.slack.wait_until(lambda: "You have `prod`" in " ".join(walk_text(stage.modal(SAM).blocks)))


def test_the_form_opens_while_slack_does_not_say_who_it_is(stage: Harness) -> None:
    stage.break_glass(SAM, "active")
    stage.clock.advance(timedelta(hours=1))
    stage.slack.faults.next(Stall(), "users.info", times=None)
    stage.break_glass(SAM, "")

    assert stage.modal(SAM).callback_id == "break_glass:form"


def test_store_outage_shows_the_fallback_procedure(stage: Harness, caplog: pytest.LogCaptureFixture) -> None:
    stage.break_glass(SAM, "help")
    stage.stores.close()
    answer = said(stage.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))

    assert "No access was given" in answer
    assert "Call the duty manager, who has the sealed envelope." in answer
    assert "a click could not be decided: StoreUnavailable" in caplog.text


def test_urgent_request_is_replaced_by_the_event(stage: Harness) -> None:
    request = stage.ask(MIRA)
    asked = stage.slack.ephemerals(MIRA)[-1]
    stage.slack.press(MIRA, asked, DECLARE_INSTEAD)
    stage.slack.submit(MIRA, stage.modal(MIRA), filled_in())

    (event,) = stage.stores.break_glass.iterate()
    replaced = stage.stored(request)
    assert (replaced.status, replaced.replaced_by) == (RequestStatus.CANCELLED, event.id)
    assert event.instead_of == request.id


def test_replacement_form_is_for_its_profile_and_needs_no_store(stage: Harness) -> None:
    stage.ask(SAM, "vault", "1h")
    stage.slack.press(SAM, stage.slack.ephemerals(SAM)[-1], DECLARE_INSTEAD)
    form = str(stage.modal(SAM).blocks)
    assert "vault" in form
    assert "Production account" not in form
    stage.slack.close(SAM, stage.modal(SAM))
    stage.stores.close()
    stage.slack.press(SAM, stage.slack.ephemerals(SAM)[-1], DECLARE_INSTEAD)

    assert "Production account" in str(stage.modal(SAM).blocks)


def test_request_of_somebody_else_is_not_replaced(stage: Harness) -> None:
    request = stage.ask(MIRA)
    pressed = stage.slack.press(MIRA, stage.slack.ephemerals(MIRA)[-1], DECLARE_INSTEAD)
    trigger = stage.slack.backend.interaction_tokens.new_trigger(SAM)
    payload = {**pressed.payload, "user": {**pressed.payload["user"], "id": SAM}, "trigger_id": trigger}
    stage.slack.send_forged("interactive", payload)

    assert "nly the requester can replace a request" in stage.told(MIRA)
    assert stage.slack.modal(SAM) is None
    assert stage.status(request) is RequestStatus.PENDING
