"""Answers of the HTTP API with everything that a test doesn't care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Final

from pydantic import SecretStr

from bot.api.models import AccessInfo, Me, PersonInfo, RequestInfo, RightInfo
from bot.api.pairing_models import DeviceInfo, DeviceList, IssuedToken, StartedPairingInfo
from core.access.grant_status import AccessPhase
from core.request_status import RequestStatus

DEVICE_ID: Final = "d00000000000000d"
TOKEN: Final = f"cst_{DEVICE_ID}_{'a' * 43}"
REQUEST_ID: Final = "00000000000000a1"
MIRA: Final = PersonInfo(id="U0MIRA", name="Mira")
JON: Final = PersonInfo(id="U0JON", name="Jon")
ROLE: Final = "arn:aws:iam::111122223333:role/Prod"


def now() -> datetime:
    """The machine's time: commands that are run show how long is left of it."""
    return datetime.now(UTC)


def device(**changed: object) -> DeviceInfo:
    """A device of Mira."""
    facts: dict[str, object] = {
        "id": DEVICE_ID,
        "name": "mira-laptop",
        "agent": f"countersign/{version('countersign')}",
        "address": "192.0.2.7",
        "status": "active",
        "created_at": now(),
        "last_used_at": now(),
        "expires_at": now() + timedelta(hours=12),
        "is_this": True,
    }
    return DeviceInfo.model_validate({**facts, **changed})


def started_pairing(**changed: object) -> StartedPairingInfo:
    """A pairing that waits; the terminal may ask again at once."""
    facts: dict[str, object] = {
        "device_code": SecretStr("the-device-code"),
        "user_code": "WDJB-MJHT",
        "confirm_with": "/access pair WDJB-MJHT",
        "expires_in": 300,
        "interval": 0,
    }
    return StartedPairingInfo.model_validate({**facts, **changed})


def issued_token(token: str = TOKEN, **changed: object) -> IssuedToken:
    """A token for that device."""
    return IssuedToken(token=SecretStr(token), device=device(**changed))


def me(**changed: object) -> Me:
    """Mira, at that device."""
    facts: dict[str, object] = {
        "person": MIRA,
        "device": device(),
        "server_time": now(),
        "server_version": version("countersign"),
        "credentials_url": "http://127.0.0.1",
    }
    return Me.model_validate({**facts, **changed})


def request(status: RequestStatus = RequestStatus.PENDING, **changed: object) -> RequestInfo:
    """A request of Mira, which Jon may approve."""
    is_decided = status in {RequestStatus.APPROVED, RequestStatus.DENIED}
    facts: dict[str, object] = {
        "id": REQUEST_ID,
        "version": f"v-{status.value}",
        "profile": "prod",
        "status": status,
        "requester": "U0MIRA",
        "device": "mira-laptop",
        "justification": "fix the login",
        "duration_seconds": 3600,
        "required_approvals": 1,
        "approvers": (JON,),
        "created_at": now(),
        "expires_at": now() + timedelta(hours=1),
        "decided_by": "U0JON" if is_decided else None,
        "decided_by_name": "Jon" if is_decided else None,
        "decided_at": now() if is_decided else None,
    }
    return RequestInfo.model_validate({**facts, **changed})


def granted(phase: AccessPhase = AccessPhase.OPEN, **changed: object) -> RequestInfo:
    """The same after Jon approved it, with its access in this phase."""
    version = f"v-{phase.value}"
    return request(RequestStatus.APPROVED, access=access(phase), version=version, **changed)


def access(phase: AccessPhase = AccessPhase.OPEN, **changed: object) -> AccessInfo:
    """The access that the request gave."""
    facts: dict[str, object] = {
        "source": f"REQUEST#{REQUEST_ID}",
        "id": REQUEST_ID,
        "kind": "request",
        "profile": "prod",
        "person": "U0MIRA",
        "phase": phase,
        "starts_at": now(),
        "until": now() + timedelta(hours=1),
        "decided_by": "U0JON",
        "decided_by_name": "Jon",
        "may_end": True,
        "rights": (RightInfo(target="aws", resource=ROLE, level="assume", phase=phase),),
    }
    return AccessInfo.model_validate({**facts, **changed})


def devices(found: object) -> DeviceList:
    """A list of devices."""
    return DeviceList.model_validate(found)
