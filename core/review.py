"""A review: what somebody other than the invoker found about a break-glass event after its end.

Invariant: a review says who found what, when and why. The event decides whether a review is allowed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from core.actor import ValidUserId
from core.clock import UtcTime
from core.errors import InvalidInput
from core.stored import StoredModel
from core.text import clean_optional_text, text_rule

NOTES_LENGTH: Final = (10, 2000)
LINK_LENGTH: Final = (8, 500)


class Verdict(StrEnum):
    """What a review found."""

    JUSTIFIED = "justified"
    PARTLY_JUSTIFIED = "partly_justified"
    NOT_JUSTIFIED = "not_justified"


class Review(StoredModel):
    """What the reviewer found."""

    reviewer: ValidUserId
    at: UtcTime
    verdict: Verdict
    notes: Annotated[str, text_rule("notes", at_least=NOTES_LENGTH[0], at_most=NOTES_LENGTH[1])]
    follow_up: Annotated[str, text_rule("follow-up link", at_least=LINK_LENGTH[0], at_most=LINK_LENGTH[1])] | None = (
        None
    )


def clean_follow_up(text: str | None) -> str | None:
    """The link to the follow-up as somebody typed it, or None when it is missing.

    Raises InvalidInput unless it is an http or https address of a host, without a user name or a password. The error
    doesn't quote it: it may hold a secret.
    """
    field = "follow-up link"
    link = clean_optional_text(field, text, at_least=LINK_LENGTH[0], at_most=LINK_LENGTH[1])
    if link is None:
        return None
    if any(each.isspace() for each in link) or (parts := _address(link)) is None:
        raise InvalidInput(field, "this is not a web address", "Write one that begins with https:// or http://.")
    if "@" in parts.netloc:
        raise InvalidInput(field, "it contains a user name or a password", "Leave them out: everyone sees this link.")
    return link


def _address(link: str) -> SplitResult | None:
    try:
        parts = urlsplit(link)
        # Reading the port checks it.
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_address else None
