"""The API served on a port of its own, over a SQLite store, with devices and credentials written down by hand.

Invariant: everything between the connection and the store is the real thing; the clock stands still. Nobody is known
but the devices that were paired here.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from bot.api.endpoints import ENDPOINTS
from bot.api.server import ApiOptions, ApiServer
from bot.observability.api_metrics import ApiMetrics
from bot.observability.traced_ports import trace_stores
from bot.observability.tracing import NO_TRACER, Tracer
from bot.settings.addresses import Address
from bot.wiring.api import ApiNeeds, build_api
from core.access.device import (
    Device,
    DeviceEnded,
    DeviceNotFound,
    DeviceStatus,
    DeviceUser,
    TokenRefused,
    digest_secret,
    read_token,
    write_token,
)
from core.access.grant import GrantId
from core.access.pairing import PairingRefused, PairingWaiting
from core.access.right import Right
from core.access.session import Session, session_id_for, source_identity_for
from core.actor import Actor, DeciderId, ProfileName, ServiceName, UserId
from core.directory import DirectoryNotes
from core.errors import NotAllowed
from core.policy import parse_policy
from core.services import GrantService, RequestService
from core.services.device_ending import EndedDevice
from core.services.issuing import IssuedCredentials
from core.services.pairing import IssuedDevice, StartedPairing
from tests.harness.directory import OfficeDirectory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from bot.api.rate_limits import CallRates
    from bot.settings.api import ApiSettings
    from core.access.device import DeviceId
    from core.record import Record
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

PATIENCE: Final = 60.0
"""Seconds after which a test is broken, not slow."""
WHY: Final = "Deploy the fix for INC-12"
ANN: Final = UserId("U0ANN")
JON: Final = UserId("U0JON")
NAMES: Final[dict[str, str]] = {ANN: "Ann", JON: "Jon"}
POLICY: Final = b"""
version: 1
targets:
  warehouse: {type: webhook, url: "http://127.0.0.1:9/", secret: "env:NO_SUCH_SECRET"}
profiles:
  prod: {description: Production, channel: C0ACCESS1}
  team/data: {description: Data, channel: C0ACCESS1, access: [{target: warehouse, resource: db, level: read}]}
  closed: {channel: C0ACCESS1}
  ticketed: {channel: C0ACCESS1}
approval:
  - name: prod
    profiles: [prod, team/data]
    requesters: [U0ANN, U0JON]
    approvers: [U0JON, S0SRE]
    max_duration: 4h
    starts_within: 2d
  - {name: closed, profiles: [closed], requesters: [U0NOBODY], approvers: [U0JON], max_duration: 1h}
  - name: ticketed
    profiles: [ticketed]
    requesters: [U0JON]
    approvers: [U0ANN]
    max_duration: 1h
    ticket: {pattern: "INC-[0-9]+"}
break_glass:
  - {name: anyone, profiles: [prod], users: [U0ANN], allowed_reason_codes: [incident], max_duration: 1h}
"""


def a_session(user: DeviceUser, profile: str, now: datetime) -> Session:
    """The session of a role's credentials on this device."""
    grant_id = GrantId("6" * 16)
    return Session(
        id=session_id_for(grant_id, user.device.id),
        profile=ProfileName(profile),
        user=user.actor.id,
        grant=grant_id,
        source=f"REQUEST#{'7' * 16}",
        right=Right(target="role", resource="arn:aws:iam::111122223333:role/prod", level="assume", principal=ANN),
        device=user.device.id,
        device_name=user.device.name,
        source_identity=source_identity_for(grant_id, user.actor.id),
        last_used_at=now,
        credentials_until=now + timedelta(hours=1),
        created_at=now,
        updated_at=now,
        expires_at=now + timedelta(minutes=20),
    )


@dataclass
class PaperDevices:
    """Devices, pairings and credentials, by hand. What is in `refusals` is raised instead, once."""

    clock: FrozenClock
    directory: OfficeDirectory
    devices: dict[str, Device] = field(default_factory=dict)
    confirmed: dict[str, UserId] = field(default_factory=dict)
    refusals: list[Exception] = field(default_factory=list)
    started: list[tuple[str, str, str, str | None]] = field(default_factory=list)
    authenticated: int = 0
    ended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def pair(self, owner: UserId = ANN, *, service: str | None = None) -> str:
        """A device of this person. Returns its token."""
        number = len(self.devices) + 1
        device_id, secret, now = f"{number:016x}", f"{number:043d}", self.clock.now()
        self.devices[device_id] = Device(
            id=device_id,
            owner=owner,
            name=f"laptop-{number}",
            service=ServiceName(service) if service is not None else None,
            token_digest=digest_secret(secret),
            confirmed_at=now,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(hours=12),
        )
        return write_token(device_id, secret).get_secret_value()

    def authenticate(self, token: SecretStr) -> DeviceUser:
        self.authenticated += 1
        self._refuse()
        device_id, secret = read_token(token)
        device = self.devices.get(device_id)
        if device is None or not device.is_proved_by(secret):
            raise TokenRefused
        if device.status_at(self.clock.now()) is not DeviceStatus.ACTIVE:
            raise DeviceEnded(device, device.status_at(self.clock.now()))
        person = self.directory.person(device.owner, DirectoryNotes())
        return DeviceUser(device, Actor(id=person.id, service=device.service))

    def list_own(self, person: Actor) -> tuple[Device, ...]:
        mine = [each for each in self.devices.values() if each.owner == person.id]
        return tuple(each for each in mine if each.status is DeviceStatus.ACTIVE)

    def end(self, device_id: DeviceId, by: Actor) -> EndedDevice:
        self._refuse()
        device = self.devices.get(device_id)
        if device is None:
            raise DeviceNotFound(device_id)
        if device.owner != by.id:
            raise NotAllowed("end a device", ("it isn't theirs",))
        self.devices[device_id] = device.revoke(DeciderId(by.id), self.clock.now())
        self.ended.append(device_id)
        return EndedDevice(self.devices[device_id], failed=tuple(self.left))

    def start(self, name: str, agent: str, address: str, service: str | None = None) -> StartedPairing:
        self._refuse()
        self.started.append((name, agent, address, service))
        code = f"csd_code-{len(self.started)}"
        return StartedPairing(SecretStr(code), "WDJB-MJHT", timedelta(minutes=5), timedelta(seconds=5))

    def exchange(self, device_code: SecretStr, address: str) -> IssuedDevice:
        self._refuse()
        code = device_code.get_secret_value()
        if not code.startswith("csd_") or not address:
            raise PairingRefused
        if code not in self.confirmed:
            raise PairingWaiting
        token = self.pair(self.confirmed.pop(code))
        return IssuedDevice(SecretStr(token), self.devices[read_token(SecretStr(token))[0]])

    def issue(self, user: DeviceUser, profile: str, *, target: str | None = None) -> IssuedCredentials:
        self._refuse()
        assert user.device.id in self.devices
        now = self.clock.now()
        return IssuedCredentials(
            f"ASIA{(target or profile).upper()[:8]}",
            SecretStr("a-secret-key-of-aws"),
            SecretStr("a-session-token-of-aws"),
            now + timedelta(hours=1),
            now + timedelta(minutes=20),
            a_session(user, profile, now),
        )

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """One answer, its body read as JSON."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["content-type"] == "application/problem+json"
        return str(self.body["type"]).removeprefix("urn:countersign:")


class ServedApi:
    """The API on a port of its own."""

    def __init__(
        self,
        stores: Stores,
        clock: FrozenClock,
        *,
        limits: CallRates | None = None,
        settings: ApiSettings | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.clock, self.stores = clock, stores
        self.policy = parse_policy(POLICY)
        self.directory = OfficeDirectory()
        self.paper = PaperDevices(clock, self.directory)
        self.nudges = 0
        self.registry = CollectorRegistry()
        self.requests = RequestService(trace_stores(stores, tracer), self.policy, clock, self, directory=self.directory)
        self.grants = GrantService(stores, self.policy, clock, self, directory=self.directory)
        needs = ApiNeeds(
            stores, self.policy, clock, self.directory, self.requests, self.grants, self.paper, self.paper, self.paper,
            self.paper, NAMES.get, self._nudge, tracer,
        )  # fmt: skip
        options = ApiOptions(
            "http://127.0.0.1:8787", "https://broker.example.com", settings.api_proxies if settings else (), limits
        )
        metrics = ApiMetrics(self.registry, (each.name for each in ENDPOINTS))
        self.api = build_api(needs, options, metrics)
        self.server = ApiServer(self.api, Address("127.0.0.1", 0))

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server.stop()

    @property
    def where(self) -> tuple[str, int]:
        """The host and the port."""
        parts = urlsplit(self.server.url)
        return str(parts.hostname), int(parts.port or 0)

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiAnswer:
        """Make one call on a connection of its own."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = raw
        if body is not None:
            content = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(*self.where, timeout=PATIENCE)
        try:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            text = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            return ApiAnswer(response.status, found, json.loads(text) if text else None)
        finally:
            connection.close()

    # The services' observer ------------------------------------------------------------------------------------------

    def committed(self, record: Record, event: object) -> None:
        del event
        self.api.committed(record)

    def refused(self, event: object) -> None:
        del event

    def conflicted(self, record: str) -> None:
        del record

    def ledger_unreadable(self, owner: str) -> None:
        del owner

    def _nudge(self) -> None:
        self.nudges += 1
