"""What the security channel reads when a record or a ledger is not what Countersign wrote.

Invariant: nothing of the changed record is repeated: its words are those of the person who changed it.
"""

from __future__ import annotations

from bot.views.block_kit import Message, code, context, mrkdwn, user_text
from core.audit.trail import AuditEntry
from core.errors import is_ledger


def seal_broken(entry: AuditEntry) -> Message:
    """Somebody changed what is stored, past Countersign. Nothing was decided on it."""
    ledger = is_ledger(entry.record or "")
    what = "doesn't rely on it" if ledger else "refuses to decide on it"
    line = (
        f":rotating_light: {code(entry.record or 'A record')} was changed in the store without Countersign. "
        f"Countersign {what}."
    )
    then = ", then `countersign ledgers rebuild`" if ledger else ""
    return Message(
        text=line,
        blocks=(
            mrkdwn(line),
            user_text(f"What was found: {entry.details.get('problem', 'its seal is broken')}"),
            context(f"Find out who can write to the store, then run: `countersign audit verify`{then}"),
        ),
    )
