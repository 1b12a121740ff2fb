"""What the HTTP API needs of the services for devices and credentials.

Invariant: nothing here does anything; core/services implements it.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import SecretStr

from core.access.device import Device, DeviceId, DeviceUser
from core.actor import Actor
from core.services.device_ending import EndedDevice
from core.services.issuing import IssuedCredentials
from core.services.pairing import IssuedDevice, StartedPairing


class Credentials(Protocol):
    """Issues credentials, such as SessionService. Safe for threads."""

    def issue(self, user: DeviceUser, profile: str, *, target: str | None = None) -> IssuedCredentials:
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


class EndsDevices(Protocol):
    """Ends devices with their credentials, such as DeviceEnding. Safe for threads."""

    def end(self, device_id: DeviceId, by: Actor) -> EndedDevice:
        """End an own device, and its credentials."""
        ...
