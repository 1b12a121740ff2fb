"""A strict Identity Center, and our target that calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.targets.call_pace import CallPace
from core.targets.identity_center.instance import InstanceSettings, SsoInstance
from core.targets.identity_center.target import IdentityCenter
from tests.core.targets.harness import actions_of, allowed_actions, paced_by
from tests.harness.aws import REGION
from tests.harness.clock import FrozenClock
from tests.harness.identity_center import INSTANCE, STORE, IdentityCenterServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def aws(clock: FrozenClock) -> Iterator[IdentityCenterServer]:
    """A strict Identity Center. What it was sent must have been valid, and never a duplicate."""
    with IdentityCenterServer(clock) as server:
        yield server
    assert server.violations == []
    assert actions_of(server.calls) <= allowed_actions()
    assert server.duplicates == []


@pytest.fixture
def instance(
    aws: IdentityCenterServer, clock: FrozenClock, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SsoInstance]:
    """Our clients of it."""
    del aws_environment
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO_ADMIN", aws.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_IDENTITYSTORE", aws.url)
    pace: CallPace = paced_by(clock)
    opened = SsoInstance.open(InstanceSettings(REGION, INSTANCE, STORE), pace=pace, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def target(instance: SsoInstance) -> IdentityCenter:
    """Identity Center as a target."""
    return IdentityCenter(instance)
