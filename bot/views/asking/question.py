"""A question about a request and its answer: the two forms, each beside its reader, and what the thread says.

Invariant: what people typed is plain text after a line that says whose words they are. A form shows the record, and
carries its id and the question's number; the answer is judged from the record.
"""

from __future__ import annotations

from typing import Final

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.acting import request_blocks
from bot.views.block_kit import Block, Message, actions, button, code, context, label, mention, mrkdwn, plain, user_text
from bot.views.inputs import field, text_box, typed
from core.errors import InvalidInput
from core.question import ANSWER_LENGTH, MAX_QUESTIONS, QUESTION_LENGTH, Question
from core.record import check_record_id
from core.request import Request, RequestId, RequestStatus

ASK: Final = "request:ask"
ANSWER: Final = "request:answer"
ASK_CALLBACK: Final = "request:ask_form"
ANSWER_CALLBACK: Final = "request:answer_form"
QUESTION_FIELD: Final = "question"
ANSWER_FIELD: Final = "answer"
_MAX_SHOWN: Final = 150
"""Characters of a question or an answer on a card. The thread has each one whole."""
_MAX_LATEST: Final = 3
"""So many questions on a card, the latest ones: with ten votes, it stays below what Slack takes."""


def ask_form(request: Request) -> Block:
    """Shows the request, and asks what the approver wants to know."""
    hint = "The requester gets a message, and it's posted in the card's thread. Auditors see it too."
    box = text_box(QUESTION_LENGTH, example="Which ticket is this for?", checks_least=False)
    blocks = [*request_blocks(request, is_open=True), *questions_so_far(request)]
    blocks.append(field(QUESTION_FIELD, "What do you want to know?", box, hint=hint))
    return _modal(ASK_CALLBACK, request.id, "Ask a question", "Ask", blocks)


def answer_form(request: Request, question: Question) -> Block:
    """Shows the request and the question, and asks for the answer."""
    box = text_box(ANSWER_LENGTH, checks_least=False)
    hint = "It's posted in the card's thread. Approvers and auditors see it."
    blocks = [
        *request_blocks(request, is_open=True),
        mrkdwn(f"{mention(question.asker)} asks:"),
        user_text(question.text),
        field(ANSWER_FIELD, "Your answer", box, hint=hint),
    ]
    return _modal(ANSWER_CALLBACK, f"{question.number}:{request.id}", "Answer a question", "Answer", blocks)


def read_ask_form(view: Payload) -> tuple[RequestId, str]:
    """The request's id and the question. Raises InvalidInput for an id that is none."""
    return RequestId(check_record_id(get_str(view, "private_metadata"))), typed(_values(view), QUESTION_FIELD)


def read_answer_form(view: Payload) -> tuple[RequestId, int, str]:
    """The request's id, the question's number and the answer. Raises InvalidInput."""
    request_id, number = read_question(get_str(view, "private_metadata"))
    return request_id, number, typed(_values(view), ANSWER_FIELD)


def read_question(value: str | None) -> tuple[RequestId, int]:
    """The request's id and the number behind an Answer button. Raises InvalidInput when there is none."""
    number, _, request_id = (value or "").partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) <= len(str(MAX_QUESTIONS))):
        raise InvalidInput("button", "this button doesn't name a question", "Use the newest message.")
    return RequestId(check_record_id(request_id)), int(number)


def asked_in_thread(request: Request, question: Question) -> Message:
    """The question, in the thread of the card, for the requester and the person who asked for them."""
    people = " ".join(mention(each) for each in (request.requester, request.asked_by) if each is not None)
    return _words(f"{people}: {mention(question.asker)} asks:", question.text, *_answer_button(request, question))


def asked_directly(request: Request, question: Question, *where: Block) -> Message:
    """The question, to the requester."""
    line = f"{mention(question.asker)} has a question about your request for {code(request.profile)}:"
    return _words(line, question.text, *_answer_button(request, question), *where)


def answered_in_thread(question: Question) -> Message:
    """The answer, in the thread of the card, for the person who asked."""
    line = f"{mention(question.asker)}: {mention(question.answered_by or '')} answered question {question.number}:"
    return _words(line, question.answer or "")


def answered_directly(request: Request, question: Question, *more: Block) -> Message:
    """The answer, to the person who asked."""
    line = f"{mention(question.answered_by or '')} answered your question about {code(request.profile)}:"
    return _words(line, question.answer or "", *more)


def question_sent(request: Request) -> Message:
    """To the approver, who asked."""
    return _line(f"Asked. {mention(request.requester)} gets a message, and you'll get the answer.")


def answer_sent(request: Request, number: int) -> Message:
    """To the person who answered."""
    asker = next((each.asker for each in request.questions if each.number == number), "")
    return _line(f"Answered. {mention(asker)} gets your answer, and it's in the card's thread.")


def questions_so_far(request: Request) -> list[Block]:
    """What was asked and answered last, shortened, with whose words each are; nothing when nobody asked."""
    latest, blocks = request.questions[-_MAX_LATEST:], list[Block]()
    if earlier := len(request.questions) - len(latest):
        blocks.append(context(f"{earlier} earlier {'question is' if earlier == 1 else 'questions are'} in the thread."))
    for each in latest:
        elements = [*_said(f"{mention(each.asker)} asked:"), plain(each.text, _MAX_SHOWN)]
        if each.answer is not None and each.answered_by is not None:
            elements += [*_said(f"{mention(each.answered_by)} answered:"), plain(each.answer, _MAX_SHOWN)]
        blocks.append({"type": "context", "elements": elements})
    return blocks


def _said(whose: str) -> list[Block]:
    elements: list[Block] = context(whose)["elements"]
    return elements


def _answer_button(request: Request, question: Question) -> list[Block]:
    if question.is_answered or request.status is not RequestStatus.PENDING:
        return []
    which = f"{question.number}:{request.id}"
    return [actions(f"question:{which}", button("Answer…", ANSWER, which))]


def _words(line: str, words: str, *more: Block) -> Message:
    # The text of a notification has our own words only.
    return Message(text=line, blocks=(mrkdwn(line), user_text(words), *more))


def _line(text: str) -> Message:
    return Message(text=text, blocks=(mrkdwn(text),))


def _modal(callback: str, metadata: str, title: str, submit: str, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": metadata,
        "title": label(title, 24),
        "submit": label(submit, 24),
        "close": label("Not now", 24),
        "blocks": blocks,
    }


def _values(view: Payload) -> Payload:
    return get_dict(view, "state", "values")
