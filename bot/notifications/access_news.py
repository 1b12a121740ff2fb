"""Delivers the entries of grants: the card of their source, its thread, the grantee and the security channel.

Invariant: what is posted is saved under the source, so several rights of one decision announce an event once. In one
process they take turns; between instances, one right announces at once and the others wait for it. Nothing here posts a
card that isn't there yet: the entries of the record do, and would post it twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Final
from zlib import crc32

from bot.notifications.access_plan import ALARM, AccessNews, AccessPlan, is_shown, plan_access
from bot.notifications.cards import CARD, Cards
from bot.notifications.permalinks import Permalinks
from bot.notifications.plan import Notifier, Post, ShownRecord
from bot.notifications.posted import PostedMessages
from bot.notifications.slack_calls import SlackCalls
from bot.notifications.slack_failed import SlackFailed
from bot.notifications.steps import POST, Steps, WantsDm, direct_step, post_step
from bot.slack.errors import CHANNEL_CLOSED
from bot.views.access.alarms import FailedRevoke
from bot.views.access.target_words import by_hand
from core.access.grant import Grant, GrantId
from core.access.holding import Holding
from core.access.summary import AccessSummary
from core.audit.trail import AuditAction, AuditEntry
from core.clock import Clock
from core.errors import DeliveryFailed
from core.policy import PolicySource
from core.stores.base import Stores
from core.stores.messages import MessageRef

WAIT_FOR_ANNOUNCER: Final = timedelta(seconds=10)
"""How long the entry of another right may announce for all before this one does: emergencies hear within a minute."""
WAIT_FOR_OTHERS_SECONDS: Final = 2
"""How long a delivery waits for another of the same source in this process; then it is tried again."""
WAIT_FOR_CARD: Final = timedelta(minutes=10)
"""How long a reply waits for the card. After that, the card alone says it."""
MAX_WAITING: Final = 1000
"""How many entries are remembered as waiting; the oldest is forgotten first, and then waits anew."""
QUIET_FOR: Final = timedelta(minutes=30)
"""Several rights of one decision that can't be removed are one alarm; the next one comes an hour later."""


class AccessNewsDelivery:
    """Delivers what happened to grants. Safe for threads and for any number of instances."""

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        cards: Cards,
        posted: PostedMessages,
        notifiers: Mapping[str, Notifier[Any]],
        permalinks: Permalinks,
        wants_dm: WantsDm = lambda _person, _kind: True,
    ) -> None:
        self._permalinks = permalinks
        self._wants_dm = wants_dm
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._cards = cards
        self._posted = posted
        self._notifiers = notifiers
        self._waits = _SiblingWaits(clock)
        self._locks = tuple(Lock() for _ in range(64))

    def deliver(self, entry: AuditEntry, calls: SlackCalls) -> None:
        """Update the card of the entry's source, and send what it announces. Raises DeliveryFailed, StoreError."""
        if not is_shown(entry.event):
            return
        grant = self._stores.access.get(GrantId(entry.chain.partition("#")[2]))
        with self._alone(grant.source):
            self._deliver(entry, calls, grant)

    def _deliver(self, entry: AuditEntry, calls: SlackCalls, grant: Grant) -> None:
        kind, _, record_id = grant.source.partition("#")
        notifier = self._notifiers[kind]
        shown = notifier.load(record_id)
        if shown.access is None:
            return
        steps = Steps(self._posted, grant.source, self._wants_dm)
        card = steps.run(lambda: self._update_card(calls, notifier, shown, grant, steps.done.get(CARD)))
        plan = self._plan(calls, self._news(entry, grant, shown, shown.access, steps.done), card)
        # What was muted is as good as sent: nothing waits for it.
        plan = replace(plan, plan=replace(plan.plan, directs=tuple(steps.wanted(plan.plan.directs))))
        if self._is_anothers(plan, entry, grant, steps.done):
            steps.failures.append(DeliveryFailed(f"{entry.chain}: waiting for another right of {grant.source}."))
        else:
            self._announce(calls, steps, plan, entry, card)
        steps.raise_failures()

    def _plan(self, calls: SlackCalls, news: AccessNews, card: MessageRef | None) -> AccessPlan:
        """What the entry announces, with the address of the card where it announces anything."""
        plan = plan_access(news)
        if not plan.name or card is None:
            return plan
        return plan_access(replace(news, shown=replace(news.shown, url=self._permalinks.find(calls, card))))

    @contextmanager
    def _alone(self, source: str) -> Iterator[None]:
        """One delivery at a time for each source in this process, so that the next one sees what was posted."""
        lock = self._locks[crc32(source.encode()) % len(self._locks)]
        if not lock.acquire(timeout=WAIT_FOR_OTHERS_SECONDS):
            raise DeliveryFailed(f"{source}: another right of it is being announced.")
        try:
            yield
        finally:
            lock.release()

    def _announce(
        self, calls: SlackCalls, steps: Steps, plan: AccessPlan, entry: AuditEntry, card: MessageRef | None
    ) -> None:
        reply = plan.plan.reply
        if reply is not None and card is not None:
            thread = card
            steps.run_once(f"thread:{plan.name}", lambda: calls.post(thread.channel, reply, "a reply", thread=thread))
        steps.send(calls, plan.plan.directs)
        steps.post(calls, [each for each in plan.plan.posts if not self._is_posted(each, plan, steps.done)])
        # Last, because nothing else waits for the card.
        if reply is not None and CARD not in steps.done and self._is_young(entry, WAIT_FOR_CARD):
            steps.failures.append(DeliveryFailed(f"{entry.chain}: the card isn't posted yet."))

    def _update_card(
        self,
        calls: SlackCalls,
        notifier: Notifier[Any],
        shown: ShownRecord[Any],
        grant: Grant,
        card: MessageRef | None,
    ) -> MessageRef | None:
        """Rewrite the card and its copies. Returns the card's MessageRef; None if it isn't there."""
        try:
            gone = self._cards.refresh(calls, notifier, shown, None)
        except SlackFailed as failure:
            if failure.code not in CHANNEL_CLOSED or card is None:
                raise
            gone = frozenset({card})
        if card is None or card not in gone:
            return card
        if grant.id != min(each.id for each in shown.grants):
            return None
        # Only one of the rights posts it again, or there would be several.
        return self._cards.show(calls, notifier, shown, card)

    def _news(
        self,
        entry: AuditEntry,
        grant: Grant,
        shown: ShownRecord[Any],
        access: AccessSummary,
        done: Mapping[str, MessageRef],
    ) -> AccessNews:
        policy = self._policy.current()
        failing = self._find_failing(shown, access, grant) if entry.event is AuditAction.REVOKE_FAILING else None
        was_alarm = any(name.startswith(f"{POST}{ALARM}") for name in done)
        return AccessNews(entry, grant, shown, access, policy, failing, was_alarm)

    def _find_failing(self, shown: ShownRecord[Any], access: AccessSummary, grant: Grant) -> FailedRevoke | None:
        """What can't be removed now. A grant that is over may have come back, so its holding says it."""
        holdings = [
            (each, self._stores.access.get_right(each.right).holding)
            for each in sorted(shown.grants, key=lambda each: each.id)
            if each.id == grant.id or not each.is_wanted(shown.read_at)
        ]
        overdue = [(each, holding) for each, holding in holdings if _is_failing(each, holding)]
        if not overdue:
            return None
        targets = self._policy.current().targets
        return FailedRevoke(
            access,
            [by_hand(targets, each.right) for each, _ in overdue],
            since=min(holding.overdue_since or shown.read_at for _, holding in overdue),
            failures=max(holding.failures for _, holding in overdue),
            problem=next((holding.problem for _, holding in overdue if holding.problem), None),
        )

    def _is_anothers(self, plan: AccessPlan, entry: AuditEntry, grant: Grant, done: Mapping[str, MessageRef]) -> bool:
        """True while the entry of another right is about to announce this, and hasn't yet."""
        if not plan.name or plan.announcer == grant.id:
            return False
        sent = all(direct_step(each) in done for each in plan.plan.directs)
        posted = all(self._is_posted(each, plan, done) for each in plan.plan.posts)
        is_replied = plan.plan.reply is None or CARD not in done or f"thread:{plan.name}" in done
        return not (sent and posted and is_replied) and self._waits.is_left(entry)

    def _is_posted(self, post: Post, plan: AccessPlan, done: Mapping[str, MessageRef]) -> bool:
        """True when it was posted, or the same alarm about another right of the source was, just now."""
        if post_step(post) in done:
            return True
        since = self._clock.now() - QUIET_FOR
        start = f"{POST}{plan.name}:"
        return any(name.startswith(start) and _posted_at(ref) > since for name, ref in done.items())

    def _is_young(self, entry: AuditEntry, wait: timedelta) -> bool:
        return self._clock.now() < entry.at + wait


class _SiblingWaits:
    """Since when entries wait for that of another right. Thread-safe.

    Counted from the first try and not from the entry's time, because after an outage all of them are old at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._since: OrderedDict[str, datetime] = OrderedDict()

    def is_left(self, entry: AuditEntry) -> bool:
        """True until the entry has waited long enough."""
        now = self._clock.now()
        with self._lock:
            since = self._since.setdefault(entry.id, now)
            if len(self._since) > MAX_WAITING:
                self._since.popitem(last=False)
        # A clock that was set back causes no long wait.
        return since <= now < since + WAIT_FOR_ANNOUNCER


def _is_failing(grant: Grant, holding: Holding) -> bool:
    return holding.overdue_since is not None and holding.last_grant in {None, grant.id}


def _posted_at(ref: MessageRef) -> datetime:
    """When a message was posted: Slack names it by that, in seconds."""
    try:
        return datetime.fromtimestamp(float(ref.ts), UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)
