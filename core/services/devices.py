"""The use cases of devices: recognise one by its token, list a person's own, and end them.

Invariant: a token is judged whole at each call: its secret, the device's status and age, the policy in force, and
whether its person is still a member. Whatever can't be said is a no.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue, SecretStr

from core.access.device import (
    LONGEST_AGE,
    Device,
    DeviceEnded,
    DeviceId,
    DeviceNotFound,
    DeviceStatus,
    DeviceUser,
    TokenRefused,
    read_token,
)
from core.actor import CLOCK, Actor, DeciderId, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.clock import Clock
from core.directory import Directory, DirectoryNotes, UnknownDirectory
from core.errors import CountersignError, NotAllowed, NotKnown, StoreError
from core.policy import PolicySource
from core.services.due import PER_PAGE, DueWatch, Rest, Watched, no_rest
from core.services.membership import Judging
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing
from core.services.service_actors import refuse_other_service
from core.services.use_case import AuditedAttempt, acting_as, audit_refusals, retry_on_conflict
from core.stores.base import Stores
from core.stores.record_store import Page, iterate_newest_first

USE_EVERY: Final = timedelta(minutes=1)
"""How often it is written that a device was used."""
MAX_PASSES: Final = 3
"""How often a person's devices are listed again, for one that was paired meanwhile."""
_OVERLAP: Final = timedelta(hours=1)
"""Room for clocks that differ, in a list of devices that may still live."""
_MAX_NOTED: Final = 10_000
_log = logging.getLogger("countersign.devices")


@dataclass(frozen=True, slots=True)
class DeviceEnds:
    """What became of a person's devices: those that were revoked, and the ids of those that couldn't be, with why."""

    revoked: tuple[Device, ...]
    failed: tuple[tuple[str, str], ...] = ()


class DeviceService:
    """Recognise and end devices. Safe for threads, and for any number of processes."""

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        observer: Observer | None = None,
        *,
        directory: Directory | None = None,
        pacing: Pacing = PACING,
        notes_use: bool = True,
    ) -> None:
        """Without `notes_use`, a device that is used isn't written to: the broker may not."""
        self._notes_use = notes_use
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._directory: Directory = directory or UnknownDirectory()
        self._pacing = pacing
        self._noted: set[str] = set()
        self._expiring = DueWatch(
            Watched(self._read_active, lambda each: stores.devices.get(DeviceId(each)), self._ends_at),
            clock,
            lambda: policy.current().digest,
        )

    def authenticate(self, token: SecretStr) -> DeviceUser:
        """Who calls with this token.

        Raises TokenRefused for anything that is no token; DeviceEnded when the device's time is over; NotAllowed, and
        its subclass NotKnown, when its person is no member or its service isn't theirs (any more); StoreError.
        """
        device_id, secret = read_token(token)
        try:
            device, notes = self._stores.devices.get_with_notes(device_id)
        except DeviceNotFound:
            raise TokenRefused from None
        if not device.is_proved_by(secret):
            raise TokenRefused
        now = self._clock.now()
        status = device.status_at(now, self._policy.current().device_max_age)
        if status is not DeviceStatus.ACTIVE:
            raise DeviceEnded(device, status)
        actor = self._find_actor(device, notes)
        self._note_use(device, now)
        return DeviceUser(device, actor)

    def list_own(self, person: Actor) -> tuple[Device, ...]:
        """The person's active devices, with all of their ids, newest first. A service sees its own.

        Raises StoreUnavailable.
        """
        policy, now = self._policy.current(), self._clock.now()
        found = self._list(policy.ids_of(person.id), now)
        is_live = (each for each in found if each.status_at(now, policy.device_max_age) is DeviceStatus.ACTIVE)
        own = (each for each in is_live if person.service is None or each.service == person.service)
        return tuple(sorted(own, key=lambda each: (each.created_at, each.id), reverse=True))

    def revoke(self, device_id: str, by: Actor, *, is_disowned: bool = False) -> Device:
        """End an own device; admins end any. Idempotent. `is_disowned`: its person never paired it.

        Raises DeviceNotFound, NotAllowed, InvalidStateTransition when it has expired, StoreError.
        """
        people = Judging(self._policy.current(), self._directory)
        attempt = AuditedAttempt(AuditAction.DEVICE_REFUSED, by)

        def use_case() -> Device:
            device = people.noting(self._stores.devices.get_with_notes(DeviceId(device_id)))
            attempt.record = device
            details: dict[str, JsonValue] = {}
            refuse_other_service(by, device.service, "end a device")
            if device.owner in people.policy.ids_of(by.id):
                decider, details = DeciderId(device.owner), acting_as(by.id, device.owner)
            else:
                decision = people.judge(by, people.policy.judge_admin)
                decision.require()
                decider, details = DeciderId(by.id), decision.to_details()
            if is_disowned:
                details = {**details, "is_disowned": True}
            return self._revoke(device, decider, details)

        with audit_refusals(attempt, self._stores.refusals, self._observer):
            return retry_on_conflict(use_case, self._observer, self._pacing)

    def revoke_all(self, person: UserId, by: Actor) -> DeviceEnds:
        """End all devices of a person, with all of their ids: their own, or, for admins, anybody's.

        One that fails stops no other. Raises NotAllowed, StoreUnavailable when they can't be listed.
        """
        people = Judging(self._policy.current(), self._directory)
        ids = people.policy.ids_of(person)
        attempt = AuditedAttempt(AuditAction.DEVICE_REFUSED, by, subject=person)
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            refuse_other_service(by, None, "end all devices")
            if by.id not in ids:
                people.judge(by, people.policy.judge_admin).require()
        return self._end_all(ids, lambda device: self.revoke(device.id, by))

    def end_departed(self, person: UserId) -> DeviceEnds:
        """End all devices of this id, because its account was deactivated in Slack. By the clock."""

        def end(listed: Device) -> Device:
            return retry_on_conflict(
                lambda: self._revoke(self._stores.devices.get(DeviceId(listed.id)), CLOCK, {"departed": True}),
                self._observer,
                self._pacing,
            )

        return self._end_all((person,), end)

    def expire_due(self, rest: Rest = no_rest) -> tuple[Device, ...]:
        """Record the end of every device whose time has passed. Returns those that this call recorded."""
        return self._expiring.change(self._expire, rest)

    def _find_actor(self, device: Device, notes: DirectoryNotes) -> Actor:
        try:
            member = self._directory.person(device.owner, notes)
            actor = member.model_copy(update={"service": device.service})
            self._policy.current().judge_device(actor).require()
        except NotKnown:
            raise
        except NotAllowed as refusal:
            self._note_refusal(device, refusal)
            raise
        return actor

    def _note_refusal(self, device: Device, refusal: NotAllowed) -> None:
        """Once for each device: a machine asks again and again."""
        self._observer.refused(AuditAction.DEVICE_REFUSED)
        if device.id in self._noted or len(self._noted) >= _MAX_NOTED:
            return
        self._noted.add(device.id)
        attempt = AuditedAttempt(AuditAction.DEVICE_REFUSED, Actor(id=device.owner), record=device)
        self._stores.refusals.note(attempt.to_draft(refusal))

    def _note_use(self, device: Device, now: datetime) -> None:
        last = device.last_used_at
        if not self._notes_use:
            return
        if last is not None and last <= now < last + USE_EVERY:
            return
        try:
            self._stores.devices.note_use(device, now)
        except StoreError:
            # It is for display only, and no call fails because of it.
            _log.warning("%s: when it was last used could not be written", device.chain, exc_info=True)

    def _revoke(self, device: Device, by: DeciderId, details: dict[str, JsonValue]) -> Device:
        revoked = device.revoke(by, self._clock.now())
        if revoked is device:
            return device
        return self._commit(revoked, EntryDraft.of(revoked, AuditAction.DEVICE_REVOKED, by, details))

    def _expire(self, device: Device, now: datetime) -> Device | None:
        max_age = self._policy.current().device_max_age
        if not device.is_overdue(now, max_age):
            return None
        expired = device.expire(now, max_age)
        return self._commit(expired, EntryDraft.of(expired, AuditAction.DEVICE_EXPIRED, CLOCK))

    def _commit(self, device: Device, entry: EntryDraft) -> Device:
        stored = self._stores.devices.update(device, entry)
        self._observer.committed(stored, entry.event)
        return stored

    def _end_all(self, ids: Sequence[UserId], end: Callable[[Device], Device]) -> DeviceEnds:
        revoked: list[Device] = []
        failed: dict[str, str] = {}
        tried: set[str] = set()
        for _ in range(MAX_PASSES):
            found = self._list(ids, self._clock.now())
            new = [each for each in found if each.id not in tried and each.status is DeviceStatus.ACTIVE]
            if not new:
                break
            for device in new:
                tried.add(device.id)
                try:
                    revoked.append(end(device))
                except CountersignError as error:
                    _log.exception("%s could not be ended", device.chain)
                    failed[device.id] = str(error)
        return DeviceEnds(tuple(revoked), tuple(failed.items()))

    def _list(self, ids: Sequence[UserId], now: datetime) -> list[Device]:
        since = now - LONGEST_AGE - _OVERLAP
        return [each for one in ids for each in iterate_newest_first(self._stores.devices, "owner", one, since)]

    def _read_active(self, cursor: str | None, since: datetime | None) -> Page[Device]:
        return self._stores.devices.list_active(limit=PER_PAGE, cursor=cursor, since=since)

    def _ends_at(self, device: Device) -> datetime | None:
        if device.status is not DeviceStatus.ACTIVE:
            return None
        return device.ends_at(self._policy.current().device_max_age)
