"""`countersign credentials`, as the SDKs start it: real processes, and real botocore with a configuration file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.api.problems import ProblemCode
from tests.harness.fake_broker import SECRET_KEY, SECRETS, Broker, FakeBroker
from tests.harness.paired_machine import ROOT, PairedMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTE = timedelta(minutes=1)
SIGN_TEN_TIMES = """
import sys
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import CredentialRetrievalError
try:
    credentials = botocore.session.Session(profile=sys.argv[1]).get_credentials()
    for _ in range(10):
        request = AWSRequest("GET", "https://sts.eu-west-1.amazonaws.com/")
        SigV4Auth(credentials, "sts", "eu-west-1").add_auth(request)
        print(request.headers["Authorization"].split("/")[0].split("=")[1])
except CredentialRetrievalError as error:
    print(error)
"""
FULL_DISK = 'ulimit -f 0; exec "$@"'
ENDED_AT = datetime(2026, 1, 15, 14, 5, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[FakeBroker]:
    with FakeBroker() as serving:
        yield serving


@pytest.fixture
def broker(server: FakeBroker) -> Broker:
    return server.state


@pytest.fixture
def machine(server: FakeBroker, tmp_path: Path) -> PairedMachine:
    machine = PairedMachine(tmp_path)
    machine.pair(server.url)
    return machine


def says_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    is_plain = done.stdout == "" and re.fullmatch(r"countersign: [^\n]+\n", done.stderr) is not None
    return is_plain and not any(secret in done.stderr for secret in SECRETS)


def test_output_is_exactly_what_sdks_document(machine: PairedMachine, broker: Broker) -> None:
    done = machine.run("credentials", "prod")

    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    assert list(printed) == ["Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"]
    assert (printed["Version"], printed["SecretAccessKey"]) == (1, SECRET_KEY)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", printed["Expiration"])
    assert [path.stat().st_mode & 0o777 for path in machine.cached] == [0o600]
    assert broker.asked == ["prod"]


def test_botocore_starts_it_once_for_ten_signings(machine: PairedMachine, broker: Broker) -> None:
    assert machine.run("aws", "configure", "prod").returncode == 0

    first = machine.run_python(SIGN_TEN_TIMES, "countersign-prod")
    assert first.stdout.split() == ["ASIAEXAMPLE000000001"] * 10, first.stderr
    assert machine.starts == ["aws configure prod", "credentials prod"]
    # Another process of the same person: the command is started again, and the server isn't asked.
    machine.run_python(SIGN_TEN_TIMES, "countersign-prod")
    assert machine.starts[2:] == ["credentials prod"]
    assert broker.asked == ["prod"]

    # In its last 16 minutes, botocore would start it for every signing. It gets new ones instead.
    shorten(machine.cached[0], to=timedelta(minutes=15, seconds=30))
    renewed = machine.run_python(SIGN_TEN_TIMES, "countersign-prod")
    assert set(renewed.stdout.split()) == {"ASIAEXAMPLE000000002"}
    assert machine.starts[3:] == ["credentials prod"]
    assert broker.asked == ["prod"] * 2


def test_botocore_shows_why_there_are_no_credentials(machine: PairedMachine, broker: Broker) -> None:
    machine.run("aws", "configure", "prod")
    broker.refuse(ProblemCode.ENDED, "Your access ended.", ends_at=ENDED_AT)

    done = machine.run_python(SIGN_TEN_TIMES, "countersign-prod")

    assert 'Your access to prod ended at 2026-01-15 14:05. Ask again: countersign request prod 1h "' in done.stdout


@pytest.mark.race
def test_ten_processes_at_once_ask_the_server_once(machine: PairedMachine, broker: Broker) -> None:
    broker.open.clear()
    processes = [machine.start("credentials", "prod") for _ in range(10)]
    wait_until(lambda: all(has_lock_open(process.pid) for process in processes))
    broker.open.set()
    answers = [process.communicate(timeout=60) for process in processes]

    assert {process.returncode for process in processes} == {0}
    assert len({out for out, _ in answers}) == 1
    assert {err for _, err in answers} == {""}
    assert broker.asked == ["prod"]


def test_process_killed_while_it_asks_holds_up_nobody(machine: PairedMachine, broker: Broker) -> None:
    broker.open.clear()
    killed = machine.start("credentials", "prod")
    assert broker.waiting.acquire(timeout=60)
    killed.kill()
    killed.communicate()
    broker.open.set()

    assert machine.run("credentials", "prod").returncode == 0
    assert len(broker.asked) == 2


def test_refusal_is_one_line_and_exit_1(machine: PairedMachine, broker: Broker, server: FakeBroker) -> None:
    broker.refuse(ProblemCode.NOT_FOUND, "You have no access to prod now. Ask for it: countersign request prod 1h")
    nothing_open = machine.run("credentials", "prod")
    unpaired = machine.run("credentials", "prod", HOME=str(machine.home / "empty"))
    server.stop()
    no_server = machine.run("credentials", "prod")

    done = [nothing_open, unpaired, no_server]
    assert [each.returncode for each in done] == [1, 1, 1]
    assert [says_one_line(each) for each in done] == [True, True, True]
    assert "You have no access to prod now" in nothing_open.stderr
    assert "countersign login" in unpaired.stderr
    assert "can't be reached" in no_server.stderr


def test_ended_device_is_said_and_leaves_no_cache(machine: PairedMachine, broker: Broker) -> None:
    machine.run("credentials", "prod")
    broker.refuse(ProblemCode.PAIRING_EXPIRED, "This device was ended.")

    done = machine.run("credentials", "prod", "--renew")

    assert (done.returncode, says_one_line(done)) == (1, True)
    assert machine.cached == []


def test_target_is_asked_for_and_configured_by_name(machine: PairedMachine, broker: Broker) -> None:
    assert machine.run("aws", "configure", "prod", "--target", "role").returncode == 0

    done = machine.run_python(SIGN_TEN_TIMES, "countersign-prod-role")

    assert len(done.stdout.split()) == 10, done.stdout
    assert broker.asked == ["prod?target=role"]
    assert machine.run("credentials", "prod", "--target", "role").returncode == 0
    assert len(broker.asked) == 1


def test_logout_leaves_no_credentials(machine: PairedMachine) -> None:
    machine.run("credentials", "prod")
    done = machine.run("logout")

    assert (done.returncode, machine.cached) == (0, []), done.stderr


def test_full_disk_costs_only_the_cache(machine: PairedMachine, broker: Broker) -> None:
    done = subprocess.run(  # noqa: S603 - the command is ours
        ["/bin/sh", "-c", FULL_DISK, "sh", sys.executable, "-m", "bot.terminal.start", "credentials", "prod"],
        env=machine.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert json.loads(done.stdout)["AccessKeyId"] == "ASIAEXAMPLE000000001"
    assert done.stderr == "countersign: credentials aren't cached, so every call asks the server: file too large\n"
    # Nothing is left of the attempt but the lock, which has no content.
    assert {path.stat().st_size for path in machine.cache.iterdir()} <= {0}
    assert {path.suffix for path in machine.cache.iterdir()} <= {".lock"}
    assert broker.asked == ["prod"]


@pytest.mark.parametrize(("into", "problem"), [(">&-", "it's closed"), (">/dev/full", "no space left on device")])
def test_output_that_nobody_gets_is_said_in_a_line(machine: PairedMachine, into: str, problem: str) -> None:
    # Once from the server, once from the cache.
    for _ in range(2):
        start = ["sh", "-c", f'"$0" credentials prod {into}', str(machine.command)]
        done = subprocess.run(start, env=machine.environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        assert (done.returncode, done.stderr.endswith(f": {problem}\n"), says_one_line(done)) == (1, True, True)


def test_what_is_no_profile_is_refused_before_any_call(machine: PairedMachine, broker: Broker) -> None:
    done = machine.run("credentials", "../x")

    assert (done.returncode, done.stdout) == (2, "")
    assert broker.asked == []


def wait_until(is_so: Callable[[], bool]) -> None:
    ends_at, pause = time.monotonic() + 60, threading.Event()
    while not is_so() and time.monotonic() < ends_at:
        pause.wait(0.01)


def has_lock_open(process: int) -> bool:
    """Whether the process holds the lock or waits for it, where the system says so."""
    descriptors = Path("/proc") / str(process) / "fd"
    if not descriptors.is_dir():
        return True
    with suppress(OSError):
        return any(each.readlink().suffix == ".lock" for each in descriptors.iterdir())
    return False


def shorten(path: Path, to: timedelta) -> None:
    """As if the time had passed in which credentials come so close to their end."""
    content = json.loads(path.read_bytes())
    content["credentials"]["Expiration"] = f"{datetime.now(UTC) + to:%Y-%m-%dT%H:%M:%SZ}"
    path.write_text(json.dumps(content), encoding="utf-8")
