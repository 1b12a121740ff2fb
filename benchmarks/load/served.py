"""`countersign serve` as a process of its own, within limits; and how long it takes to be ready.

Invariant: the process is the one that people start, with the settings of the documents, and nothing of the generator
runs in it. A store on SQLite is beside this package and not in /tmp, which may be in memory: a commit has to reach
a disk.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness import dynamodb_local
from benchmarks.load.accounts import read_cpu_seconds
from benchmarks.load.limits import CpuLimit
from benchmarks.load.office import POLICY
from core.clock import new_id
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.tables import create_tables
from localslack.server import LocalSlack
from tests.harness.aws import ENVIRONMENT, REGION, dynamodb_client
from tests.harness.policy_files import write_settled
from tests.harness.served_bot import environment, free_port

_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class ServedTask:
    """The running process, where its pages are, and how long its start took until /readyz said yes."""

    pid: int
    pages: str
    start_seconds: float
    start_cpu_seconds: float
    settings: Mapping[str, str]
    log: Path


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder on the disk of this package."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parents[1], prefix="scratch-") as name:
        yield Path(name)


@contextmanager
def store_url(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store: `sqlite`, or `dynamodb` on a DynamoDB Local."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/countersign.db"
        return
    with dynamodb_local() as url:
        prefix = f"load-{new_id()}"
        # The check of what was lost reads the store in this process.
        os.environ.update(ENVIRONMENT)
        with dynamodb_client(url) as client:
            create_tables(Connection(client), prefix)
        yield f"dynamodb://{REGION}/{prefix}?endpoint_url={url}"


def settings_of(slack: LocalSlack, folder: Path, store: str, *, over_http: bool, **more: str) -> dict[str, str]:
    """The environment of the process."""
    pages = free_port()
    named = {"COUNTERSIGN_STORE": store, "COUNTERSIGN_METRICS": f"127.0.0.1:{pages}", **ENVIRONMENT}
    if over_http:
        port = free_port()
        named["COUNTERSIGN_LISTEN"] = f"127.0.0.1:{port}"
        slack.use_http(f"http://127.0.0.1:{port}/slack/events")
    settings = environment(slack, folder, **named, **more)
    write_settled(folder / "policy.yml", POLICY)
    return settings


@contextmanager
def served(settings: Mapping[str, str], folder: Path, limit: CpuLimit) -> Iterator[ServedTask]:
    """Run it until the block ends; then stop it as an orchestrator does."""
    log = folder / "serve.log"
    with log.open("ab") as writing:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  Ours.
            limit.wrap([sys.executable, "-m", "bot.cli", "serve"]),
            cwd=folder, env=dict(settings), stdout=writing, stderr=writing,
        )  # fmt: skip
    try:
        limit.apply_to(process.pid)
        _wait_until_ready(process, settings["COUNTERSIGN_METRICS"], log)
        took = time.monotonic() - began
        cpu = read_cpu_seconds(process.pid)
        yield ServedTask(process.pid, settings["COUNTERSIGN_METRICS"], took, cpu, settings, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        # One that a limit has stopped gets its signal when it goes on.
        os.kill(process.pid, signal.SIGCONT)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], pages: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_ready(pages):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it did not start:\n{log.read_text()[-2000:]}")
        time.sleep(_LOOK_SECONDS)


def _is_ready(pages: str) -> bool:
    connection = http.client.HTTPConnection(pages, timeout=5.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
