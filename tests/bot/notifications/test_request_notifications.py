"""A request in Slack, from submission to its end: one card, its thread, and the outcome for the requester."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.request.card import APPROVE, DENY, MORE, TIMELINE
from core.outbox.outbox import DeliveryCounts
from core.stores import open_stores
from localslack.faults import Refuse
from tests.bot.notifications.harness import CHANNEL, DECIDED, ELSEWHERE, Office, buttons, says
from tests.core.services.harness import ANN, BOB, CLEO, EVE, RITA
from tests.harness.aws import dynamodb_client
from tests.harness.tables import make_tables

if TYPE_CHECKING:
    from core.request import Request
    from localslack.server import LocalSlack
    from tests.core.services.harness import ChangingPolicy
    from tests.harness.clock import FrozenClock

ALL_BUTTONS = [APPROVE, DENY, TIMELINE, MORE]


def test_request_is_posted_once_with_buttons_and_its_approvers(office: Office) -> None:
    request = office.submit()

    assert office.deliver() == DeliveryCounts(delivered=1)
    card = office.card()
    assert buttons(card) == ALL_BUTTONS
    assert f"<@{ANN.id}>, <@{BOB.id}>, <@{CLEO.id}>" in says(card)
    assert f"<@{RITA.id}> requests prod" in card.text
    assert (office.replies(), office.directs()) == ([], [])
    ref = office.stores.messages.get_messages(request.chain)["card"]
    assert (ref.channel, ref.ts) == (card.channel, card.ts)


def test_every_vote_updates_the_card_and_is_posted_in_its_thread(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.approve(request, ANN, "seen the change")
    office.deliver()

    assert "1 of 2 approvals" in says(office.card())
    assert buttons(office.card()) == ALL_BUTTONS
    assert office.replies() == [f"<@{ANN.id}> approved: 1 of 2 approvals."]
    assert "seen the change" in says(office.slack.messages(CHANNEL)[-1])
    assert office.directs() == []


def test_approval_ends_the_card_and_notifies_the_requester(office: Office) -> None:
    request = office.submit()
    office.approve(request, ANN)
    office.approve(request, BOB, "go ahead")
    office.deliver()

    assert buttons(office.card()) == DECIDED
    assert "*Approved*" in says(office.card())
    vote, approval = office.replies()
    assert vote == f"<@{ANN.id}> approved: 1 of 2 approvals."
    assert approval.startswith(f"Approved by <@{BOB.id}>. Access to `prod` until <!date^")
    (direct,) = office.directs()
    assert "Your request for `prod` for 1h was approved by" in direct
    assert "go ahead" in says(office.slack.dm(RITA.id)[0])


def test_denial_is_notified_with_its_reason(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.deny(request, ANN, "not during the freeze")
    office.deliver()

    assert buttons(office.card()) == DECIDED
    assert office.replies() == [f"Denied by <@{ANN.id}>."]
    (direct,) = office.slack.dm(RITA.id)
    assert "was denied by" in direct.text
    assert "not during the freeze" in says(direct)
    assert "not during the freeze" in says(office.card())


def test_cancellation_is_posted_in_the_thread_not_to_its_author(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.cancel(request)
    office.deliver()

    assert buttons(office.card()) == DECIDED
    assert office.replies() == [f"Cancelled by <@{RITA.id}>."]
    assert office.directs() == []


def test_requester_is_notified_of_the_expiry(office: Office) -> None:
    office.submit()
    office.deliver()
    office.clock.advance(timedelta(days=1))
    office.requests.expire_due()
    office.deliver()

    assert buttons(office.card()) == DECIDED
    assert office.replies()[0].startswith("Expired: no decision by <!date^")
    assert "expired: nobody decided in time." in office.directs()[0]


def test_request_approved_by_policy_is_one_card_without_buttons(office: Office) -> None:
    request = office.submit("staging", EVE)
    posted: list[object] = []
    end = office.slack.subscribe(lambda event: posted.append(event) if event["type"] == "message" else None)
    office.deliver()
    end()

    assert [entry.event for entry in office.entries(request)] == ["request_submitted", "request_approved"]
    assert "*Approved*" in says(office.card())
    assert buttons(office.card()) == DECIDED
    assert APPROVE not in str(posted)
    assert "<@U0ANN>" not in str(posted)
    (reply,) = office.replies()
    assert reply.startswith("Approved by the policy (rule `staging`). Access to `staging` until")
    assert len(office.directs(EVE.id)) == 1


def test_reminder_mentions_those_who_may_still_decide(office: Office) -> None:
    request = office.approve(office.submit(), ANN)
    office.remind(request)
    office.deliver()

    (vote, reminder) = office.replies()
    assert vote.startswith(f"<@{ANN.id}> approved")
    assert reminder.startswith(f"<@{BOB.id}>, <@{CLEO.id}>: this request still needs one more approval by <!date^")
    assert buttons(office.card()) == ALL_BUTTONS


def test_reminder_of_a_decided_request_is_not_sent(office: Office) -> None:
    request = office.remind(office.submit())
    office.cancel(request)
    office.deliver()
    assert office.replies() == [f"Cancelled by <@{RITA.id}>."]


def test_card_that_is_posted_late_shows_the_end_at_once(office: Office) -> None:
    """Three entries wait: the first of them posts the card as the record is now, not as it was then."""
    request = office.submit()
    office.approve(request, ANN)
    office.deny(request, BOB, "no need any more")
    office.deliver_all()

    assert len(office.slack.calls_of("chat.postMessage")) == 1 + 2 + 1
    assert APPROVE not in str(office.slack.calls_of("chat.postMessage")[0].arguments)
    assert office.replies() == [f"<@{ANN.id}> approved: 1 of 2 approvals.", f"Denied by <@{BOB.id}>."]


def test_repeated_delivery_posts_nothing_again(office: Office) -> None:
    request = office.submit()
    office.deny(request, ANN, "not today")
    office.deliver_all()
    before = office.slack.messages(CHANNEL), office.directs()
    for sink in (office.sink, office.open_sink()):
        for entry in office.entries(request):
            sink.deliver(entry)

    after = office.slack.messages(CHANNEL), office.directs()
    assert [each.text for each in after[0]] == [each.text for each in before[0]]
    assert after[1] == before[1]


def test_posted_messages_unfurl_no_links(office: Office) -> None:
    request = office.submit()
    office.deny(request, ANN, "see https://example.com")
    office.deliver_all()

    posts = [call.arguments for call in office.slack.calls_of("chat.postMessage")]
    assert len(posts) == 3
    assert {(str(each["unfurl_links"]).lower(), str(each["unfurl_media"]).lower()) for each in posts} <= {
        ("false", "false"),
        ("0", "0"),
    }


def test_entry_without_a_notification_is_sent_to_nobody(office: Office) -> None:
    request = office.submit()
    (entry,) = office.entries(request)
    office.sink.deliver(entry.model_copy(update={"chain": f"BREAKGLASS#{request.id}"}))
    office.sink.deliver(entry.model_copy(update={"event": "approve_refused"}))

    assert office.slack.calls == []


def test_deleted_card_is_posted_anew_and_used_from_then_on(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.slack.workspace.delete_message(office.card())
    office.approve(request, ANN)
    office.deliver()

    card = office.card()
    assert "1 of 2 approvals" in says(card)
    assert office.replies() == [f"<@{ANN.id}> approved: 1 of 2 approvals."]
    office.approve(request, BOB)
    office.deliver()
    assert "*Approved*" in says(office.card())
    assert office.card().ts == card.ts


@pytest.mark.parametrize("closed", ["is_archived", "channel_not_found"])
def test_card_moves_with_its_profile_when_its_channel_is_closed(office: Office, closed: str) -> None:
    request = office.submit()
    office.deliver()
    office.policy.edit({f"Production, channel: {CHANNEL}": f"Production, channel: {ELSEWHERE}"})
    office.slack.faults.next(Refuse(closed), "chat.update")
    office.approve(request, ANN)
    assert office.deliver() == DeliveryCounts(delivered=1)

    (moved,) = office.cards(ELSEWHERE)
    assert "1 of 2 approvals" in says(moved)


def test_card_stays_in_its_channel_while_that_can_be_written(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.policy.edit({f"Production, channel: {CHANNEL}": f"Production, channel: {ELSEWHERE}"})
    office.approve(request, ANN)
    office.deliver()

    assert "1 of 2 approvals" in says(office.card())
    assert office.cards(ELSEWHERE) == []


@pytest.mark.parametrize("engine", ["moto", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
@pytest.mark.usefixtures("aws_environment")
def test_request_on_dynamodb_is_notified_from_submission_to_end(
    engine: str,
    request: pytest.FixtureRequest,
    slack: LocalSlack,
    policy: ChangingPolicy,
    clock: FrozenClock,
    table_prefix: str,
) -> None:
    url = request.getfixturevalue(f"{engine}_url")
    with dynamodb_client(url) as client:
        make_tables(client, table_prefix)
    stores = open_stores(f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={url}", clock=clock)
    try:
        office = Office(slack, stores, policy, clock)
        _ask_and_approve(office)
        office.deliver_all()
        assert "*Approved*" in says(office.card())
        assert len(office.replies()) == 2
        assert len(office.directs()) == 1
        assert office.parked() == []
    finally:
        stores.close()


def _ask_and_approve(office: Office) -> Request:
    asked = office.submit()
    office.approve(asked, ANN)
    return office.approve(asked, BOB)
