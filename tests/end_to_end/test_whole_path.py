"""A request from the command to the refreshed card, on each store and over each transport."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.observability.metrics import Transport
from bot.views.request.card import APPROVE, CANCEL, DENY
from core.request import RequestStatus
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, SAM, WHY, Harness, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from localslack.records import SlackMessage
    from tests.harness.clock import FrozenClock


@pytest.fixture
def stores(stores_on_each_engine: Stores) -> Stores:
    return stores_on_each_engine


@pytest.fixture(params=Transport)
def harness(request: pytest.FixtureRequest, stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock, transport=request.param) as harness:
        yield harness


def card_that_says(harness: Harness, what: str) -> SlackMessage:
    def find() -> SlackMessage | None:
        return next(
            (each for each in harness.slack.messages(ACCESS) if what in text_of(each) and not each.thread_ts), None
        )

    found = harness.slack.wait_until(find)
    assert found is not None
    return found


def test_request_is_submitted_approved_and_notified(harness: Harness) -> None:
    answer = harness.access(MIRA, f"prod 2h {WHY}")
    assert answer.message is not None
    assert "You requested `prod` for 2h." in text_of(answer.message)

    card = card_that_says(harness, "Waiting for approval")
    assert WHY in text_of(card)
    harness.clock.advance(timedelta(minutes=2))
    harness.slack.press(JON, card, APPROVE)

    approved = card_that_says(harness, "Approved")
    assert approved.ts == card.ts
    assert not {APPROVE, DENY, CANCEL} & set(walk_ids(approved))
    assert f"<@{JON}>" in text_of(approved)
    assert "Approved." in harness.next_reply(JON)
    harness.slack.wait_until(lambda: harness.slack.dm(MIRA))
    assert "prod" in text_of(harness.slack.dm(MIRA)[-1])

    (request,) = harness.stores.requests.iterate()
    assert (request.status, request.approver) == (RequestStatus.APPROVED, JON)
    assert request.decided_at is not None
    assert request.decided_at - request.created_at >= timedelta(minutes=2)
    assert request.access_ends_at == request.decided_at + timedelta(hours=2)


def test_request_is_denied_with_a_reason_its_requester_reads(harness: Harness) -> None:
    request = harness.ask()
    harness.slack.press(JON, harness.card(request), DENY)
    harness.slack.submit(JON, harness.modal(JON), {"reason": {"answer": "Not during the freeze"}})

    assert "Not during the freeze" in text_of(card_that_says(harness, "Denied"))
    harness.slack.wait_until(lambda: harness.slack.dm(MIRA))
    assert "Not during the freeze" in text_of(harness.slack.dm(MIRA)[-1])


def test_action_on_a_stale_card_refreshes_it(harness: Harness) -> None:
    """Somebody's screen still shows the card with buttons, though the request was decided."""
    request = harness.ask()
    card = harness.card(request)
    harness.slack.press(JON, card, APPROVE)
    card_that_says(harness, "Approved")
    rewritten = len(harness.slack.calls_of("chat.update"))
    harness.slack.press(AIKO, card, APPROVE)

    assert f"already approved by <@{JON}>" in harness.next_reply(AIKO)
    harness.slack.wait_until(lambda: len(harness.slack.calls_of("chat.update")) > rewritten)
    assert "Approved" in text_of(harness.card(request))


def test_quorum_shows_each_vote_and_the_last_opens_the_window(harness: Harness) -> None:
    request = harness.ask(MIRA, "vault", "1h")
    card = harness.card(request)
    harness.slack.press(JON, card, APPROVE)
    assert "One more is needed" in harness.next_reply(JON)
    harness.slack.wait_until(lambda: f"<@{JON}>" in text_of(harness.card(request)))
    harness.clock.advance(timedelta(minutes=30))
    harness.slack.press(SAM, card, APPROVE)

    decided = harness.stored(request)
    assert decided.decided_at is not None
    assert decided.access_ends_at == decided.decided_at + timedelta(hours=1)
    assert decided.decided_at - request.created_at >= timedelta(minutes=30)


def walk_ids(message: SlackMessage) -> list[str]:
    return [element.get("action_id", "") for block in message.blocks for element in block.get("elements", ())]


def test_list_and_home_work_over_each_transport(harness: Harness) -> None:
    request = harness.ask()
    answer = harness.access(JON, "pending")
    assert answer.message is not None
    assert WHY in text_of(answer.message)
    harness.slack.press(JON, harness.home(JON), APPROVE)

    assert harness.status(request) is RequestStatus.APPROVED
