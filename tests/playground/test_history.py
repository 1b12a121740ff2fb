"""The week before the first start: every kind of outcome, sealed and verifiable, and the tour's channel still empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.audit.findings import Tally
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction
from core.audit.verification import verify_trail
from core.break_glass import EventStatus
from core.request import RequestStatus
from playground.demo_pager import DemoPagerState
from playground.folder import Folder
from playground.history import LENGTH
from playground.people import ACCESS, DATABASE, STAGING
from playground.playground import open_playground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playground.playground import Playground


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    with Folder(tmp_path_factory.mktemp("playground")) as folder:
        yield folder


@pytest.fixture(scope="module")
def playground(folder: Folder) -> Iterator[Playground]:
    with open_playground(folder, port=0, has_history=True) as running:
        yield running


def test_week_has_every_outcome(playground: Playground) -> None:
    requests = list(playground.stores.requests.iterate())
    (event,) = playground.stores.break_glass.iterate()
    statuses = {request.status for request in requests}
    assert statuses == {*RequestStatus} - {RequestStatus.PENDING}
    assert any(str(request.approver).startswith("policy:") for request in requests)
    assert any(len(request.approvals) > 1 and request.approvals[0].comment for request in requests)
    assert event.status is EventStatus.CLOSED
    assert event.review is not None
    now = playground.clock.now()
    assert all(now - LENGTH <= record.created_at < now for record in [*requests, event])


def test_week_is_sealed_and_verifies(playground: Playground, folder: Folder) -> None:
    keyring, tally = AuditKeyring.from_text(folder.load_state().audit_key), Tally()
    assert list(verify_trail(playground.stores, keyring, playground.clock.now(), tally)) == []
    assert tally.entries > 30
    assert AuditAction.REQUEST_DENIED in {entry.event for entry in playground.stores.audit.export()}


@pytest.mark.usefixtures("playground")
def test_pages_of_the_week_name_people(folder: Folder) -> None:
    (page,) = DemoPagerState.model_validate_json(folder.pager.read_text(encoding="utf-8")).pages
    assert page.summary.startswith("Break-glass: Sam Osei took prod-db")


def test_week_leaves_the_channel_of_the_tour_free(playground: Playground) -> None:
    slack = playground.slack
    assert slack.messages(ACCESS) == []
    assert len(slack.messages(DATABASE)) > 5
    assert len(slack.messages(STAGING)) > 3
    assert playground.aws.state.assignments == ()
    assert all(float(message.ts) < playground.clock.now().timestamp() for message in slack.messages(DATABASE))


def test_clock_is_right_after_the_week(playground: Playground, folder: Folder) -> None:
    assert playground.clock.ahead.total_seconds() == 0
    assert folder.load_state().clock_ahead.total_seconds() == 0
