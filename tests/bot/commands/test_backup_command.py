"""`countersign backup` and `countersign restore`: the recipe of docs/disaster-recovery.md, and what may go wrong."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from bot.doctor.backup_checks import check_backup
from bot.doctor.finding import Level
from core.actor import OPERATOR, Actor
from core.audit.checkpoint import Checkpointer
from core.audit.keyring import AuditKeyring
from core.audit.trail import CHECKPOINTS, STORE, AuditAction
from core.clock import SystemClock, format_time
from core.directory import FixedDirectory
from core.errors import InvalidInput, StoreUnavailable
from core.policy import parse_policy
from core.request import Request, RequestId, RequestStatus
from core.services import RequestService
from core.stores import open_stores
from core.stores.sqlite import copying
from tests.builders import APPROVER, REQUESTER
from tests.harness.clock import FrozenClock
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores

POLICY = f"""
version: 1
profiles: {{prod: {{channel: C0ACCESS1}}}}
approval: [{{name: prod, profiles: [prod], approvers: [{APPROVER}], max_duration: 4h, max_pending: 20}}]
"""
RING = AuditKeyring.from_text(AUDIT_KEY)


class Bot:
    """What a running bot does with its store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._requests = RequestService(
            stores, parse_policy(POLICY.encode(), "policy.yml"), SystemClock(), directory=FixedDirectory()
        )

    def ask(self) -> Request:
        return self._requests.submit(Actor(id=REQUESTER), "prod", timedelta(hours=1), "Deploy the fix for INC-12")

    def approve(self, request: Request) -> Request:
        return self._requests.approve(RequestId(request.id), Actor(id=APPROVER))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the store is that the environment names; nothing is there yet."""
    for name in ("POLICY", "RETENTION", "AUDIT_SIGNING_KEY"):
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)
    path = tmp_path / "var" / "countersign.db"
    path.parent.mkdir()
    monkeypatch.setenv("COUNTERSIGN_STORE", f"sqlite:///{path}")
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", AUDIT_KEY)
    return path


@pytest.fixture
def bot(place: Path) -> Iterator[Bot]:
    """A bot that runs, and that has decided one request."""
    with closing(open_stores(f"sqlite:///{place}", keyring=RING)) as stores:
        running = Bot(stores)
        running.approve(running.ask())
        yield running


def run(*arguments: object) -> Result:
    return CliRunner().invoke(countersign, [str(each) for each in arguments])


def output(*arguments: object, code: int = 0) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    return result.output


def lose(place: Path) -> None:
    """The disk is gone."""
    shutil.rmtree(place.parent)
    place.parent.mkdir()


class TestRecipe:
    """Back up while people click, lose the host, restore, go on."""

    def test_backup_has_all_that_was_decided_before_it(self, place: Path, bot: Bot, tmp_path: Path) -> None:
        decided = bot.approve(bot.ask())
        pending = bot.ask()
        # The newest commits are in the log beside the file only: a copy of the file alone would lack them.
        assert place.with_name("countersign.db-wal").stat().st_size > 0
        output("backup", tmp_path / "kept.db")
        later = bot.ask()
        bot.stores.close()
        lose(place)

        assert "restored" in output("restore", tmp_path / "kept.db")
        assert "no tampering found" in output("audit", "verify")
        with closing(open_stores(f"sqlite:///{place}", keyring=RING)) as stores:
            assert stores.requests.get(RequestId(decided.id)) == decided
            assert later.id not in set(stores.requests.iterate_ids())
            assert Bot(stores).approve(pending).status is RequestStatus.APPROVED
        assert "no tampering found" in output("audit", "verify")

    def test_each_backup_under_writes_is_one_moment(self, place: Path, bot: Bot, tmp_path: Path) -> None:
        is_over, acknowledged = threading.Event(), [bot.ask()]

        def click() -> None:
            while not is_over.is_set() and len(acknowledged) < 400:
                acknowledged.append(bot.approve(bot.ask()))

        clicking = threading.Thread(target=click)
        clicking.start()
        try:
            for number in range(3):
                before = {each.id for each in acknowledged}
                output("backup", tmp_path / f"{number}.db")
                assert "no tampering found" in output("restore", "--check", tmp_path / f"{number}.db")
                with closing(sqlite3.connect(tmp_path / f"{number}.db")) as copy:
                    assert before <= {each for (each,) in copy.execute("SELECT id FROM requests")}
        finally:
            is_over.set()
            clicking.join()
        assert not place.with_name("countersign.db-journal").exists()

    @pytest.mark.usefixtures("bot")
    def test_backup_neither_waits_for_a_writer_nor_has_half_of_it(self, place: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(place, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM requests")
            output("backup", tmp_path / "kept.db")
            writer.execute("ROLLBACK")
        assert "checked 1 record " in output("restore", "--check", tmp_path / "kept.db")

    @pytest.mark.usefixtures("bot")
    def test_backup_is_one_private_file_without_secrets(self, tmp_path: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        output("backup", folder / "kept.db")

        assert [each.name for each in folder.iterdir()] == ["kept.db"]
        assert (folder / "kept.db").stat().st_mode & 0o777 == 0o600
        content = (folder / "kept.db").read_bytes()
        # It needs no log beside it: https://sqlite.org/fileformat.html, 1.3.3.
        assert content[18:20] == b"\x01\x01"
        assert AUDIT_KEY.encode() not in content


class TestBackup:
    """What else a backup does."""

    @pytest.mark.usefixtures("bot")
    def test_folder_keeps_as_many_as_wanted(self, tmp_path: Path) -> None:
        older = [tmp_path / f"countersign-2026010{day}T000000Z.db" for day in range(1, 5)]
        others = ["countersign-before-the-upgrade.db", "other-team-20260101T000000Z.db"]
        for each in (*older, *(tmp_path / other for other in others)):
            each.touch()
        (tmp_path / "countersign-20250101T000000Z.db").mkdir()
        output("backup", tmp_path, "--keep", 3)

        left = sorted(each.name for each in tmp_path.glob("*.db") if each.is_file())
        assert left[:2] == [each.name for each in older[2:]]
        assert re.fullmatch(r"countersign-\d{8}T\d{6}Z\.db", left[2])
        assert left[3:] == others

    @pytest.mark.usefixtures("bot")
    def test_clock_that_was_set_back_costs_no_backup(self, tmp_path: Path) -> None:
        (tmp_path / "countersign-20991231T000000Z.db").touch()
        output("backup", tmp_path, "--keep", 1)
        assert len(list(tmp_path.glob("countersign-*.db"))) == 2

    @pytest.mark.usefixtures("bot")
    def test_what_killed_backups_left_goes_after_a_day(self, tmp_path: Path) -> None:
        name = ".countersign-20260101T{hour}0000Z.db.0123456789ab"
        left, running = (tmp_path / name.format(hour=hour) for hour in ("01", "02"))
        for each in (left, left.with_name(f"{left.name}-journal"), running, tmp_path / ".countersign.db.0123456789ab"):
            each.touch()
            if each != running:
                os.utime(each, (0, 0))
        output("backup", tmp_path)
        assert {each.name for each in tmp_path.glob(".*")} == {running.name, ".countersign.db.0123456789ab"}

    @pytest.mark.usefixtures("bot")
    def test_forged_end_is_reported_and_no_older_backup_deleted(self, place: Path, tmp_path: Path) -> None:
        older = tmp_path / "countersign-20260101T000000Z.db"
        older.touch()
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("UPDATE audit SET body = json_set(body, '$.actor', 'U0FORGER')")
            connection.commit()

        assert "isn't genuine" in output("backup", tmp_path, "--keep", 1, code=1)
        assert len(list(tmp_path.glob("countersign-*.db"))) == 2
        assert older.exists()

    @pytest.mark.usefixtures("bot")
    def test_existing_file_is_never_replaced(self, tmp_path: Path) -> None:
        kept = tmp_path / "kept.db"
        kept.write_text("something else", encoding="utf-8")

        assert "exists already" in output("backup", kept, code=2)
        assert kept.read_text(encoding="utf-8") == "something else"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["kept.db", "var"]

    def test_file_that_appears_meanwhile_is_never_replaced(self, place: Path, bot: Bot, tmp_path: Path) -> None:
        bot.stores.close()
        kept = tmp_path / "kept.db"
        kept.write_text("something else", encoding="utf-8")
        with pytest.raises(InvalidInput, match="exists already"):
            copying.place(place, kept)
        assert kept.read_text(encoding="utf-8") == "something else"
        assert place.exists()

    def test_locked_store_ends_it_in_time(self, place: Path, bot: Bot, tmp_path: Path) -> None:
        bot.stores.close()
        copy = tmp_path / "copy.db"
        with closing(sqlite3.connect(place, isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode=DELETE")
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable, match="locked by somebody else"):
                copying.copy_database(place, copy, wait_seconds=0)

    def test_damaged_store_leaves_no_backup(self, place: Path, bot: Bot, tmp_path: Path) -> None:
        bot.stores.close()
        content = bytearray(place.read_bytes())
        content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
        place.write_bytes(content)

        assert "damaged" in output("backup", tmp_path / "kept.db", code=3)
        assert [each.name for each in tmp_path.iterdir()] == ["var"]

    @pytest.mark.parametrize("command", ["backup", "restore"])
    @pytest.mark.usefixtures("place")
    def test_dynamodb_is_not_backed_up_with_it(self, command: str, tmp_path: Path) -> None:
        said = output(command, tmp_path / "kept.db", "--store", "dynamodb://eu-west-1/team", code=2)
        assert "AWS" in said


class TestLastBackup:
    """What `countersign doctor` knows of it."""

    def checked(self, place: Path, after: timedelta) -> tuple[Level, str]:
        (found,) = check_backup(place, FrozenClock(SystemClock().now() + after))
        return found.level, str(found)

    def test_doctor_knows_how_old_the_newest_is(self, place: Path, bot: Bot, tmp_path: Path) -> None:
        kept = tmp_path / "kept.db"
        assert self.checked(place, timedelta())[0] is Level.NOTE
        output("backup", kept)
        assert self.checked(place, timedelta(minutes=90)) == (Level.FINE, f"backup: the newest is 1h30m old, {kept}")
        level, said = self.checked(place, timedelta(days=3))
        assert level is Level.WRONG
        assert said.startswith(f"backup: the newest is 3d old, {kept}. Find out why")
        bot.stores.close()
        output("restore", kept, "--replace")
        # What is in the place now has no backup of its own yet.
        assert self.checked(place, timedelta())[0] is Level.NOTE

    @pytest.mark.usefixtures("bot")
    def test_backup_that_is_gone_or_forged_is_no_news(self, place: Path, tmp_path: Path) -> None:
        output("backup", tmp_path / "kept.db")
        (tmp_path / "kept.db").rename(tmp_path / "elsewhere.db")
        level, said = self.checked(place, timedelta(hours=2))
        assert (level, "isn't at" in said) == (Level.NOTE, True)
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("UPDATE audit SET body = json_set(body, '$.actor', 'U0FORGER')")
            connection.commit()
        output("backup", tmp_path / "forged.db", code=1)
        assert self.checked(place, timedelta(hours=2)) == (level, said)
        beside = place.with_name("countersign.db.last-backup")
        assert beside.stat().st_mode & 0o777 == 0o644
        beside.write_text("[]", encoding="utf-8")
        assert "has made none" in self.checked(place, timedelta())[1]


class TestRestore:
    """What a restore refuses, and what it says."""

    @pytest.fixture
    def kept(self, bot: Bot, tmp_path: Path) -> Path:
        """A backup with a checkpoint in it."""
        Checkpointer(bot.stores.audit, SystemClock()).seal_due(is_forced=True)
        output("backup", tmp_path / "kept.db")
        return tmp_path / "kept.db"

    def test_store_that_is_there_is_left_alone(self, place: Path, bot: Bot, kept: Path) -> None:
        assert "exists" in output("restore", kept, code=2)
        bot.stores.close()
        place.unlink()
        place.with_name("countersign.db-wal").touch()
        assert "countersign.db-wal exists" in output("restore", kept, code=2)

    def test_store_that_a_process_has_open_is_never_replaced(self, bot: Bot, kept: Path) -> None:
        later = bot.ask()
        assert "a process has it open" in output("restore", kept, "--replace", code=2)
        assert bot.approve(later).status is RequestStatus.APPROVED

    def test_replaced_store_stays_beside_it(self, place: Path, bot: Bot, kept: Path) -> None:
        later, before = bot.ask(), place.stat().st_ino
        bot.stores.close()
        output("restore", kept, "--replace")

        # With another file, a process that opens it just now would write into what was moved away.
        assert place.stat().st_ino == before
        (away,) = place.parent.glob("countersign.db.replaced-*")
        assert later.id in output("audit", "export", "--store", f"sqlite:///{away}")
        assert later.id not in output("audit", "export")
        assert place.stat().st_mode & 0o777 == 0o600

    def test_replacement_that_fails_leaves_the_store(self, place: Path, bot: Bot, kept: Path) -> None:
        later = bot.ask()
        bot.stores.close()
        copying.copy_database(kept, place.with_name("copy.db"))
        place.with_name("away.db").touch()
        with pytest.raises(InvalidInput, match="exists already"):
            copying.replace_content(place, place.with_name("copy.db"), place.with_name("away.db"))
        assert later.id in output("audit", "export")

    def test_empty_file_is_no_backup(self, place: Path, bot: Bot, tmp_path: Path) -> None:
        bot.stores.close()
        lose(place)
        (tmp_path / "kept.db").touch()
        assert "kept.db is empty" in output("restore", tmp_path / "kept.db", code=3)
        assert not list(place.parent.iterdir())

    def test_trigger_in_a_backup_is_found(self, kept: Path) -> None:
        with closing(sqlite3.connect(kept)) as connection:
            connection.execute("CREATE TRIGGER quiet AFTER INSERT ON outbox BEGIN DELETE FROM outbox; END")
        assert 'trigger "quiet"' in output("restore", kept, "--check", code=1)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_restored_store_belongs_to_the_owner_of_its_folder(self, place: Path, bot: Bot, kept: Path) -> None:
        bot.stores.close()
        lose(place)
        os.chown(place.parent, 65534, 65533)
        output("restore", kept)
        assert (place.stat().st_uid, place.stat().st_gid) == (65534, 65533)

    def test_forged_backup_takes_no_place_unless_wanted(self, place: Path, bot: Bot, kept: Path) -> None:
        bot.stores.close()
        lose(place)
        with closing(sqlite3.connect(kept)) as connection:
            connection.execute("UPDATE requests SET body = json_set(body, '$.justification', 'Something else')")
            connection.commit()

        said = output("restore", kept, code=1)
        assert "record changed" in said
        assert "nothing was restored" in said
        assert not list(place.parent.iterdir())
        assert "restored" in output("restore", kept, "--despite-findings")
        with closing(open_stores(f"sqlite:///{place}", keyring=RING)) as stores:
            assert stores.audit.get_chain(STORE)[0].details["findings"] == 1

    def test_restore_is_in_the_trail_and_waits_to_be_announced(self, place: Path, bot: Bot, kept: Path) -> None:
        sha256 = hashlib.sha256(kept.read_bytes()).hexdigest()
        (newest,) = bot.stores.audit.get_chain(CHECKPOINTS)
        output("restore", "--check", kept)
        bot.stores.close()
        lose(place)
        output("restore", kept)

        with closing(open_stores(f"sqlite:///{place}", keyring=RING)) as stores:
            (entry,) = stores.audit.get_chain(STORE)
            due = [each.entry for each in stores.outbox.iterate_due(SystemClock().now())]
        assert RING.is_genuine(entry)
        assert entry in due
        assert (entry.event, entry.actor) == (AuditAction.STORE_RESTORED, OPERATOR)
        assert entry.details == {
            "file": "kept.db",
            "sha256": sha256,
            "entries": 3,
            "as_of": format_time(newest.at),
            "newest_entry": "CHECKPOINTS/1",
            "newest_digest": newest.digest,
            "login": entry.details["login"],
            "host": platform.node(),
        }
        verified = output("audit", "verify")
        assert f"restored from a backup, as of {format_time(newest.at)}, at {format_time(entry.at)}" in verified
        # It can be restored again: nothing was written into it.
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == sha256
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("UPDATE audit SET body = json_set(body, '$.details.as_of', '') WHERE chain = 'STORE'")
            connection.commit()
        assert "restored from a backup" not in output("audit", "verify", code=1)

    def test_other_key_restores_nothing(
        self, place: Path, bot: Bot, kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bot.stores.close()
        lose(place)
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", OTHER_AUDIT_KEY)
        assert "unknown key" in output("restore", kept, code=1)
        monkeypatch.delenv("COUNTERSIGN_AUDIT_KEY")
        assert "COUNTERSIGN_AUDIT_KEY" in output("restore", kept, code=2)
        assert not list(place.parent.iterdir())

    def test_older_backup_than_a_kept_checkpoint_is_found(self, kept: Path) -> None:
        (line,) = re.findall(r"last checkpoint: (\S+)", output("restore", kept, "--check"))
        assert "rolled back" not in output("restore", kept, "--check", "--checkpoint", line)
        newer = f"2:{line.partition(':')[2]}"
        assert "rolled back: checkpoint 2 is missing" in output(
            "restore", kept, "--check", "--checkpoint", newer, code=1
        )

    def test_says_what_goes_on_from_that_moment(self, bot: Bot, tmp_path: Path) -> None:
        bot.ask()
        bot.ask()
        output("backup", tmp_path / "kept.db")
        assert "as of then: 2 pending requests, 0 active events, 0 paired devices" in output(
            "restore", tmp_path / "kept.db", "--check"
        )
