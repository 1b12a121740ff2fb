"""Emergencies have right of way: while Slack holds all of a person's replies, forms open and events are closed.

What proves it is the order: the replies are held until the test releases them, after the other calls were answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bot.interactions.lanes import BOUNDS
from bot.observability.metrics import Lane
from bot.views.break_glass.card import CLOSE
from bot.views.break_glass.follow_up_forms import CLOSE_CALLBACK
from bot.views.break_glass.form import CALLBACK as BREAK_GLASS_FORM
from bot.views.request.card import APPROVE, DENY
from bot.views.request.decision_forms import DENY_CALLBACK
from bot.views.request.form import CALLBACK as REQUEST_FORM
from core.break_glass import EventStatus
from core.request import RequestStatus
from localslack.faults import Stall
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, SAM, Harness, text_of

PRESSES = 40


@contextmanager
def held_replies(harness: Harness) -> Iterator[None]:
    """Slack answers no reply until the block ends."""
    harness.slack.faults.next(stall := Stall(), "response_url", times=None)
    harness.slack.faults.next(stall, "chat.postMessage", times=None)
    try:
        yield
    finally:
        harness.slack.faults.clear()
        stall.release()


@pytest.fixture
def backlog(harness: Harness) -> Iterator[Harness]:
    """Jon pressed a button forty times, and Slack has taken none of the replies."""
    request = harness.ask()
    card = harness.card(request)
    harness.access(JON, "mine")
    harness.break_glass(SAM, "active")
    harness.break_glass(MIRA, "active")
    with held_replies(harness):
        for _ in range(PRESSES):
            assert harness.slack.press(JON, card, APPROVE).failure is None
        assert harness.status(request) is RequestStatus.APPROVED
        yield harness
        assert not [each for each in harness.slack.ephemerals(JON) if "Approved." in text_of(each)]
    harness.slack.wait_until(
        lambda: any("some replies to you were left out" in text_of(each) for each in harness.slack.ephemerals(JON))
    )


def test_another_persons_break_glass_form_opens(backlog: Harness) -> None:
    backlog.break_glass(SAM, "")

    assert backlog.modal(SAM).callback_id == BREAK_GLASS_FORM


def test_same_persons_own_break_glass_form_opens(backlog: Harness) -> None:
    backlog.break_glass(JON, "")

    assert backlog.modal(JON).callback_id == BREAK_GLASS_FORM


def test_same_persons_ordinary_form_opens_too(backlog: Harness) -> None:
    backlog.access(JON, "")

    assert backlog.modal(JON).callback_id == REQUEST_FORM


def test_glass_is_broken_and_closed(backlog: Harness) -> None:
    event = backlog.declare(SAM)
    answer = backlog.break_glass(SAM, f"close {event.id} the checkout answers again")

    assert answer.message is not None
    assert "closed" in text_of(answer.message).lower()
    (stored,) = backlog.stores.break_glass.iterate()
    assert stored.status is EventStatus.CLOSED


def test_close_form_opens_while_all_other_forms_are_held(harness: Harness) -> None:
    # A form opens only for somebody who may decide.
    of_mira, of_jon, vault = harness.ask(), harness.ask(JON), harness.ask(profile="vault", duration="1h")
    cards = {JON: of_mira, AIKO: of_mira, MIRA: of_jon, SAM: vault}
    harness.declare(SAM)
    emergency = harness.slack.wait_until(
        lambda: next((each for each in harness.slack.messages(ACCESS) if CLOSE in str(each.blocks)), None)
    )
    assert emergency is not None
    harness.slack.faults.next(
        stall := Stall(), "views.open", times=None, where=lambda call: DENY_CALLBACK in str(call.get("view"))
    )
    for person, request in [*cards.items()] * 2:
        assert harness.slack.press(person, harness.card(request), DENY).failure is None
    harness.slack.wait_until(lambda: stall.held == BOUNDS[Lane.FORM].workers)
    harness.slack.press(SAM, emergency, CLOSE)

    assert harness.modal(SAM).callback_id == CLOSE_CALLBACK
    stall.release()
    assert harness.modal(JON).callback_id == DENY_CALLBACK
