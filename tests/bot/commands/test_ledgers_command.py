"""`countersign ledgers check` and `rebuild`, as an operator sees them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from core.audit.keyring import AuditKeyring
from core.clock import SystemClock
from core.services import BreakGlassService
from core.stores import open_stores
from tests.core.services.harness import ANN, INCIDENT, OUTAGE, ChangingPolicy

KEY = "a-key-that-has-more-than-32-characters"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one event, sealed with a key, which is what the environment names."""
    path = tmp_path / "countersign.db"
    monkeypatch.setenv("COUNTERSIGN_STORE", f"sqlite:///{path}")
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    clock = SystemClock()
    with closing(open_stores(f"sqlite:///{path}", keyring=AuditKeyring.from_text(KEY), clock=clock)) as stores:
        BreakGlassService(stores, ChangingPolicy(), clock).invoke(ANN, "prod", INCIDENT, OUTAGE, timedelta(hours=1))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, ["ledgers", *arguments])


def _damage(path: Path, owner: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE ledgers SET body = '{' WHERE owner = ?", (owner,))


def test_check_of_sound_ledgers_finds_nothing(database: Path) -> None:
    result = run("check")
    assert (result.exit_code, result.output) == (0, "checked 2 ledgers: all fine\n"), database


def test_damaged_ledger_is_found_and_rebuilt(database: Path) -> None:
    _damage(database, "PROFILE#prod")
    found = run("check")
    assert found.exit_code == 1
    assert "PROFILE#prod: " in found.output
    assert "countersign ledgers rebuild" in found.output
    rebuilt = run("rebuild")
    assert (rebuilt.exit_code, rebuilt.output) == (0, "PROFILE#prod: rebuilt\nrebuilt 1 ledger\n")
    assert run("check").exit_code == 0


def test_named_ledger_is_rebuilt_even_if_it_is_sound(database: Path) -> None:
    result = run("rebuild", "--owner", f"INVOKER#{ANN.id}")
    assert (result.exit_code, result.output) == (0, f"INVOKER#{ANN.id}: rebuilt\nrebuilt 1 ledger\n"), database
    assert run("check").exit_code == 0


def test_owner_that_is_no_ledger_is_refused(database: Path) -> None:
    result = run("rebuild", "--owner", "prod")
    assert result.exit_code == 2, database
    assert "'prod' is not a ledger that can be rebuilt" in result.output


def test_rebuild_without_a_key_is_refused(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERSIGN_AUDIT_KEY")
    assert run("rebuild").exit_code == 2, database
