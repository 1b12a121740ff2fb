"""The notifications of access, from the entries of its grants: one for each source and event, not one for each right.

Invariant: pure, and what is sent is true of the grants as they are now: an entry that came late announces what became
of it since, or nothing. Of several rights that move together, the entry of one, the same for every instance, announces
for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bot.notifications.plan import DirectMessage, NotificationPlan, Post, ShownRecord
from bot.notifications.shown import place_of, way_in_of
from bot.views.access import alarms, notices
from bot.views.block_kit import Message
from bot.views.links import CardPlace
from core.access.grant import Grant
from core.access.grant_status import AccessPhase, GrantStatus
from core.access.summary import AccessSummary
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, EventStatus
from core.policy.evaluator import Policy
from core.preferences import DmKind
from core.request import Request


@dataclass(frozen=True, slots=True)
class AccessNews:
    """An entry of a grant, with its record and all grants of it as they are now.

    `failing` is what can't be removed now, for an entry that says so. `was_alarm`: the security channel has read that
    something of it can't be removed.
    """

    entry: AuditEntry
    grant: Grant
    shown: ShownRecord[Any]
    access: AccessSummary
    policy: Policy
    failing: alarms.FailedRevoke | None = None
    was_alarm: bool = False

    @property
    def place(self) -> CardPlace:
        """Where the card is."""
        return place_of(self.shown, self.policy)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """What the policy says to do when an emergency gets no access."""
        return self.policy.fallbacks_for(self.grant.profile) if self.grant.is_emergency else ()


@dataclass(frozen=True, slots=True)
class AccessPlan:
    """What an entry of a grant announces: `name` is the event, once for each source; "" announces nothing.

    `announcer` is the grant whose entry announces it; the others wait a moment, and announce it if that one didn't.
    """

    name: str = ""
    announcer: str = ""
    plan: NotificationPlan = field(default_factory=NotificationPlan)


NOTHING: Final = AccessPlan()
ALARM: Final = "revoke_failing:"
"""What the names of posts begin with that say what can't be removed."""


def is_shown(event: AuditAction) -> bool:
    """True when people see something of such an entry, if only on the card."""
    return event in _PLANS


def plan_access(news: AccessNews) -> AccessPlan:
    """What an entry announces."""
    plan = _PLANS.get(news.entry.event)
    return plan(news) if plan is not None else NOTHING


def _moved(news: AccessNews) -> AccessPlan:
    """A right opened, was refused or is gone: announced once all of them are as far."""
    access, grants = news.access, news.shown.grants
    match access.phase:
        case AccessPhase.OPEN:
            # Only a part of it that was refused is news that nobody should miss.
            opened = None if access.refused else DmKind.ACCESS
            directs = (_to_grantee("opened", news, _opened(news), opened), *_to_approvers(news))
            return _settled("opened", news, directs)
        case AccessPhase.FAILED:
            failed = notices.failed_for_grantee(access, news.place, news.fallbacks)
            return _settled("failed", news, (_to_grantee("failed", news, failed), *_to_approvers(news)))
        case AccessPhase.CLOSED:
            now = news.shown.read_at
            posts = _end_of_alarm(news, alarms.removed_at_last(access, now, news.place))
            plan = NotificationPlan(reply=notices.closed(access, now), directs=_closed(news), posts=posts)
            return AccessPlan("closed", max(grants, key=_closed_at).id, plan)
    return NOTHING


def _settled(name: str, news: AccessNews, directs: tuple[DirectMessage, ...]) -> AccessPlan:
    reply = notices.settled(news.access, news.shown.read_at, news.fallbacks)
    plan = NotificationPlan(reply=reply, directs=directs)
    return AccessPlan(name, max(news.shown.grants, key=_settled_at).id, plan)


def _opened(news: AccessNews) -> Message:
    return notices.opened_for_grantee(news.access, way_in_of(news.shown, news.policy), news.place, news.fallbacks)


def _delayed(news: AccessNews) -> AccessPlan:
    access = news.access
    pending = sorted(grant.id for grant in news.shown.grants if grant.status is GrantStatus.PENDING)
    if access.phase is not AccessPhase.OPENING or news.grant.id not in pending:
        return NOTHING
    said = news.entry.details.get("problem")
    problem = said if isinstance(said, str) else None
    told = notices.delayed_for_grantee(access, problem, news.place, news.fallbacks)
    plan = NotificationPlan(
        reply=notices.delayed(access, problem, news.fallbacks), directs=(_to_grantee("delayed", news, told),)
    )
    return AccessPlan("delayed", pending[0], plan)


def _ended_early(news: AccessNews) -> AccessPlan:
    access = news.access
    ended = sorted(grant.id for grant in news.shown.grants if grant.ended_early is not None)
    record = news.shown.record
    # The entry of an event that was closed announces that itself.
    if not ended or (isinstance(record, BreakGlassEvent) and record.status is EventStatus.CLOSED):
        return NOTHING
    told = notices.ended_early_for_grantee(access, news.shown.read_at, news.place)
    directs = () if access.is_ended_by_grantee else (_to_grantee("ended_early", news, told),)
    return AccessPlan("ended_early", ended[0], NotificationPlan(reply=notices.ended_early(access), directs=directs))


def _ending_soon(news: AccessNews) -> AccessPlan:
    access = news.access
    if not access.may_extend or news.shown.read_at >= access.until:
        return NOTHING
    direct = _to_grantee("ending_soon", news, notices.ending_soon(access, news.place), DmKind.REMINDERS)
    return AccessPlan("ending_soon", news.grant.id, NotificationPlan(directs=(direct,)))


def _revoke_failing(news: AccessNews) -> AccessPlan:
    failing = news.failing
    if failing is None:
        return NOTHING
    # One reply in the thread; the security channel is notified each time.
    posts = _to_security(news, f"{ALARM}{news.entry.id}", alarms.revoke_failing(failing, news.place))
    plan = NotificationPlan(reply=alarms.revoke_failing_in_thread(failing), posts=posts)
    rights = {each.right for each in failing.rights}
    return AccessPlan("revoke_failing", min(each.id for each in news.shown.grants if each.right in rights), plan)


def _end_of_alarm(news: AccessNews, message: Message) -> tuple[Post, ...]:
    return _to_security(news, "removed_at_last", message) if news.was_alarm else ()


def _drift(news: AccessNews) -> AccessPlan:
    access, right, at = news.access, news.grant.right, news.entry.at
    drift = news.entry.details.get("drift")
    is_removed, is_left = drift == "removed", drift == "left"
    draw = alarms.left_alone if is_left else alarms.removed_elsewhere if is_removed else alarms.came_back
    # What was found is a fact of its moment: it is announced, no matter what was done since.
    name = f"drift:{news.entry.id}"
    posts = _to_security(news, name, draw(access, right, at, news.place))
    reply = None if is_left else alarms.drift_in_thread(right, is_removed=is_removed)
    return AccessPlan(name, news.grant.id, NotificationPlan(reply=reply, posts=posts))


def _only_the_card(_news: AccessNews) -> AccessPlan:
    return NOTHING


def _closed(news: AccessNews) -> tuple[DirectMessage, ...]:
    access, now = news.access, news.shown.read_at
    if not access.has_residue(now) and not (access.kept and access.was_open):
        return ()
    return (_to_grantee("closed", news, notices.closed_for_grantee(access, now, news.place), DmKind.ACCESS),)


def _to_grantee(name: str, news: AccessNews, message: Message, kind: DmKind | None = None) -> DirectMessage:
    return DirectMessage(name, news.access.grantee, message, kind)


def _to_approvers(news: AccessNews) -> tuple[DirectMessage, ...]:
    """Those who approved what could not be given, or not all of it."""
    request = news.shown.record
    if not news.access.refused or not isinstance(request, Request):
        return ()
    told = notices.failed_for_approver(news.access, news.place)
    approvers = dict.fromkeys(vote.approver for vote in request.counting_approvals)
    return tuple(DirectMessage("failed", each, told) for each in approvers)


def _to_security(news: AccessNews, name: str, message: Message) -> tuple[Post, ...]:
    channel = news.policy.notifications.security_channel
    return (Post(name, channel, message),) if channel is not None else ()


def _settled_at(grant: Grant) -> tuple[datetime, str]:
    return grant.opened_at or grant.closed_at or grant.created_at, grant.id


def _closed_at(grant: Grant) -> tuple[datetime, str]:
    return grant.closed_at or grant.created_at, grant.id


_PLANS: Final[Mapping[AuditAction, Callable[[AccessNews], AccessPlan]]] = {
    AuditAction.GRANT_OPENED: _moved,
    AuditAction.GRANT_FAILED: _moved,
    AuditAction.GRANT_CLOSED: _moved,
    AuditAction.GRANT_DELAYED: _delayed,
    AuditAction.GRANT_ENDED_EARLY: _ended_early,
    AuditAction.GRANT_ENDING: _only_the_card,
    AuditAction.ACCESS_ENDING_SOON: _ending_soon,
    AuditAction.REVOKE_FAILING: _revoke_failing,
    AuditAction.DRIFT_FOUND: _drift,
}
