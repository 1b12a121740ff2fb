"""`countersign audit verify` with checkpoints, exports and public keys, and `countersign audit key`."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from bot.commands.progress_line import ProgressLine
from bot.notifications.entry_message import write_entry
from core.audit.checkpoint import Checkpointer
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import SystemClock
from core.stores import open_stores
from playground.demo_target import DemoTarget
from playground.story import MovableClock, Story
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a story of long ago in it, which the environment names."""
    path = tmp_path / "countersign.db"
    for name in ("POLICY", "RETENTION", "AUDIT_SIGNING_KEY"):
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)
    monkeypatch.setenv("COUNTERSIGN_STORE", f"sqlite:///{path}")
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", AUDIT_KEY)
    clock = MovableClock()
    ring = AuditKeyring.from_text(AUDIT_KEY)
    with closing(open_stores(f"sqlite:///{path}", keyring=ring, clock=clock)) as stores:
        for _ in Story(stores, DemoTarget(tmp_path / "aws.json", clock), clock).play():
            pass
    return path


def seal_checkpoint(database: Path, key: str = AUDIT_KEY) -> AuditEntry:
    """What the sweeper does."""
    ring = AuditKeyring.from_text(key)
    with closing(open_stores(f"sqlite:///{database}", keyring=ring)) as stores:
        (entry,) = Checkpointer(stores.audit, SystemClock()).seal_due()
    return entry


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, ["audit", *arguments])


def change(database: Path, statement: str) -> None:
    """Change something behind the bot's back."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()


def test_verification_shows_the_last_checkpoint(database: Path) -> None:
    entry = seal_checkpoint(database)
    result = run("verify")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "checked 5 records and 26 entries: no tampering found",
        "access: 2 grants, each compared with the decision that gave it",
        "checkpoints: 1; 1 entry not covered yet",
        f"last checkpoint: 1:{entry.digest}",
    ]


@pytest.mark.parametrize("since", ["last", "1", "2099-01-01"])
def test_since_verifies_from_a_checkpoint_on(database: Path, since: str) -> None:
    seal_checkpoint(database)
    change(database, "UPDATE requests SET body = json_set(body, '$.justification', 'Something else entirely')")
    assert run("verify").exit_code == 1
    result = run("verify", "--since", since)
    assert (result.exit_code, result.output.splitlines()[0]) == (
        0,
        "checked 0 records and 1 entry: no tampering found",
    )


@pytest.mark.parametrize("since", ["7", "2001-01-01", "soon"])
def test_since_without_such_a_checkpoint_is_refused(database: Path, since: str) -> None:
    seal_checkpoint(database)
    result = run("verify", "--since", since)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("countersign: since: ")


def test_known_checkpoint_must_be_in_the_trail(database: Path, tmp_path: Path) -> None:
    entry = seal_checkpoint(database)
    message, line = tmp_path / "received.json", tmp_path / "line.json"
    message.write_text(write_entry(entry))
    line.write_text(json.dumps(entry.to_item()))
    pinned = f"1:{entry.digest}"
    for known in (pinned, str(message), str(line)):
        assert run("verify", "--checkpoint", known).exit_code == 0
    change(database, "DELETE FROM audit WHERE chain = 'CHECKPOINTS'")
    assert run("verify").exit_code == 0
    for known in (pinned, str(message), str(line)):
        result = run("verify", "--checkpoint", known)
        assert result.exit_code == 1
        assert "CHECKPOINTS: rolled back: checkpoint 1 is missing, and the last one is 0" in result.output
    for wrong in ("1:abc", "nonsense", "", str(tmp_path)):
        assert run("verify", "--checkpoint", wrong).exit_code == 2


def test_export_is_compared(database: Path, tmp_path: Path) -> None:
    export = tmp_path / "trail.jsonl"
    export.write_text(run("export").stdout)
    assert run("verify", "--against", str(export)).exit_code == 0
    with closing(sqlite3.connect(database)) as connection:
        ((chain,),) = connection.execute("SELECT chain FROM audit LIMIT 1").fetchall()
    change(database, f"DELETE FROM audit WHERE chain = '{chain}'")  # noqa: S608
    result = run("verify", "--against", str(export))
    assert result.exit_code == 1
    assert re.search(rf"{chain}: removed: entry 1 \(.*\) was exported, and is missing now", result.output)
    missing = run("verify", "--against", str(tmp_path / "none"))
    assert (missing.exit_code, "No such file" in missing.stderr) == (2, True)


def test_auditor_verifies_with_the_public_key_alone(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing_key = run("key", "new", "--signing").stdout.strip()
    monkeypatch.setenv("COUNTERSIGN_AUDIT_SIGNING_KEY", signing_key)
    public = tmp_path / "key.pem"
    public.write_text(run("key", "public").stdout)
    assert run("verify").exit_code == 0
    monkeypatch.delenv("COUNTERSIGN_AUDIT_SIGNING_KEY")
    monkeypatch.delenv("COUNTERSIGN_AUDIT_KEY")
    result = run("verify", "--public-key", str(public))
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        0,
        "not verified: 25 entries from before entries were signed",
    )
    assert run("key", "public").exit_code == 2
    assert run("verify", "--public-key", str(database)).exit_code == 2


def test_new_keys_are_good_ones_and_differ() -> None:
    one, other = run("key", "new").stdout.strip(), run("key", "new").stdout.strip()
    assert one != other
    assert AuditKeyring.from_text(f"{one},{other}").is_keyed


def test_key_is_retired_and_listed(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (AuditKeyring.from_text(each).key_id for each in (AUDIT_KEY, OTHER_AUDIT_KEY))
    refused = run("key", "retire", old)
    assert (refused.exit_code, "is the key that seals" in refused.stderr) == (2, True)
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", f"{OTHER_AUDIT_KEY},{AUDIT_KEY}")
    assert run("key", "list").output.splitlines() == [f"{new}  seals", f"{old}  verifies"]
    waiting = run("key", "retire", old)
    assert (waiting.exit_code, "the outbox still holds notifications" in waiting.stderr) == (2, True)
    change(database, "DELETE FROM outbox")
    result = run("key", "retire", old)
    assert result.exit_code == 0
    assert re.fullmatch(rf"retired {old}, which was in use until \S+\nKEYS 1:[0-9a-f]{{64}}\n", result.output)
    assert re.search(rf"{old}  retired, in use until ", run("key", "list").output)
    assert run("verify").exit_code == 0
    assert AUDIT_KEY not in result.output
    assert database.exists()


def test_progress_never_wraps_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("COLUMNS", "20")
    with ProgressLine() as progress:
        progress.show("verifying: 3,400 of about 100,000 entries")
    assert "verifying: 3,400 of\r" in stderr.getvalue()


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal in (False, True):
        stderr = io.StringIO()
        monkeypatch.setattr(stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        monkeypatch.setattr(sys, "stderr", stderr)
        with ProgressLine() as progress:
            progress.show("3,400 entries")
            progress.show("3,500 entries")
        # Not even a moment later, and nothing stays.
        assert ("3,400 entries" in stderr.getvalue()) is is_terminal
        assert "3,500" not in stderr.getvalue()
        assert stderr.getvalue().endswith("\x1b[K" if is_terminal else "")
        with ProgressLine(is_wanted=False) as unwanted:
            unwanted.show("7 entries")
        assert "7 entries" not in stderr.getvalue()
