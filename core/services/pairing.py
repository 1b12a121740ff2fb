"""The use cases of pairing: a machine asks, its person types the code in Slack, the machine fetches its token.

Invariant: nobody but the machine that holds the device code gets the token; it is made when it is fetched, and never
stored. The person is judged when they confirm, and again when the token is fetched. A wrong code is counted before
anybody learns that it was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue, SecretStr

from core.access.device import (
    ADDRESS_LENGTH,
    AGENT_LENGTH,
    NAME_LENGTH,
    Device,
    DeviceExists,
    DeviceId,
    digest_secret,
    write_token,
)
from core.access.pairing import (
    CODE_LIFE,
    INTERVAL,
    Pairing,
    PairingExpired,
    PairingRefused,
    PairingTooFast,
    PairingUnknown,
    device_id_for,
    read_device_code,
    read_user_code,
)
from core.actor import Actor, DeciderId, UserId, check_service_name
from core.audit.trail import REFUSED, AuditAction, EntryDraft
from core.clock import Clock, format_time, new_secret
from core.directory import Directory, UnknownDirectory
from core.errors import LimitReached, NotAllowed, NotKnown
from core.policy import PolicySource
from core.services.membership import Judging
from core.services.observer import Observer, Unobserved
from core.services.pacing import PACING, Pacing
from core.services.poll_pace import PollPace
from core.services.use_case import AuditedAttempt, audit_refusals, retry_on_conflict
from core.stores.base import Stores
from core.text import clean_text

PAIR: Final = "pair a terminal"
_DENIED: Final = "the person refused it"


@dataclass(frozen=True, slots=True)
class StartedPairing:
    """What a machine gets when it asks to be paired. It shows the user code, and keeps the device code to itself."""

    device_code: SecretStr
    user_code: str
    expires_in: timedelta
    interval: timedelta


@dataclass(frozen=True, slots=True)
class IssuedDevice:
    """A device and its token, which is in no store and can't be had again."""

    token: SecretStr = field(repr=False)
    device: Device


class PairingService:
    """Pair terminals with people. Safe for threads, and for any number of processes."""

    def __init__(
        self,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        observer: Observer | None = None,
        *,
        directory: Directory | None = None,
        pacing: Pacing = PACING,
    ) -> None:
        self._stores = stores
        self._policy = policy
        self._clock = clock
        self._observer = observer or Unobserved()
        self._directory: Directory = directory or UnknownDirectory()
        self._pacing = pacing
        self._polls = PollPace(clock)

    def start(self, name: str, agent: str, address: str, service: str | None = None) -> StartedPairing:
        """Begin: nobody is known yet. Raises InvalidInput, LimitReached, StoreError."""
        said = (
            clean_text("name", name, at_least=NAME_LENGTH[0], at_most=NAME_LENGTH[1]),
            clean_text("agent", agent, at_least=AGENT_LENGTH[0], at_most=AGENT_LENGTH[1]),
            clean_text("address", address, at_least=ADDRESS_LENGTH[0], at_most=ADDRESS_LENGTH[1]),
            # Whether there is such a service is nothing for somebody who isn't known yet.
            check_service_name(service) if service is not None else None,
        )

        def use_case() -> StartedPairing:
            now, waiting = self._clock.now(), self._stores.devices.get_open_pairings()
            pairing, code = Pairing.start(*said, now)
            self._stores.devices.start_pairing(pairing, waiting.add(pairing, now))
            return StartedPairing(code, pairing.user_code, CODE_LIFE, INTERVAL)

        try:
            return retry_on_conflict(use_case, self._observer, self._pacing)
        except LimitReached:
            # Nobody is known who could be named in the audit trail.
            self._observer.refused(AuditAction.PAIR_REFUSED)
            raise

    def find(self, user_code: str, person: Actor) -> Pairing:
        """The pairing with this code, for its form. A wrong code is counted.

        Raises InvalidInput, PairingUnknown, PairingExpired, PairingRefused, NotAllowed, LimitReached, StoreError.
        """
        return self._change(user_code, person, lambda pairing, _person, _now: pairing)

    def confirm(self, user_code: str, person: Actor) -> Pairing:
        """Bind the machine that shows this code to this person. Idempotent. Raises like `find`."""
        return self._change(user_code, person, Pairing.confirm)

    def refuse(self, user_code: str, person: Actor) -> Pairing:
        """The machine that shows this code gets nothing. Idempotent. Raises like `find`."""
        denied = self._change(user_code, person, Pairing.deny, is_judged=False)
        details = _describe(denied) | {"why": _DENIED}
        draft = EntryDraft(
            event=AuditAction.PAIR_REFUSED,
            actor=DeciderId(person.id),
            outcome=REFUSED,
            subject=person.id,
            details=details,
        )
        self._stores.refusals.note(draft)
        return denied

    def exchange(self, device_code: SecretStr, address: str) -> IssuedDevice:
        """Give the machine its token, once.

        Raises PairingWaiting, PairingTooFast, PairingExpired, PairingRefused, NotKnown, StoreError.
        """
        letters, secret = read_device_code(device_code)
        if not self._polls.may_ask(digest_secret(secret)):
            raise PairingTooFast
        asked_from = clean_text("address", address, at_least=ADDRESS_LENGTH[0], at_most=ADDRESS_LENGTH[1])

        def use_case() -> IssuedDevice:
            now, pairing = self._clock.now(), self._stores.devices.find_pairing(letters)
            if pairing is None or not pairing.is_proved_by(secret):
                raise PairingExpired("isn't valid")
            self._require_member(pairing, pairing.require_confirmed(now))
            return self._issue(pairing, asked_from, now)

        return retry_on_conflict(use_case, self._observer, self._pacing)

    def _change(
        self,
        user_code: str,
        person: Actor,
        change: Callable[[Pairing, UserId, datetime], Pairing],
        *,
        is_judged: bool = True,
    ) -> Pairing:
        letters = read_user_code(user_code)
        people = Judging(self._policy.current(), self._directory)
        ids = people.policy.ids_of(person.id)

        def use_case() -> Pairing:
            pairing = self._find(letters, ids[0], people)
            if is_judged:
                pairing.refuse_ended(self._clock.now(), ids)
                acting = person.model_copy(update={"service": pairing.service})
                people.judge(acting, lambda known: people.policy.judge_device(known, PAIR)).require()
            by = pairing.person if pairing.person is not None and pairing.person in ids else person.id
            changed = change(pairing, by, self._clock.now())
            return pairing if changed is pairing else self._stores.devices.put_pairing(changed)

        attempt = AuditedAttempt(AuditAction.PAIR_REFUSED, person, subject=person.id)
        with audit_refusals(attempt, self._stores.refusals, self._observer):
            return retry_on_conflict(use_case, self._observer, self._pacing)

    def _find(self, letters: str, person: UserId, people: Judging) -> Pairing:
        """The pairing with this code. A wrong one is counted, for all ids of the person together."""
        pairing, tries, notes = self._stores.devices.find_for_person(letters, person)
        now = self._clock.now()
        tries.refuse_locked(now)
        if pairing is None:
            wrong = self._stores.devices.put_tries(tries.count_wrong(now))
            wrong.refuse_locked(now)
            raise PairingUnknown(wrong.tries_left(now))
        return people.noting((pairing, notes))

    def _require_member(self, pairing: Pairing, person: UserId) -> None:
        """Raises PairingRefused when the person may not have this device any more; NotKnown when nobody can say."""
        policy, notes = self._policy.current(), self._stores.directory.notes()
        try:
            known = self._directory.person(person, notes).model_copy(update={"service": pairing.service})
            policy.judge_device(known, PAIR).require()
        except NotKnown:
            raise
        except NotAllowed as refusal:
            raise PairingRefused(f"is not allowed any more: {'; '.join(refusal.reasons)}") from refusal

    def _issue(self, pairing: Pairing, asked_from: str, now: datetime) -> IssuedDevice:
        secret = new_secret()
        device = Device(
            # Always the same for one code: should its use be undone in the store, there is a device already.
            id=device_id_for(pairing),
            owner=pairing.require_confirmed(now),
            name=pairing.name,
            agent=pairing.agent,
            address=pairing.address,
            service=pairing.service,
            token_digest=digest_secret(secret),
            confirmed_at=pairing.decided_at or now,
            created_at=now,
            updated_at=now,
            expires_at=now + self._policy.current().device_max_age,
        )
        details = _describe(pairing) | {
            "confirmed_at": format_time(device.confirmed_at),
            "expires_at": format_time(device.expires_at),
        }
        if asked_from != pairing.address:
            details["fetched_from"] = asked_from
        entry = EntryDraft.of(device, AuditAction.DEVICE_PAIRED, device.owner, details)
        try:
            stored = self._stores.devices.create(device, entry, pairing.use(DeviceId(device.id), now))
        except DeviceExists:
            raise PairingExpired("was used already") from None
        self._observer.committed(stored, AuditAction.DEVICE_PAIRED)
        return IssuedDevice(write_token(stored.id, secret), stored)


def _describe(pairing: Pairing) -> dict[str, JsonValue]:
    """What the machine said of itself, where it asked from, and for which service, as an entry has it."""
    said: dict[str, JsonValue] = {
        "name": pairing.name, "agent": pairing.agent, "address": pairing.address, "service": pairing.service
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}
