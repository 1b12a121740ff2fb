"""How long `countersign credentials` takes with cached credentials, against starting Python and doing nothing.

Invariant: every run is a process of its own, started as the installed command starts, and must print the credentials.
The server's address leads nowhere, so that a run that asked for anything would fail.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.results import Goal, Ratio, ResultTable, Section, Size, time_interleaved
from bot.terminal.credentials_cache import CachedCredentials, CacheKey, CredentialsCache
from tests.harness.fake_broker import DEVICE, SECRET_KEY, SESSION_TOKEN
from tests.harness.paired_machine import PairedMachine

if TYPE_CHECKING:
    from benchmarks.harness import Call

MAX_MORE_SECONDS: Final = 0.05
_SERVER: Final = "https://127.0.0.1:9"
_CACHED: Final = "from bot.terminal.start import main; main()"
_ALL: Final = "import bot.commands.credentials"
_HOURS: Final = timedelta(hours=1)


def measure(size: Size) -> Section:
    """The cached run, the same with everything loaded, and Python alone."""
    with tempfile.TemporaryDirectory() as folder:
        machine = PairedMachine(Path(folder))
        machine.pair(_SERVER)
        _keep(machine)
        times = time_interleaved(
            {
                "Python alone": lambda _: _run(machine, "pass"),
                "cached": lambda _: _run(machine, _CACHED, "credentials", "prod"),
                "everything loaded": lambda _: _run(machine, _ALL),
            },
            size.pick(60, 10),
            warm_up=3,
        )
    bare = times["Python alone"]
    more = {name: statistics.median(a - b for a, b in zip(found, bare, strict=True)) for name, found in times.items()}
    rows = tuple(
        (name, f"{more[name] * 1000:.0f} ms", str(Ratio.of(found, bare)))
        for name, found in times.items()
        if found != bare
    )
    goal = Goal(
        "cached credentials take less than 50 ms more than starting Python",
        f"{more['cached'] * 1000:.0f} ms",
        more["cached"] < MAX_MORE_SECONDS,
    )
    table = ResultTable(("run", "more than Python alone", "times as long"), rows)
    note = "SDKs may start the command for every call, so what is cached must cost next to nothing."
    return Section("credentials", "Cached credentials", (table,), (goal,), note)


def _keep(machine: PairedMachine) -> None:
    now = datetime.now(UTC)
    fields = {
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": SECRET_KEY,
        "SessionToken": SESSION_TOKEN,
        "Expiration": f"{now + _HOURS:%Y-%m-%dT%H:%M:%SZ}",
    }
    cached = CachedCredentials(fields, now + 2 * _HOURS, now, _SERVER)
    CredentialsCache(machine.cache, CacheKey(_SERVER, DEVICE, "prod")).write(cached)


def _run(machine: PairedMachine, code: str, *arguments: str) -> Call:
    def call() -> None:
        done = subprocess.run(  # noqa: S603 - the code is ours
            [sys.executable, "-c", code, *arguments], env=machine.environment, capture_output=True, check=True
        )
        if arguments:
            json.loads(done.stdout)

    return call
