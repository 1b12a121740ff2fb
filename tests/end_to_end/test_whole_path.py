"""A request from the command to the refreshed card, on each store and over each transport."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.observability.metrics import Transport
from bot.views.request.card import APPROVE, CANCEL, DENY
from core.request import RequestStatus
from tests.end_to_end.stage import ACCESS, AIKO, JON, MIRA, SAM, WHY, Harness, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from localslack.records import SlackMessage
    from tests.harness.clock import FrozenClock


@pytest.fixture
def stores(stores_on_each_engine: Stores) -> Stores:
    return stores_on_each_engine


@pytest.fixture(params=Transport)
def stage(request: pytest.FixtureRequest, stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock, transport=request.param) as stage:
        yield stage


def card_that_says(stage: Harness, what: str) -> SlackMessage:
    def find() -> SlackMessage | None:
        return next(
            (each for each in stage.slack.messages(ACCESS) if what in text_of(each) and not each.thread_ts), None
        )

    found = stage.slack.wait_until(find)
    assert found is not None
    return found


def test_request_is_submitted_approved_and_notified(stage: Harness) -> None:
    answer = stage.access(MIRA, f"prod 2h {WHY}")
    assert answer.message is not None
    assert "You requested `prod` for 2h." in text_of(answer.message)

    card = card_that_says(stage, "Waiting for approval")
    assert WHY in text_of(card)
    stage.clock.advance(timedelta(minutes=2))
    stage.slack.press(JON, card, APPROVE)

    approved = card_that_says(stage, "Approved")
    assert approved.ts == card.ts
    assert not {APPROVE, DENY, CANCEL} & set(walk_ids(approved))
    assert f"<@{JON}>" in text_of(approved)
    assert "Approved." in stage.told(JON)
    stage.slack.wait_until(lambda: stage.slack.dm(MIRA))
    assert "prod" in text_of(stage.slack.dm(MIRA)[-1])

    (request,) = stage.stores.requests.iterate()
    assert (request.status, request.approver) == (RequestStatus.APPROVED, JON)
    assert request.decided_at is not None
    assert request.decided_at - request.created_at >= timedelta(minutes=2)
    assert request.access_ends_at == request.decided_at + timedelta(hours=2)


def test_request_is_denied_with_a_reason_its_requester_reads(stage: Harness) -> None:
    request = stage.ask()
    stage.slack.press(JON, stage.card(request), DENY)
    stage.slack.submit(JON, stage.modal(JON), {"reason": {"answer": "Not during the freeze"}})

    assert "Not during the freeze" in text_of(card_that_says(stage, "Denied"))
    stage.slack.wait_until(lambda: stage.slack.dm(MIRA))
    assert "Not during the freeze" in text_of(stage.slack.dm(MIRA)[-1])


def test_action_on_a_stale_card_refreshes_it(stage: Harness) -> None:
    """Somebody's screen still shows the card with buttons, though the request was decided."""
    request = stage.ask()
    card = stage.card(request)
    stage.slack.press(JON, card, APPROVE)
    card_that_says(stage, "Approved")
    rewritten = len(stage.slack.calls_of("chat.update"))
    stage.slack.press(AIKO, card, APPROVE)

    assert f"already approved by <@{JON}>" in stage.told(AIKO)
    stage.slack.wait_until(lambda: len(stage.slack.calls_of("chat.update")) > rewritten)
    assert "Approved" in text_of(stage.card(request))


def test_quorum_shows_each_vote_and_the_last_opens_the_window(stage: Harness) -> None:
    request = stage.ask(MIRA, "vault", "1h")
    card = stage.card(request)
    stage.slack.press(JON, card, APPROVE)
    assert "1 more is needed" in stage.told(JON)
    stage.slack.wait_until(lambda: f"<@{JON}>" in text_of(stage.card(request)))
    stage.clock.advance(timedelta(minutes=30))
    stage.slack.press(SAM, card, APPROVE)

    decided = stage.stored(request)
    assert decided.decided_at is not None
    assert decided.access_ends_at == decided.decided_at + timedelta(hours=1)
    assert decided.decided_at - request.created_at >= timedelta(minutes=30)


def walk_ids(message: SlackMessage) -> list[str]:
    return [element.get("action_id", "") for block in message.blocks for element in block.get("elements", ())]


def test_a_list_and_home_work_over_each_transport(stage: Harness) -> None:
    request = stage.ask()
    answer = stage.access(JON, "pending")
    assert answer.message is not None
    assert WHY in text_of(answer.message)
    stage.slack.press(JON, stage.home(JON), APPROVE)

    assert stage.status(request) is RequestStatus.APPROVED
