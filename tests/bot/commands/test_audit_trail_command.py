"""`countersign audit trail`: all steps of a record and of what it gave, and the queries for what was done in AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bot.cli import countersign
from core.access.right import Right
from core.audit.keyring import AuditKeyring
from core.stores import open_stores
from tests.builders import REQUESTER
from tests.core.stores.session_bench import SessionBench
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    from pathlib import Path

    from core.access.session import Session

KEY = "a-key-that-has-more-than-32-characters"
ROLE = "arn:aws:iam::111122223333:role/prod-admin"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    url = f"sqlite:///{tmp_path}/countersign.db"
    monkeypatch.setenv("COUNTERSIGN_STORE", url)
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    stores = open_stores(url, keyring=AuditKeyring.from_text(KEY))
    bench = SessionBench.on(stores, FrozenClock())
    right = Right(target="prod-role", resource=ROLE, level="assume", principal=REQUESTER)
    made = bench.issue(bench.open_grant(right=right))
    stores.close()
    return made


@pytest.mark.parametrize("kind", ["grant", "session", "SESSION#"])
def test_trail_shows_the_steps_and_the_queries(session: Session, kind: str) -> None:
    what = {"grant": session.grant, "session": session.id, "SESSION#": session.chain}[kind]
    shown = CliRunner().invoke(countersign, ["audit", "trail", what])

    assert shown.exit_code == 0, shown.output
    assert "credentials_issued" in shown.output
    assert session.source_identity in shown.output
    assert "aws cloudtrail lookup-events" in shown.output or "knows no source identity" in shown.output
    assert "FROM cloudtrail_logs" in shown.output
    assert "FROM EVENT_DATA_STORE_ID" in shown.output


@pytest.mark.parametrize("what", ["0" * 16, "nonsense", "DEVICE#" + "0" * 16])
def test_unknown_id_is_one_clear_line(session: Session, what: str) -> None:
    shown = CliRunner().invoke(countersign, ["audit", "trail", what])

    assert session.id not in shown.output
    assert shown.exit_code == 2
