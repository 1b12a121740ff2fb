"""What the security channel reads about the policy file: a version came into force, or was refused.

Invariant: the text of a policy is shown as plain text, so nothing in it mentions anybody or becomes a link.
"""

from __future__ import annotations

from bot.views.block_kit import Message, code, context, mrkdwn, user_text
from core.audit.trail import AuditEntry

_DIGITS_SHOWN = 12
_MAX_PROBLEMS_SHOWN = 10


def policy_in_force(entry: AuditEntry) -> Message:
    """A version of the policy came into force, with what it changes."""
    details = entry.details
    version = code(_short(details.get("digest")))
    if "previous_digest" not in details:
        line = f":lock: Countersign uses policy {version}."
        return Message(text=line, blocks=(mrkdwn(line),))
    line = (
        f":lock: The policy changed: {version} is in force now. "
        f"Lines added: {details.get('added_lines', 0)}, removed: {details.get('removed_lines', 0)}."
    )
    diff = details.get("diff")
    changed = (user_text(diff),) if isinstance(diff, str) and diff else ()
    whole = f"Whole text: `countersign policy show {_short(details.get('digest'))}`"
    return Message(
        text=line, blocks=(mrkdwn(line), *changed, context(whole, "Not expected? Ask who can write the policy file."))
    )


def policy_refused(entry: AuditEntry) -> Message:
    """A version of the policy was refused, and why."""
    details = entry.details
    line = (
        f":warning: The policy file has a mistake. Nothing changed: {code(_short(details.get('in_force')))} "
        "stays in force."
    )
    problems = details.get("problems")
    listed = [str(each) for each in problems] if isinstance(problems, list) else []
    more = [f"and {len(listed) - _MAX_PROBLEMS_SHOWN} more"] if len(listed) > _MAX_PROBLEMS_SHOWN else []
    return Message(
        text=line,
        blocks=(
            mrkdwn(line),
            user_text("\n".join([*listed[:_MAX_PROBLEMS_SHOWN], *more]) or "The file cannot be read."),
            context("Fix the file, then check it: `countersign policy check`"),
        ),
    )


def _short(digest: object) -> str:
    return str(digest)[:_DIGITS_SHOWN]
