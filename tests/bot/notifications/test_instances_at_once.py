"""Several instances and several threads at once: no card twice, and the last writer shows the truth."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.notifications.posted import PostedMessages
from core.errors import DeliveryFailed, StoreUnavailable
from core.outbox.outbox import LEASE
from core.stores import open_stores
from core.stores.messages import MessageRef
from localslack.faults import HangUp, Refuse, Stall
from tests.bot.notifications.harness import CHANNEL, DECIDED, ELSEWHERE, Office, buttons, says
from tests.core.services.harness import ANN, BOB, RITA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


POST, REWRITE = "chat.postMessage", "chat.update"
SECOND = timedelta(seconds=1)
MOST_ROUNDS = 50
"""The clock stands still: a dead instance's lease stays, and its entry is delivered at the end."""


def test_two_instances_post_no_card_reply_or_message_twice(office: Office, tmp_path: Path) -> None:
    office.policy.edit({"    remind_after: 3h\n": "    remind_after: 3h\n    max_pending: 8\n"})
    requests = [office.submit() for _ in range(8)]
    for request in requests:
        office.approve(request, ANN)
        office.approve(request, BOB)
    with closing(open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=office.clock)) as other_stores:
        other = Office(office.slack, other_stores, office.policy, office.clock)
        start = threading.Barrier(4)

        def run(instance: Office) -> None:
            start.wait(timeout=120)
            for _ in range(MOST_ROUNDS):
                # A database that is too busy for five seconds leaves its lease to run out.
                with suppress(StoreUnavailable):
                    instance.deliver()
                    if not instance.waiting():
                        return

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run, (office, other, office, other)))
    office.clock.advance(LEASE)
    office.deliver_all()

    assert len(office.cards()) == 8
    for card in office.cards():
        assert "*Approved*" in says(card)
        vote, approval = office.replies(card)
        assert vote.startswith(f"<@{ANN.id}> approved")
        assert approval.startswith(f"Approved by <@{BOB.id}>")
    assert len(office.directs(RITA.id)) == 8
    assert office.parked() == []


def test_old_card_that_is_written_last_is_fixed_by_its_writer(office: Office) -> None:
    """A refresh drew the card before a decision, and reaches Slack after the decision's own rewrite."""
    request = office.submit()
    office.deliver()
    late = Stall()
    office.slack.faults.next(late, REWRITE)
    with ThreadPoolExecutor(1) as pool:
        refreshed = pool.submit(office.sink.refresh, request.chain)
        assert late.reached.wait(timeout=120)
        office.deny(request, ANN)
        office.deliver()
        assert buttons(office.card()) == DECIDED
        late.release()
        refreshed.result(timeout=120)

    assert buttons(office.card()) == DECIDED
    assert "*Denied*" in says(office.card())


def test_change_during_a_delivery_is_shown_by_that_delivery(office: Office) -> None:
    """The process that committed it may die before the delivery; the card is right all the same."""
    request = office.submit()
    late = Stall()
    office.slack.faults.next(late, POST)
    with ThreadPoolExecutor(1) as pool:
        (entry,) = office.entries(request)
        told = pool.submit(office.sink.deliver, entry)
        assert late.reached.wait(timeout=120)
        office.cancel(request)
        late.release()
        told.result(timeout=120)

    assert buttons(office.card()) == DECIDED


# A click on a card that is out of date -------------------------------------------------------------------------------


def test_refresh_rewrites_the_card_and_the_message_acted_on(office: Office) -> None:
    request = office.submit()
    orphan = _post_twice(office)
    office.deny(request, ANN)
    assert len(office.cards()) == 2
    office.sink.refresh(request.chain, clicked=orphan)

    assert [buttons(each) for each in office.cards()] == [DECIDED, DECIDED]
    assert len(office.slack.messages(CHANNEL)) == 2


def test_refresh_of_the_one_card_is_one_call(office: Office) -> None:
    request = office.submit()
    office.deliver()
    card = office.card()
    office.sink.refresh(request.chain, clicked=MessageRef(channel=card.channel, ts=card.ts))
    assert len(office.slack.calls_of(REWRITE)) == 1


def test_refresh_before_the_card_is_known_posts_nothing(office: Office) -> None:
    request = office.submit()
    office.sink.refresh(request.chain)
    assert office.slack.calls == []
    office.slack.faults.next(HangUp(after_effect=True), POST)
    office.deliver()
    card = office.card()
    office.cancel(request)
    office.sink.refresh(request.chain, clicked=MessageRef(channel=card.channel, ts=card.ts))
    assert buttons(office.card()) == DECIDED


@pytest.mark.parametrize("fault", [Refuse("message_not_found"), Refuse("token_revoked"), HangUp()], ids=str)
def test_refresh_that_fails_raises_nothing_and_posts_nothing(
    office: Office, fault: Refuse | HangUp, caplog: pytest.LogCaptureFixture
) -> None:
    request = office.submit()
    office.deliver()
    office.slack.faults.next(fault, REWRITE)
    with caplog.at_level("INFO", "countersign.slack"):
        office.sink.refresh(request.chain)
    assert len(office.cards()) == 1
    assert request.chain in caplog.text


def test_refresh_of_a_missing_record_raises_nothing(office: Office) -> None:
    office.sink.refresh("REQUEST#0123456789abcdef", clicked=MessageRef(channel=CHANNEL, ts="1.2"))
    office.sink.refresh("NOTHING#0123456789abcdef")
    office.sink.refresh("REQUEST#no id at all")
    assert office.slack.calls == []


# What was posted and could not be noted at once ----------------------------------------------------------------------

HERE, THERE = MessageRef(channel=CHANNEL, ts="1.1"), MessageRef(channel=ELSEWHERE, ts="2.2")


class _FailingPlaces:
    """A MessageStore in memory, which fails as often as a test wants."""

    def __init__(self) -> None:
        self.saved: dict[str, MessageRef] = {}
        self.failures = 0

    def get_messages(self, chain: str) -> Mapping[str, MessageRef]:
        assert chain == "REQUEST#1"
        return dict(self.saved)

    def save_message(self, chain: str, name: str, ref: MessageRef) -> None:
        assert chain == "REQUEST#1"
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("down")
        self.saved[name] = ref


def test_message_ref_that_could_not_be_saved_is_saved_later() -> None:
    store = _FailingPlaces()
    posted = PostedMessages(store)
    store.failures = 2
    with pytest.raises(StoreUnavailable):
        posted.save("REQUEST#1", "card", HERE)
    with pytest.raises(StoreUnavailable):
        posted.of("REQUEST#1")
    assert posted.of("REQUEST#1") == store.saved == {"card": HERE}


def test_message_saved_by_another_instance_is_used() -> None:
    store = _FailingPlaces()
    posted = PostedMessages(store)
    store.failures = 1
    with pytest.raises(StoreUnavailable):
        posted.save("REQUEST#1", "card", HERE)
    store.saved["card"] = THERE
    assert posted.of("REQUEST#1") == {"card": THERE}


def test_reposted_card_replaces_the_missing_one_even_late() -> None:
    store = _FailingPlaces()
    posted = PostedMessages(store)
    posted.save("REQUEST#1", "card", HERE)
    store.failures = 1
    with pytest.raises(StoreUnavailable):
        posted.save("REQUEST#1", "card", THERE, instead_of=HERE)
    assert posted.of("REQUEST#1") == {"card": THERE}


def test_store_that_fails_is_a_delivery_that_is_tried_again(office: Office) -> None:
    request = office.submit()
    (entry,) = office.entries(request)
    office.stores.close()
    with pytest.raises(DeliveryFailed, match="the store was closed") as caught:
        office.sink.deliver(entry)
    assert not caught.value.is_final
    assert office.slack.calls == []


def _post_twice(office: Office) -> MessageRef:
    """Let the card's answer be lost, so that it is posted again; the first copy, which nobody knows of."""
    office.slack.faults.next(HangUp(after_effect=True), POST)
    office.deliver()
    office.clock.advance(SECOND)
    orphan = office.card()
    office.deliver()
    return MessageRef(channel=orphan.channel, ts=orphan.ts)
