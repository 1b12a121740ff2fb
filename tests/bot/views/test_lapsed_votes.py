"""Votes that lapsed: people see them, struck through, with the reason, and they are counted nowhere."""

from __future__ import annotations

import json

from bot.views.block_kit import MAX_UPDATE_TEXT
from bot.views.request.card import request_card
from bot.views.request.list import RequestRow, list_row
from bot.views.request.notices import approval_added
from bot.views.request.replies import voted
from core.actor import UserId
from core.request import Request
from localslack.block_kit import check_message_blocks
from tests.builders import APPROVER, SECOND_APPROVER, a_request
from tests.harness.clock import A_MOMENT

STRUCK = f"~<@{APPROVER}> approved~ · no longer counts: no longer an approver of rule prod"


def lapsed(required_approvals: int = 2) -> Request:
    request = a_request(required_approvals=required_approvals).approve(APPROVER, A_MOMENT, "fine")
    return request.approve(SECOND_APPROVER, A_MOMENT, lapsed={APPROVER: "no longer an approver of rule prod"})


def text_of(message: object) -> str:
    return json.dumps(message, default=str, ensure_ascii=False)


def test_card_shows_a_lapsed_vote_struck_through_with_its_reason() -> None:
    card = text_of(request_card(lapsed(), A_MOMENT, "").blocks)
    assert STRUCK in card
    assert f"1 of 2 approvals: <@{SECOND_APPROVER}>" in card
    assert "Needs one more approval" in card


def test_thread_and_reply_say_which_vote_lapsed() -> None:
    assert STRUCK in text_of(approval_added(SECOND_APPROVER, lapsed()).blocks)
    assert STRUCK in voted(lapsed()).text
    assert "One more is needed" in voted(lapsed()).text


def test_list_counts_only_votes_that_count() -> None:
    assert "1 of 2 approvals so far" in text_of(list_row(RequestRow(lapsed()), A_MOMENT))


def test_raised_quorum_is_what_people_read() -> None:
    raised = a_request(required_approvals=1).approve(APPROVER, A_MOMENT, quorum=3)
    assert "1 of 3 approvals" in text_of(request_card(raised, A_MOMENT, "").blocks)
    assert "2 more are needed" in voted(raised).text


def test_card_with_many_lapsed_votes_keeps_slack_s_limits() -> None:
    request = a_request(required_approvals=2).approve(APPROVER, A_MOMENT, "fine")
    before = APPROVER
    for number in range(30):
        voter = UserId(f"U0VOTER{number}")
        request = request.approve(voter, A_MOMENT, "x" * 500, lapsed={before: "r" * 200})
        before = voter
    card = request_card(request, A_MOMENT, "")
    check_message_blocks(json.loads(json.dumps(list(card.blocks))))
    assert len(text_of(card.blocks).encode()) < MAX_UPDATE_TEXT * 10
    assert text_of(card.blocks).count("no longer counts") == 5
