"""What the HTTP API needs of the services for devices and credentials.

Invariant: nothing here does anything; core/services implements it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from core.access.device import Device, DeviceUser
from core.actor import Actor
from core.services.pairing import IssuedDevice, StartedPairing


class IssuedSession(Protocol):
    """The part of a session that its device is told."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def grant(self) -> str:
        """The id of its grant."""
        ...

    @property
    def source(self) -> str:
        """The chain of the decision."""
        ...

    @property
    def source_identity(self) -> str:
        """What CloudTrail calls it."""
        ...

    @property
    def issue_count(self) -> int:
        """How often it was issued."""
        ...


class Issued(Protocol):
    """Credentials, and the record of them."""

    @property
    def access_key_id(self) -> str:
        """The id of the key, which is no secret."""
        ...

    @property
    def secret_access_key(self) -> SecretStr:
        """The key."""
        ...

    @property
    def session_token(self) -> SecretStr:
        """What goes with the key."""
        ...

    @property
    def expiration(self) -> datetime:
        """When they die at AWS."""
        ...

    @property
    def access_ends_at(self) -> datetime:
        """When they stop allowing anything."""
        ...

    @property
    def session(self) -> IssuedSession:
        """The record."""
        ...


class Credentials(Protocol):
    """Issues credentials, such as SessionService. Safe for threads."""

    def issue(self, user: DeviceUser, profile: str) -> Issued:
        """Credentials for access that is open. Raises CountersignError."""
        ...


class Pairings(Protocol):
    """Pairs terminals, such as PairingService. Safe for threads."""

    def start(self, name: str, agent: str, address: str, service: str | None = None) -> StartedPairing:
        """Begin."""
        ...

    def exchange(self, device_code: SecretStr, address: str) -> IssuedDevice:
        """Give the machine its token, once."""
        ...


class Devices(Protocol):
    """Knows devices, such as DeviceService. Safe for threads."""

    def authenticate(self, token: SecretStr) -> DeviceUser:
        """Who calls with this token."""
        ...

    def list_own(self, person: Actor) -> tuple[Device, ...]:
        """The person's active devices."""
        ...

    def revoke(self, device_id: str, by: Actor) -> Device:
        """End a device."""
        ...
