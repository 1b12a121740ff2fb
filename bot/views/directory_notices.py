"""What the security channel reads when a user group that decides changes in Slack.

Invariant: pure. It says what Slack said, and no more: Slack doesn't say who changed the members.
"""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from bot.views.block_kit import Message, code, context, mention, moment, mrkdwn, people
from core.actor import is_person
from core.audit.trail import AuditEntry

MAX_SHOWN: Final = 10
"""Of the people and of the rules each; the audit trail has more."""


def user_group_changed(entry: AuditEntry) -> Message:
    """The change of a user group, with what the group decides."""
    details = entry.details
    group = people(str(details.get("user_group", "")))
    changes = [
        f"{name}: {shown}"
        for name, key in (("Added", "added"), ("Removed", "removed"))
        if (shown := _people(details, key))
    ]
    what = ". ".join(changes) or "Countersign doesn't know who was added or removed"
    line = f":eyes: The user group {group} has changed in Slack. {what}."
    decides = f"It decides: {_rules(details.get('rules'))}."
    editor = str(details.get("updated_by", ""))
    by = (
        f"Slack names {mention(editor)} as the group's last editor"
        if is_person(editor)
        else "Slack doesn't say by whom"
    )
    return Message(text=line, blocks=(mrkdwn(f"{line}\n{decides}"), context(f"{by} · noticed {moment(entry.at)}")))


def _people(details: dict[str, JsonValue], key: str) -> str:
    named = details.get(key)
    ids = [each for each in named if isinstance(each, str) and is_person(each)] if isinstance(named, list) else []
    count = details.get(f"{key}_count")
    more = (count if isinstance(count, int) else len(ids)) - len(ids[:MAX_SHOWN])
    shown = ", ".join(mention(each) for each in ids[:MAX_SHOWN])
    return f"{shown} and {more} more" if shown and more > 0 else shown


def _rules(rules: JsonValue) -> str:
    named = [str(each) for each in rules] if isinstance(rules, list) else []
    shown = ", ".join(code(each) for each in named[:MAX_SHOWN])
    return f"{shown} and {len(named) - MAX_SHOWN} more" if len(named) > MAX_SHOWN else shown or "nothing any more"
