"""The pages for operators: health, readiness with its bounds, and metrics that a scraper can read."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from bot.observability.metrics import Metrics
from bot.settings.addresses import Address
from bot.transport.health_pages import HealthPages, HealthServer, public_pages
from bot.transport.http import HttpTransport
from bot.transport.readiness import Readiness, store_answers
from core.errors import InvalidInput, StoreUnavailable
from core.stores import open_stores
from tests.bot.transport.small_app import PATIENCE, SmallApp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localslack.server import LocalSlack


class Check:
    """A check that can fail, raise, or hang."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = True
        self.error: StoreUnavailable | None = None
        self.let_go = threading.Event()
        self.let_go.set()

    def __call__(self) -> bool:
        self.asked += 1
        assert self.let_go.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def check() -> Check:
    return Check()


def new_readiness(check: Check, fresh_seconds: float = 0.0) -> Readiness:
    return Readiness({"store": check, "slack": lambda: True}, timeout_seconds=0.05, fresh_seconds=fresh_seconds)


@pytest.fixture
def readiness(check: Check) -> Iterator[Readiness]:
    readiness = new_readiness(check)
    yield readiness
    check.let_go.set()
    readiness.stop()


@pytest.fixture
def transport(metrics: Metrics, readiness: Readiness) -> Iterator[HealthServer]:
    monitoring = HealthPages(metrics, readiness)
    transport = HealthServer(monitoring, Address("127.0.0.1", 0))
    transport.start()
    yield transport
    transport.stop()
    monitoring.close()


def get(url: str, accept: str = "*/*") -> tuple[int, str, str]:
    """The status, the content type and the text."""
    try:
        with urlopen(Request(url, headers={"Accept": accept}), timeout=PATIENCE) as response:  # noqa: S310  Ours.
            return response.status, response.headers["Content-Type"], response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


class TestReadiness:
    def test_is_there_when_every_check_passes(self, readiness: Readiness, check: Check) -> None:
        assert readiness.find_missing() == ()
        check.answer = False
        assert readiness.find_missing() == ("store",)
        check.answer = True
        assert readiness.find_missing() == ()

    def test_is_gone_while_the_store_fails_and_back_with_it(self, readiness: Readiness, check: Check) -> None:
        check.error = StoreUnavailable("no answer")
        assert readiness.find_missing() == ("store",)
        check.error = None
        assert readiness.find_missing() == ()

    def test_waits_for_no_check_that_hangs_and_begins_no_second_one(self, readiness: Readiness, check: Check) -> None:
        check.let_go.clear()
        assert readiness.find_missing() == ("store",)
        assert readiness.find_missing() == ("store",)
        assert check.asked == 1

    def test_asks_once_for_all_who_ask_within_a_while(self, check: Check) -> None:
        readiness = new_readiness(check, fresh_seconds=60)
        assert [readiness.find_missing() for _ in range(5)] == [()] * 5
        assert check.asked == 1
        readiness.stop()

    def test_ends_with_the_stopping(self, readiness: Readiness) -> None:
        readiness.stop()
        assert readiness.find_missing() == ("stopping",)
        readiness.stop()

    def test_of_a_store_is_one_read(self, tmp_path: Path) -> None:
        stores = open_stores(f"sqlite:///{tmp_path}/countersign.db")
        assert store_answers(stores)
        stores.close()


class TestPages:
    def test_say_that_the_process_is_alive_whatever_the_store_does(self, transport: HealthServer, check: Check) -> None:
        check.answer = False
        assert get(f"{transport.url}/healthz")[::2] == (200, "ok\n")

    def test_say_what_is_missing_and_no_more(self, transport: HealthServer, check: Check) -> None:
        status, _, text = get(f"{transport.url}/readyz")
        assert (status, json.loads(text)) == (200, {"ready": True, "missing": []})
        check.error = StoreUnavailable("arn:aws:secret")
        status, _, text = get(f"{transport.url}/readyz")
        assert (status, json.loads(text)) == (503, {"ready": False, "missing": ["store"]})

    def test_show_metrics_in_both_forms(self, transport: HealthServer) -> None:
        status, kind, text = get(f"{transport.url}/metrics")
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert "countersign_decisions" in {family.name for family in text_string_to_metric_families(text)}
        _, kind, text = get(f"{transport.url}/metrics", accept="application/openmetrics-text; version=1.0.0")
        assert kind.partition(";")[0] == "application/openmetrics-text"
        assert "countersign_decisions" in {family.name for family in read_openmetrics(text)}  # type: ignore[no-untyped-call]

    def test_are_only_these(self, transport: HealthServer) -> None:
        assert [get(f"{transport.url}{path}")[0] for path in ("/", "/slack/events", "/metrics/x")] == [404] * 3

    def test_name_their_setting_when_the_address_is_taken(self, transport: HealthServer, metrics: Metrics) -> None:
        taken = int(transport.url.rpartition(":")[2])
        monitoring = HealthPages(metrics, Readiness({}))
        with pytest.raises(InvalidInput, match="COUNTERSIGN_METRICS"):
            HealthServer(monitoring, Address("127.0.0.1", taken)).start()


def test_default_address_that_is_taken_is_named_and_no_obstacle(
    transport: HealthServer, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    taken = int(transport.url.rpartition(":")[2])
    server = HealthServer(HealthPages(metrics, Readiness({})), Address("127.0.0.1", taken, is_default=True))
    server.start()
    server.stop()

    assert "Set COUNTERSIGN_METRICS to another address, or to off" in caplog.text


@pytest.mark.parametrize(("is_shared", "status"), [(True, 200), (False, 404)])
def test_public_address_shows_that_it_is_alive_and_no_more(
    slack: LocalSlack, small_app: SmallApp, metrics: Metrics, readiness: Readiness, *, is_shared: bool, status: int
) -> None:
    monitoring = HealthPages(metrics, readiness)
    pages = monitoring.pages() if is_shared else public_pages()
    transport = HttpTransport(small_app.dispatcher, metrics, slack.signing_secret, Address("127.0.0.1", 0), pages=pages)
    transport.start()
    base = transport.url.removesuffix("/slack/events")
    found = [get(f"{base}/{page}")[0] for page in ("healthz", "readyz", "metrics")]
    transport.stop()
    monitoring.close()

    assert found == [200, status, status]
