"""The composition root opens aws-role targets with the stores, and a sweep tends to their sessions."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from slack_sdk import WebClient

from bot.wiring.ports import Ports
from bot.wiring.services import build_services, build_sweeper
from core.access.session import SessionStatus
from core.directory import FixedDirectory
from core.targets.aws_role.target import AwsRoleTarget
from tests.core.targets.role_office import RITA, PretendClients, RoleOffice
from tests.harness.pretend_aws import serve_pretend_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores import Stores
    from tests.harness.clock import FrozenClock


@pytest.fixture
def office(stores: Stores, clock: FrozenClock, aws_environment: None) -> Iterator[RoleOffice]:
    del aws_environment
    with serve_pretend_aws(clock) as aws:
        yield RoleOffice(stores, clock, aws)


def test_sweep_denies_what_was_revoked_and_cleans_up(office: RoleOffice) -> None:
    clients = PretendClients(office.aws)
    ports = Ports(office.stores, office.policy, office.clock, WebClient(), aws_clients=lambda: clients)
    services = build_services(ports, directory=FixedDirectory())
    with closing(services.targets):
        assert isinstance(services.targets["ops"], AwsRoleTarget)
        sweeper = build_sweeper(services, [])
        source = office.office.approve(RITA, timedelta(hours=2)).chain
        sweeper.sweep()
        issued = services.sessions.issue(office.user(), "prod")
        assert office.works(issued)

        services.grants.end(source, RITA)
        sweeper.sweep()
        assert not office.works(issued)
        assert office.session(issued).status is SessionStatus.REVOKED

        office.clock.advance(timedelta(hours=2))
        sweeper.sweep()
        assert office.denies() == []
