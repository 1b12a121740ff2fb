"""Each change is counted, and logged with the record that it is about and without what people typed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.observability.logs import about
from bot.observability.metrics import Metrics
from bot.observability.watcher import Watcher
from core.directory import FixedDirectory
from core.errors import NotAllowed
from core.services import RequestService
from core.stores import open_stores
from tests.core.services.harness import RITA, STRANGER, ChangingPolicy
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timedelta(hours=1)


def test_changes_refusals_and_conflicts_are_counted_and_logged(
    tmp_path: Path, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "countersign.decisions")
    metrics = Metrics()
    stores = open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=clock)
    watcher = Watcher(metrics)
    service = RequestService(stores, ChangingPolicy(), clock, watcher, directory=FixedDirectory())
    request = service.submit(RITA, "prod", HOUR, "Deploy the fix for INC-12")
    with about(request.chain), pytest.raises(NotAllowed):
        service.submit(STRANGER, "prod", HOUR, "Deploy the fix for INC-12")
    watcher.conflicted(request.chain)
    stores.close()

    changed, refused = caplog.records
    assert (changed.getMessage(), getattr(changed, "about", None)) == ("request_submitted on prod", request.chain)
    assert refused.getMessage() == "submit_refused"
    assert "INC-12" not in caplog.text
    sample = metrics.registry.get_sample_value
    assert sample("countersign_changes_total", {"event": "request_submitted"}) == 1
    assert sample("countersign_refusals_total", {"event": "submit_refused"}) == 1
    assert sample("countersign_conflicts_total", {"kind": "request"}) == 1
