"""The notifications of a break-glass event: its card and copies, its thread, its invoker and the security channel.

Invariant: the invoker is notified of every end that they didn't cause themselves, and of the review. Nothing outdated
is sent: no question after the end, no reminder after the review.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from bot.notifications.plan import DirectMessage, NotificationPlan, Notifier, Post
from bot.views.block_kit import Message
from bot.views.break_glass.card import break_glass_card
from bot.views.break_glass.notices import (
    closed_by_other,
    ended,
    ended_for_invoker,
    escalated,
    is_it_over,
    review_for_invoker,
    review_overdue,
    reviewed,
)
from bot.views.mentions import mention_all, mention_deciders
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.policy.evaluator import Policy
from core.stores.base import BreakGlassStore

_DIRECT_PREFIX: Final = "D"
"""The prefix of a direct message channel's id: nobody else would see a card there."""


def break_glass_notifier(events: BreakGlassStore) -> Notifier[BreakGlassEvent]:
    """The notifier of break-glass events."""
    return Notifier(
        load=lambda record_id: events.get(EventId(record_id)), draw=_draw, plans=_PLANS, copies_in=_copies_in
    )


def _draw(event: BreakGlassEvent, policy: Policy, now: datetime) -> Message:
    due = event.review_due_at(policy.notifications.times_of(event.rule).review_within)
    return break_glass_card(event, now, mention_all(policy.notifications.mentioned_by(event.rule)), due)


def _copies_in(event: BreakGlassEvent) -> tuple[str, ...]:
    channel = event.declared_in
    return (channel,) if channel is not None and not channel.startswith(_DIRECT_PREFIX) else ()


def _invoked(entry: AuditEntry, event: BreakGlassEvent, policy: Policy) -> NotificationPlan:
    posts = _to_security(entry, policy, escalated(event, _channel_of(event, policy)))
    return NotificationPlan(
        posts=posts if entry.details.get("is_escalated") is True else (), ahead=_outcome(event, policy)
    )


def _ending_soon(_entry: AuditEntry, event: BreakGlassEvent, policy: Policy) -> NotificationPlan:
    if event.status is not EventStatus.ACTIVE:
        return NotificationPlan(ahead=_outcome(event, policy))
    return NotificationPlan(directs=(DirectMessage("over", event.invoker, is_it_over(event)),))


def _end(entry: AuditEntry, event: BreakGlassEvent, policy: Policy) -> NotificationPlan:
    posts = _about_another(entry, event, policy) if event.is_closed_by_other else ()
    return NotificationPlan(reply=ended(event), directs=_outcome(event, policy), posts=posts)


def _about_another(entry: AuditEntry, event: BreakGlassEvent, policy: Policy) -> tuple[Post, ...]:
    # Not only in the thread, which nobody reads who doesn't follow it: it may be an attack on the responders.
    channel = _channel_of(event, policy)
    channels = dict.fromkeys(each for each in (channel, policy.notifications.security_channel) if each is not None)
    return tuple(Post(str(entry.seq), each, closed_by_other(event, channel)) for each in channels)


def _reviewed(_entry: AuditEntry, event: BreakGlassEvent, policy: Policy) -> NotificationPlan:
    found = DirectMessage("review", event.invoker, review_for_invoker(event, _channel_of(event, policy)))
    return NotificationPlan(reply=reviewed(event), directs=(*_outcome(event, policy), found))


def _reminder(entry: AuditEntry, event: BreakGlassEvent, policy: Policy) -> NotificationPlan:
    if not event.is_waiting_for_review:
        return NotificationPlan()
    due_at = event.review_due_at(policy.notifications.times_of(event.rule).review_within)
    reviewers = mention_deciders(policy.notifications.reviewers_of(event.profile), leave_out={event.invoker})
    overdue = review_overdue(event, reviewers, due_at)
    return NotificationPlan(reply=overdue, posts=_to_security(entry, policy, overdue))


def _outcome(event: BreakGlassEvent, policy: Policy) -> tuple[DirectMessage, ...]:
    if event.status is EventStatus.ACTIVE or event.closed_by == event.invoker:
        return ()
    return (DirectMessage("outcome", event.invoker, ended_for_invoker(event, _channel_of(event, policy))),)


def _to_security(entry: AuditEntry, policy: Policy, message: Message) -> tuple[Post, ...]:
    channel = policy.notifications.security_channel
    return (Post(str(entry.seq), channel, message),) if channel is not None else ()


def _channel_of(event: BreakGlassEvent, policy: Policy) -> str | None:
    profile = policy.document.profiles.get(event.profile)
    return profile.channel if profile is not None else None


_PLANS: Final[Mapping[AuditAction, Callable[[AuditEntry, BreakGlassEvent, Policy], NotificationPlan]]] = {
    AuditAction.BREAK_GLASS_INVOKED: _invoked,
    AuditAction.BREAK_GLASS_ENDING_SOON: _ending_soon,
    AuditAction.BREAK_GLASS_CLOSED: _end,
    AuditAction.BREAK_GLASS_EXPIRED: _end,
    AuditAction.BREAK_GLASS_REVIEWED: _reviewed,
    AuditAction.REVIEW_REMINDED: _reminder,
}
