"""What people read when an operator changes somebody's MFA factor: the person, and the security channel.

Invariant: a notice says what changed, and what to do if it wasn't expected. It contains no secret.
"""

from __future__ import annotations

from bot.views.block_kit import Message, context, mention, moment, mrkdwn
from core.audit.trail import AuditAction, AuditEntry

_CHANGES = {
    AuditAction.MFA_ENROLLED: ("enrolled {who} for MFA", "You're enrolled for MFA in Countersign"),
    AuditAction.MFA_REPLACED: ("replaced the MFA factor of {who}", "Your MFA factor in Countersign was replaced"),
    AuditAction.MFA_REMOVED: ("removed the MFA factor of {who}", "Your MFA factor in Countersign was removed"),
    AuditAction.MFA_UNLOCKED: (
        "unlocked {who}, who had entered too many wrong codes",
        "You can enter MFA codes in Countersign again",
    ),
}


def mfa_changed(entry: AuditEntry) -> Message:
    """The line for the security channel."""
    what, _ = _CHANGES[entry.event]
    line = f":key: An operator {what.format(who=mention(str(entry.subject)))}."
    return Message(
        text=line, blocks=(mrkdwn(line), context(moment(entry.at), "Not expected? Ask who ran the command."))
    )


def your_mfa_changed(entry: AuditEntry) -> Message:
    """The direct message to the person."""
    _, what = _CHANGES[entry.event]
    line = f":key: {what}."
    warning = "You didn't ask for this? Tell the security team now: somebody may be preparing to act as you."
    return Message(text=line, blocks=(mrkdwn(line), context(moment(entry.at), warning)))
