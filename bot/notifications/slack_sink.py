"""The Slack sink: cards, replies in their threads and direct messages, from committed audit entries.

Invariant: a step that was saved as done is never repeated, and a failed step doesn't block the others. Cards show the
current record; bot/notifications/cards.py says why two instances can't leave an outdated card behind. Slack has no
idempotency key: a message is posted twice only if Slack's answer was lost, or this process died before it saved the
message in our store.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

from slack_sdk import WebClient

from bot.notifications.access_news import AccessNewsDelivery
from bot.notifications.break_glass_plan import break_glass_notifier
from bot.notifications.cards import CARD, Cards, copy_name
from bot.notifications.device_news import DeviceNewsDelivery
from bot.notifications.direct_channels import DirectChannels
from bot.notifications.page_news import PageNews
from bot.notifications.permalinks import Permalinks
from bot.notifications.plan import NotificationPlan, Notifier, ShownRecord
from bot.notifications.posted import PostedMessages
from bot.notifications.request_plan import request_notifier
from bot.notifications.slack_calls import DELIVERY_TIMEOUT_SECONDS, SlackCalls
from bot.notifications.slack_failed import SharedChannel, SlackFailed
from bot.notifications.steps import Steps, post_message
from bot.notifications.summary_delivery import SummaryDelivery
from bot.notifications.unrecorded_plan import names_event, plan_unrecorded
from bot.slack.errors import CHANNEL_CLOSED
from core.access.device import Device
from core.access.grant import Grant
from core.access.session import Session
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent
from core.clock import Clock
from core.errors import DeliveryFailed, InvalidInput, NotFound, StoreError
from core.on_call import Roster
from core.policy import PolicySource
from core.request import Request
from core.services.preferences import DmChoices
from core.stores.base import Stores
from core.stores.messages import MessageRef

NAME: Final = "slack"
_log = logging.getLogger("countersign.slack")


class SlackSink:
    """Delivers what happened to a record to Slack. Safe for threads and for any number of instances.

    `client` must not retry calls; see `slack_calls.open_client`. No call starts later than `seconds` after its delivery
    started. `roster` says who is on call, to mention them.
    """

    def __init__(
        self,
        client: WebClient,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        *,
        seconds: float = DELIVERY_TIMEOUT_SECONDS,
        permalinks: Permalinks | None = None,
        roster: Roster | None = None,
    ) -> None:
        self._client = client
        self._directs = DirectChannels()
        self._permalinks = permalinks or Permalinks()
        self._policy = policy
        self._clock = clock
        self._seconds = seconds
        self._posted = PostedMessages(stores.messages)
        self._cards = Cards(self._posted, policy, clock)
        self._wants_dm = DmChoices(stores.preferences, clock).wants_dm
        self._pages = PageNews(stores, policy)
        self._notifiers: Mapping[str, Notifier[Any]] = {
            BreakGlassEvent.KIND: break_glass_notifier(stores, clock, self._pages.find, roster),
            Request.KIND: request_notifier(stores, clock, self._pages.find, roster),
        }
        self._access = AccessNewsDelivery(
            stores, policy, clock, self._cards, self._posted, self._notifiers, self._permalinks, self._wants_dm
        )
        self._devices = DeviceNewsDelivery(stores, policy, clock, self._posted)
        self._summaries = SummaryDelivery(policy, clock, self._posted)

    @property
    def permalinks(self) -> Permalinks:
        """The addresses of cards that Slack has given."""
        return self._permalinks

    @property
    def name(self) -> str:
        """The sink's name."""
        return NAME

    def deliver(self, entry: AuditEntry) -> None:
        """Update the card, and send the notifications that the entry adds. Raises DeliveryFailed.

        An event without a plan notifies nobody.
        """
        kind, _, record_id = entry.chain.partition("#")
        notifier = self._notifiers.get(kind)
        with _translating_errors(entry.chain):
            if kind == Grant.KIND:
                self._access.deliver(entry, self._calls(entry.chain))
            elif kind in {Device.KIND, Session.KIND}:
                self._devices.deliver(entry, self._calls(entry.chain))
            elif entry.event is AuditAction.MONTHLY_SUMMARY:
                self._summaries.deliver(entry, self._calls(entry.chain))
            elif entry.event is AuditAction.PAGE_ACKNOWLEDGED:
                self._show_acknowledged(entry)
            elif notifier is None:
                self._announce(entry)
            elif entry.event in notifier.plans:
                self._notify(entry, notifier, notifier.load(record_id))

    def refresh(self, record_chain: str, *, clicked: MessageRef | None = None) -> bool:
        """Update a record's card after a click on an outdated one, and the clicked message if it is a different one.

        Posts nothing and raises nothing: a failure is logged, and the next such click tries again. False then.
        """
        kind, _, record_id = record_chain.partition("#")
        notifier = self._notifiers.get(kind)
        if notifier is None:
            return True
        try:
            with _translating_errors(record_chain):
                self._cards.refresh(self._calls(record_chain), notifier, notifier.load(record_id), clicked)
        except DeliveryFailed as failure:
            _log.warning("a card could not be refreshed: %s", failure.problem)
            return failure.is_final
        return True

    def _notify(self, entry: AuditEntry, notifier: Notifier[Any], shown: ShownRecord[Any]) -> None:
        calls, steps = self._calls(entry.chain), Steps(self._posted, entry.chain, self._wants_dm)
        ref = self._update_card(calls, steps, notifier, shown)
        plan = self._plan(calls, entry, notifier, shown, ref)
        reply = plan.reply
        if reply is not None and ref is not None:
            steps.run_once(f"thread:{entry.seq}", lambda: calls.post(ref.channel, reply, "a reply", thread=ref))
        steps.send(calls, plan.directs)
        steps.post(calls, plan.posts)
        # Last, because whether a channel may have one is asked first, and nothing else waits for that.
        self._update_copies(calls, steps, notifier, shown, ref)
        if not steps.failures:
            return
        failures = list(steps.failures)
        # If this fails, the later entry that it belongs to reports it.
        steps.send(calls, plan.ahead)
        steps.failures[:] = failures
        steps.raise_failures()

    def _plan(
        self,
        calls: SlackCalls,
        entry: AuditEntry,
        notifier: Notifier[Any],
        shown: ShownRecord[Any],
        card: MessageRef | None,
    ) -> NotificationPlan:
        """What the entry adds, with the address of the card where there is anything to add."""
        make, policy = notifier.plans[entry.event], self._policy.current()
        plan = make(entry, shown, policy)
        if plan.is_empty or card is None:
            return plan
        return make(entry, replace(shown, url=self._permalinks.find(calls, card)), policy)

    def _update_card(
        self, calls: SlackCalls, steps: Steps, notifier: Notifier[Any], shown: ShownRecord[Any]
    ) -> MessageRef | None:
        """Update the card. Returns its MessageRef, or None if it has none."""
        known = steps.done.get(CARD)
        return steps.run(lambda: self._cards.show(calls, notifier, shown, known)) or known

    def _update_copies(
        self, calls: SlackCalls, steps: Steps, notifier: Notifier[Any], shown: ShownRecord[Any], card: MessageRef | None
    ) -> None:
        for channel in notifier.copies_in(shown.record):
            if card is None or channel != card.channel:
                steps.run(partial(self._copy, calls, notifier, shown, steps.done.get(copy_name(channel)), channel))

    def _copy(
        self, calls: SlackCalls, notifier: Notifier[Any], shown: ShownRecord[Any], ref: MessageRef | None, channel: str
    ) -> MessageRef | None:
        """Update a copy of the card. A channel without the bot, or with outsiders, gets none."""
        try:
            return self._cards.show(calls, notifier, shown, ref, copy_in=channel)
        except SharedChannel:
            reason = "people of another organization may see it"
        except SlackFailed as failure:
            if failure.code not in CHANNEL_CLOSED:
                raise
            reason = failure.code
        _log.info(
            "%s: no copy of the card in %s, where the event was declared: %s", shown.record.chain, channel, reason
        )
        return None

    def _show_acknowledged(self, entry: AuditEntry) -> None:
        """Redraw a card. One that can't be redrawn holds up no other: they all share a chain, and so an order."""
        try:
            kind, _, record_id = (self._pages.note(entry) or "").partition("#")
            notifier = self._notifiers.get(kind)
            if notifier is not None:
                self._cards.refresh(self._calls(entry.chain), notifier, notifier.load(record_id), None)
        except NotFound:
            _log.info("%s is gone, so no card shows who acknowledged its page", entry.record)
        except SlackFailed as failure:
            if failure.is_temporary or failure.is_general:
                raise
            _log.warning("%s: who acknowledged its page can't be shown: %s", entry.record, failure.problem)

    def _announce(self, entry: AuditEntry) -> None:
        calls = self._calls(entry.chain)
        plan = plan_unrecorded(entry, self._policy.current(), self._card_named_by(entry, calls))
        if not plan.directs and len(plan.posts) <= 1:
            # A single step: the outbox records that it was done, so nothing else has to.
            for post in plan.posts:
                post_message(calls, post)
            return
        # The messages are saved for each entry, because these chains never end.
        steps = Steps(self._posted, f"{entry.chain}#{entry.seq}", self._wants_dm)
        steps.send(calls, plan.directs)
        steps.post(calls, plan.posts)
        steps.raise_failures()

    def _card_named_by(self, entry: AuditEntry, calls: SlackCalls) -> str | None:
        """The address of the card of the event that a refusal names."""
        chain = names_event(entry)
        card = self._posted.of(chain).get(CARD) if chain is not None else None
        return self._permalinks.find(calls, card) if card is not None else None

    def _calls(self, chain: str) -> SlackCalls:
        hosts = self._policy.current().notifications.link_hosts
        return SlackCalls(self._client, self._clock, chain, self._seconds, hosts, self._directs)


@contextmanager
def _translating_errors(chain: str) -> Iterator[None]:
    """Turns the store's errors into DeliveryFailed."""
    try:
        yield
    except (NotFound, InvalidInput) as error:
        raise DeliveryFailed(f"{chain}: the record is gone, so there is nothing to show.", is_final=True) from error
    except StoreError as error:
        raise DeliveryFailed(f"{chain}: {error}") from error
