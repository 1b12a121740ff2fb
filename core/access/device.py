"""A device: a terminal or a machine that a person paired, and the token that proves it.

    active → revoked | expired        both are final

Invariant: the token is random, is made once, and is never stored: the record has its SHA-256. What the device may do is
what its person may do at that moment, for at most as long as it was paired for; nothing prolongs it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, NewType, Self

from pydantic import Field, JsonValue, SecretStr, model_validator

from core.actor import Actor, DeciderId, ServiceName, UserId, ValidDeciderId, ValidServiceName, ValidUserId
from core.clock import UtcTime, parse_time
from core.errors import AlreadyExists, InvalidStateTransition, NotFound, Refused
from core.record import Record, check_record_id
from core.state_machine import StateMachine
from core.text import text_rule

DeviceId = NewType("DeviceId", str)
AWAITS_DEVICE_END: Final = "device_end"
"""What is still due on an active device."""
NAME_LENGTH: Final = (1, 80)
AGENT_LENGTH: Final = (0, 120)
ADDRESS_LENGTH: Final = (0, 64)
DEFAULT_MAX_AGE: Final = timedelta(hours=12)
LONGEST_AGE: Final = timedelta(hours=12)
SHORTEST_AGE: Final = timedelta(minutes=15)
TOKEN_PREFIX: Final = "cst_"  # noqa: S105 - how a token begins
_TOKEN = re.compile(r"cst_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
DeviceName = Annotated[str, text_rule("name", at_least=NAME_LENGTH[0], at_most=NAME_LENGTH[1])]
AgentName = Annotated[str, text_rule("agent", at_least=AGENT_LENGTH[0], at_most=AGENT_LENGTH[1])]
PeerAddress = Annotated[str, text_rule("address", at_least=ADDRESS_LENGTH[0], at_most=ADDRESS_LENGTH[1])]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]


class DeviceStatus(StrEnum):
    """The status of a device."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


DEVICE_MACHINE: Final = StateMachine[DeviceStatus](
    {
        DeviceStatus.ACTIVE: frozenset({DeviceStatus.REVOKED, DeviceStatus.EXPIRED}),
        DeviceStatus.REVOKED: frozenset(),
        DeviceStatus.EXPIRED: frozenset(),
    }
)


class DeviceNotFound(NotFound):
    """There is no device with this id."""


class DeviceExists(AlreadyExists):
    """A device with this id exists already."""


class TokenRefused(Refused):
    """This is not the token of any device. Nothing was changed; pair the terminal anew."""

    def __init__(self) -> None:
        super().__init__("This terminal isn't paired: its token isn't valid. Run `countersign login`.")


class DeviceEnded(Refused):
    """The token was right, and the device's time is over. `status` says how. Nothing was changed; pair it anew."""

    def __init__(self, device: Device, status: DeviceStatus) -> None:
        how = "was revoked" if status is DeviceStatus.REVOKED else "has expired"
        super().__init__(f"The pairing of this terminal {how}. Run `countersign login`.")
        self.device = device
        self.status = status


class Device(Record):
    """A paired terminal of `owner`; with `service`, one that acts for this service of theirs.

    `name` and `agent` are what the machine said of itself, `address` is where it asked from. `last_used_at` is for
    display: it is written at most once a minute, beside the record, and no seal covers it.
    """

    KIND: ClassVar[str] = "DEVICE"
    GAINING: ClassVar[tuple[str, ...]] = ("revoked_at",)
    BESIDE: ClassVar[frozenset[str]] = Record.BESIDE | {"last_used_at"}

    owner: ValidUserId
    name: DeviceName
    agent: AgentName = ""
    address: PeerAddress = ""
    service: ValidServiceName | None = None
    token_digest: Digest
    status: DeviceStatus = DeviceStatus.ACTIVE
    confirmed_at: UtcTime
    revoked_by: ValidDeciderId | None = None
    revoked_at: UtcTime | None = None
    last_used_at: UtcTime | None = Field(default=None, exclude=True)

    def used_at(self, text: object) -> Self:
        """The same device, last used at this moment as a store wrote it; as it is for anything else."""
        try:
            at = parse_time(text) if isinstance(text, str) else None
        except ValueError:
            at = None
        return self if at is None else self.model_copy(update={"last_used_at": at})

    def revoke(self, by: DeciderId, now: datetime) -> Self:
        """End it before its time. Revoking it again gives the same device back.

        Raises InvalidStateTransition when it has expired.
        """
        if self.status is DeviceStatus.REVOKED:
            return self
        self._check(DeviceStatus.REVOKED)
        return self.replace(status=DeviceStatus.REVOKED, revoked_by=by, revoked_at=now)

    def expire(self, now: datetime, max_age: timedelta = LONGEST_AGE) -> Self:
        """Note that its time is over. Raises InvalidStateTransition before that, and when it was revoked."""
        self._check(DeviceStatus.EXPIRED)
        if not self.is_overdue(now, max_age):
            raise InvalidStateTransition(self.chain, self.status, DeviceStatus.EXPIRED, reason="it has time left")
        return self.replace(status=DeviceStatus.EXPIRED)

    def ends_at(self, max_age: timedelta = LONGEST_AGE) -> datetime:
        """When it ends, under a policy that lets devices live this long: it may be shorter than when it was paired."""
        return min(self.expires_at, self.created_at + max_age)

    def is_overdue(self, now: datetime, max_age: timedelta = LONGEST_AGE) -> bool:
        """True when its time has passed but nothing has recorded that yet."""
        return self.status is DeviceStatus.ACTIVE and now >= self.ends_at(max_age)

    def status_at(self, now: datetime, max_age: timedelta = LONGEST_AGE) -> DeviceStatus:
        """Its status by the clock."""
        return DeviceStatus.EXPIRED if self.is_overdue(now, max_age) else self.status

    def is_proved_by(self, secret: str) -> bool:
        """True when this is the secret part of its token. Takes constant time."""
        return hmac.compare_digest(digest_secret(secret), self.token_digest)

    @property
    def state(self) -> DeviceStatus:
        """The device's status."""
        return self.status

    @property
    def person(self) -> UserId:
        """Whose device it is."""
        return self.owner

    @property
    def ended_by(self) -> tuple[str | None, datetime | None]:
        """Who revoked it and when."""
        return self.revoked_by, self.revoked_at

    @property
    def awaits(self) -> str | None:
        """While it is active, its end."""
        return AWAITS_DEVICE_END if self.status is DeviceStatus.ACTIVE else None

    def life_ends_at(self) -> datetime | None:
        """When it was revoked, or expired; None before."""
        if self.status is DeviceStatus.ACTIVE:
            return None
        return self.revoked_at or self.expires_at

    def legal_sources(self) -> frozenset[str]:
        """The statuses from which the table allows a move to this one."""
        return DEVICE_MACHINE.sources(self.status)

    def facts_to_keep(self, item: Mapping[str, JsonValue] | None = None) -> Mapping[str, JsonValue]:
        """What was confirmed: whose it is, what it said of itself, its token, and how long it lives."""
        stored = item if item is not None else self.to_item()
        return {name: stored.get(name) for name in _FIXED}

    def _check(self, target: DeviceStatus) -> None:
        by, at = self.ended_by
        DEVICE_MACHINE.check(self.chain, self.status, target, decided_by=by, decided_at=at)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        is_revoked = self.status is DeviceStatus.REVOKED
        if is_revoked != (self.revoked_by is not None) or is_revoked != (self.revoked_at is not None):
            raise ValueError("a revoked device, and only it, says who revoked it and when")
        if not self.created_at < self.expires_at <= self.created_at + LONGEST_AGE:
            raise ValueError("a device lives for at most 12 hours")
        return self


@dataclass(frozen=True, slots=True)
class DeviceUser:
    """Who calls: a device that was authenticated, and its person as they are now. `actor.service` is the device's."""

    device: Device
    actor: Actor

    @property
    def service(self) -> ServiceName | None:
        """The service that the device acts for; None for a person's own."""
        return self.device.service


def digest_secret(secret: str) -> str:
    """SHA-256 of a secret. It is random and long, so it needs neither salt nor stretching."""
    return hashlib.sha256(secret.encode()).hexdigest()


def write_token(device_id: str, secret: str) -> SecretStr:
    """The token of a device, as its machine keeps it."""
    return SecretStr(f"{TOKEN_PREFIX}{check_record_id(device_id)}_{secret}")


def read_token(token: SecretStr) -> tuple[DeviceId, str]:
    """The id and the secret in a token. Raises TokenRefused for anything that isn't one."""
    read = _TOKEN.fullmatch(token.get_secret_value())
    if read is None:
        raise TokenRefused
    return DeviceId(read[1]), read[2]


_FIXED: Final = (
    "owner", "name", "agent", "address", "service", "token_digest", "confirmed_at", "created_at", "expires_at",
)  # fmt: skip
