"""The calls about devices: pair this machine, say who asks, list and revoke devices.

Invariant: a token is given once, to the machine that holds the device code. A device that acts for a service sees and
revokes itself only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.api.calls import Call, Handler
from bot.api.infos import FindName, describe_device, describe_person
from bot.api.models import (
    DeviceInfo,
    DeviceList,
    IssuedToken,
    Me,
    NewPairing,
    StartedPairingInfo,
    TokenExchange,
)
from bot.api.ports import Credentials, Devices, Pairings
from bot.api.refusals import ApiRefusal, not_found
from core.actor import DeciderId
from core.clock import Clock


@dataclass(frozen=True, slots=True)
class PairingCalls:
    """The calls of strangers. Safe for threads. `command` is what a person types in Slack before the code."""

    pairings: Pairings
    clock: Clock
    command: str

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by the names of their endpoints."""
        return {"start_pairing": self.start, "exchange_pairing": self.exchange}

    def start(self, call: Call) -> StartedPairingInfo:
        """Begin to pair the machine."""
        if not isinstance(body := call.body, NewPairing):
            raise TypeError(body)
        started = self.pairings.start(body.name, body.agent, call.address, body.service)
        return StartedPairingInfo(
            device_code=started.device_code,
            user_code=started.user_code,
            confirm_with=f"{self.command} {started.user_code}",
            expires_in=int(started.expires_in.total_seconds()),
            interval=int(started.interval.total_seconds()),
        )

    def exchange(self, call: Call) -> IssuedToken:
        """Give the token to the machine whose pairing was confirmed."""
        if not isinstance(body := call.body, TokenExchange):
            raise TypeError(body)
        issued = self.pairings.exchange(body.device_code, call.address)
        device = describe_device(issued.device, self.clock.now(), asking=issued.device.id)
        return IssuedToken(token=issued.token, device=device)


@dataclass(frozen=True, slots=True)
class DeviceCalls:
    """Safe for threads. `credentials_url` is the base URL of the server that gives credentials."""

    devices: Devices
    credentials: Credentials
    clock: Clock
    find_name: FindName
    version: str
    credentials_url: str

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by the names of their endpoints."""
        return {"get_me": self.me, "list_devices": self.list_own, "revoke_device": self.revoke}

    def me(self, call: Call) -> Me:
        """Who asks."""
        user, now = call.caller, self.clock.now()
        person = describe_person(user.actor.id, lambda each: user.actor.name or self.find_name(each))
        return Me(
            person=person,
            service=user.service,
            device=describe_device(user.device, now, asking=user.device.id),
            server_time=now,
            server_version=self.version,
            credentials_url=self.credentials_url,
        )

    def list_own(self, call: Call) -> DeviceList:
        """The person's devices; of a service's device, itself."""
        user, now = call.caller, self.clock.now()
        found = self.devices.list_own(user.actor) if user.service is None else (user.device,)
        return DeviceList(devices=tuple(describe_device(each, now, asking=user.device.id) for each in found))

    def revoke(self, call: Call) -> DeviceInfo:
        """Revoke a device of the person; `self` logs out."""
        user = call.caller
        named = call.parameters["id"]
        device_id = user.device.id if named == "self" else named
        if user.service is not None and device_id != user.device.id:
            raise ApiRefusal(not_found())
        revoked = self.devices.revoke(device_id, user.actor)
        if device_id != user.device.id:
            # A machine that logs out forgets its credentials. One that is revoked from elsewhere may be lost: what it
            # has ends at AWS.
            self.credentials.end_device(revoked.owner, revoked.id, DeciderId(user.actor.id))
        return describe_device(revoked, self.clock.now(), asking=user.device.id)
