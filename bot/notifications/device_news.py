"""Delivers what happened to devices and to the credentials on them: to their person, the security channel, and threads.

Invariant: a device is announced to its person once, and the message has its button only while it can work. Renewing
credentials notifies nobody: the first ones on a device are announced in the thread of the request, and the trail has
the rest. What ends with its access is announced by the access.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from bot.notifications.cards import CARD
from bot.notifications.plan import DirectMessage, Post
from bot.notifications.posted import PostedMessages
from bot.notifications.slack_calls import SlackCalls
from bot.notifications.slack_failed import SlackFailed
from bot.notifications.steps import Steps, direct_step
from bot.slack.errors import MESSAGE_GONE
from bot.views.block_kit import Message
from bot.views.devices.notices import (
    credentials_issued,
    deny_failing,
    disowned,
    ended_by_another,
    new_device,
    session_revoked,
)
from core.access.device import Device, DeviceId
from core.access.grant import GrantId
from core.access.session import Session, SessionId, SessionStatus
from core.actor import UserId, is_person
from core.audit.trail import AuditAction, AuditEntry
from core.clock import Clock
from core.errors import DeliveryFailed, NotFound
from core.policy import PolicySource
from core.stores.base import Stores
from core.stores.messages import MessageRef

WAIT_FOR_CARD: Final = timedelta(minutes=10)
"""How long a reply waits for the card. After that, the trail alone says it."""
PAIRED: Final = "paired"
ENDS: Final = frozenset({AuditAction.DEVICE_REVOKED, AuditAction.DEVICE_EXPIRED})


class DeviceNewsDelivery:
    """Delivers the entries of devices and sessions. Safe for threads and for any number of instances."""

    def __init__(self, stores: Stores, policy: PolicySource, clock: Clock, posted: PostedMessages) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._posted = posted

    def deliver(self, entry: AuditEntry, calls: SlackCalls) -> None:
        """Send what the entry announces. Raises DeliveryFailed, StoreError."""
        kind, _, record_id = entry.chain.partition("#")
        if kind == Session.KIND:
            self._session(entry, SessionId(record_id), calls)
        elif entry.event is AuditAction.DEVICE_PAIRED:
            self._paired(self._stores.devices.get(DeviceId(record_id)), calls)
        elif entry.event in ENDS:
            self._ended(entry, self._stores.devices.get(DeviceId(record_id)), calls)

    def _paired(self, device: Device, calls: SlackCalls) -> None:
        steps = Steps(self._posted, device.chain)
        steps.send(calls, [DirectMessage(PAIRED, device.owner, new_device(device))])
        steps.raise_failures()

    def _ended(self, entry: AuditEntry, device: Device, calls: SlackCalls) -> None:
        steps = Steps(self._posted, device.chain)
        announced = steps.done.get(direct_step(DirectMessage(PAIRED, device.owner, new_device(device))))
        if announced is not None:
            place = announced
            steps.run(lambda: _rewrite(calls, place, new_device(device)))
        channel = self._policy.current().notifications.security_channel
        if entry.details.get("is_disowned") is True and channel is not None:
            steps.post(calls, [Post("disowned", channel, disowned(device))])
        by = device.revoked_by
        if by is not None and is_person(by) and UserId(by) not in self._policy.current().ids_of(device.owner):
            steps.send(calls, [DirectMessage("ended", device.owner, ended_by_another(device))])
        steps.raise_failures()

    def _session(self, entry: AuditEntry, session_id: SessionId, calls: SlackCalls) -> None:
        session = self._stores.sessions.get(session_id)
        if entry.event is AuditAction.DENY_FAILING:
            self._deny_failing(entry, session, calls)
            return
        message = self._announcement(entry, session)
        if message is None:
            return
        steps = Steps(self._posted, session.source)
        card = steps.done.get(CARD)
        if card is None:
            if self._clock.now() < entry.at + WAIT_FOR_CARD:
                raise DeliveryFailed(f"{entry.chain}: the card isn't posted yet.")
            return
        name = f"thread:{session.chain}:{entry.event.value}"
        steps.run_once(name, lambda: calls.post(card.channel, message, "a reply", thread=card))
        steps.raise_failures()

    def _deny_failing(self, entry: AuditEntry, session: Session, calls: SlackCalls) -> None:
        channel = self._policy.current().notifications.security_channel
        if channel is None or session.denied_at is not None:
            return
        steps = Steps(self._posted, session.chain)
        alarm = deny_failing(session, str(entry.details.get("problem", "")))
        steps.post(calls, [Post(f"deny_failing:{entry.id}", channel, alarm)])
        steps.raise_failures()

    def _announcement(self, entry: AuditEntry, session: Session) -> Message | None:
        if entry.event is AuditAction.CREDENTIALS_ISSUED and entry.seq == 1:
            return credentials_issued(session)
        is_revoked = entry.event is AuditAction.SESSION_REVOKED and session.status is SessionStatus.REVOKED
        return session_revoked(session) if is_revoked and self._is_open(session) else None

    def _is_open(self, session: Session) -> bool:
        """True while the access goes on, so that nothing else says that these credentials were ended."""
        try:
            grant = self._stores.access.get(GrantId(session.grant))
        except NotFound:
            return False
        return grant.is_wanted(self._clock.now())


def _rewrite(calls: SlackCalls, place: MessageRef, message: Message) -> None:
    """Take the button out of the message. One that was deleted has none."""
    try:
        calls.rewrite(place, message, "the message about a device")
    except SlackFailed as failure:
        if failure.code not in MESSAGE_GONE:
            raise
