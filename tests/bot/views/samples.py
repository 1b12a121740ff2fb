"""Devices, pairings, sessions and queries at their longest, with spiteful names, for the tests of views.

Invariant: each is as long as its model allows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from core.access.cloudtrail import find_by_role
from core.access.device import ADDRESS_LENGTH, AGENT_LENGTH, NAME_LENGTH, Device, DeviceId, DeviceStatus
from core.access.grant import Grant
from core.access.pairing import Pairing
from core.access.right import Right
from core.access.session import Session
from core.actor import DeciderId, ProfileName, ServiceName, UserId
from core.services.activity import GrantActivity
from tests.builders import REQUESTER
from tests.harness.clock import A_MOMENT

HOUR: Final = timedelta(hours=1)
SPITE: Final = "<!channel> <https://evil.example|it> *bold* `code` ```"
NAME: Final = (SPITE * 5)[: NAME_LENGTH[1] - 1] + "."
AGENT: Final = (SPITE * 5)[: AGENT_LENGTH[1] - 1] + "."
ADDRESS: Final = (SPITE * 5)[: ADDRESS_LENGTH[1] - 1] + "."
SERVICE: Final = ServiceName("s" * 40)


def a_device(
    number: int = 0, *, status: DeviceStatus = DeviceStatus.ACTIVE, service: ServiceName | None = SERVICE
) -> Device:
    is_over = status is DeviceStatus.REVOKED
    return Device(
        id=f"{number:016x}", owner=UserId(REQUESTER), name=NAME, agent=AGENT, address=ADDRESS, service=service,
        token_digest="0" * 64, status=status, confirmed_at=A_MOMENT, created_at=A_MOMENT, updated_at=A_MOMENT,
        expires_at=A_MOMENT + 12 * HOUR, revoked_by=DeciderId("U0ADA") if is_over else None,
        revoked_at=A_MOMENT if is_over else None, last_used_at=A_MOMENT,
    )  # fmt: skip


def a_pairing(service: ServiceName | None = SERVICE) -> Pairing:
    return Pairing.start(NAME, AGENT, ADDRESS, service, A_MOMENT)[0]


def a_grant(number: int = 0) -> Grant:
    role = f"arn:aws:iam::111122223333:role/{'r' * 200}{number}"
    right = Right(target="t" * 64, resource=role, level="assume", principal=f"service:{SERVICE}")
    return Grant.make(
        grantee=UserId(REQUESTER), profile=ProfileName("p" * 80), right=right, source=f"REQUEST#{'0' * 16}",
        decided_by=DeciderId("U0ANN"), justification="Deploy the fix for INC-12", starts_at=A_MOMENT,
        ends_at=A_MOMENT + 2 * HOUR, now=A_MOMENT,
    ).open(A_MOMENT)  # fmt: skip


def a_session(number: int = 0) -> Session:
    return Session.make(a_grant(), device=DeviceId(f"{number:016x}"), device_name=NAME, lease=HOUR, now=A_MOMENT)


def an_activity(number: int = 0) -> GrantActivity:
    grant, source = a_grant(number), a_session().source_identity
    query = find_by_role(
        role=grant.right.resource, source_identity=source, session_name="n" * 64, since=A_MOMENT, until=grant.ends_at
    )
    return GrantActivity(grant, query, (a_session(),))
