"""Credentials for access that is open: what is asked of AWS, what comes back, and why there are none.

Invariant: a secret is shown by no repr and no error. What is asked for is complete before AWS is called, and says when
the rights end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr

from core.errors import CountersignError, Refused

ISSUE_MARGIN: Final = timedelta(seconds=15)
"""How long after the intent, by AWS's clock, credentials may be issued: longer than the call takes, and clocks differ.

What was issued later is never handed on. So a deny of what was issued until some moment is certain if it adds this.
"""


@dataclass(frozen=True, slots=True)
class AssumeIntent:
    """One issue of credentials. `rights_end_at` is when they stop working, however long they live.

    `person_name` is what people call the person, for the session's name; `request` names the decision.
    """

    source_identity: str
    person_name: str
    profile: str
    request: str
    rights_end_at: datetime


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """What AWS issued. They are dead from `expiration` on."""

    access_key_id: str
    secret_access_key: SecretStr = field(repr=False)
    session_token: SecretStr = field(repr=False)
    expiration: datetime


class AccessEnded(Refused):
    """The access has ended. Nothing was issued."""

    def __init__(self, profile: str, ended_at: datetime) -> None:
        super().__init__(f"your access to {profile} ended at {ended_at.isoformat()}; request it again if you need it")
        self.profile = profile
        self.ended_at = ended_at


class NothingOpen(Refused):
    """There is no access to get credentials for. `is_opening`: there will be in a moment. Nothing was issued.

    `problem` is for a case in which it isn't the access that is missing.
    """

    def __init__(self, profile: str, fix: str, *, is_opening: bool = False, problem: str | None = None) -> None:
        state = "is still opening" if is_opening else "isn't open"
        super().__init__(f"{problem or f'your access to {profile} {state}'}. {fix}")
        self.profile = profile
        self.fix = fix
        self.is_opening = is_opening


class IssuerUnavailable(CountersignError):
    """AWS gave no credentials. `fix` says what to do; `is_final`: trying again doesn't help before that."""

    def __init__(self, problem: str, fix: str, *, is_final: bool = False) -> None:
        super().__init__(f"{problem.rstrip('.')}. Nothing was issued. {fix}")
        self.problem = problem
        self.fix = fix
        self.is_final = is_final
