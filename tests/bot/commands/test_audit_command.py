"""`countersign audit verify` and `export`, as an auditor sees them."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from core.actor import ProfileName, UserId
from core.audit.export import select_entries, write_line
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import format_time
from core.stores import open_stores
from playground.demo_target import DemoTarget
from playground.story import MORNING, MovableClock, Story

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "a-key-that-has-more-than-32-characters"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STORE", "POLICY", "AUDIT_KEY", "RETENTION"):
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a story in it, sealed with a key, which is what the environment names."""
    path = tmp_path / "countersign.db"
    monkeypatch.setenv("COUNTERSIGN_STORE", f"sqlite:///{path}")
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY)
    clock = MovableClock()
    with closing(open_stores(f"sqlite:///{path}", keyring=AuditKeyring.from_text(KEY), clock=clock)) as stores:
        for _ in Story(stores, DemoTarget(tmp_path / "aws.json", clock), clock).play():
            pass
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(countersign, ["audit", *arguments])


def exported(*arguments: str) -> list[dict[str, Any]]:
    result = run("export", *arguments)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def change(database: Path, statement: str) -> None:
    """Change something behind the bot's back."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()


@pytest.mark.usefixtures("database")
class TestVerify:
    def test_untouched_trail_is_reported_briefly(self) -> None:
        result = run("verify")

        assert result.exit_code == 0
        assert result.output == (
            "checked 5 records and 25 entries: no tampering found\n"
            "access: 2 grants, each compared with the decision that gave it\n"
        )

    def test_each_finding_has_its_line_and_the_exit_code_says_so(self, database: Path) -> None:
        change(database, "UPDATE requests SET body = json_set(body, '$.justification', 'Something else entirely')")

        result = run("verify")

        assert result.exit_code == 1
        *findings, summary, _ = result.output.splitlines()
        assert len(findings) == 2
        assert all(re.fullmatch(r"REQUEST#[0-9a-f]{16}: record changed: it is not .+", each) for each in findings)
        assert summary == "checked 5 records and 25 entries: 2 findings, listed above"

    def test_another_key_verifies_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", KEY[::-1])

        assert run("verify").exit_code == 1

    def test_older_key_still_verifies_after_a_rotation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", f"{KEY[::-1]},{KEY}")

        assert run("verify").exit_code == 0

    def test_missing_store_is_not_called_flawless(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing.db"

        result = run("verify", "--store", f"sqlite:///{missing}")

        assert result.exit_code == 2
        assert f"there is no file {missing}" in result.stderr
        assert not missing.exists()


def test_trail_without_a_secret_key_is_reported(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'countersign.db'}"
    open_stores(url).close()

    result = run("verify", "--store", url)

    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == (
        "COUNTERSIGN_AUDIT_KEY is not set, so this check finds accidental damage but not forgery. "
        "Set it to the key that the bot uses."
    )


@pytest.mark.usefixtures("database")
class TestExport:
    def test_every_entry_is_one_line_of_json_oldest_first(self) -> None:
        entries = exported()

        assert len(entries) == 25
        times = [each["at"] for each in entries]
        assert times == sorted(times)
        assert entries[0]["event"] == "request_submitted"

    def test_line_is_all_that_was_sealed(self) -> None:
        ring = AuditKeyring.from_text(KEY)

        assert all(ring.is_genuine(AuditEntry.from_item(each)) for each in exported())

    def test_since_is_included_and_until_is_not(self) -> None:
        entries = exported()
        first, last = entries[3]["at"], entries[7]["at"]

        assert exported("--since", first, "--until", last) == entries[3:7]

    def test_day_means_its_beginning_in_utc(self) -> None:
        friday = format_time(MORNING + timedelta(days=1))[:10]

        assert exported("--until", friday) == [each for each in exported() if each["at"] < friday]
        assert exported("--since", friday) == [each for each in exported() if each["at"] >= friday]

    def test_one_profile_only(self) -> None:
        assert {each["profile"] for each in exported("--profile", "staging")} == {"staging"}
        assert len(exported("--profile", "staging")) == 3

    def test_person_is_found_as_actor_and_as_subject(self) -> None:
        found = exported("--person", "U0MIRA")

        assert all("U0MIRA" in (each["actor"], each.get("subject")) for each in found)
        assert {each["actor"] for each in found} > {"U0MIRA", "clock"}
        assert len(found) + len(exported("--person", "U0SAM")) == 25

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--since", "yesterday"),
            ("--since", "2026-01-15T10:00:00"),
            ("--until", "2026-02-30"),
            ("--person", "Mira"),
            ("--profile", ""),
        ],
    )
    def test_unusable_filter_is_named(self, arguments: tuple[str, str]) -> None:
        result = run("export", *arguments)

        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"countersign: {arguments[0].removeprefix('--')}: ")

    def test_reader_that_goes_away_is_no_error(self, database: Path) -> None:
        # More than a pipe holds, so that the writer is still writing when `head` has gone.
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(
                "INSERT INTO audit (chain, seq, id, at, body) SELECT 'REQUEST#' || n, 1, n, at, body "
                "FROM (SELECT * FROM audit LIMIT 1), (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
                "WHERE n < 2000) SELECT n FROM c)"
            )
            connection.commit()
        done = subprocess.run(  # noqa: S603 - ours
            ["/bin/sh", "-c", '"$0" audit export | head -n 1', Path(sys.executable).with_name("countersign")],
            capture_output=True,
            text=True,
            check=True,
        )

        assert json.loads(done.stdout)["event"] == "request_submitted"
        assert done.stderr == ""


class TestSelectEntries:
    def test_export_takes_one_entry_at_a_time(self) -> None:
        taken = []

        def entries() -> Iterator[AuditEntry]:
            for number in range(1, 4):
                taken.append(number)
                yield _entry(number, "U0MIRA" if number == 1 else "U0SAM")

        first = next(select_entries(entries(), ProfileName("prod"), UserId("U0MIRA")))

        assert (first.seq, taken) == (1, [1])

    def test_without_filters_everything_passes_in_order(self) -> None:
        entries = [_entry(number, "U0SAM") for number in (3, 1, 2)]

        assert list(select_entries(entries)) == entries

    def test_line_has_no_line_end_and_no_letter_outside_ascii(self) -> None:
        line = write_line(_entry(1, "U0SAM", reason="über\nzwei Zeilen"))

        assert line.isascii()
        assert "\n" not in line
        assert json.loads(line)["details"] == {"reason": "über\nzwei Zeilen"}


def _entry(seq: int, actor: str, **details: str) -> AuditEntry:
    return AuditEntry.from_item(
        {
            "event": "request_submitted",
            "actor": actor,
            "outcome": "pending",
            "profile": "prod",
            "chain": "REQUEST#1",
            "seq": seq,
            "at": format_time(MORNING),
            "key_id": "none",
            "details": details,
        }
    )
