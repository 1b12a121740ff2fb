"""A review: what somebody else found about a break-glass event, after it had ended.

Invariant: a review says who found what, when and why. Whether it may be given, the event decides.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict

from core.actor import ValidUserId
from core.clock import UtcTime
from core.text import text_rule

NOTES_LENGTH: Final = (10, 2000)
LINK_LENGTH: Final = (8, 500)


class Verdict(StrEnum):
    """What a review found."""

    JUSTIFIED = "justified"
    PARTLY_JUSTIFIED = "partly_justified"
    NOT_JUSTIFIED = "not_justified"


class Review(BaseModel):
    """What somebody else found afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reviewer: ValidUserId
    at: UtcTime
    verdict: Verdict
    notes: Annotated[str, text_rule("notes", at_least=NOTES_LENGTH[0], at_most=NOTES_LENGTH[1])]
    follow_up: Annotated[str, text_rule("follow-up link", at_least=LINK_LENGTH[0], at_most=LINK_LENGTH[1])] | None = (
        None
    )
