"""kill -9 in the middle of a run of commits: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Final

from core.audit.findings import Tally
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.record import Record
from core.stores import Stores, open_stores
from core.usage import Usage
from tests.core.changes import NOW
from tests.core.committing import THREADS, commit_until_killed

KILLS: Final = 20
MOST_ACKNOWLEDGED: Final = 60
_STEPS: Final = {"pending": 1, "approved": 2, "active": 1, "closed": 2}
"""How many commits lead to a status."""


def test_kill_9_loses_nothing_acknowledged_or_half_done(tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    moments = Random(9)  # noqa: S311 - so that each run is as lucky as the last
    acknowledged: dict[str, str] = {}
    commits = 0
    for kill in range(1, KILLS + 1):
        told = _commit_and_kill(path, moments.randint(1, MOST_ACKNOWLEDGED))
        acknowledged.update(told)
        commits += len(told)
        with closing(open_stores(f"sqlite:///{path}")) as stores:
            found = {record.chain: record for record in (*stores.requests.iterate(), *stores.break_glass.iterate())}
            assert [chain for chain, status in acknowledged.items() if not _has_reached(found.get(chain), status)] == []
            _check_nothing_is_half_done(stores, path, found)
        # Each thread had at most one commit in progress that was not acknowledged yet.
        done = sum(_STEPS[str(record.state)] for record in found.values())
        assert commits <= done <= commits + kill * THREADS


def _commit_and_kill(path: Path, after: int) -> list[tuple[str, str]]:
    # The server is forked before any thread starts, and forks quickly.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.core.committing"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=commit_until_killed, args=(str(path), theirs), daemon=True)
    process.start()
    theirs.close()
    with closing(ours), closing(process):
        told = [ours.recv() for _ in range(after)]
        process.kill()
        process.join()
        # What it managed to say before it died counts too; a word that was cut does not.
        with suppress(EOFError):
            while True:
                told.append(ours.recv())
    return told


def _has_reached(record: Record | None, status: str) -> bool:
    return record is not None and _STEPS[str(record.state)] >= _STEPS[status]


def _check_nothing_is_half_done(stores: Stores, path: Path, found: Mapping[str, Record]) -> None:
    tally = Tally()
    assert list(verify_trail(stores, AuditKeyring(), NOW, tally)) == []
    assert tally.chains == tally.records == len(found)
    assert sum(1 for _ in stores.audit.export()) == tally.entries
    events = list(stores.break_glass.iterate())
    for event in events:
        by_invoker, by_profile = stores.break_glass.get_ledgers(event.invoker, event.profile)
        assert by_invoker.usages == (Usage.of(event),)
        assert [usage.event_id for usage in by_profile.usages] == [event.id]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        # Each event has a person and a profile of its own, so a ledger without an event would be one too many.
        assert connection.execute("SELECT count(*) FROM ledgers").fetchone() == (2 * len(events),)
