"""Where to find in AWS what was done with access: the CloudTrail query of each grant that CloudTrail knows of.

Invariant: pure, but for reading sessions. A query looks from the beginning of the window to the last moment at which a
session of the grant can have lived. A grant without credentials has no query: nothing can have been done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.access.cloudtrail import ROLE, CloudTrailQuery, find_by_role, find_by_user
from core.access.grant import Grant, GrantId
from core.access.session import Session
from core.policy import Policy
from core.policy.target_config import IdentityCenterConfig
from core.stores.base import Stores
from core.targets.aws_names import ACCOUNT_ID, ASSUME, MEMBER, PERMISSION_SET, STORE_ID


@dataclass(frozen=True, slots=True)
class GrantActivity:
    """One grant, the sessions of it, and how to find what was done; None: it never had credentials."""

    grant: Grant
    query: CloudTrailQuery | None
    sessions: tuple[Session, ...] = ()


def read_activity(
    stores: Stores, policy: Policy | None, grants: Sequence[Grant], now: datetime
) -> tuple[GrantActivity, ...]:
    """The activity of these grants, in their order; those that AWS knows nothing of are left out.

    The `policy` names the users of Identity Center. Raises StoreError.
    """
    found = (_read_one(stores, policy, grant, now) for grant in grants)
    return tuple(each for each in found if each is not None)


def has_role(grant: Grant) -> bool:
    """True for a grant of a role: credentials are issued for it."""
    return grant.right.level == ASSUME and ROLE.fullmatch(grant.right.resource) is not None


def _read_one(stores: Stores, policy: Policy | None, grant: Grant, now: datetime) -> GrantActivity | None:
    if has_role(grant):
        sessions = stores.sessions.list_of_grant(GrantId(grant.id)).sessions
        return GrantActivity(grant, _of_role(grant, sessions, now), sessions)
    if _has_permission_set(grant) or _has_group(grant):
        return GrantActivity(grant, _of_user(grant, policy, now) if grant.was_open else None)
    return None


def _has_permission_set(grant: Grant) -> bool:
    right = grant.right
    return PERMISSION_SET.fullmatch(right.level) is not None and ACCOUNT_ID.fullmatch(right.resource) is not None


def _has_group(grant: Grant) -> bool:
    right = grant.right
    is_named_so = right.level == MEMBER and STORE_ID.fullmatch(right.resource) is not None
    return is_named_so and STORE_ID.fullmatch(right.principal) is not None


def _of_role(grant: Grant, sessions: Sequence[Session], now: datetime) -> CloudTrailQuery | None:
    if not sessions:
        return None
    last = max(sessions, key=lambda each: each.last_used_at)
    dead = max(each.credentials_until for each in sessions)
    names = {each.session_name for each in sessions}
    return find_by_role(
        role=grant.right.resource,
        source_identity=last.source_identity,
        since=min(grant.starts_at, *(each.started_at for each in sessions)),
        until=max(_ends(grant, now), dead),
        # Sessions of several names are found by the key.
        session_name=last.session_name if len(names) == 1 else None,
        access_key_id=last.access_key_id,
    )


def _of_user(grant: Grant, policy: Policy | None, now: datetime) -> CloudTrailQuery:
    right, config = grant.right, policy.targets.get(grant.right.target) if policy is not None else None
    center = config if isinstance(config, IdentityCenterConfig) else None
    named = policy.mapped(grant.grantee, right.target) if policy is not None else None
    return find_by_user(
        user_name=named if named is not None and STORE_ID.fullmatch(named) is None else None,
        account=right.resource if _has_permission_set(grant) else None,
        since=grant.starts_at,
        until=_ends(grant, now),
        user_id=right.principal,
        identity_store=center.identity_store if center is not None else None,
        region=center.region if center is not None else None,
    )


def _ends(grant: Grant, now: datetime) -> datetime:
    """The last moment at which what the grant gave can have been used."""
    known = (grant.ended_at, grant.closed_at, grant.residual_until)
    # What should be gone and isn't can still be used.
    overdue = now if grant.is_live else None
    return max(each for each in (*known, overdue) if each is not None)
