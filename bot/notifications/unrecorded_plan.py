"""The notifications of entries that belong to no record: refused attempts, the policy, the directory, the store, seals.

Invariant: pure. An entry is announced from what it says itself, because no record stands behind it; an entry without a
plan here notifies nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bot.notifications.plan import DirectMessage, NotificationPlan, Post
from bot.views.block_kit import Message
from bot.views.break_glass.notices import ledger_unreadable, refused
from bot.views.directory_notices import user_group_changed
from bot.views.links import CardPlace
from bot.views.mfa_notices import mfa_changed, your_mfa_changed
from bot.views.policy_notices import policy_in_force, policy_refused
from bot.views.seal_notices import seal_broken, store_restored
from core.actor import UserId
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent
from core.policy.evaluator import Policy
from core.usage import LIVE_EVENT


def plan_unrecorded(entry: AuditEntry, policy: Policy, url: str | None = None) -> NotificationPlan:
    """Whom an entry without a record notifies; an empty plan for nobody. `url` is of the card that it names."""
    if entry.event is AuditAction.INVOKE_REFUSED:
        return to_security(policy, refused(entry, CardPlace(url=url)))
    plan = _PLANS.get(entry.event)
    return plan(entry, policy) if plan is not None else NotificationPlan()


def names_event(entry: AuditEntry) -> str | None:
    """The chain of the event that a refused declaration is about, where there was one already."""
    event_id = entry.details.get("value")
    is_about_it = entry.event is AuditAction.INVOKE_REFUSED and entry.details.get("limit") == LIVE_EVENT
    return f"{BreakGlassEvent.KIND}#{event_id}" if is_about_it and isinstance(event_id, str) else None


def to_security(policy: Policy, message: Message) -> NotificationPlan:
    """One post in the security channel; an empty plan when the policy names no such channel."""
    channel = policy.notifications.security_channel
    return NotificationPlan(posts=(Post("security", channel, message),) if channel is not None else ())


def _ledger_unreadable(entry: AuditEntry, policy: Policy) -> NotificationPlan:
    return to_security(policy, ledger_unreadable(entry))


def _policy_in_force(entry: AuditEntry, policy: Policy) -> NotificationPlan:
    return to_security(policy, policy_in_force(entry))


def _policy_refused(entry: AuditEntry, policy: Policy) -> NotificationPlan:
    return to_security(policy, policy_refused(entry))


def _seal_broken(entry: AuditEntry, policy: Policy) -> NotificationPlan:
    return to_security(policy, seal_broken(entry))


def _store_restored(entry: AuditEntry, policy: Policy) -> NotificationPlan:
    return to_security(policy, store_restored(entry))


def _mfa_changed(entry: AuditEntry, policy: Policy) -> NotificationPlan:
    direct = DirectMessage("mfa", UserId(str(entry.subject)), your_mfa_changed(entry))
    return NotificationPlan(directs=(direct,), posts=to_security(policy, mfa_changed(entry)).posts)


def _user_group_changed(entry: AuditEntry, policy: Policy) -> NotificationPlan:
    return to_security(policy, user_group_changed(entry))


_PLANS: Final[Mapping[AuditAction, Callable[[AuditEntry, Policy], NotificationPlan]]] = {
    AuditAction.LEDGER_UNREADABLE: _ledger_unreadable,
    AuditAction.MFA_ENROLLED: _mfa_changed,
    AuditAction.MFA_REPLACED: _mfa_changed,
    AuditAction.MFA_REMOVED: _mfa_changed,
    AuditAction.MFA_UNLOCKED: _mfa_changed,
    AuditAction.POLICY_IN_FORCE: _policy_in_force,
    AuditAction.POLICY_REFUSED: _policy_refused,
    AuditAction.USER_GROUP_CHANGED: _user_group_changed,
    AuditAction.SEAL_BROKEN: _seal_broken,
    AuditAction.STORE_RESTORED: _store_restored,
}
