"""The inline policies that end access early: who is denied by each, and from when on it is no longer needed.

Invariant: pure. A policy's name says all that is in it, so two workers that write one name write the same, and no write
undoes another. What is denied once stays denied until its credentials are dead.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from core.access.credentials import ISSUE_MARGIN
from core.access.session import Session
from core.policy.target_config import MAX_LEASE
from core.targets.aws_role.names import SOURCE_IDENTITIES
from core.targets.aws_role.session_policy import format_second

MAX_INLINE_CHARACTERS: Final = 10_240
"""What the inline policies of a role may have together, white space not counted."""
ROOM_FOR_ALL: Final = 240
"""Characters that are kept free, so that the one policy that replaces the others always fits."""
AFTER_DEATH: Final = timedelta(minutes=1)
"""How long a deny stays after its credentials died."""
_GRANT_NAME: Final = re.compile(r"countersign-([0-9a-f]{16})")
_SESSION_NAME: Final = re.compile(r"countersign-session-([0-9a-f]{16})")
_ALL_NAME: Final = re.compile(r"countersign-all-([0-9]{8}T[0-9]{6}Z)")
_STAMP: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class DenyPolicy:
    """An inline policy of ours."""

    name: str
    document: str

    @property
    def characters(self) -> int:
        """How many of them IAM counts."""
        return count_characters(self.document)


def deny_grant(grant: str, source_identity: str) -> DenyPolicy:
    """Denies everything to the credentials of a grant, whenever they were issued. For a grant that has ended."""
    return DenyPolicy(name_for_grant(grant), _deny({"StringEquals": {"aws:SourceIdentity": source_identity}}))


def deny_session(session: Session) -> DenyPolicy:
    """Denies everything to what was issued for a grant until this session was revoked. The grant may go on."""
    moment = (session.revoked_at or session.updated_at) + ISSUE_MARGIN
    return DenyPolicy(
        name_for_session(session.id),
        _deny(
            {"StringEquals": {"aws:SourceIdentity": session.source_identity}}
            | {"DateLessThan": {"aws:TokenIssueTime": format_second(_round_up(moment))}}
        ),
    )


def deny_all(now: datetime) -> DenyPolicy:
    """Denies everything to all that Countersign issued for a role until now."""
    moment = _round_up(now + ISSUE_MARGIN)
    return DenyPolicy(
        f"countersign-all-{moment.strftime(_STAMP)}",
        _deny(
            {"StringLike": {"aws:SourceIdentity": SOURCE_IDENTITIES}}
            | {"DateLessThan": {"aws:TokenIssueTime": format_second(moment)}}
        ),
    )


def is_ours(name: str) -> bool:
    """True for the name of a policy that Countersign writes."""
    return any(each.fullmatch(name) for each in (_GRANT_NAME, _SESSION_NAME, _ALL_NAME))


def name_for_grant(grant: str) -> str:
    """The policy that denies all credentials of a grant."""
    return f"countersign-{grant}"


def name_for_session(session: str) -> str:
    """The policy that denies what was issued until a session was revoked."""
    return f"countersign-session-{session}"


def covers_until(name: str) -> datetime | None:
    """For a policy that denies all: whatever was issued before this moment is denied. None for another one."""
    found = _ALL_NAME.fullmatch(name)
    return datetime.strptime(found.group(1), _STAMP).replace(tzinfo=UTC) if found else None


def is_dead(name: str, now: datetime) -> bool:
    """True for a policy that denies all, when all that it denies has died."""
    until = covers_until(name)
    return until is not None and now >= until + MAX_LEASE + AFTER_DEATH


def count_characters(document: object) -> int:
    """How many characters IAM counts of a policy: white space is free."""
    text = document if isinstance(document, str) else json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return sum(not each.isspace() for each in text)


def _deny(condition: dict[str, dict[str, str]]) -> str:
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def _round_up(moment: datetime) -> datetime:
    """The first full second after this moment: AWS notes when credentials were issued in full seconds."""
    return moment.replace(microsecond=0) + timedelta(seconds=1)
