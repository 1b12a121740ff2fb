"""Pairing a terminal, in the shape of RFC 8628: the machine shows a short code, and its person types it in Slack.

    waiting → confirmed → used          waiting, confirmed → denied          and whatever is left expires by the clock

Invariant: a pairing gives one token, once, to the machine that holds its device code, within five minutes; the device
code is stored as its SHA-256. Who confirmed it stays who confirmed it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from pydantic import JsonValue, SecretStr

from core.access.device import AgentName, DeviceId, DeviceName, Digest, PeerAddress, digest_secret
from core.actor import ServiceName, UserId, ValidServiceName, ValidUserId
from core.clock import UtcTime, choose_letters, new_secret
from core.errors import InvalidInput, Refused
from core.ledger import Ledger
from core.record import RecordId
from core.state_machine import StateMachine

ALPHABET: Final = "BCDFGHJKLMNPQRSTWXZ"
"""RFC 8628's letters, which make no words, without V: two of them look like a W. 19 ** 8 codes are 17 billion."""
CODE_LETTERS: Final = 8
CODE_LIFE: Final = timedelta(minutes=5)
KEPT_FOR: Final = timedelta(days=1)
INTERVAL: Final = timedelta(seconds=5)
"""How long a machine waits between two questions whether its code was confirmed."""
PAIRING_PREFIX: Final = "PAIRING#"
"""Before the owner of every ledger about pairing: such a ledger is forgotten a day after its last change."""
_NEVER: Final = datetime.fromtimestamp(0, tz=UTC)
_WRITTEN = re.compile(rf"[{ALPHABET}]{{{CODE_LETTERS}}}")
_DEVICE_CODE = re.compile(rf"csd_([{ALPHABET}]{{{CODE_LETTERS}}})_([A-Za-z0-9_-]{{43}})")


class PairingStatus(StrEnum):
    """The status of a pairing, but for its end by the clock."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    USED = "used"
    DENIED = "denied"


PAIRING_MACHINE: Final = StateMachine[PairingStatus](
    {
        PairingStatus.WAITING: frozenset({PairingStatus.CONFIRMED, PairingStatus.DENIED}),
        PairingStatus.CONFIRMED: frozenset({PairingStatus.USED, PairingStatus.DENIED}),
        PairingStatus.USED: frozenset(),
        PairingStatus.DENIED: frozenset(),
    }
)


class PairingUnknown(Refused):
    """No terminal shows this code. It was counted as wrong; `tries_left` more may be."""

    def __init__(self, tries_left: int) -> None:
        left = "1 attempt" if tries_left == 1 else f"{tries_left} attempts"
        super().__init__(f"No terminal is waiting with this code; {left} left. Check the code that your terminal shows")
        self.tries_left = tries_left


class PairingExpired(Refused):
    """The code was right once: its five minutes are over, or it was used. Nothing was changed; begin again."""

    def __init__(self, problem: str = "has expired") -> None:
        super().__init__(f"This pairing code {problem}. Run `countersign login` for a new one.")
        self.problem = problem


class PairingRefused(Refused):
    """The person refused it in Slack, or may not pair. Nothing was changed; the machine gets no token."""

    def __init__(self, problem: str = "was refused in Slack") -> None:
        super().__init__(f"This pairing {problem}.")
        self.problem = problem


class PairingWaiting(Refused):
    """Nobody typed the code yet: ask again after the interval."""

    def __init__(self) -> None:
        super().__init__("Nobody has confirmed this pairing in Slack yet.")


class PairingTooFast(Refused):
    """The machine asked again too early. It waits `interval` longer from now on."""

    def __init__(self, interval: timedelta = INTERVAL) -> None:
        super().__init__("You are asking too often: wait five seconds longer between two questions.")
        self.interval = interval


class Pairing(Ledger):
    """One pairing, stored under its code. `name` and `agent` are what the machine said of itself: untrusted.

    `person` confirmed or denied it. `device` is what it became.
    """

    code_digest: Digest
    name: DeviceName
    agent: AgentName = ""
    address: PeerAddress = ""
    service: ValidServiceName | None = None
    asked_at: UtcTime
    expires_at: UtcTime
    status: PairingStatus = PairingStatus.WAITING
    person: ValidUserId | None = None
    decided_at: UtcTime | None = None
    device: RecordId | None = None

    @classmethod
    def start(
        cls, name: str, agent: str, address: str, service: ServiceName | None, now: datetime
    ) -> tuple[Self, SecretStr]:
        """A new pairing, and the device code that only its machine gets. Raises InvalidInput."""
        letters, secret = choose_letters(ALPHABET, CODE_LETTERS), new_secret()
        pairing = cls(
            owner=owner_of(letters), code_digest=digest_secret(secret), name=name, agent=agent, address=address,
            service=service, asked_at=now, expires_at=now + CODE_LIFE,
        )  # fmt: skip
        return pairing, SecretStr(f"csd_{letters}_{secret}")

    @classmethod
    def sought(cls, letters: str) -> Self:
        """Where a pairing is looked for: nothing but its owner."""
        return cls(owner=owner_of(letters), code_digest="0" * 64, name="?", asked_at=_NEVER, expires_at=_NEVER)

    @property
    def user_code(self) -> str:
        """The code as a terminal shows it: `WDJB-MJHT`."""
        return write_user_code(self.owner.rpartition("#")[2])

    def is_over(self, now: datetime) -> bool:
        """True when the clock has ended it, whatever its status."""
        return now >= self.expires_at

    def is_proved_by(self, secret: str) -> bool:
        """True when this is the secret part of its device code. Takes constant time."""
        return hmac.compare_digest(digest_secret(secret), self.code_digest)

    def confirm(self, person: UserId, now: datetime) -> Self:
        """Bind it to this person. The one who confirmed it already gets the same pairing back.

        Raises PairingExpired when it is over, PairingRefused when it was denied.
        """
        if self.status is PairingStatus.CONFIRMED and self.person == person and not self.is_over(now):
            return self
        return self._decide(PairingStatus.CONFIRMED, person, now)

    def deny(self, person: UserId, now: datetime) -> Self:
        """Refuse it. Denying it again gives the same pairing back. Only the one who confirmed it may deny it then."""
        if self.status is PairingStatus.DENIED and self.person == person:
            return self
        self.refuse_ended(now, {person})
        return self._decide(PairingStatus.DENIED, person, now)

    def use(self, device: DeviceId, now: datetime) -> Self:
        """Give its token away. Raises PairingWaiting, PairingRefused, PairingExpired."""
        self.require_confirmed(now)
        return self._replace(status=PairingStatus.USED, device=device)

    def require_confirmed(self, now: datetime) -> UserId:
        """Who confirmed it. Raises PairingWaiting, PairingRefused, PairingExpired."""
        self.refuse_ended(now)
        if self.status is PairingStatus.WAITING or self.person is None:
            raise PairingWaiting
        return self.person

    def to_item(self) -> dict[str, JsonValue]:
        """The pairing as plain JSON values, without attributes that are empty."""
        return {name: value for name, value in super().to_item().items() if value not in (None, "")}

    def kept_until(self) -> datetime:
        """A day after it was asked for, so that a code that was typed late can still be explained."""
        return self.asked_at + KEPT_FOR

    def _decide(self, status: PairingStatus, person: UserId, now: datetime) -> Self:
        self.refuse_ended(now)
        if not PAIRING_MACHINE.may_move(self.status, status):
            raise PairingExpired("was confirmed already")
        return self._replace(status=status, person=person, decided_at=now)

    def refuse_ended(self, now: datetime, confirming: Collection[UserId] | None = None) -> None:
        """Raises PairingRefused and PairingExpired; the latter also when it was confirmed by none of `confirming`."""
        if self.status is PairingStatus.DENIED:
            raise PairingRefused
        if self.status is PairingStatus.USED:
            raise PairingExpired("was used already")
        if self.is_over(now):
            raise PairingExpired
        if self.status is PairingStatus.CONFIRMED and confirming is not None and self.person not in confirming:
            raise PairingExpired("was confirmed already")

    def _replace(self, **changes: object) -> Self:
        return self.model_copy(update=changes)


def device_id_for(pairing: Pairing) -> DeviceId:
    """The id of the device that a pairing becomes."""
    return DeviceId(hashlib.sha256(f"device {pairing.code_digest}".encode()).hexdigest()[:16])


def owner_of(letters: str) -> str:
    """The key of a pairing, by the letters of its code."""
    return f"{PAIRING_PREFIX}code#{letters}"


def read_user_code(text: str) -> str:
    """The letters of a code as a person types it: any case, with or without the dash. Raises InvalidInput."""
    letters = re.sub(r"[\s_-]", "", text[:40]).upper()
    if not _WRITTEN.fullmatch(letters):
        raise InvalidInput("code", "this is not a pairing code", "Type the code that your terminal shows: WDJB-MJHT.")
    return letters


def write_user_code(letters: str) -> str:
    """The code as a terminal shows it."""
    return f"{letters[: CODE_LETTERS // 2]}-{letters[CODE_LETTERS // 2 :]}"


def read_device_code(code: SecretStr) -> tuple[str, str]:
    """The letters and the secret in a device code. Raises PairingExpired for anything that isn't one."""
    read = _DEVICE_CODE.fullmatch(code.get_secret_value())
    if read is None:
        raise PairingExpired("isn't valid")
    return read[1], read[2]
