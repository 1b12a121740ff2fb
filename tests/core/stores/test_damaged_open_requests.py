"""A ledger of open requests that cannot be read refuses requests, loudly, until an operator rebuilds it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

import pytest

from core.actor import CLOCK
from core.audit.trail import AuditAction
from core.errors import BrokenSeal, LimitReached
from core.open_requests import OpenRequests
from core.request import Request, RequestStatus
from core.services import RequestService
from core.services.ledger_check import LedgerCheck
from core.services.submit import REQUEST_REFUSED
from tests.builders import HOUR, PROD
from tests.core.services.harness import DEPLOY, RITA, ChangingPolicy, noted, person, request_id_of
from tests.core.stores.harness import StoreHarness
from tests.harness.directory import OfficeDirectory

RITAS_OTHER_ID: Final = person("U0RITA2")
ONE_PERSON: Final = {
    "[U0RITA, U0ANN]": "[U0RITA, U0RITA2, U0ANN]",
    "security_channel": "same_person: [[U0RITA, U0RITA2]]\nsecurity_channel",
}
OWNER: Final = OpenRequests.of(RITA.id, PROD).owner


@pytest.fixture
def service(harness: StoreHarness) -> RequestService:
    """The service of one instance, on each engine in turn."""
    # In the future, for DynamoDB Local deletes what its TTL calls old by the machine's clock.
    harness.clock.set(datetime(2100, 1, 1, tzinfo=UTC))
    return RequestService(harness.stores, ChangingPolicy(), harness.clock, directory=OfficeDirectory({}))


def _ask(service: RequestService, profile: str = "prod") -> Request:
    return service.submit(RITA, profile, HOUR, DEPLOY)


def test_damaged_ledger_refuses_the_request_and_is_an_alert(
    harness: StoreHarness, service: RequestService, caplog: pytest.LogCaptureFixture
) -> None:
    _ask(service)
    harness.spoil_ledger(OWNER, {"requests": []})
    with caplog.at_level(logging.ERROR, "countersign.ledgers"), pytest.raises(BrokenSeal, match="countersign audit"):
        _ask(service)
    assert OWNER in caplog.text
    (alert,) = [each for each in noted(harness.stores) if each.event is AuditAction.LEDGER_UNREADABLE]
    assert (alert.actor, alert.outcome, alert.details["ledger"]) == (CLOCK, REQUEST_REFUSED, OWNER)
    assert len(list(harness.stores.requests.iterate())) == 1
    assert _ask(service, "staging").status is RequestStatus.PENDING, "no other ledger is needed"


@pytest.mark.parametrize("damage", [{"requests": []}, {"requests": "nonsense"}, {"seal": None}], ids=str)
def test_rebuilt_ledger_lists_the_open_request(
    harness: StoreHarness, service: RequestService, damage: dict[str, object]
) -> None:
    request = _ask(service)
    harness.spoil_ledger(OWNER, damage)
    looking = LedgerCheck(harness.stores, harness.clock)
    assert [each.owner for each in looking.find_problems()] == [OWNER]
    looking.rebuild(OpenRequests(owner=OWNER))
    assert list(looking.find_problems()) == []
    with pytest.raises(LimitReached, match=request.id):
        _ask(service)
    service.cancel(request_id_of(request), RITA)
    assert _ask(service).id != request.id


def test_removed_ledger_is_found_and_rebuilt(harness: StoreHarness, service: RequestService) -> None:
    request = _ask(service)
    harness.remove_ledger(OWNER)
    looking = LedgerCheck(harness.stores, harness.clock)
    (problem,) = looking.find_problems()
    assert problem == (OWNER, f"1 of 1 open requests are missing, such as {request.id}")
    looking.rebuild(OpenRequests(owner=OWNER))
    with pytest.raises(LimitReached, match=request.id):
        _ask(service)


def test_check_knows_all_ids_of_a_person(harness: StoreHarness) -> None:
    policy = ChangingPolicy()
    policy.edit(ONE_PERSON)
    harness.clock.set(datetime(2100, 1, 1, tzinfo=UTC))
    service = RequestService(harness.stores, policy, harness.clock, directory=OfficeDirectory({}))
    request = service.submit(RITAS_OTHER_ID, "prod", HOUR, DEPLOY)
    looking = LedgerCheck(harness.stores, harness.clock, policy.policy.ids_of)
    assert list(looking.find_problems()) == []
    harness.remove_ledger(OWNER)
    assert [each.owner for each in looking.find_problems()] == [OWNER]
    looking.rebuild(OpenRequests(owner=OWNER))
    with pytest.raises(LimitReached, match=request.id):
        _ask(service)
