"""Where credentials come from: the cache while they are fresh, else the server; what is said when there are none."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.api.problems import ProblemCode
from bot.terminal.connecting import FoundServer
from bot.terminal.credential_source import AccessOver, CredentialSource
from bot.terminal.credentials_cache import CacheKey, CredentialsCache
from bot.terminal.errors import NotPaired, ServerFailed, ServerRefused
from tests.harness.fake_broker import DEVICE, SECRETS, TOKEN, Broker, FakeBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = timedelta(minutes=1)


@pytest.fixture
def server() -> Iterator[FakeBroker]:
    with FakeBroker() as serving:
        yield serving


@pytest.fixture
def broker(server: FakeBroker) -> Broker:
    return server.state


class ClockAhead:
    """This machine's clock, moved ahead. `was_read` says that somebody knows what time it is."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead
        self.was_read = threading.Event()

    def now(self) -> datetime:
        now = datetime.now(UTC) + self.ahead
        self.was_read.set()
        return now


class Machine:
    """One machine: its cache, what it was warned of, and its clock, which may be ahead."""

    def __init__(self, server: FakeBroker, home: Path) -> None:
        self.server = server
        self.home = home
        self.warned: list[str] = []
        self.ahead = timedelta(0)
        self.clocks: list[ClockAhead] = []

    def source(self, token: str = TOKEN) -> CredentialSource:
        environ = {"HOME": str(self.home)}
        found = FoundServer(self.server.url, SecretStr(token))
        self.clocks.append(ClockAhead(self.ahead))
        return CredentialSource(found, "prod", self.warned.append, self.clocks[-1], environ)

    def get(self, token: str = TOKEN) -> str:
        return self.source(token).get().fields["AccessKeyId"]

    @property
    def folder(self) -> Path:
        return self.home / ".cache" / "countersign" / "credentials"

    @property
    def is_cached(self) -> bool:
        return CredentialsCache(self.folder, CacheKey(self.server.url, DEVICE, "prod")).read() is not None


@pytest.fixture
def machine(server: FakeBroker, tmp_path: Path) -> Machine:
    return Machine(server, tmp_path)


def test_fresh_credentials_are_asked_for_once(machine: Machine, broker: Broker) -> None:
    first = machine.get()
    machine.ahead = 43 * MINUTE

    assert machine.get() == first
    assert len(broker.asked) == 1


def test_credentials_are_renewed_16_minutes_before_they_die(machine: Machine, broker: Broker) -> None:
    first = machine.get()
    machine.ahead = 45 * MINUTE

    assert machine.get() != first
    assert len(broker.asked) == 2


def test_end_of_access_is_asked_about_not_served_from_cache(machine: Machine, broker: Broker) -> None:
    broker.access = 20 * MINUTE
    machine.get()
    ended_at = datetime.now(UTC)
    machine.ahead = 21 * MINUTE
    broker.refuse(ProblemCode.ENDED, "Your access ended.", ends_at=ended_at)

    with pytest.raises(
        AccessOver, match=r'^Your access to prod ended at .*\. Ask again: countersign request prod 1h "'
    ):
        machine.get()
    assert not machine.is_cached


def test_new_access_after_the_end_is_found(machine: Machine, broker: Broker) -> None:
    broker.access = 20 * MINUTE
    first = machine.get()
    machine.ahead = 21 * MINUTE
    broker.access = 120 * MINUTE

    assert machine.get() != first


def test_renewal_asks_whatever_is_cached(machine: Machine) -> None:
    first = machine.get()

    assert machine.source().get(is_renewal=True).fields["AccessKeyId"] != first


@pytest.mark.parametrize("lease", [16 * MINUTE, 60 * MINUTE])
def test_waiting_process_takes_the_answer_of_the_one_before(machine: Machine, broker: Broker, lease: timedelta) -> None:
    # With the shortest lease, what was issued a moment ago is no longer fresh. It's as new as anything can be.
    broker.lease = lease
    broker.open.clear()
    found: list[str] = []
    sources = [machine.source() for _ in range(4)]
    threads = [
        threading.Thread(target=lambda source=source: found.append(source.get().fields["AccessKeyId"]))
        for source in sources
    ]
    for thread, clock in zip(threads, machine.clocks, strict=True):
        thread.start()
        assert clock.was_read.wait(30)
    broker.open.set()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert len(found) == 4
    assert len(broker.asked) == 1


class TestServerThatCannotBeAsked:
    def test_cached_credentials_serve_while_they_live(self, machine: Machine, server: FakeBroker) -> None:
        first = machine.get()
        server.stop()
        machine.ahead = 59 * MINUTE

        assert machine.get() == first

    def test_dead_ones_do_not(self, machine: Machine, server: FakeBroker) -> None:
        machine.get()
        server.stop()
        machine.ahead = 61 * MINUTE

        with pytest.raises(ServerFailed, match="can't be reached"):
            machine.get()

    def test_after_the_end_the_end_is_said(self, machine: Machine, broker: Broker, server: FakeBroker) -> None:
        broker.access = 50 * MINUTE
        machine.get()
        server.stop()
        machine.ahead = 51 * MINUTE

        with pytest.raises(AccessOver, match=r"ended at .* can't be reached"):
            machine.get()

    def test_rate_limit_and_outage_leave_cached_ones_in_use(self, machine: Machine, broker: Broker) -> None:
        first = machine.get()
        machine.ahead = 50 * MINUTE
        broker.refuse(ProblemCode.RATE_LIMITED, "Too many calls.")
        broker.refuse(ProblemCode.UNAVAILABLE, "The store is away.")

        assert [machine.get(), machine.get()] == [first, first]
        assert machine.is_cached


@pytest.mark.parametrize("code", [ProblemCode.NOT_FOUND, ProblemCode.NOT_ALLOWED, ProblemCode.ENDED])
def test_cache_is_removed_when_there_is_no_access(machine: Machine, broker: Broker, code: ProblemCode) -> None:
    machine.get()
    machine.ahead = 50 * MINUTE
    broker.refuse(code, "No access to prod is open.")

    with pytest.raises(ServerRefused, match="No access to prod is open"):
        machine.get()
    assert not machine.is_cached


def test_cache_of_all_profiles_goes_with_the_device(machine: Machine, broker: Broker) -> None:
    machine.get()
    other = CredentialsCache(machine.folder, CacheKey(machine.server.url, DEVICE, "dev"))
    other.write(machine.source().get())
    machine.ahead = 50 * MINUTE
    broker.refuse(ProblemCode.PAIRING_EXPIRED, "This device was ended.")

    with pytest.raises(NotPaired):
        machine.get()
    assert list(machine.folder.glob("*.json")) == []


@pytest.mark.parametrize(
    ("break_it", "warning"),
    [
        (lambda folder: folder.chmod(0o755), "open to others"),
        (lambda folder: next(folder.glob("*.json")).chmod(0o644), "can be read by others"),
        (lambda folder: (folder.rename(folder.with_name("away")), folder.write_text("")), "not a folder"),
    ],
)
def test_unusable_cache_is_said_and_done_without(machine: Machine, broker: Broker, break_it, warning: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    machine.get()
    break_it(machine.folder)

    assert [machine.get(), machine.get()] == ["ASIAEXAMPLE000000002", "ASIAEXAMPLE000000003"]
    assert len(broker.asked) == 3
    assert len(machine.warned) == 2
    assert all(warning in text for text in machine.warned)
    assert not any(secret in text for secret in SECRETS for text in machine.warned)


def test_no_home_is_said_and_done_without(machine: Machine) -> None:
    found = FoundServer(machine.server.url, SecretStr(TOKEN))

    assert CredentialSource(found, "prod", machine.warned.append, environ={}).get().fields
    (warned,) = machine.warned
    assert warned.endswith(
        "so every call asks the server: neither COUNTERSIGN_HOME nor HOME says where your files belong"
    )


def test_credentials_come_from_where_the_server_says(machine: Machine, broker: Broker) -> None:
    with FakeBroker() as other:
        broker.credentials_url = other.url
        machine.get()
        machine.get()
        assert (len(broker.asked), len(other.state.asked)) == (0, 1)


def test_unencrypted_address_for_credentials_is_refused(machine: Machine, broker: Broker) -> None:
    broker.credentials_url = "http://broker.example.com"

    with pytest.raises(ServerFailed, match="an address for credentials that can't be used"):
        machine.get()
