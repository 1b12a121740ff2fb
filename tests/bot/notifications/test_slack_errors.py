"""Every way in which Slack can fail to take a message, and what happens to the notification."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.slack.retry_after import FIX_PAUSE
from core.audit.trail import AuditAction
from core.outbox.outbox import FIRST_PAUSE, MAX_ATTEMPTS, DeliveryCounts
from localslack.faults import HangUp, RateLimited, Refuse, ServerError
from tests.bot.notifications.harness import CHANNEL, DECIDED, ELSEWHERE, Office, buttons
from tests.builders import a_draft
from tests.core.services.harness import ANN, RITA, ChangingPolicy

if TYPE_CHECKING:
    from localslack.faults import Fault

WITHOUT_PROD = """
version: 1
profiles:
  staging: {description: Staging, channel: C0ACCESS1}
approval:
  - name: staging
    profiles: [staging]
    approvers: [U0ANN]
    max_duration: 1h
"""
PROD_ELSEWHERE = WITHOUT_PROD.replace(
    "staging: {description: Staging, channel: C0ACCESS1}", f"prod: {{description: P, channel: {ELSEWHERE}}}"
).replace("[staging]", "[prod]")
POST, REWRITE, OPEN = "chat.postMessage", "chat.update", "conversations.open"
SECOND = timedelta(seconds=1)


def _pause(office: Office) -> timedelta:
    (waiting,) = office.waiting()
    return waiting.due_at - office.clock.now()


@pytest.mark.parametrize("code", ["channel_not_found", "is_archived", "not_in_channel", "restricted_action"])
def test_error_an_operator_can_fix_is_retried_every_ten_minutes(office: Office, code: str) -> None:
    request = office.submit()
    office.slack.faults.next(Refuse(code), POST, times=3)
    for _ in range(3):
        assert office.deliver() == DeliveryCounts(postponed=1)
        assert _pause(office) == FIX_PAUSE
        office.clock.advance(FIX_PAUSE)
    (waiting,) = office.waiting()
    assert (waiting.problem or "").startswith(
        f"slack: {request.chain}: the card cannot be posted in {CHANNEL}: {code}."
    )
    assert any(word in (waiting.problem or "") for word in ("policy", "/invite @Countersign", "Let apps post"))
    assert office.deliver() == DeliveryCounts(delivered=1)
    assert len(office.cards()) == 1


@pytest.mark.parametrize("code", ["token_revoked", "invalid_auth", "account_inactive"])
def test_invalid_token_stops_other_calls_and_names_the_variable(office: Office, code: str) -> None:
    request = office.submit()
    office.deliver()
    office.deny(request, ANN)
    office.slack.faults.next(Refuse(code), times=None)
    before = len(office.slack.calls)
    office.deliver()

    assert len(office.slack.calls) == before + 1
    (waiting,) = office.waiting()
    assert f"{code}. Set SLACK_BOT_TOKEN" in (waiting.problem or "")
    assert _pause(office) == FIX_PAUSE
    office.slack.faults.clear()
    office.deliver_all()
    assert (len(office.replies()), len(office.directs())) == (1, 1)


def test_missing_scope_is_named_and_blocks_nothing_else(office: Office) -> None:
    app = office.slack.backend.app
    office.slack.backend.app = replace(app, scopes=app.scopes - {"im:write"})
    request = office.submit()
    office.deny(request, ANN)
    office.deliver()
    office.deliver()

    assert buttons(office.card()) == DECIDED
    assert len(office.replies()) == 1
    (waiting,) = office.waiting()
    assert "missing_scope (im:write). Add the missing scope" in (waiting.problem or "")
    office.slack.backend.app = app
    office.deliver_all()
    assert (len(office.cards()), len(office.replies()), len(office.directs())) == (1, 1, 1)


@pytest.mark.parametrize("code", ["msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_arguments"])
def test_permanent_error_is_parked_and_later_entries_go_on(office: Office, code: str) -> None:
    request = office.submit()
    office.slack.faults.next(Refuse(code), POST)
    assert office.deliver() == DeliveryCounts(parked=1)

    (parked,) = office.parked()
    assert f"{code}. This is a bug in Countersign" in (parked.problem or "")
    office.cancel(request)
    assert office.deliver() == DeliveryCounts(delivered=1)
    assert buttons(office.card()) == DECIDED


@pytest.mark.parametrize(
    ("method", "code"),
    [(OPEN, "user_disabled"), (OPEN, "cannot_dm_bot"), (OPEN, "user_not_found"), (POST, "user_disabled")],
)
def test_unreachable_requester_blocks_no_other_notification(office: Office, method: str, code: str) -> None:
    request = office.submit()
    office.deny(request, ANN)
    office.slack.faults.next(Refuse(code), method, where=lambda said: said.get("channel", "D")[0] == "D")
    office.deliver_all()

    assert buttons(office.card()) == DECIDED
    assert office.replies() == [f"Denied by <@{ANN.id}>."]
    (parked,) = office.parked()
    assert parked.entry.event == "request_denied"
    assert f"the direct message to {RITA.id}" in (parked.problem or "")
    assert code in (parked.problem or "")


def test_card_that_cannot_be_updated_blocks_no_notification(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.deny(request, ANN)
    office.slack.faults.next(Refuse("is_archived"), REWRITE)
    assert office.deliver() == DeliveryCounts(postponed=1)
    assert (len(office.replies()), len(office.directs())) == (1, 1)
    assert buttons(office.card()) != []
    office.deliver_all()
    assert (len(office.replies()), len(office.directs())) == (1, 1)
    assert buttons(office.card()) == DECIDED


def test_closed_channel_keeps_no_outcome_from_the_requester(office: Office) -> None:
    """Decided from the Home tab, say: the outcome waits for no card."""
    request = office.submit()
    office.slack.faults.next(Refuse("is_archived"), POST, times=2, where=lambda said: said["channel"] == CHANNEL)
    office.deliver()
    office.deny(request, ANN)
    office.clock.advance(FIX_PAUSE)
    office.deliver()
    assert office.cards() == []
    assert len(office.directs()) == 1
    office.deliver_all()
    assert (len(office.cards()), len(office.replies()), len(office.directs())) == (1, 1, 1)


def test_delivery_is_not_parked_while_one_part_may_succeed(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.deny(request, ANN)
    office.slack.faults.next(RateLimited(), REWRITE)
    office.slack.faults.next(Refuse("user_disabled"), OPEN, times=2)
    assert office.deliver() == DeliveryCounts(postponed=1)
    office.deliver_all()
    assert buttons(office.card()) == DECIDED
    assert len(office.replies()) == 1
    assert "user_disabled" in (office.parked()[0].problem or "")


def test_rate_limit_is_waited_out_as_slack_says(office: Office) -> None:
    office.submit()
    office.slack.faults.next(RateLimited(retry_after=30), POST)
    assert office.deliver() == DeliveryCounts(postponed=1)
    assert _pause(office) == 30 * SECOND
    office.clock.advance(30 * SECOND)
    assert office.deliver() == DeliveryCounts(delivered=1)


def test_rate_limit_on_one_part_repeats_none_of_the_others(office: Office) -> None:
    request = office.submit()
    office.deny(request, ANN)
    office.deliver()
    office.slack.faults.next(RateLimited(), POST, where=lambda said: "thread_ts" in said)
    office.deliver_all()
    assert (len(office.cards()), len(office.replies()), len(office.directs())) == (1, 1, 1)
    assert len(office.slack.calls_of(OPEN)) == 1


@pytest.mark.parametrize(
    "fault",
    [ServerError(500), ServerError(503), HangUp(), Refuse("internal_error"), Refuse("fatal_error"), Refuse("new_word")],
    ids=str,
)
@pytest.mark.parametrize("method", [POST, REWRITE, OPEN])
def test_transient_error_is_retried_and_delivered_once(office: Office, method: str, fault: Fault) -> None:
    request = office.submit()
    office.deny(request, ANN)
    office.slack.faults.next(fault, method, times=2)
    assert office.deliver().postponed == 1
    assert min(each.due_at for each in office.waiting() if each.problem) - office.clock.now() == FIRST_PAUSE
    office.deliver_all()
    assert (len(office.cards()), len(office.replies()), len(office.directs())) == (1, 1, 1)
    assert office.parked() == []


def test_flood_in_one_channel_waits_as_asked_and_loses_nothing(office: Office) -> None:
    office.slack.backend.limits.is_on = True
    office.policy.edit({"    remind_after: 3h\n": "    remind_after: 3h\n    max_pending: 12\n"})
    requests = [office.submit() for _ in range(12)]
    for request in requests:
        office.deny(request, ANN)
    refused = 0
    while office.waiting():
        refused += office.deliver().postponed
        office.clock.advance(SECOND)

    assert refused > 0
    assert len(office.cards()) == len(office.directs()) == 12
    assert [office.replies(card) for card in office.cards()] == [[f"Denied by <@{ANN.id}>."]] * 12


def test_outage_of_slack_costs_one_call_for_each_delivery(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.deny(request, ANN)
    office.slack.faults.next(HangUp(), times=None)
    before = len(office.slack.calls)
    office.deliver()
    assert len(office.slack.calls) == before + 1
    assert office.waiting()[0].problem is not None


def test_endless_outage_is_parked_where_operators_look(office: Office) -> None:
    office.submit()
    office.slack.faults.next(ServerError(503), times=None)
    rounds = 0
    while not office.parked():
        office.deliver()
        office.clock.advance(FIX_PAUSE)
        rounds += 1
    assert rounds == MAX_ATTEMPTS + 1
    assert "HTTP 503" in (office.parked()[0].problem or "")


def test_page_of_a_proxy_is_no_answer_and_is_not_repeated(office: Office) -> None:
    office.submit()
    office.slack.faults.next(ServerError(403), POST)
    assert office.deliver() == DeliveryCounts(postponed=1)
    problem = office.waiting()[0].problem or ""
    assert "HTTP 403" in problem
    assert "upstream" not in problem


def test_delivery_out_of_time_begins_no_call_and_resumes_later(office: Office) -> None:
    request = office.submit()
    office.deny(request, ANN)
    assert office.deliver(office.open_sink(seconds=0.0)) == DeliveryCounts(postponed=1)
    assert office.slack.calls == []
    assert any("Slack is slow to answer" in (each.problem or "") for each in office.waiting())
    office.deliver_all()
    assert (len(office.cards()), len(office.replies()), len(office.directs())) == (1, 1, 1)


def test_profile_removed_from_the_policy_is_named_until_back(office: Office) -> None:
    office.submit()
    before, office.policy.policy = office.policy.policy, ChangingPolicy(WITHOUT_PROD).policy
    assert office.deliver() == DeliveryCounts(postponed=1)
    assert "the card has no channel: there is no profile 'prod'" in (office.waiting()[0].problem or "")
    assert _pause(office) == FIX_PAUSE
    office.policy.policy = before
    office.deliver_all()
    assert len(office.cards()) == 1


def test_posted_card_needs_no_profile_in_the_policy(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.policy.policy = ChangingPolicy(WITHOUT_PROD).policy
    office.cancel(request)
    assert office.deliver() == DeliveryCounts(delivered=1)
    assert buttons(office.card()) == DECIDED


def test_missing_record_is_reported_and_not_tried_for_ever(office: Office) -> None:
    request = office.submit()
    office.stores.requests.delete(request, a_draft(AuditAction.RECORD_DELETED, outcome="deleted"))
    assert office.deliver() == DeliveryCounts(delivered=1, parked=1)
    assert "the record is gone" in (office.parked()[0].problem or "")


def test_a_card_in_an_archived_channel_moves_with_the_policy(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.policy.policy = ChangingPolicy(PROD_ELSEWHERE).policy
    office.cancel(request)
    office.slack.faults.next(Refuse("is_inactive"), REWRITE)
    office.deliver_all()

    card, reply = office.slack.messages(ELSEWHERE)
    assert reply.thread_ts == card.ts
