"""What the pretend AWS knows: roles, users, access keys, and the trail of what was called.

Invariant: every key is made up here and opens nothing anywhere else. A change of a role's policies keeps what stood
before it, so that it can take effect late, as AWS's own changes do.
"""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from core.clock import UtcTime

Policies = dict[str, str]
"""Inline policies: their texts by name."""
MAX_EVENTS: Final = 1_000
_KEPT_AFTER_EXPIRY: Final = timedelta(days=1)


class _CloudModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class PolicyVersion(_CloudModel):
    """The inline policies of a role as they were written at `since`."""

    since: UtcTime
    policies: Policies


class PretendRole(_CloudModel):
    """A role and all of its inline policies' versions that can still matter, oldest first."""

    arn: str
    id: str
    trust: str
    max_session_seconds: int
    created_at: UtcTime
    versions: tuple[PolicyVersion, ...]

    @property
    def account(self) -> str:
        """The account it is in."""
        return self.arn.split(":")[4]

    @property
    def name(self) -> str:
        """Its name, without the path."""
        return self.arn.rpartition("/")[2]

    @property
    def path(self) -> str:
        """Its path, `/` for most."""
        return "/" + self.arn.partition(":role/")[2].rpartition("/")[0].strip("/") + "/" if self._has_path else "/"

    @property
    def _has_path(self) -> bool:
        return "/" in self.arn.partition(":role/")[2]

    @property
    def written(self) -> Policies:
        """The policies as they were last written: what IAM's reads show."""
        return self.versions[-1].policies

    def in_effect(self, now: datetime, delay: timedelta) -> Policies:
        """The policies that requests are judged by: a change takes `delay` to reach them."""
        reached = [each for each in self.versions if each.since + delay <= now]
        return (reached or list(self.versions[:1]))[-1].policies

    def write(self, policies: Policies, now: datetime, delay: timedelta) -> PretendRole:
        """The role with other inline policies from now on."""
        reached = [each for each in self.versions if each.since + delay <= now]
        kept = self.versions[max(len(reached) - 1, 0) :]
        version = PolicyVersion(since=now, policies=policies)
        return self.model_copy(update={"versions": (*kept, version)})


class AwsKeys(_CloudModel):
    """Credentials that only the pretend AWS knows."""

    access_key_id: str
    secret_access_key: str = Field(repr=False)
    session_token: str | None = Field(default=None, repr=False)


class PretendCaller(_CloudModel):
    """Who signs with one access key: a user, or a session of a role with all that was set when it began."""

    keys: AwsKeys
    arn: str
    user_id: str
    user_policies: Policies = {}
    role: str | None = None
    session_name: str | None = None
    session_policy: str | None = None
    source_identity: str | None = None
    tags: dict[str, str] = {}
    transitive: tuple[str, ...] = ()
    issued_at: UtcTime
    expires_at: UtcTime | None = None

    @property
    def account(self) -> str:
        """The account it belongs to."""
        return self.arn.split(":")[4]


class TrailEvent(_CloudModel):
    """A call as CloudTrail records it. No secret is in it: an access key's id is none."""

    event_time: UtcTime
    event_source: str
    event_name: str
    user_arn: str
    account: str
    access_key_id: str
    role_session_name: str | None = None
    source_identity: str | None = None
    """Of the session that made the call; of an AssumeRole, the one that it asked for or carries on."""
    request: dict[str, Any] = {}
    issued_access_key_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class PretendCloud(BaseModel):
    """All of it. Not safe for threads: the service that owns it takes turns."""

    roles: dict[str, PretendRole] = {}
    callers: dict[str, PretendCaller] = {}
    events: list[TrailEvent] = []
    control_policies: dict[str, str] = {}
    """Service control policies by account."""

    def record(self, event: TrailEvent) -> None:
        """Add to the trail, which keeps the newest."""
        self.events.append(event)
        del self.events[:-MAX_EVENTS]

    def add_caller(self, caller: PretendCaller, now: datetime) -> None:
        """Let a new key sign, and forget those that expired long ago."""
        gone = [
            key
            for key, each in self.callers.items()
            if each.expires_at is not None and each.expires_at + _KEPT_AFTER_EXPIRY < now
        ]
        for key in gone:
            del self.callers[key]
        self.callers[caller.keys.access_key_id] = caller


def new_keys(*, is_temporary: bool) -> AwsKeys:
    """Keys that look like AWS's (ASIA for a session's, AKIA for a user's) and are made up."""
    return AwsKeys(
        access_key_id=("ASIA" if is_temporary else "AKIA") + "FAKE" + _letters(12),
        secret_access_key="pretend/" + secrets.token_urlsafe(24),
        session_token="pretend-session-" + secrets.token_urlsafe(48) if is_temporary else None,
    )


def new_unique_id(prefix: str) -> str:
    """An id such as AROA…, which outlives a role's name."""
    return prefix + "FAKE" + _letters(13)


def _letters(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode()[:count]
