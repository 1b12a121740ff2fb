"""The line to send instead of one that asked for too long.

Invariant: the line holds every word that was typed, with the longest time that is allowed in the place of the one that
isn't; it stands alone, to be copied.
"""

from __future__ import annotations

from datetime import datetime

from bot.views.block_kit import Message, code_line, mrkdwn
from bot.views.replies import explain
from core.errors import CountersignError, InvalidInput, NotAllowed


def is_about_duration(refusal: CountersignError) -> bool:
    """True when nothing but the duration is wrong."""
    if isinstance(refusal, NotAllowed):
        return tuple(refusal.unmet) == ("duration",)
    return isinstance(refusal, InvalidInput) and refusal.field == "duration"


def too_long(refusal: CountersignError, *words: str, now: datetime, reader: str) -> Message:
    """Why it was refused, and the `words` of the line that isn't."""
    said, instead = explain(refusal, now, reader).text, f"Send this instead:\n{code_line(*words)}"
    return Message(text=f"{said}\n{instead}", blocks=(mrkdwn(said), mrkdwn(instead)))
