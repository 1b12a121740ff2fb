"""The calls about devices: pair this machine, say who asks, list and revoke devices.

Invariant: a token is given once, to the machine that holds the device code. A device that acts for a service sees and
revokes itself only. What is ended ends with its credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.api.calls import Call, Handler
from bot.api.infos import FindName, describe_device, describe_person
from bot.api.models import Me
from bot.api.pairing_models import DeviceInfo, DeviceList, IssuedToken, NewPairing, StartedPairingInfo, TokenExchange
from bot.api.ports import Devices, EndsDevices, Pairings
from bot.api.problems import Problem, ProblemCode
from bot.api.refusals import ApiRefusal, not_found
from core.access.device import DeviceId
from core.clock import Clock
from core.errors import NotAllowed, NotKnown

_END_ACCESS: Final = "End the access itself: countersign access end, or /access mine in Slack."


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
    clock: Clock
    find_name: FindName
    version: str
    credentials_url: str

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by the names of their endpoints."""
        return {"get_me": self.me, "list_devices": self.list_own}

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


@dataclass(frozen=True, slots=True)
class DeviceEndCalls:
    """Safe for threads."""

    ending: EndsDevices
    clock: Clock

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by the names of their endpoints."""
        return {"revoke_device": self.revoke}

    def revoke(self, call: Call) -> DeviceInfo:
        """End a device of the person, and its credentials; `self` logs out."""
        user, named = call.caller, call.parameters["id"]
        device_id = user.device.id if named == "self" else named
        if user.service is not None and device_id != user.device.id:
            raise ApiRefusal(not_found())
        # Of a copy of its token or its credentials, nobody would know: nothing of a device outlives it.
        try:
            ended = self.ending.end(DeviceId(device_id), user.actor)
        except NotKnown:
            raise
        except NotAllowed:
            # As for an id that nothing has.
            raise ApiRefusal(not_found()) from None
        if ended.failed:
            detail = f"The device was ended. Not ended: {'; '.join(ended.failed)}. {_END_ACCESS}"
            raise ApiRefusal(Problem.of(ProblemCode.UNAVAILABLE, "Only the device was ended", detail))
        return describe_device(ended.device, self.clock.now(), asking=user.device.id)
