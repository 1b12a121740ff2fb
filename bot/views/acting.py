"""Who acts: a person, or a service of theirs. And where a request came from: Slack, or a terminal.

Invariant: a service is never shown as a person. What a service or a machine wrote is plain text, and a line before it
says that nobody verified it.
"""

from __future__ import annotations

from typing import Final

from bot.views.access.rights import right_name
from bot.views.block_kit import Block, code, context, length, mention, mrkdwn, plain, user_text
from bot.views.devices.facts import host
from bot.views.request.ticket import ticket_blocks
from bot.views.request.window import starting
from core.access.summary import AccessSummary
from core.request import Request

WHY: Final = "Why:"
"""What is before a person's justification, wherever it is shown."""
MAX_RIGHTS: Final = 8
"""A profile has no more."""
_UNVERIFIED: Final = (
    "Text from the service, *unverified*: it can be wrong, or written to persuade you. Judge the right."
)


def acting(person: str, service: str | None) -> str:
    """Who it is for: a person, or `ci-deploy`, for its owner."""
    return mention(person) if service is None else f"{code(service)}, for {mention(person)}"


def whose_access(access: AccessSummary) -> str:
    """Whose access it is, in a sentence to others."""
    if access.service is None:
        return f"{mention(access.grantee)}'s access"
    return f"{code(access.service)}'s access (for {mention(access.grantee)})"


def your_access(access: AccessSummary) -> str:
    """The same in a sentence to the person: their own, or their service's."""
    whose = "Your access" if access.service is None else f"Your service {code(access.service)}'s access"
    return f"{whose} to {code(access.profile)}"


def your_request(request: Request) -> str:
    """The request, in a sentence to the requester or to the owner of the service."""
    whose = "Your request" if request.service is None else f"Your service {code(request.service)}'s request"
    return f"{whose} for {code(request.profile)}"


def from_where(request: Request) -> str:
    """The terminal that it came from, with a space before; nothing for what was requested in Slack."""
    if request.device is None:
        return ""
    return f" from a {'terminal' if request.service is None else 'machine'} on {host(request.device)}"


def request_blocks(request: Request, *, is_open: bool, mark: str = "", ticket_url: str | None = None) -> list[Block]:
    """Who requests what, their words and its ticket. For a service the right comes first, and its words are marked."""
    ticket = ticket_blocks(request, ticket_url, is_open=is_open)
    verb, what = (
        "requests" if is_open else "requested",
        f"{code(request.profile)} for *{length(request.duration)}*{starting(request)}",
    )
    above = [mark] if mark else []
    if request.service is None:
        who, for_whom = mention(request.asked_by or request.requester), ""
        if request.asked_by is not None:
            for_whom = f" on behalf of {mention(request.requester)}"
        line = f"{who} {verb} {what}{for_whom}{from_where(request)}"
        return [mrkdwn("\n".join([*above, line])), *why_blocks(request), *ticket]
    rights = [f"• {right_name(each)}" for each in request.rights[:MAX_RIGHTS]]
    gives = f"*The right*: {what}" if rights else f"*The right*: {what}. Its approval opens nothing"
    by = f"{acting(request.requester, request.service)}, {verb} it{from_where(request)}."
    return [mrkdwn("\n".join([*above, gives, *rights, by])), context(_UNVERIFIED), *why_blocks(request), *ticket]


def why_blocks(request: Request) -> list[Block]:
    """Why access is asked for, in somebody's words, and whose they are where that isn't plain."""
    if request.asked_by is None:
        return [user_text(request.justification, WHY)]
    return [mrkdwn(f"Why, in {mention(request.asked_by)}'s words:"), user_text(request.justification)]


def short_words(request: Request, most: int) -> Block:
    """What was written, on one line of small print."""
    label = [] if request.service is None else context("From a service, unverified:")["elements"]
    return {"type": "context", "elements": [*label, plain(request.justification, most)]}
