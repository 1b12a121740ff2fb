"""A session: the credentials that one grant gives to one device, issued again and again until the grant ends.

    status      may become            by
    active      active                touch, note_key
                revoked               revoke: the access ended before its time, or the device did
                expired               expire: the grant's window passed
    revoked     revoked               note_key, note_deny, clean
    expired     expired               -

Invariant: what is issued was stored before it was asked for, and only under a grant that was active then. So whatever
ends the grant later knows of every session. A revoked session awaits its cleanup until nothing of it is left at AWS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final, NewType, Self

from pydantic import Field, JsonValue, model_validator

from core.access.device import DeviceName
from core.access.grant import SOURCE_PATTERN, Grant, GrantId, GrantStatus, Reason
from core.access.right import ValidRight
from core.access.session_status import SESSION_MACHINE, SessionExists, SessionNotFound, SessionStatus
from core.actor import DeciderId, ServiceName, UserId, ValidDeciderId, ValidProfileName, ValidServiceName, ValidUserId
from core.clock import UtcTime
from core.errors import InvalidInput, InvalidStateTransition
from core.record import Record, RecordId

__all__ = [
    "AWAITS_CLEANUP", "AWAITS_EXPIRY", "SESSION_MACHINE", "Session", "SessionExists", "SessionId", "SessionNotFound",
    "SessionStatus", "grant_of_source_identity", "session_id_for", "source_identity_for",
]  # fmt: skip

SessionId = NewType("SessionId", str)
AWAITS_EXPIRY: Final = "expiry"
"""What is still due on an active session."""
AWAITS_CLEANUP: Final = "cleanup"
"""What is still due on a revoked one, until its credentials are dead and its deny is removed."""
FIXED: Final = (
    "profile", "user", "grant", "source", "right", "device", "device_name", "service", "source_identity", "expires_at",
    "created_at",
)  # fmt: skip
"""What never changes of a session."""
ISSUED: Final = ("issue_count", "credentials_until", "access_key_id", "session_name")
"""What changes with each issue."""
_SAID_ELSEWHERE: Final = frozenset({"profile", "user", "created_at"})
"""What each entry has in a place of its own."""
_PREFIX: Final = "countersign"
_ID_LENGTH: Final = 16
_AccessKeyId = Annotated[str, Field(pattern=r"^[A-Z0-9]{16,128}$")]
_SessionName = Annotated[str, Field(pattern=r"^[\w+=,.@-]{2,64}$")]


def session_id_for(grant_id: str, device_id: str) -> SessionId:
    """The id of the session of one grant on one device: always the same, so that two processes make only one."""
    return SessionId(hashlib.sha256(f"{grant_id}\0{device_id}".encode()).hexdigest()[:16])


def source_identity_for(grant_id: str, person: str) -> str:
    """What CloudTrail calls everything that is done with the credentials of a grant."""
    return f"{_PREFIX}-{grant_id}-{person}"


def grant_of_source_identity(text: str) -> GrantId | None:
    """The grant that a source identity names; None for one that Countersign didn't write."""
    prefix, _, rest = text.partition("-")
    grant_id, _, person = rest.partition("-")
    is_ours = prefix == _PREFIX and len(grant_id) == _ID_LENGTH and bool(person)
    return GrantId(grant_id) if is_ours else None


class Session(Record):
    """The credentials of one grant on one device.

    `credentials_until` is when the last of them die at AWS, which may be after the end of the rights, `expires_at`.
    `access_key_id` and `session_name` are what CloudTrail calls the last ones; neither is a secret. `denied_at` is when
    AWS was told to deny them, and `cleaned_at` since when nothing of that is left.
    """

    KIND: ClassVar[str] = "SESSION"
    GAINING: ClassVar[tuple[str, ...]] = ("revoked_by", "revoked_at", "revoked_reason", "denied_at", "cleaned_at")

    profile: ValidProfileName
    user: ValidUserId
    grant: RecordId
    source: Annotated[str, Field(pattern=SOURCE_PATTERN)]
    right: ValidRight
    device: RecordId
    device_name: DeviceName
    service: ValidServiceName | None = None
    source_identity: str
    status: SessionStatus = SessionStatus.ACTIVE
    last_used_at: UtcTime
    credentials_until: UtcTime
    issue_count: int = Field(default=1, ge=1)
    access_key_id: _AccessKeyId | None = None
    session_name: _SessionName | None = None
    revoked_by: ValidDeciderId | None = None
    revoked_at: UtcTime | None = None
    revoked_reason: Reason | None = None
    denied_at: UtcTime | None = None
    cleaned_at: UtcTime | None = None

    @classmethod
    def make(
        cls,
        grant: Grant,
        *,
        device: str,
        device_name: str,
        lease: timedelta,
        now: datetime,
        service: ServiceName | None = None,
        session_name: str | None = None,
    ) -> Self:
        """The intent to issue the first credentials of a grant to a device.

        `service` is what the device is bound to. Raises InvalidStateTransition when the grant isn't active, or its time
        has passed; InvalidInput when the grant was made for another service, or for the person alone.
        """
        if service != grant.service:
            problem = f"{grant.chain} was not made for what this device is bound to"
            raise InvalidInput("service", problem, "Use a device of that service, or the person's own.")
        _check_open(grant, now)
        return cls(
            id=session_id_for(grant.id, device),
            profile=grant.profile,
            user=grant.person,
            grant=grant.id,
            source=grant.source,
            right=grant.right,
            device=device,
            device_name=device_name,
            service=service,
            session_name=session_name,
            source_identity=source_identity_for(grant.id, grant.person),
            created_at=now,
            updated_at=now,
            last_used_at=now,
            expires_at=grant.ends_at,
            credentials_until=now + lease,
        )

    def touch(self, grant: Grant, lease: timedelta, now: datetime, session_name: str | None = None) -> Self:
        """The intent to issue once more. Raises InvalidStateTransition when the session or its grant has ended."""
        self._check(SessionStatus.ACTIVE)
        _check_open(grant, now)
        return self.replace(
            issue_count=self.issue_count + 1,
            last_used_at=max(now, self.last_used_at),
            credentials_until=max(now + lease, self.credentials_until),
            access_key_id=None,
            session_name=session_name,
        )

    def note_key(self, access_key_id: str, until: datetime | None = None) -> Self:
        """AWS issued these, and they die then. What was stored before the call, if later, stays: it may be another's.

        A session that was revoked meanwhile keeps that.
        """
        self._check(self.status)
        later = max(until, self.credentials_until) if until is not None else self.credentials_until
        return self.replace(access_key_id=access_key_id, credentials_until=later)

    def revoke(self, by: DeciderId | UserId, now: datetime, reason: str) -> Self:
        """End the session before its time. One that was revoked already stays the same.

        Raises InvalidStateTransition when it has expired.
        """
        if self.status is SessionStatus.REVOKED:
            return self
        self._check(SessionStatus.REVOKED)
        return self.replace(status=SessionStatus.REVOKED, revoked_by=by, revoked_at=now, revoked_reason=reason)

    def expire(self, now: datetime) -> Self:
        """Note that the grant's window passed. Raises InvalidStateTransition before that, and when it was revoked."""
        self._check(SessionStatus.EXPIRED)
        if now < self.expires_at or self.status is not SessionStatus.ACTIVE:
            raise InvalidStateTransition(self.chain, self.status, SessionStatus.EXPIRED)
        return self.replace(status=SessionStatus.EXPIRED)

    def note_deny(self, now: datetime) -> Self:
        """AWS denies what these credentials ask for. Noted once. Raises InvalidStateTransition unless it is revoked."""
        self._check(SessionStatus.REVOKED)
        self._refuse_unless_revoked()
        return self if self.denied_at is not None else self.replace(denied_at=now)

    def clean(self, now: datetime) -> Self:
        """The credentials are dead, and nothing is left at AWS. Raises InvalidStateTransition before that."""
        self._refuse_unless_revoked()
        if self.cleaned_at is not None:
            return self
        if now < self.credentials_until:
            raise InvalidStateTransition(self.chain, self.status, SessionStatus.REVOKED)
        return self.replace(cleaned_at=now)

    @property
    def issue_details(self) -> dict[str, JsonValue]:
        """What an audit entry says about the last issue; about the first one, with all that never changes."""
        item = self.to_item()
        names = (*ISSUED, *(FIXED if self.issue_count == 1 else ()))
        return {name: item[name] for name in names if name in item and name not in _SAID_ELSEWHERE}

    def is_usable(self, now: datetime) -> bool:
        """True while its credentials give rights."""
        return self.status is SessionStatus.ACTIVE and now < self.expires_at

    def is_overdue(self, now: datetime) -> bool:
        """True when the window has passed but nothing has recorded that yet."""
        return self.status is SessionStatus.ACTIVE and now >= self.expires_at

    @property
    def state(self) -> SessionStatus:
        """The session's status."""
        return self.status

    @property
    def person(self) -> UserId:
        """The person whose access it is; of a service, its owner."""
        return self.user

    @property
    def started_at(self) -> datetime:
        """When the first credentials were asked for."""
        return self.created_at

    @property
    def ended_by(self) -> tuple[str | None, datetime | None]:
        """Who revoked it and when."""
        return self.revoked_by, self.revoked_at

    @property
    def awaits(self) -> str | None:
        """Its expiry while it is active; then its cleanup, if it was revoked."""
        if self.status is SessionStatus.ACTIVE:
            return AWAITS_EXPIRY
        return AWAITS_CLEANUP if self.status is SessionStatus.REVOKED and self.cleaned_at is None else None

    def life_ends_at(self) -> datetime | None:
        """When its credentials were dead and nothing was left of it; None before."""
        if self.awaits is not None:
            return None
        moments = (self.expires_at if self.status is SessionStatus.EXPIRED else None, self.cleaned_at)
        return max(each for each in (*moments, self.credentials_until) if each is not None)

    def legal_sources(self) -> frozenset[str]:
        """The statuses from which the table allows a move to this one."""
        return SESSION_MACHINE.sources(self.status)

    def facts_to_keep(self, item: Mapping[str, JsonValue] | None = None) -> Mapping[str, JsonValue]:
        """Whose access it is, by which grant, on which device, and when the rights end."""
        stored = item if item is not None else self.to_item()
        return {name: stored.get(name) for name in FIXED}

    def find_lost(self, stored: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Who revoked it, and what was done about it at AWS, is noted once, and stays."""
        item = self.to_item()
        return tuple(name for name in self.GAINING if stored.get(name) not in (None, item.get(name)))

    def _check(self, target: SessionStatus) -> None:
        by, at = self.ended_by
        SESSION_MACHINE.check(self.chain, self.status, target, decided_by=by, decided_at=at)

    def _refuse_unless_revoked(self) -> None:
        if self.status is not SessionStatus.REVOKED:
            raise InvalidStateTransition(self.chain, self.status, SessionStatus.REVOKED)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        is_revoked = self.status is SessionStatus.REVOKED
        told = (self.revoked_by, self.revoked_at, self.revoked_reason)
        rules = (
            (self.id == session_id_for(self.grant, self.device), "a grant has one session on a device"),
            (self.source_identity == source_identity_for(self.grant, self.user), "its source identity names its grant"),
            (all(each is not None for each in told) == is_revoked, "a revoked session, and only it, says by whom"),
            (is_revoked or not any(told), "only a revoked session says by whom"),
            (is_revoked or (self.denied_at, self.cleaned_at) == (None, None), "only what was revoked is denied"),
        )
        for is_kept, rule in rules:
            if not is_kept:
                raise ValueError(rule)
        return self


def _check_open(grant: Grant, now: datetime) -> None:
    if grant.status is not GrantStatus.ACTIVE or not grant.is_wanted(now):
        by, at = grant.ended_by
        raise InvalidStateTransition(grant.chain, grant.status, GrantStatus.ACTIVE, decided_by=by, decided_at=at)
