"""Slack: asking for somebody else, several profiles at once, questions, and asking again.

Invariant: each function of `bot/views/asking/` that makes a message or a form is called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.views.asking import again, confirm, question
from bot.views.replies import explain
from bot.views.request.card import request_card
from bot.views.request.list import ListKind, RequestRow, list_page
from core.errors import CountersignError, InvalidInput, LimitReached, NotAllowed
from core.open_requests import OPEN_REQUEST
from tests.builders import APPROVER, HOUR, REQUESTER, SECOND_APPROVER
from tests.texts import records
from tests.texts.records import AFTER, LATER, NOW
from tests.texts.writing import Text, write_message, write_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.views.block_kit import Block, Message
    from core.request import Request

_SURFACE: Final = "Slack: asking well"


def slack_asking() -> Iterator[Text]:
    """All of it."""
    for title, message in _messages().items():
        yield Text(_SURFACE, title, write_message(message))
    for title, view in _forms().items():
        yield Text(_SURFACE, title, write_view(view))
    mistakes: dict[str, Callable[[], object]] = {
        "an answer to nothing": lambda: question.read_answer_form({"private_metadata": "0123456789abcdef"}),
        "a question about nothing": lambda: question.read_ask_form({"private_metadata": ""}),
    }
    for title, read in mistakes.items():
        try:
            read()
        except InvalidInput as mistake:
            yield Text(_SURFACE, title, write_message(explain(mistake, NOW)))


def _for_another() -> Request:
    return records.pending().replace(asked_by=SECOND_APPROVER)


def _confirmed() -> Request:
    return _for_another().confirm(REQUESTER, NOW)


def _opened() -> Request:
    return records.pending().ask(APPROVER, "Which ticket is this for?", NOW)


def _answered() -> Request:
    return _opened().answer(REQUESTER, 1, "INC-12, the release of tonight", NOW)


def _forms() -> dict[str, Block]:
    request = _opened()
    return {
        "ask a question": question.ask_form(_answered()),
        "answer a question": question.answer_form(request, request.questions[0]),
    }


def _messages() -> dict[str, Message]:
    opened, done, asked = _opened(), _answered(), _for_another()
    confirmed, refusal = _confirmed(), NotAllowed("request", (f"{REQUESTER} is not a requester of rule vault",))
    both: list[tuple[str, Request | CountersignError]] = [
        ("prod", records.pending()),
        ("staging", asked),
        ("vault", refusal),
    ]
    return {
        "the card, before the confirmation": request_card(asked, NOW),
        "the card, after it": request_card(confirmed, NOW),
        "the card, with a question and its answer": request_card(done, NOW),
        "the requester's own list": list_page(
            ListKind.MINE,
            [RequestRow(each, may_cancel=True) for each in (asked, records.pending().expire(AFTER + 24 * HOUR))],
            page=1,
            has_more=False,
            now=NOW,
        ),
        "please confirm": confirm.please_confirm(asked),
        "confirmed": confirm.confirmed(confirmed),
        "confirmed, in the thread": confirm.confirmed_in_thread(confirmed, f"<@{APPROVER}>"),
        "confirmed, in the thread, nobody to mention": confirm.confirmed_in_thread(confirmed, ""),
        "confirmed, to the asker": confirm.confirmed_to_asker(confirmed),
        "requested for somebody": confirm.submitted_for(asked),
        "open already": confirm.already_open_for(
            asked.requester, asked.profile, LimitReached(OPEN_REQUEST, asked.id, asked.expires_at), None
        ),
        "the other doesn't need it": confirm.cancelled_by_other(asked, REQUESTER),
        "the asker took it back": confirm.cancelled_by_other(asked, SECOND_APPROVER),
        "approved, to the asker": confirm.ended_for_asker(confirmed.approve(APPROVER, NOW)),
        "denied, to the asker": confirm.ended_for_asker(confirmed.deny(APPROVER, NOW, "not today")),
        "not confirmed in time, to the asker": confirm.ended_for_asker(asked.expire(AFTER + 24 * HOUR)),
        "not decided in time, to the asker": confirm.ended_for_asker(confirmed.expire(AFTER + 24 * HOUR)),
        "a question, in the thread": question.asked_in_thread(opened, opened.questions[0]),
        "a question, to the requester": question.asked_directly(opened, opened.questions[0]),
        "an answer, in the thread": question.answered_in_thread(done.questions[0]),
        "an answer, to the approver": question.answered_directly(done, done.questions[0]),
        "asked": question.question_sent(opened),
        "answered": question.answer_sent(done, 1),
        "several profiles": again.submitted_several(both, [explain(refusal, LATER).text]),
        "several profiles, all refused": again.submitted_several(both[2:], [explain(refusal, LATER).text]),
    }
