"""The playground's terminals: commands really run, one at a time, in a home of their own."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from core.clock import SystemClock
from localslack.clock import SystemClock as SlackClock
from localslack.journal import Journal
from localslack.refusals import NotOnScreen
from playground.terminal import MAX_OUTPUT, Terminals
from playground.terminal_programs import write_programs
from tests.harness.pretend_aws import PROD, serve_pretend_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

MIRA = "U0MIRA"


@pytest.fixture
def journal() -> Journal:
    return Journal(SlackClock())


@pytest.fixture
def terminals(tmp_path: Path, journal: Journal) -> Iterator[Terminals]:
    terminals = Terminals(tmp_path / "homes", write_programs(tmp_path / "programs"), journal)
    yield terminals
    terminals.stop()


def run(terminals: Terminals, journal: Journal, line: str, person: str = MIRA) -> dict[str, Any]:
    """Run a line to its end. What the page shows of it."""
    number = terminals.carry_out({"do": "run", "person": person, "line": line})["number"]
    return wait_for_end(terminals, journal, person, number)


def wait_for_end(terminals: Terminals, journal: Journal, person: str, number: int) -> dict[str, Any]:
    def ended() -> list[dict[str, Any]]:
        return [each for each in terminals.show()[person] if each["number"] == number and each["code"] is not None]

    return journal.wait_until(ended, seconds=60)[0]


def program(tmp_path: Path, text: str) -> None:
    """Put another program in the place of `countersign`."""
    (tmp_path / "programs" / "countersign").write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")


def test_installed_command_runs_as_if_typed(terminals: Terminals, journal: Journal) -> None:
    shown = run(terminals, journal, "countersign access --help")
    assert shown["text"].startswith("Usage: countersign access")
    assert shown["code"] == 0
    refused = run(terminals, journal, "countersign access end --json --wait")
    assert refused["code"] == 2


def test_command_sees_nothing_of_this_machines_user(
    terminals: Terminals, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-real")
    terminals.use({"COUNTERSIGN_SERVER": "http://127.0.0.1:1"})
    program(tmp_path, "pwd; exec /usr/bin/env")
    home, *variables = run(terminals, journal, "countersign login")["text"].splitlines()
    assert home == str(tmp_path / "homes" / "u0mira")
    assert {f"HOME={home}", f"PATH={tmp_path / 'programs'}", "COUNTERSIGN_SERVER=http://127.0.0.1:1"} < set(variables)
    assert not any("real" in each.lower() for each in variables)
    assert sorted(each.name for each in (tmp_path / "programs").iterdir()) == ["aws", "countersign"]


def test_folder_may_be_relative(tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    # `make playground` uses one.
    monkeypatch.chdir(tmp_path)
    terminals = Terminals(Path("homes"), write_programs(Path("programs")), journal)
    program(tmp_path, 'echo "$HOME"')
    assert run(terminals, journal, "countersign login")["text"] == f"{tmp_path / 'homes' / 'u0mira'}\n"


def test_command_that_cant_be_started_says_so(terminals: Terminals, journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "programs" / "countersign").unlink()
    for _ in range(2):
        shown = run(terminals, journal, "countersign login")
        assert (shown["text"], shown["code"]) == ("countersign can't be started: No such file or directory.\n", 126)


def test_what_isnt_countersign_is_answered_as_a_shell_does(terminals: Terminals, journal: Journal) -> None:
    shown = run(terminals, journal, "bash -c id")
    assert (shown["line"], shown["code"]) == ("bash -c id", 127)
    assert shown["text"].startswith("Only countersign runs here")


@pytest.mark.parametrize(
    "body",
    [
        {"do": "run", "person": MIRA},
        {"do": "run", "person": MIRA, "line": "x" * 1001},
        {"do": "run", "person": MIRA, "line": "countersign", "env": {"PATH": "/bin"}},
        {"do": "shell", "person": MIRA, "line": "id"},
    ],
)
def test_what_the_page_never_sends_is_refused(terminals: Terminals, body: object) -> None:
    with pytest.raises(ValidationError):
        terminals.carry_out(body)


def test_nobody_else_has_a_terminal(terminals: Terminals) -> None:
    with pytest.raises(NotOnScreen, match="nobody with this id"):
        terminals.carry_out({"do": "run", "person": "../../etc", "line": "countersign"})
    assert terminals.carry_out({"do": "interrupt", "person": MIRA}) == {}


def test_one_command_runs_at_a_time_and_ctrl_c_ends_it(terminals: Terminals, journal: Journal, tmp_path: Path) -> None:
    # The first Ctrl-C is only heard; the second ends it, whatever it does about the first.
    program(tmp_path, "trap 'echo heard' INT; echo waits; while :; do /bin/sleep 0.05; done")
    number = terminals.carry_out({"do": "run", "person": MIRA, "line": "countersign login"})["number"]
    journal.wait_until(lambda: terminals.show()[MIRA][-1]["text"] == "waits\n")
    with pytest.raises(NotOnScreen, match="still running"):
        terminals.carry_out({"do": "run", "person": MIRA, "line": "countersign login"})
    terminals.carry_out({"do": "interrupt", "person": MIRA})
    journal.wait_until(lambda: "heard" in terminals.show()[MIRA][-1]["text"])
    terminals.carry_out({"do": "interrupt", "person": MIRA})
    assert wait_for_end(terminals, journal, MIRA, number)["code"] == 137


def test_output_is_bounded_and_plain(terminals: Terminals, journal: Journal, tmp_path: Path) -> None:
    program(
        tmp_path,
        r"printf '\033[1mbold\033[0m\r\n\a'; /usr/bin/yes | /usr/bin/head -c 200000; exit 3",
    )
    shown = run(terminals, journal, "countersign login")
    assert shown["text"].startswith("bold\ny\n")
    assert len(shown["text"]) < MAX_OUTPUT + 100
    assert shown["text"].endswith("The rest isn't shown.\n")
    assert shown["code"] == 3


def test_what_it_leaves_behind_ends_with_it(terminals: Terminals, journal: Journal, tmp_path: Path) -> None:
    program(tmp_path, 'echo one; (/bin/sleep 600; echo late) & echo "$!" > pid')
    assert run(terminals, journal, "countersign login")["text"] == "one\n"
    left = int((tmp_path / "homes" / "u0mira" / "pid").read_text())
    # Ended, or still waiting to be collected by init.
    journal.wait_until(lambda: not _is_running(left))


def test_stop_ends_what_runs(terminals: Terminals, tmp_path: Path) -> None:
    program(tmp_path, "exec /bin/sleep 600")
    terminals.carry_out({"do": "run", "person": MIRA, "line": "countersign login"})
    terminals.stop()
    assert terminals.show()[MIRA][-1]["code"] == 137
    with pytest.raises(NotOnScreen):
        terminals.carry_out({"do": "run", "person": MIRA, "line": "countersign login"})


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_pretend_aws_command_answers_as_the_cli_does(
    terminals: Terminals, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the place of `countersign`, so that nothing but `aws` is tried here.
    (tmp_path / "programs" / "countersign").write_bytes((tmp_path / "programs" / "aws").read_bytes())
    monkeypatch.setattr("playground.terminal.read_line", str.split)
    with serve_pretend_aws(SystemClock()) as aws:
        assert run(terminals, journal, "s3 ls")["code"] == 253
        keys = aws.add_role_session(PROD, "mira", lives=timedelta(hours=1))
        terminals.use(
            {
                **aws.environment,
                "AWS_ACCESS_KEY_ID": keys.access_key_id,
                "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
                "AWS_SESSION_TOKEN": str(keys.session_token),
            }
        )
        listed = run(terminals, journal, "s3 ls")
        assert "2024-03-11 09:30:00 customer-invoices-111122223333" in listed["text"]
        identity = json.loads(run(terminals, journal, "sts get-caller-identity")["text"])
        assert identity["Arn"] == "arn:aws:sts::111122223333:assumed-role/prod-admin/mira"
        assert run(terminals, journal, "ec2 describe-instances")["code"] == 252
        aws.add_role(PROD, trust={"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})  # fmt: skip
        refused = run(terminals, journal, "s3 ls")
        assert refused["code"] == 254
        assert "An error occurred (AccessDenied) when calling the ListBuckets operation" in refused["text"]
