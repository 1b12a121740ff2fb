"""`countersign audit trail`: all steps of a record and of what it gave, and the queries for what was done in AWS."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bot.cli import countersign
from core.access.right import Right
from core.actor import CLOCK
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, EntryDraft
from core.stores import open_stores
from playground.demo_target import DemoTarget
from playground.story import MovableClock, Story
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


def test_trail_tells_the_story_of_a_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, clock = f"sqlite:///{tmp_path}/story.db", MovableClock()
    monkeypatch.setenv("COUNTERSIGN_STORE", url)
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    with closing(open_stores(url, keyring=AuditKeyring.from_text(KEY), clock=clock)) as stores:
        for _ in Story(stores, DemoTarget(tmp_path / "aws.json", clock), clock).play():
            pass
        approved = next(each for each in stores.requests.iterate() if each.access_ends_at is not None)
        (event,) = stores.break_glass.iterate()
        expired = next(each for each in stores.requests.iterate() if each.access_ends_at is None)
        stores.requests.delete(expired, EntryDraft.of(expired, AuditAction.RECORD_DELETED, CLOCK))

    told = CliRunner().invoke(countersign, ["audit", "trail", approved.id]).output
    assert "request_submitted by U0MIRA (for 1h)" in told
    assert "why: Deploy the fix for INC-12" in told
    assert f"request_approved by {approved.approver} (until 2026-01-15 10:02:00Z, 1 of 1 approvals)" in told
    # The decision first, then what it made.
    assert told.index("request_approved") < told.index("grant_created")
    told = CliRunner().invoke(countersign, ["audit", "trail", event.id]).output
    assert "reason code: incident" in told
    assert "verdict: justified" in told
    assert f"found: {event.review.notes}" in told if event.review is not None else False
    told = CliRunner().invoke(countersign, ["audit", "trail", expired.id]).output
    assert told.startswith(f"{expired.chain}: its record is no longer kept\n")
    assert "request_expired by clock" in told
