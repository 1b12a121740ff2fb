"""What people read and fill in when they ask for others, ask questions, and ask again: at the longest inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from bot.views.asking import again, confirm, question
from bot.views.asking.on_card import QUESTION
from bot.views.block_kit import Message
from bot.views.break_glass.form import Origin, break_glass_form
from bot.views.replies import explain
from bot.views.request.card import APPROVE, MORE, request_card
from bot.views.request.form import BegunRequest, request_form
from bot.views.request.list import ListKind, RequestRow, list_page
from core.actor import UserId
from core.errors import InvalidInput, LimitReached, NotAllowed
from core.open_requests import OPEN_REQUEST
from core.question import ANSWER_LENGTH, MAX_QUESTIONS
from core.request import Request
from core.services.bundle import MAX_PROFILES
from localslack.block_kit import check_message_blocks, check_view
from tests.bot.views.test_request_notices import COMMENT, EVERYBODY, LONGEST, asked, voted
from tests.builders import APPROVER, REQUESTER
from tests.harness.clock import A_MOMENT

ASKER: Final = UserId(f"U0{'A' * 30}")
LATE: Final = A_MOMENT + timedelta(days=2)
TEXT: Final = LONGEST[: ANSWER_LENGTH[1] - 1] + "."


def for_another(*, is_confirmed: bool = False) -> Request:
    request = asked().replace(asked_by=ASKER)
    return request.confirm(REQUESTER, A_MOMENT) if is_confirmed else request


def questioned(request: Request | None = None) -> Request:
    request = request or asked()
    for number in range(1, MAX_QUESTIONS + 1):
        request = request.ask(APPROVER, f"{number:02}{TEXT[2:]}", A_MOMENT)
        request = request.answer(REQUESTER, number, TEXT, A_MOMENT)
    return request


def opened() -> Request:
    return asked().ask(APPROVER, TEXT, A_MOMENT)


def several() -> Message:
    refusal = NotAllowed("request", (TEXT,))
    done: list[Any] = [("p" * 80, each) for each in (asked(), for_another(), asked().approve_by_policy(A_MOMENT))]
    done += [("q" * 80, refusal)] * (MAX_PROFILES - len(done))
    return again.submitted_several(done, [explain(refusal, A_MOMENT).text] * MAX_PROFILES)


LINES: dict[str, Callable[[], Message]] = {
    "card, not confirmed": lambda: request_card(for_another(), A_MOMENT, EVERYBODY),
    "card, everything": lambda: request_card(questioned(voted(9)), A_MOMENT, EVERYBODY),
    "please confirm": lambda: confirm.please_confirm(for_another()),
    "confirmed": lambda: confirm.confirmed(for_another(is_confirmed=True)),
    "confirmed, in the thread": lambda: confirm.confirmed_in_thread(for_another(is_confirmed=True), EVERYBODY),
    "confirmed, to the asker": lambda: confirm.confirmed_to_asker(for_another(is_confirmed=True)),
    "requested for somebody": lambda: confirm.submitted_for(for_another()),
    "open already, to the asker": lambda: confirm.already_open_for(
        REQUESTER, "p" * 80, LimitReached(OPEN_REQUEST, "0" * 16, LATE), f"https://{'x' * 200}"
    ),
    "not needed": lambda: confirm.cancelled_by_other(for_another(), REQUESTER),
    "taken back": lambda: confirm.cancelled_by_other(for_another(), ASKER),
    "approved, to the asker": lambda: confirm.ended_for_asker(
        for_another(is_confirmed=True).approve(APPROVER, A_MOMENT)
    ),
    "denied, to the asker": lambda: confirm.ended_for_asker(
        for_another(is_confirmed=True).deny(APPROVER, A_MOMENT, COMMENT)
    ),
    "expired, to the asker": lambda: confirm.ended_for_asker(for_another().expire(LATE)),
    "question, in the thread": lambda: question.asked_in_thread(opened(), opened().questions[0]),
    "question, to the requester": lambda: question.asked_directly(opened(), opened().questions[0]),
    "answer, in the thread": lambda: question.answered_in_thread(questioned().questions[0]),
    "answer, to the approver": lambda: question.answered_directly(questioned(), questioned().questions[0]),
    "asked": lambda: question.question_sent(opened()),
    "answered": lambda: question.answer_sent(questioned(), 1),
    "several profiles": several,
}


@pytest.mark.parametrize("name", LINES)
def test_message_at_the_longest_inputs_is_valid_without_mentions(name: str) -> None:
    message = LINES[name]()
    blocks = list(message.blocks)
    check_message_blocks(blocks)
    assert len(json.dumps(blocks)) < 13_000
    assert len(message.text) <= 4_000
    assert "<!channel>" not in message.text
    assert all("<!channel>" not in part["text"] for part in _walk(blocks) if part.get("type") == "mrkdwn")


@pytest.mark.parametrize("make", [question.ask_form, lambda each: question.answer_form(each, each.questions[-1])])
def test_forms_show_the_record_within_slack_s_limits(make: Callable[[Request], dict[str, Any]]) -> None:
    request = questioned(for_another(is_confirmed=True))
    view = make(request)
    check_view(view, "modal")
    assert request.justification in [part.get("text") for part in _walk(view["blocks"])]


def test_forms_are_read_back() -> None:
    request = opened()
    said = {"state": {"values": {"question": {"answer": {"value": "Why?"}}, "answer": {"answer": {"value": "So."}}}}}
    assert question.read_ask_form(question.ask_form(request) | said) == (request.id, "Why?")
    form = question.answer_form(request, request.questions[0]) | said
    assert question.read_answer_form(form) == (request.id, 1, "So.")


@pytest.mark.parametrize("value", [None, "", "1", "x:0123456789abcdef", "1:nothing", "-1:0123456789abcdef", "²:a"])
def test_button_that_names_no_question_is_refused(value: str | None) -> None:
    with pytest.raises(InvalidInput):
        question.read_question(value)


def test_card_offers_nobody_to_decide_before_the_confirmation() -> None:
    before, after = (
        json.dumps(request_card(each, A_MOMENT).blocks) for each in (for_another(), for_another(is_confirmed=True))
    )
    assert APPROVE not in before
    assert MORE not in before
    assert APPROVE in after
    assert f"{QUESTION}:" in after


def test_words_of_another_are_in_nobodys_form() -> None:
    for request, is_own in ((for_another(), False), (asked(), True)):
        extension = request_form([], BegunRequest((request.profile,), extended=request))
        emergency = break_glass_form([], Origin(), replaced=request)
        filled = [
            request.justification in [each.get("initial_value") for each in _walk(form)]
            for form in (extension, emergency)
        ]
        assert [*filled, "the words of your request" in json.dumps(extension)] == [is_own] * 3


def test_own_list_offers_what_can_be_done() -> None:
    rows = [RequestRow(each, may_cancel=True) for each in (for_another(), asked().expire(LATE), asked())]
    page = [json.dumps(list_page(ListKind.MINE, [row], page=1, has_more=False, now=A_MOMENT).blocks) for row in rows]
    assert [(confirm.CONFIRM in each, again.AGAIN in each) for each in page] == [
        (True, False), (False, True), (False, False),
    ]  # fmt: skip
    others = list_page(ListKind.PENDING, [RequestRow(rows[1].request)], page=1, has_more=False, now=A_MOMENT)
    assert again.AGAIN not in json.dumps(others.blocks)


def _walk(value: object) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(part for each in value.values() for part in _walk(each))]
    return [part for each in value for part in _walk(each)] if isinstance(value, list | tuple) else []
