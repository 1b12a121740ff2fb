"""What a card says of a request that somebody made for somebody else, and its way to a question.

Invariant: both people are named. Until the person who gets the access confirms it, the card offers nobody to decide.
"""

from __future__ import annotations

from typing import Final

from bot.views.block_kit import Block, label, mention, moment, mrkdwn
from core.request import Request

QUESTION: Final = "question"
"""What the overflow menu's option asks for, before the request's id: to ask the requester a question."""


def waits_for_confirmation(request: Request) -> Block:
    """The line in the place of the buttons, until the requester confirms."""
    who, until = mention(request.requester), moment(request.expires_at)
    return mrkdwn(f"Waits for {who} to confirm that they want it, by {until}. Then it can be approved.")


def ask_option(request: Request) -> Block:
    """An option of the card's overflow menu."""
    return {"text": label("Ask a question…"), "value": f"{QUESTION}:{request.id}"}
