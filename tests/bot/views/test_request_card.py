"""The card, the lists, the forms and the answers of a request: true of the record, and within Slack's limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.views.block_kit import MAX_UPDATE_TEXT, Message
from bot.views.pagination import PER_PAGE
from bot.views.replies import cancelled, explain, submitted
from bot.views.request.card import APPROVE, DENY, MORE, TIMELINE, request_card
from bot.views.request.list import ListKind, RequestRow, list_page
from bot.views.request.replies import denied, voted
from core.actor import ProfileName, UserId
from core.errors import (
    BrokenChain,
    CountersignError,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    RequestNotFound,
    StoreMisconfigured,
    StoreUnavailable,
)
from core.request import COMMENT_LENGTH, JUSTIFICATION_LENGTH, MAX_APPROVALS, Request
from localslack.block_kit import check_message_blocks
from tests.builders import APPROVER, REQUESTER, SECOND_APPROVER, a_request
from tests.harness.clock import A_MOMENT

SPITEFUL = "<!channel> <https://evil.example|prod> *bold* `code` :wave: & "
LONGEST = (SPITEFUL * 20)[: JUSTIFICATION_LENGTH[1] - 1] + "."
LONG_COMMENT = (SPITEFUL * 20)[: COMMENT_LENGTH[1] - 1] + "."


def pending(required_approvals: int = 1) -> Request:
    return a_request(
        profile=ProfileName("p" * 80), justification=LONGEST, rule="r" * 80, required_approvals=required_approvals
    )


def with_every_vote() -> Request:
    request = pending(MAX_APPROVALS)
    for number in range(MAX_APPROVALS):
        request = request.approve(UserId(f"U0VOTER{number}"), A_MOMENT, LONG_COMMENT)
    return request


STATES: dict[str, Callable[[], Request]] = {
    "pending": pending,
    "voted": lambda: pending(MAX_APPROVALS).approve(APPROVER, A_MOMENT, LONG_COMMENT),
    "approved": lambda: pending().approve(APPROVER, A_MOMENT, LONG_COMMENT),
    "approved by many": with_every_vote,
    "approved by policy": lambda: pending().approve_by_policy(A_MOMENT),
    "denied": lambda: pending().deny(APPROVER, A_MOMENT, LONG_COMMENT),
    "cancelled": lambda: pending().cancel(REQUESTER, A_MOMENT),
    "expired": lambda: pending().expire(A_MOMENT + timedelta(days=2)),
}


def pressable(message: Message) -> list[str]:
    return [
        element["action_id"]
        for block in message.blocks
        for element in block.get("elements", ())
        if "action_id" in element
    ]


def formatted(message: Message) -> str:
    """All that Slack would format: everything but plain text."""
    return message.text + json.dumps([without_plain(block) for block in message.blocks])


def without_plain(value: object) -> object:
    if isinstance(value, dict):
        return {} if value.get("type") == "plain_text" else {key: without_plain(each) for key, each in value.items()}
    return [without_plain(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("state", STATES)
def test_card_of_every_state_is_valid_at_the_longest_inputs(state: str) -> None:
    card = request_card(STATES[state](), A_MOMENT)

    check_message_blocks(list(card.blocks))
    assert len(card.text) <= MAX_UPDATE_TEXT


@pytest.mark.parametrize("state", STATES)
def test_typed_text_mentions_nobody_and_formats_nothing(state: str) -> None:
    said = formatted(request_card(STATES[state](), A_MOMENT))

    assert "<!channel>" not in said
    assert "evil.example" not in said


@pytest.mark.parametrize("state", STATES)
def test_card_offers_buttons_only_while_they_can_work(state: str) -> None:
    buttons = pressable(request_card(STATES[state](), A_MOMENT))

    assert buttons == ([APPROVE, DENY, TIMELINE, MORE] if state in {"pending", "voted"} else [TIMELINE])


def test_card_past_the_deadline_has_no_buttons_before_a_sweep() -> None:
    request = pending()
    card = request_card(request, request.expires_at)

    assert pressable(card) == [TIMELINE]
    assert "Expired" in formatted(card)


def test_button_carries_the_id_and_nothing_else() -> None:
    request = pending()
    (row,) = (block for block in request_card(request, A_MOMENT).blocks if block["type"] == "actions")

    assert {element["value"] for element in row["elements"] if "value" in element} == {request.id}


@pytest.mark.parametrize("kind", ListKind)
@pytest.mark.parametrize("count", [0, 1, PER_PAGE])
def test_slack_takes_every_list_at_the_longest_inputs(kind: ListKind, count: int) -> None:
    rows = [RequestRow(pending(), may_decide=True, may_cancel=True) for _ in range(count)]
    page = list_page(kind, rows, page=99, has_more=True, now=A_MOMENT)

    check_message_blocks(list(page.blocks))


def test_late_action_says_who_decided_and_when() -> None:
    error = InvalidStateTransition(
        "REQUEST#1", "approved", "denied", decided_by=SECOND_APPROVER, decided_at=A_MOMENT - timedelta(minutes=2)
    )

    assert explain(error, A_MOMENT).text == (
        f"This was already approved by <@{SECOND_APPROVER}> 2 minutes ago. Nothing was changed."
    )


@pytest.mark.parametrize(
    "error",
    [
        NotAllowed("approve", (SPITEFUL,)),
        LimitReached("cooldown", "30m", A_MOMENT),
        InvalidInput("duration", SPITEFUL, "Write 2h."),
        RequestNotFound("x"),
        StoreUnavailable("down"),
        BrokenChain("x"),
    ],
)
def test_refusal_says_that_nothing_changed_and_mentions_nobody(error: CountersignError) -> None:
    message = explain(error, A_MOMENT)

    assert "Nothing was changed." in message.text
    assert "<!channel>" not in message.text
    check_message_blocks(list(message.blocks))


def test_unknown_outcome_is_never_reported_as_a_failure() -> None:
    text = explain(StoreUnavailable("down", is_outcome_unknown=True), A_MOMENT).text

    assert "not known" in text
    assert "Nothing was changed" not in text


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (StoreUnavailable("down"), "Try again in a minute"),
        (BrokenChain("x"), "Tell your security team"),
        (StoreMisconfigured("no table", "make it"), "tell the people who run Countersign"),
    ],
)
def test_failing_store_is_reported_with_what_helps(error: CountersignError, advice: str) -> None:
    assert advice in explain(error, A_MOMENT).text


def test_replies_say_what_an_action_has_done() -> None:
    assert "2 more are needed" in voted(pending(3).approve(APPROVER, A_MOMENT)).text
    assert voted(pending(1).approve(APPROVER, A_MOMENT)).text.startswith("Approved.")
    assert "It needs one approval" in submitted(pending()).text
    assert "the policy (rule `" in submitted(pending().approve_by_policy(A_MOMENT)).text
    assert "will be notified" in denied(pending().deny(APPROVER, A_MOMENT, "not today")).text
    assert "cancelled" in cancelled(pending().cancel(REQUESTER, A_MOMENT)).text
