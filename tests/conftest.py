"""What every test shares: the engines, and the one line about tests that were left out for want of one.

Invariant: a test that needs DynamoDB Local or a browser runs, or is counted in such a line with the reason. Where
COUNTERSIGN_REQUIRE_ENGINES=1 (as in CI), the reason ends the run instead. One server serves all workers of a run.
"""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from core.clock import new_id
from core.stores import Stores, open_stores
from tests.harness.actionlint import why_no_actionlint
from tests.harness.aws import ENVIRONMENT
from tests.harness.chromium import why_no_chromium
from tests.harness.clock import FrozenClock
from tests.harness.dynamodb_local import DynamoDbLocal, wait_until_ready, why_unavailable
from tests.harness.helm import why_no_helm
from tests.harness.image_build import why_no_image
from tests.harness.postgres import why_no_postgres
from tests.harness.promtool import why_no_promtool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# No limit depends on how fast this machine is at the moment: such tests fail on busy days and tell nothing.
settings.register_profile("local", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# CI judges a submission, so the same code gets the same verdict twice; the search for new examples happens locally.
settings.register_profile("countersign-ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("countersign-ci" if os.environ.get("CI") else "local")

_REQUIRED = "COUNTERSIGN_REQUIRE_ENGINES"
_WHERE_SERVER_IS = "dynamodb_local"
_HOW_MANY_LEFT_OUT = "tests_left_out"
_WHY_MISSING = "why_missing"
_NEEDS: dict[str, tuple[str, Callable[[], str | None]]] = {
    "engine": ("AWS's DynamoDB Local", why_unavailable),
    "browser": ("Chromium", why_no_chromium),
    "actionlint": ("actionlint", why_no_actionlint),
    "image": ("an image", why_no_image),
    "postgres": ("PostgreSQL", why_no_postgres),
    "helm": ("Helm", why_no_helm),
    "promtool": ("promtool", why_no_promtool),
}
"""Markers: what such a test needs, and why that is not there."""
_OPTIONAL = frozenset({"postgres"})
"""Countersign itself needs none of these: they are for a recipe in the documents."""
_server = pytest.StashKey[DynamoDbLocal]()
_left_out = pytest.StashKey[dict[str, int]]()


@pytest.fixture(scope="session")
def dynamodb_local_url(request: pytest.FixtureRequest) -> str:
    """Where AWS's DynamoDB Local answers. Mark the test `engine`; take a table prefix of your own."""
    told = _told_by_controller(request.config)
    server = told[_WHERE_SERVER_IS] if told else _start_server(request.config)
    wait_until_ready(server["url"], Path(server["log"]))
    return server["url"]


@pytest.fixture
def stores(tmp_path: Path, clock: FrozenClock) -> Iterator[Stores]:
    """Stores in a SQLite file of the test's own."""
    with closing(open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=clock)) as stores:
        yield stores


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Where moto answers, one request at a time; one server per worker. Take a table prefix of your own."""
    # Moto takes a second to import, and most runs of a few tests do without it.
    from tests.harness.moto_server import MotoServer  # noqa: PLC0415

    with MotoServer() as server:
        yield server.url


@pytest.fixture
def table_prefix() -> str:
    """A prefix that no other test uses, as tables of all tests live side by side."""
    return f"t-{new_id()}"


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands still until the test moves it."""
    return FrozenClock()


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials in the environment, for code that opens a store by its URL and so reads them there."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts a background job with Ctrl+C ignored, and so would be all that it starts: tests of it would hang.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get(_REQUIRED) != "1" or _told_by_controller(config) is not None:
        return
    for marker, (name, why_missing) in _NEEDS.items():
        if marker not in _OPTIONAL and (reason := why_missing()):
            raise pytest.UsageError(f"{_REQUIRED}=1, and {name} cannot run here: {reason}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist's WorkerController is not public.
    """Start the server once, before the first worker, and tell each worker where it is or will be in a moment."""
    # Workers are told the reasons too, and do not look for themselves: they have to agree on what to leave out.
    node.workerinput[_WHY_MISSING] = reasons = {marker: why() for marker, (_, why) in _NEEDS.items()}
    node.workerinput[_WHERE_SERVER_IS] = None if reasons["engine"] else _start_server(node.config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    told = _told_by_controller(config)
    counts: dict[str, int] = {}
    for marker, (_, why_missing) in _NEEDS.items():
        needing = [item for item in items if item.get_closest_marker(marker)]
        if needing and (told[_WHY_MISSING][marker] if told else why_missing()):
            items[:] = [item for item in items if not item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=needing)
            counts[marker] = len(needing)
    config.stash[_left_out] = counts
    if told:
        # The controller writes the summary, and collects no tests itself.
        config.workeroutput[_HOW_MANY_LEFT_OUT] = counts  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401  xdist's WorkerController is not public.
    """Remember what a worker left out. All workers collect the same tests, so the last one's word will do."""
    # A worker that crashed has not said anything.
    if counts := getattr(node, "workeroutput", {}).get(_HOW_MANY_LEFT_OUT):
        node.config.stash[_left_out] = counts


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for marker, count in config.stash.get(_left_out, {}).items():
        name, why_missing = _NEEDS[marker]
        tests = "1 test that needs" if count == 1 else f"{count} tests that need"
        terminalreporter.write_line(f"left out: {tests} {name} ({why_missing()})")


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(_server, None):
        server.stop()


def _start_server(config: pytest.Config) -> dict[str, str]:
    if _server not in config.stash:
        config.stash[_server] = DynamoDbLocal()
    server = config.stash[_server]
    return {"url": server.url, "log": str(server.log)}


def _told_by_controller(config: pytest.Config) -> dict[str, Any] | None:
    """What xdist's controller told this worker; None in the controller, and in a run without xdist."""
    return getattr(config, "workerinput", None)
