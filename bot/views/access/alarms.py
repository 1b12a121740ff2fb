"""What the security channel reads about access: what can't be removed, and what changed behind Countersign's back.

Invariant: each alarm names the person, the right in its target's words, and what to do by hand. What a target said is
plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.views.block_kit import Block, Message, code, context, escape, mention, moment, mrkdwn, shorten, user_text
from core.access.grant import Grant
from core.access.right import Right
from core.audit.trail import AuditEntry

MAX_RIGHT: Final = 300
MAX_COMMANDS: Final = 3


@dataclass(frozen=True, slots=True)
class ByHand:
    """How a right is removed without Countersign: a page of its target's console, and a command, where it has them."""

    right: Right
    console: str | None = None
    command: str | None = None
