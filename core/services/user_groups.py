"""What Slack says about user groups, kept in the store, and every change of members in the audit trail.

Invariant: a change that was kept is reported until its entry is in the trail, by whichever instance comes next. Two
instances that learn of one change report it once.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from core.actor import SLACK
from core.audit.trail import AuditAction, EntryDraft, EntryId
from core.clock import Clock, format_time
from core.errors import ConcurrentModification, StoreUnavailable
from core.policy import PolicySource
from core.policy.deciding_groups import find_deciding_groups
from core.stores.audit import SystemTrail
from core.stores.directory import DirectoryStore
from core.user_group import MAX_NAMED, MAX_STORED_MEMBERS, GroupChange, UserGroupMembers

CHAIN: Final = "DIRECTORY"
CHANGED: Final = "changed"
KEEP_AGAIN_AFTER: Final = timedelta(minutes=2)
"""An answer with the same members replaces one that is older than this: an instance that starts finds a recent one."""
REPORT_AFTER: Final = timedelta(seconds=30)
"""Another instance's change is reported after this: by then that instance has done it, or has stopped."""
MAX_TRIES: Final = 10


class UserGroupService:
    """Keeps answers about user groups. Safe for threads, and for any number of processes."""

    def __init__(self, store: DirectoryStore, trail: SystemTrail, policy: PolicySource, clock: Clock) -> None:
        self._store = store
        self._trail = trail
        self._policy = policy
        self._clock = clock

    def keep(self, answer: UserGroupMembers, *, is_change_certain: bool = False) -> UserGroupMembers | None:
        """Keep an answer of Slack if it is newer than what is kept, and report the change of members, if there is one.

        Returns what is kept instead, if that is newer.
        `is_change_certain`: an event said that the group changed. Raises StoreError.
        """
        for _ in range(MAX_TRIES):
            stored = self._store.get_groups([answer.group]).get(answer.group)
            # After a conflict, another instance kept what it learned; this answer may still be newer.
            with suppress(ConcurrentModification):
                if (kept := self._replace(stored, answer, is_change_certain=is_change_certain)) is not None:
                    self._report(kept)
                return stored if stored is not None and not answer.is_newer_than(stored) else None
        raise StoreUnavailable(f"the members of {answer.group} were changed {MAX_TRIES} times in the meantime")

    def _replace(
        self, stored: UserGroupMembers | None, answer: UserGroupMembers, *, is_change_certain: bool
    ) -> UserGroupMembers | None:
        """What is kept now, if it has a change for this instance to report."""
        if stored is not None and not answer.is_newer_than(stored):
            return self._leftover(stored)
        if len(answer.users) > MAX_STORED_MEMBERS:
            # It would not fit. Its change is not in the trail, which docs/security.md says.
            return None
        replaced = answer.replace(stored, is_change_certain=is_change_certain)
        is_recent = stored is not None and answer.asked_at - stored.asked_at < KEEP_AGAIN_AFTER
        if stored is not None and is_recent and stored.has_same_answer(answer):
            return self._leftover(stored)
        kept = self._store.put_group(replaced)
        return kept if kept.unreported is not None else None

    def _leftover(self, stored: UserGroupMembers) -> UserGroupMembers | None:
        change = stored.unreported
        is_due = change is not None and self._clock.now() - change.noticed_at >= REPORT_AFTER
        return stored if is_due else None

    def _report(self, kept: UserGroupMembers) -> None:
        change = kept.unreported
        if change is None:
            return
        rules = find_deciding_groups(self._policy.current().document).get(kept.group)
        if rules is not None:
            self._trail.append(CHAIN, _draft(kept, change, rules))
        self._store.put_group(kept.report())


def _draft(kept: UserGroupMembers, change: GroupChange, rules: tuple[str, ...]) -> EntryDraft:
    details: dict[str, JsonValue] = {
        "user_group": kept.group,
        "rules": list(rules),
        "members": len(kept.users),
        "noticed_at": format_time(change.noticed_at),
        "is_complete": change.was_known and max(len(change.added), len(change.removed)) <= MAX_NAMED,
    }
    for name, people in (("added", change.added), ("removed", change.removed)):
        if people:
            details |= {name: list(people[:MAX_NAMED]), f"{name}_count": len(people)}
    if kept.updated_by is not None:
        # Slack's word for who changed the group last. No event names who changed the members.
        details["updated_by"] = kept.updated_by
    return EntryDraft(
        id=_entry_id(kept, change), event=AuditAction.USER_GROUP_CHANGED, actor=SLACK, outcome=CHANGED, details=details
    )


def _entry_id(kept: UserGroupMembers, change: GroupChange) -> EntryId:
    """The same for every attempt to report this change, so that the trail recognises a repetition."""
    text = f"{kept.group} {format_time(change.noticed_at)} {change.added} {change.removed}"
    return EntryId(sha256(text.encode()).hexdigest()[:16])
