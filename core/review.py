"""A review: what somebody other than the invoker found about a break-glass event after its end.

Invariant: a review says who found what, when and why. The event decides whether a review is allowed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from core.actor import ValidUserId
from core.clock import UtcTime
from core.stored import StoredModel
from core.text import text_rule

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
