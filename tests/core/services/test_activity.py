"""Where to find what was done: the window, the account and the name, for roles and for Identity Center."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.access.grant import EarlyEnd, Grant
from core.access.grant_status import GrantStatus
from core.access.right import Right
from core.actor import DeciderId, UserId
from core.policy import Policy, parse_policy
from core.services.activity import GrantActivity, read_activity
from core.stores import open_stores
from tests.builders import HOUR, PROD, REQUESTER
from tests.core.stores.session_bench import SessionBench
from tests.harness.clock import A_MOMENT, FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores

ROLE: Final = "arn:aws:iam::111122223333:role/prod-admin"
SET: Final = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
USER_ID: Final = "01234567-0123-0123-0123-0123456789ab"
SECOND: Final = A_MOMENT.replace(microsecond=0)
"""CloudTrail writes whole seconds, so a window begins before its first and ends after its last."""
POLICY: Final = f"""
version: 1
people: {{U0NAMED: {{aws: named@example.com}}}}
targets:
  aws: {{type: identity-center, region: eu-west-1, instance: "arn:aws:sso:::instance/ssoins-0123456789abcdef",
         identity_store: d-1234567890}}
profiles:
  prod:
    description: Production
    channel: C0ACCESS1
    access: [{{target: aws, account: "111122223333", permission_set: "{SET}"}}]
approval: [{{name: prod, profiles: [prod], approvers: [U0ANN], max_duration: 4h}}]
"""


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    opened = open_stores(f"sqlite:///{tmp_path}/countersign.db")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(POLICY.encode())


def _grant(right: Right, person: str = REQUESTER) -> Grant:
    return Grant.make(
        grantee=UserId(person), profile=PROD, right=right, source=f"REQUEST#{'0' * 16}", decided_by=DeciderId("U0ANN"),
        justification="Deploy the fix", starts_at=A_MOMENT, ends_at=A_MOMENT + 2 * HOUR, now=A_MOMENT, rule="prod",
    ).open(A_MOMENT)  # fmt: skip


def _role() -> Grant:
    return _grant(Right(target="prod-role", resource=ROLE, level="assume", principal=REQUESTER))


def _permission_set(person: str = REQUESTER, **changes: object) -> Grant:
    right = Right(target="aws", resource="111122223333", level=SET, principal=USER_ID)
    return _grant(right, person).model_copy(update=changes)


def _read(stores: Stores, policy: Policy, grant: Grant, at: timedelta = 3 * HOUR) -> GrantActivity:
    (found,) = read_activity(stores, policy, [grant], A_MOMENT + at)
    return found


def test_role_without_credentials_has_no_query(stores: Stores, policy: Policy) -> None:
    assert _read(stores, policy, _role()).query is None


def test_query_of_a_role_reaches_until_the_credentials_are_dead(stores: Stores, policy: Policy) -> None:
    bench = SessionBench.on(stores, FrozenClock())
    grant = bench.open_grant(right=_role().right)
    session = bench.issue(grant)
    found = _read(stores, policy, bench.read_grant(grant))

    assert found.sessions == (session,)
    assert found.query is not None
    assert session.source_identity in found.query.athena
    assert session.source_identity in found.query.lake
    assert found.query.until >= session.credentials_until


def test_query_of_a_user_reaches_until_open_sessions_are_over(stores: Stores, policy: Policy) -> None:
    closed = _permission_set(
        status=GrantStatus.ENDED, closed_at=A_MOMENT + 2 * HOUR, residual_until=A_MOMENT + 3 * HOUR
    )
    query = _read(stores, policy, closed).query

    assert query is not None
    assert (query.account, query.since) == ("111122223333", SECOND)
    assert query.until == SECOND + 3 * HOUR + timedelta(seconds=1)


def test_access_that_is_overdue_is_searched_until_now(stores: Stores, policy: Policy) -> None:
    early = EarlyEnd(by=DeciderId("U0ANN"), at=A_MOMENT + HOUR, reason="over")
    stuck = _permission_set(status=GrantStatus.ENDING, ended_early=early)
    query = _read(stores, policy, stuck, at=7 * HOUR).query

    assert query is not None
    assert query.until == SECOND + 7 * HOUR + timedelta(seconds=1)


def test_user_is_named_by_the_policy_or_looked_up_by_id(stores: Stores, policy: Policy) -> None:
    named = _read(stores, policy, _permission_set("U0NAMED")).query
    unnamed = _read(stores, policy, _permission_set()).query

    assert named is not None
    assert unnamed is not None
    assert named.first is None
    assert "'named@example.com'" in named.athena
    assert f"--identity-store-id d-1234567890 --user-id {USER_ID}" in (unnamed.first or "")


def test_targets_that_aws_does_not_know_are_left_out(stores: Stores, policy: Policy) -> None:
    webhook = _grant(Right(target="warehouse", resource="billing", level="reader", principal="ann"))

    assert read_activity(stores, policy, [webhook], A_MOMENT) == ()
