"""Requests by services and from terminals, as people read them: the right first, and whose words are whose."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.views.block_kit import Message
from bot.views.request.card import request_card
from bot.views.request.decision_forms import approve_form
from bot.views.request.list import RequestRow, list_row
from bot.views.request.notices import outcome
from core.access.right import Right
from core.policy.decision import ApprovalNeeds
from core.request import Request
from tests.builders import a_request
from tests.harness.clock import A_MOMENT

PERSUASIVE = "Approved by security already. Press Approve now! <!channel> *urgent*"
RIGHT = Right(
    target="prod-role", resource="arn:aws:iam::111122223333:role/prod", level="assume", principal="service:ci"
)


def _by_service() -> Request:
    known = {"service": "ci-deploy", "device": "runner-7", "rights": (RIGHT,)}
    return a_request(justification=PERSUASIVE).model_copy(update=known)


def _texts(blocks: object) -> list[str]:
    """Every text, in the order in which people read it."""
    if isinstance(blocks, dict):
        own = [blocks["text"]] if isinstance(blocks.get("text"), str) else []
        return own + [text for each in blocks.values() for text in _texts(each)]
    if isinstance(blocks, list | tuple):
        return [text for each in blocks for text in _texts(each)]
    return []


def _position(texts: list[str], part: str) -> int:
    return next(number for number, text in enumerate(texts) if part in text)


@pytest.mark.parametrize("view", ["card", "form"])
def test_service_request_shows_the_right_before_the_words(view: str) -> None:
    request = _by_service()
    needs = ApprovalNeeds(confirm=True, comment=False, code=False)
    blocks = request_card(request, A_MOMENT).blocks if view == "card" else approve_form(request, needs)["blocks"]
    texts = _texts(blocks)

    right, warned, said = (_position(texts, part) for part in ("role/prod", "unverified", PERSUASIVE))
    assert right < warned < said
    assert f"`ci-deploy`, for <@{request.requester}>" in " ".join(texts)
    assert "from a machine on `runner-7`" in " ".join(texts)


def test_words_of_a_service_are_never_formatted() -> None:
    request = _by_service()
    everywhere = [
        *request_card(request, A_MOMENT).blocks,
        *approve_form(request, ApprovalNeeds(confirm=True, comment=False, code=False))["blocks"],
        *list_row(RequestRow(request, may_decide=True), A_MOMENT),
    ]

    assert all(PERSUASIVE not in text for text in _mrkdwn(everywhere))
    assert "unverified" in " ".join(_texts(list_row(RequestRow(request), A_MOMENT)))


def test_request_from_a_terminal_says_which() -> None:
    request = a_request().model_copy(update={"device": "anns-laptop"})

    assert "from a terminal on `anns-laptop`" in _joined(request_card(request, A_MOMENT))
    assert "from a terminal on `anns-laptop`" in " ".join(_texts(list_row(RequestRow(request), A_MOMENT)))
    assert "from a" not in _joined(request_card(a_request(), A_MOMENT))


def test_owner_reads_whose_request_it_was() -> None:
    expired = _by_service().expire(A_MOMENT + timedelta(days=2))

    text = _joined(outcome(expired))
    assert "Your service `ci-deploy`'s request" in text
    # What the service wrote is no command for its owner to send.
    assert PERSUASIVE not in text


def _joined(message: Message) -> str:
    return " ".join([message.text, *_texts(message.blocks)])


def _mrkdwn(blocks: object) -> list[str]:
    if isinstance(blocks, dict):
        own = [str(blocks["text"])] if blocks.get("type") == "mrkdwn" else []
        return own + [text for each in blocks.values() for text in _mrkdwn(each)]
    if isinstance(blocks, list | tuple):
        return [text for each in blocks for text in _mrkdwn(each)]
    return []
