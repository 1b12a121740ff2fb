"""The notifications of a break-glass event: its card and copies, its thread, its invoker and the security channel.

Invariant: the invoker is notified of every end that they didn't cause themselves, and of the review. Nothing outdated
is sent: no question after the end, no reminder after the review.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from bot.notifications.on_call_people import OnCallPeople
from bot.notifications.page_news import FindPage, no_page
from bot.notifications.plan import DirectMessage, NotificationPlan, Notifier, Post, ShownRecord
from bot.notifications.shown import load_shown, place_of, way_in_of
from bot.views.block_kit import Message
from bot.views.break_glass.card import break_glass_card
from bot.views.break_glass.notices import (
    access_problem,
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
from bot.views.paging import with_page
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.clock import Clock
from core.on_call import NoRoster, Roster
from core.policy.evaluator import Policy
from core.preferences import DmKind
from core.review import Verdict
from core.stores.base import Stores

ShownEvent = ShownRecord[BreakGlassEvent]
EventPlans = Mapping[AuditAction, Callable[[AuditEntry, ShownEvent, Policy], NotificationPlan]]
_DIRECT_PREFIX: Final = "D"
"""The prefix of a direct message channel's id: nobody else would see a card there."""


def break_glass_notifier(
    stores: Stores, clock: Clock, find_page: FindPage = no_page, roster: Roster | None = None
) -> Notifier[BreakGlassEvent]:
    """The notifier of break-glass events. `roster` says who is on call, to notify them."""
    people = OnCallPeople(roster or NoRoster())

    def load(record_id: str) -> ShownEvent:
        return load_shown(stores.break_glass.get(EventId(record_id)), stores, clock, find_page)

    plans: EventPlans = {**_PLANS, AuditAction.REVIEW_REMINDED: partial(_reminder, people)}
    return Notifier(load=load, draw=partial(_draw, people), plans=plans, copies_in=_copies_in)


def _draw(people: OnCallPeople, shown: ShownEvent, policy: Policy, now: datetime) -> Message:
    event, notified = shown.record, policy.notifications.mentioned_by(shown.record.rule)
    card = break_glass_card(
        event,
        now,
        mention_all(notified, people.of(notified)),
        event.review_due_at(policy.notifications.times_of(event.rule).review_within),
        access=shown.access,
        way_in=way_in_of(shown, policy),
        fallbacks=policy.fallbacks_for(event.profile),
    )
    return with_page(card, shown.page)


def _copies_in(event: BreakGlassEvent) -> tuple[str, ...]:
    channel = event.declared_in
    return (channel,) if channel is not None and not channel.startswith(_DIRECT_PREFIX) else ()


def _invoked(entry: AuditEntry, shown: ShownEvent, policy: Policy) -> NotificationPlan:
    event = shown.record
    posts = _to_security(entry, policy, escalated(event, place_of(shown, policy)))
    return NotificationPlan(
        directs=_without_access(shown, policy),
        posts=posts if entry.details.get("is_escalated") is True else (),
        ahead=_outcome(shown, policy),
    )


def _without_access(shown: ShownEvent, policy: Policy) -> tuple[DirectMessage, ...]:
    """What the invoker hears of access that could not even be asked for, while it still matters."""
    event = shown.record
    if event.access_problem is None or not event.is_granting(shown.read_at):
        return ()
    told = access_problem(event, policy.fallbacks_for(event.profile), place_of(shown, policy))
    return (DirectMessage("access_problem", event.invoker, told),)


def _ending_soon(_entry: AuditEntry, shown: ShownEvent, policy: Policy) -> NotificationPlan:
    event = shown.record
    if event.status is not EventStatus.ACTIVE:
        return NotificationPlan(ahead=_outcome(shown, policy))
    return NotificationPlan(directs=(DirectMessage("over", event.invoker, is_it_over(event, place_of(shown, policy))),))


def _end(entry: AuditEntry, shown: ShownEvent, policy: Policy) -> NotificationPlan:
    event = shown.record
    posts = _about_another(entry, shown, policy) if event.is_closed_by_other else ()
    return NotificationPlan(reply=ended(event, shown.access), directs=_outcome(shown, policy), posts=posts)


def _about_another(entry: AuditEntry, shown: ShownEvent, policy: Policy) -> tuple[Post, ...]:
    # Not only in the thread, which nobody reads who doesn't follow it: it may be an attack on the responders.
    place = place_of(shown, policy)
    told = closed_by_other(shown.record, place, shown.access)
    channels = dict.fromkeys(
        each for each in (place.channel, policy.notifications.security_channel) if each is not None
    )
    return tuple(Post(str(entry.seq), each, told) for each in channels)


def _reviewed(_entry: AuditEntry, shown: ShownEvent, policy: Policy) -> NotificationPlan:
    event = shown.record
    # A review that found something against the invoker is news that nobody should miss.
    is_clear = event.review is not None and event.review.verdict is Verdict.JUSTIFIED
    told = review_for_invoker(event, place_of(shown, policy))
    found = DirectMessage("review", event.invoker, told, DmKind.REVIEWS if is_clear else None)
    return NotificationPlan(reply=reviewed(event), directs=(*_outcome(shown, policy), found))


def _reminder(people: OnCallPeople, entry: AuditEntry, shown: ShownEvent, policy: Policy) -> NotificationPlan:
    event = shown.record
    if not event.is_waiting_for_review:
        return NotificationPlan()
    due_at = event.review_due_at(policy.notifications.times_of(event.rule).review_within)
    asked = policy.notifications.reviewers_of(event.profile)
    reviewers = mention_deciders(asked, leave_out={event.invoker}, on_call=people.of(asked))
    overdue = review_overdue(event, reviewers, due_at, place_of(shown, policy))
    return NotificationPlan(reply=overdue, posts=_to_security(entry, policy, overdue))


def _outcome(shown: ShownEvent, policy: Policy) -> tuple[DirectMessage, ...]:
    event = shown.record
    if event.status is EventStatus.ACTIVE or event.closed_by == event.invoker:
        return ()
    told = ended_for_invoker(event, place_of(shown, policy), shown.access)
    # Somebody else ending an emergency is news that nobody should miss.
    kind = None if event.is_closed_by_other else DmKind.ACCESS
    return (DirectMessage("outcome", event.invoker, told, kind),)


def _to_security(entry: AuditEntry, policy: Policy, message: Message) -> tuple[Post, ...]:
    channel = policy.notifications.security_channel
    return (Post(str(entry.seq), channel, message),) if channel is not None else ()


_PLANS: Final[EventPlans] = {
    AuditAction.BREAK_GLASS_INVOKED: _invoked,
    AuditAction.BREAK_GLASS_ENDING_SOON: _ending_soon,
    AuditAction.BREAK_GLASS_CLOSED: _end,
    AuditAction.BREAK_GLASS_EXPIRED: _end,
    AuditAction.BREAK_GLASS_REVIEWED: _reviewed,
}
