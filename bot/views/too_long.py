"""The line to send instead of one that asked for too long, or for a start that can't be.

Invariant: the line holds every word that was typed, with the longest time that is allowed in the place of the one that
isn't; it stands alone, to be copied.
"""

from __future__ import annotations

from datetime import datetime

from bot.views.block_kit import Message, code_line, mrkdwn
from bot.views.replies import explain
from core.errors import CountersignError, InvalidInput, NotAllowed
from core.written_time import STARTS_AT


def is_about_duration(refusal: CountersignError) -> bool:
    """True when nothing but the duration is wrong."""
    if isinstance(refusal, NotAllowed):
        return tuple(refusal.unmet) == ("duration",)
    return isinstance(refusal, InvalidInput) and refusal.field == "duration"


def is_about_start(refusal: CountersignError) -> bool:
    """True when nothing but the start is wrong."""
    if isinstance(refusal, NotAllowed):
        return tuple(refusal.unmet) == ("start",)
    return isinstance(refusal, InvalidInput) and refusal.field == STARTS_AT


def other_start(refusal: CountersignError, *words: str, now: datetime, reader: str) -> Message:
    """Why it was refused, and the `words` of the line, to be sent with another time."""
    said, again = explain(refusal, now, reader).text, f"Send it again with another time:\n{code_line(*words)}"
    return Message(text=f"{said}\n{again}", blocks=(mrkdwn(said), mrkdwn(again)))


def too_long(refusal: CountersignError, *words: str, now: datetime, reader: str) -> Message:
    """Why it was refused, and the `words` of the line that isn't."""
    said, instead = explain(refusal, now, reader).text, f"Send this instead:\n{code_line(*words)}"
    return Message(text=f"{said}\n{instead}", blocks=(mrkdwn(said), mrkdwn(instead)))
