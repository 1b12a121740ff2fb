"""Breaking the glass in Slack: at once or by the form, within its limits, with and without a store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.request.card import DECLARE_INSTEAD
from core.actor import UserId
from core.break_glass import EventId, EventStatus
from core.request import RequestStatus
from localslack.faults import Stall
from tests.end_to_end.harness import (
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
        "profile": {"break_glass:profile": "prod"},
        "reason": {"answer": reason},
        "duration": {"answer": duration},
        "justification": {"answer": why},
    }


def test_one_line_gives_access_at_once_and_says_until_when(harness: Harness) -> None:
    answer = harness.break_glass(SAM, f"prod incident 1h {EMERGENCY}")

    (event,) = harness.stores.break_glass.iterate()
    assert (event.invoker, event.status, event.justification) == (SAM, EventStatus.ACTIVE, EMERGENCY)
    assert event.declared_in == ACCESS
    assert "You have `prod` *until" in said(answer)
    assert harness.services.break_glass.find_access(UserId(SAM), event.profile) is not None


def test_form_gives_access_too(harness: Harness) -> None:
    harness.break_glass(SAM, "")
    answer = harness.slack.submit(SAM, harness.modal(SAM), filled_in())

    assert "You have `prod` *until" in said(answer)
    assert len(list(harness.stores.break_glass.iterate())) == 1


@pytest.mark.parametrize("way", ["command", "form"])
def test_declaration_that_is_delivered_again_is_one(harness: Harness, way: str) -> None:
    if way == "command":
        answer = harness.break_glass(SAM, f"prod incident 1h {EMERGENCY}")
    else:
        harness.break_glass(SAM, "")
        answer = harness.slack.submit(SAM, harness.modal(SAM), filled_in())
    (event,) = harness.stores.break_glass.iterate()
    again = harness.slack.redeliver(answer)

    assert "You have `prod` *until" in again.body
    assert list(harness.stores.break_glass.iterate()) == [event]


def test_form_for_a_command_is_only_for_those_who_need_a_code(harness: Harness) -> None:
    for user in (JON, SAM):
        harness.break_glass(user, "help")
        harness.break_glass(user, "active")
    assert "You have `vault`" in said(harness.break_glass(JON, f"vault incident 1h {EMERGENCY}"))
    harness.break_glass(SAM, f"vault incident 1h {EMERGENCY}")

    form = harness.modal(SAM)
    assert "code" in {block.get("block_id") for block in form.blocks}
    assert EMERGENCY in str(form.blocks)
    assert len(list(harness.stores.break_glass.iterate())) == 1


def test_conversation_without_a_channel_still_gives_access(harness: Harness) -> None:
    sent = harness.break_glass(SAM, "help").payload
    harness.slack.send_forged(
        "slash_commands", {**sent, "channel_id": "../nowhere", "text": f"prod incident 1h {EMERGENCY}"}
    )

    (event,) = harness.stores.break_glass.iterate()
    assert (event.status, event.declared_in) == (EventStatus.ACTIVE, None)


@pytest.mark.parametrize("user", [JON, GUEST, ROBOT, STRANGER])
def test_person_without_the_right_gets_no_access_and_reads_why(harness: Harness, user: str) -> None:
    answer = harness.break_glass(user, f"prod incident 1h {EMERGENCY}")

    assert "You can't do this:" in said(answer)
    assert list(harness.stores.break_glass.iterate()) == []


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (f"prod incident 3h {EMERGENCY}", "3h is longer than the 2h that are allowed"),
        (f"prod incident 3h {EMERGENCY}", f"Send this instead:\n`/breakglass prod incident 2h {EMERGENCY}`"),
        ("help", "opens the form"),
    ],
)
def test_mistake_says_how_to_fix_it_and_gives_no_access(harness: Harness, typed: str, told: str) -> None:
    assert told in said(harness.break_glass(SAM, typed))
    assert list(harness.stores.break_glass.iterate()) == []


def test_limit_says_which_one_and_when_it_ends(harness: Harness) -> None:
    event = harness.declare()
    assert "until" in said(harness.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))
    harness.services.break_glass.close(EventId(event.id), harness.actor(SAM), "the replica took over")
    again = said(harness.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))

    assert "cooldown" in again
    assert "30m" in again
    assert len(list(harness.stores.break_glass.iterate())) == 1


def test_mistake_in_the_form_is_shown_in_its_field(harness: Harness) -> None:
    harness.declare()
    harness.break_glass(SAM, "")
    form = harness.modal(SAM)
    answer = harness.slack.submit(SAM, form, filled_in())

    assert "until" in answer.errors["profile"]
    assert harness.modal(SAM).id == form.id


def test_store_outage_never_reports_access(harness: Harness, tmp_path: Path) -> None:
    harness.break_glass(SAM, "help")
    with a_stalled_store(store_of(tmp_path)):
        answer = harness.break_glass(SAM, f"prod incident 1h {EMERGENCY}")
        assert "No access yet" in said(answer)
        told = len(harness.slack.ephemerals(SAM))
    harness.slack.wait_until(lambda: len(harness.slack.ephemerals(SAM)) > told)

    assert "You have `prod`" in text_of(harness.slack.ephemerals(SAM)[-1])


def test_form_says_too_that_there_is_no_access_yet(harness: Harness, tmp_path: Path) -> None:
    harness.break_glass(SAM, "")
    form = harness.modal(SAM)
    with a_stalled_store(store_of(tmp_path)):
        assert "No access yet" in said(harness.slack.submit(SAM, form, filled_in()))
    harness.slack.wait_until(lambda: "You have `prod`" in " ".join(walk_text(harness.modal(SAM).blocks)))


def test_form_opens_while_slack_does_not_say_who_it_is(harness: Harness) -> None:
    harness.break_glass(SAM, "active")
    harness.clock.advance(timedelta(hours=1))
    harness.slack.faults.next(Stall(), "users.info", times=None)
    harness.break_glass(SAM, "")

    assert harness.modal(SAM).callback_id == "break_glass:form"


def test_store_outage_shows_the_fallback_procedure(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.break_glass(SAM, "help")
    harness.stores.close()
    answer = said(harness.break_glass(SAM, f"prod incident 1h {EMERGENCY}"))

    assert "No access was given" in answer
    assert "Call the duty manager, who has the sealed envelope." in answer
    assert "a click could not be decided: StoreUnavailable" in caplog.text


def test_urgent_request_is_replaced_by_the_event(harness: Harness) -> None:
    request = harness.ask(MIRA)
    asked = harness.slack.ephemerals(MIRA)[-1]
    harness.slack.press(MIRA, asked, DECLARE_INSTEAD)
    harness.slack.submit(MIRA, harness.modal(MIRA), filled_in())

    (event,) = harness.stores.break_glass.iterate()
    replaced = harness.stored(request)
    assert (replaced.status, replaced.replaced_by) == (RequestStatus.CANCELLED, event.id)
    assert event.instead_of == request.id


def test_replacement_form_is_for_its_profile_and_needs_no_store(harness: Harness) -> None:
    harness.ask(SAM, "vault", "1h")
    harness.slack.press(SAM, harness.slack.ephemerals(SAM)[-1], DECLARE_INSTEAD)
    form = str(harness.modal(SAM).blocks)
    assert "vault" in form
    assert "Production account" not in form
    harness.slack.close(SAM, harness.modal(SAM))
    harness.stores.close()
    harness.slack.press(SAM, harness.slack.ephemerals(SAM)[-1], DECLARE_INSTEAD)

    assert "Production account" in str(harness.modal(SAM).blocks)


def test_request_of_somebody_else_is_not_replaced(harness: Harness) -> None:
    request = harness.ask(MIRA)
    pressed = harness.slack.press(MIRA, harness.slack.ephemerals(MIRA)[-1], DECLARE_INSTEAD)
    trigger = harness.slack.backend.interaction_tokens.new_trigger(SAM)
    payload = {**pressed.payload, "user": {**pressed.payload["user"], "id": SAM}, "trigger_id": trigger}
    harness.slack.send_forged("interactive", payload)

    assert "nly the requester can replace a request" in harness.next_reply(MIRA)
    assert harness.slack.modal(SAM) is None
    assert harness.status(request) is RequestStatus.PENDING
