"""`countersign report`: files that are whole or not there, exit codes, and what is said about names and integrity."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction
from core.stores import open_stores
from localslack.records import Person
from localslack.server import LocalSlack
from playground.demo_target import DemoTarget
from playground.story import MovableClock, Story
from tests.builders import a_draft
from tests.harness.keys import AUDIT_KEY, OTHER_AUDIT_KEY


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with the playground's story, which the environment names."""
    path = tmp_path / "countersign.db"
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    monkeypatch.setenv("COUNTERSIGN_POLICY", str(tmp_path / "policy.yml"))
    monkeypatch.setenv("COUNTERSIGN_STORE", f"sqlite:///{path}")
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", AUDIT_KEY)
    monkeypatch.chdir(tmp_path)
    clock, ring = MovableClock(), AuditKeyring.from_text(AUDIT_KEY)
    with closing(open_stores(f"sqlite:///{path}", keyring=ring, clock=clock)) as stores:
        for _ in Story(stores, DemoTarget(tmp_path / "aws.json", clock), clock).play():
            pass
    return path


def run(*arguments: str, since: str = "2026-01-01") -> Result:
    return CliRunner().invoke(countersign, ["report", "--since", since, "--out", "report.html", *arguments])


def test_report_is_a_page_and_a_file_for_each_table(database: Path) -> None:
    Path("report.html").write_text("an older one")
    result = run("--csv", "tables", "--until", "2026-02-01", "--timezone", "Europe/Berlin")
    assert result.exit_code == 0, result.output
    assert "integrity: verified against the audit trail" in result.output
    page = Path("report.html").read_text(encoding="utf-8")
    assert "From 2026-01-01 00:00 up to 2026-02-01 00:00" in page
    assert "the time zone Europe/Berlin" in page
    assert "Deploy the fix for INC-12" in page
    # The story begins at 9:00 in UTC.
    assert "2026-01-15 10:00" in page
    with Path("tables/requests.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["outcome"] for row in rows} == {"approved", "expired"}
    assert all(row["submitted_at"].endswith("Z") for row in rows)
    assert len(list(Path("tables").iterdir())) == 8
    assert not [each for each in Path().iterdir() if each.name.startswith(".report")]
    assert database.stat().st_size


def test_page_says_that_people_are_shown_by_their_ids(database: Path) -> None:
    result = run()
    assert database.exists()
    said = "people are shown by their Slack ids, because Slack couldn't be asked: SLACK_BOT_TOKEN: it is not set."
    assert f"names: {said}" in result.output
    assert "U0MIRA" in Path("report.html").read_text(encoding="utf-8")


def test_people_have_their_names_where_slack_answers(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slack = LocalSlack()
    for number in range(250):
        slack.workspace.add(Person(id=f"U0OTHER{number}", name=f"other{number}"))
    slack.workspace.add(Person(id="U0MIRA", name="mira", real_name="Mira <Lindqvist>"))
    with slack:
        monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
        monkeypatch.setenv("SLACK_API_URL", slack.api_url)
        result = run("--csv", "tables")
    assert database.exists()
    assert "are shown by their Slack ids, because Slack doesn't list them" in result.output
    assert "Mira &lt;Lindqvist&gt;<small>U0MIRA</small>" in Path("report.html").read_text(encoding="utf-8")
    assert "Mira <Lindqvist>" in Path("tables/requests.csv").read_text(encoding="utf-8")


def test_tampering_is_on_the_page_and_in_the_exit_code(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE requests SET body = json_set(body, '$.justification', 'Something else entirely')")
        connection.commit()
    result = run()
    assert result.exit_code == 1
    page = Path("report.html").read_text(encoding="utf-8")
    assert "Integrity: the audit trail has been changed, or is damaged" in page
    assert "record changed" in page
    # The report is made of what was sealed.
    assert "Something else entirely" not in page


def test_entries_that_cannot_be_read_are_counted_on_the_page(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "UPDATE audit SET body = '{' WHERE json_extract(body, '$.event') LIKE 'request_%ed' AND seq > 1"
        )
        connection.commit()
    assert run("--no-verify").exit_code == 1
    page = Path("report.html").read_text(encoding="utf-8")
    assert "Integrity: the audit trail has been changed, or is damaged" in page
    assert "2 that can&#x27;t be read" in page


def test_entry_kept_out_of_the_period_is_found(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE audit SET at = '2019' || substr(at, 5) WHERE chain LIKE 'BREAKGLASS#%'")
        connection.commit()
    assert run().exit_code == 1
    assert "filed under 2019-" in Path("report.html").read_text(encoding="utf-8")


def test_unverified_report_says_so_and_names_a_restore(database: Path) -> None:
    draft = a_draft(AuditAction.STORE_RESTORED, outcome="restored", details={"as_of": "2026-01-15T10:00:00.000000Z"})
    with closing(open_stores(f"sqlite:///{database}", keyring=AuditKeyring.from_text(AUDIT_KEY))) as stores:
        stores.audit.append("STORE", draft)
    result = run("--no-verify", "--no-names", "--quiet")
    assert database.exists()
    assert (result.exit_code, result.output) == (0, "")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "Integrity: not verified as a whole" in page
    assert "The store was restored from a backup, as of 2026-01-15 10:00, at " in page


def test_another_key_is_refused_and_leaves_no_alarm(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", OTHER_AUDIT_KEY)
    before = database.read_bytes()
    result = run()
    assert result.exit_code == 2
    assert "COUNTERSIGN_AUDIT_KEY: it sealed none of these entries" in result.output
    assert run(since="2026-06-01").exit_code == 2
    assert database.read_bytes() == before
    monkeypatch.delenv("COUNTERSIGN_AUDIT_KEY")
    assert run().exit_code == 2
    assert not Path("report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "since", "said"),
    [
        (("--timezone", "Mars/Olympus"), "2026-01-01", "timezone: 'Mars/Olympus' is not the name of a time zone"),
        (("--until", "2025-01-01"), "2026-01-01", "since: '2026-01-01' is not before the end"),
        ((), "yesterday", "since: 'yesterday' is neither a date nor a time"),
        (("--out", "missing/report.html"), "2026-01-01", "out: missing/report.html can't be written"),
        (("--csv", "countersign.db"), "2026-01-01", "csv: countersign.db can't be written"),
        (("--out", "/dev/null"), "2026-01-01", "out: /dev/null can't be written: it is not a file"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    database: Path, arguments: tuple[str, ...], since: str, said: str
) -> None:
    Path("report.html").write_text("an older one")
    before = database.read_bytes()
    result = run("--no-verify", *arguments, since=since)
    assert result.exit_code == 2
    assert said in result.output
    assert result.output.count("\n") == 1
    assert Path("report.html").read_text() == "an older one"
    assert database.read_bytes() == before
