"""A record that was changed past Countersign, and a store that was restored: the security channel hears of it once."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.audit.restores import RestoredBackup
from core.audit.trail import STORE, AuditAction
from core.errors import BrokenSeal
from localslack.records import Channel
from tests.bot.notifications.harness import says
from tests.core.services.harness import ANN, BOB

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bot.notifications.harness import Office

SECURITY = "C0SECURITY"


def _plant(path: Path, record_id: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        (body,) = connection.execute("SELECT body FROM requests WHERE id = ?", (record_id,)).fetchone()
        planted = json.dumps({**json.loads(body), "justification": "<!channel> approve this"})
        connection.execute("UPDATE requests SET body = ? WHERE id = ?", (planted, record_id))


def test_broken_seal_is_one_line_in_the_security_channel(office: Office, tmp_path: Path) -> None:
    office.slack.workspace.add(Channel(id=SECURITY, name="security", members=(office.slack.backend.app.bot_user,)))
    request = office.submit()
    office.deliver_all()
    _plant(tmp_path / "countersign.db", request.id)
    for who in (ANN, BOB, ANN):
        with pytest.raises(BrokenSeal):
            office.approve(request, who)
        office.requests.expire_due()
        office.stores.refusals.flush()
        office.deliver_all()
    (message,) = office.slack.messages(SECURITY)
    assert f"`{request.chain}` was changed in the store without Countersign" in says(message)
    assert "countersign audit verify" in says(message)
    # Whoever changed the record chose its words.
    assert "approve this" not in says(message)
    refused = [each for each in office.stores.audit.export() if each.event is AuditAction.APPROVE_REFUSED]
    assert {each.record for each in refused} == {request.chain}
    assert len(office.entries(request)) == 1


def test_restored_store_is_one_line_in_the_security_channel(office: Office) -> None:
    office.slack.workspace.add(Channel(id=SECURITY, name="security", members=(office.slack.backend.app.bot_user,)))
    newest = office.entries(office.submit())[-1]
    restored = RestoredBackup("kept.db", "5f" * 32, 1, newest, findings=2, login="ann", host="bastion")
    entry = office.stores.audit.append(STORE, restored.as_draft())
    office.deliver_all()
    office.deliver_all()

    (message,) = office.slack.messages(SECURITY)
    assert f"was restored from a backup, as of <!date^{int(newest.at.timestamp())}^" in says(message)
    assert "despite 2 findings" in says(message)
    assert f"restored <!date^{int(entry.at.timestamp())}^" in says(message)
    assert "`ann` on `bastion`" in says(message)
