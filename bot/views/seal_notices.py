"""What the security channel reads when the store isn't what Countersign left: it was changed, or restored.

Invariant: nothing of the changed record is repeated: its words are those of the person who changed it.
"""

from __future__ import annotations

from bot.views.block_kit import Message, code, context, moment, mrkdwn, user_text
from core.audit.restores import Restore
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


def store_restored(entry: AuditEntry) -> Message:
    """An operator restored a backup, so decisions were taken back."""
    details, as_of = entry.details, Restore.of(entry).as_of
    until = f"as of {moment(as_of)}" if as_of is not None else "with nothing in it"
    line = (
        f":leftwards_arrow_with_hook: The store was restored from a backup, {until}. What was decided later is undone: "
        "a denied request can be pending again, and a revoked device active."
    )
    findings, blocks = details.get("findings"), [mrkdwn(line)]
    if findings:
        found = "1 finding" if findings == 1 else f"{findings} findings"
        blocks.append(mrkdwn(f":warning: It was restored despite {found} of its verification."))
    by = " on ".join(code(str(details[each])) for each in ("login", "host") if details.get(each))
    parts = [f"restored {moment(entry.at)}" + (f" by {by}" if by else ""), f"{code(str(details.get('file')))}"]
    return Message(text=line, blocks=(*blocks, context(*parts, "Not expected? Find out who ran the command.")))
