"""An emergency needs no table of access; everything that would give access without one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.harness import dynamodb_harness
from core.clock import SystemClock
from core.errors import StoreMisconfigured
from core.request import RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores.schema import ACCESS
from tests.builders import HOUR
from tests.core.services.access_harness import KnownPrincipals, with_access
from tests.core.services.harness import ANN, DEPLOY, RITA, event_id_of, invoke, request_id_of
from tests.harness.directory import OfficeDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores


@pytest.fixture
def without_table(moto_url: str) -> Iterator[Stores]:
    with dynamodb_harness(moto_url, SystemClock()) as (harness, client, prefix):
        table = ACCESS.name(prefix)
        client.update_table(TableName=table, DeletionProtectionEnabled=False)
        client.delete_table(TableName=table)
        yield harness.stores


def test_emergency_is_declared_without_the_table(without_table: Stores) -> None:
    clock, directory = SystemClock(), OfficeDirectory({"S0ENGINEERS": []})
    service = BreakGlassService(without_table, with_access(), clock, directory=directory, principals=KnownPrincipals())
    event = service.close(event_id_of(invoke(service, ANN, "staging")), ANN, "It is over")
    assert event.rights == ()
    assert "can't store access" in str(event.access_problem)


def test_approval_without_the_table_changes_nothing(without_table: Stores) -> None:
    clock, directory = SystemClock(), OfficeDirectory({"S0ENGINEERS": []})
    service = RequestService(without_table, with_access(), clock, directory=directory, principals=KnownPrincipals())
    request = service.submit(RITA, "staging", HOUR, DEPLOY)
    with pytest.raises(StoreMisconfigured):
        service.approve(request_id_of(request), ANN)
    assert without_table.requests.get(request_id_of(request)).status is RequestStatus.PENDING
