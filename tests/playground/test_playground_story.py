"""`countersign playground --story`: what a newcomer sees, and that it is true."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli import countersign
from bot.commands.terminal import Ink
from core.break_glass import EventStatus
from core.request import RequestStatus
from core.stores import open_stores
from playground.demo_target import DemoTarget
from playground.story import MovableClock, Story
from playground.story_proofs import RACES


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """The lines that the command prints, without colour."""
    result = CliRunner().invoke(countersign, ["playground", "--story"])
    assert result.exit_code == 0
    return result.stdout.splitlines()


def test_one_of_two_racing_approvers_wins_and_the_other_knows(shown: list[str]) -> None:
    text = "\n".join(shown)
    won = re.findall(r"✓ (Jon|Aiko): approved, access until 10:02", text)
    lost = re.findall(r"✗ (Jon|Aiko): too late: already approved by (Jon|Aiko)", text)

    assert len(won) == 1
    assert lost == [("Jon" if won == ["Aiko"] else "Aiko", won[0])]


def test_story_shows_access_that_opens_and_closes(shown: list[str]) -> None:
    held = [line.partition("AWS (pretend): ")[2] for line in shown if "✓ AWS (pretend): " in line]

    mira, sam = (f"{name}, AdministratorAccess in 111122223333" for name in ("Mira", "Sam"))
    assert held == [mira, "nobody has access", sam, "nobody has access"]


def test_story_shows_the_deadline_the_limits_and_the_review(shown: list[str]) -> None:
    text = "\n".join(shown)

    assert "✗ refused: Mira is the requester, and nobody decides on their own request" in text
    assert "✗ too late: it has expired and can no longer be decided" in text
    assert "✗ refused: one is already active, until 03:10" in text
    assert "✗ refused: cooldown (30m) until 03:02" in text
    assert "✗ refused: Sam is the one who broke the glass, and nobody reviews their own event" in text
    assert "✓ reviewed, justified" in text


def test_story_prints_the_records_and_the_verified_trail(shown: list[str]) -> None:
    text = "\n".join(shown)

    assert re.search(r"REQUEST#[0-9a-f]{16} +prod +Mira +approved +(Jon|Aiko)", text)
    assert re.search(r"REQUEST#[0-9a-f]{16} +staging +Mira +expired +the clock", text)
    assert re.search(r"GRANT#[0-9a-f]{16} +prod +Mira +ended +Mira", text)
    assert re.search(r"BREAKGLASS#[0-9a-f]{16} +prod +Sam +closed +Sam", text)
    assert "✓ verified 5 records and 25 entries: no tampering found" in text


def test_trail_has_the_approval_before_the_refusal_it_caused(shown: list[str]) -> None:
    events = [line[25:46].strip() for line in shown if line.startswith("   Thu 09:02") and "  Mira  " in line]

    assert events[:3] == ["grant created", "request approved", "approve refused"]


def test_story_counts_the_races_and_finds_the_change(shown: list[str]) -> None:
    text = "\n".join(shown)

    assert f"✓ {RACES} of {RACES} decided, 0 of them twice" in text
    assert re.search(r"REQUEST#[0-9a-f]{16} now says that (Jon|Aiko) approved it, not (Jon|Aiko)", text)
    assert "✗ record changed: it is not what its last entry says it became" in text


def test_every_line_fits_into_a_hundred_columns(shown: list[str]) -> None:
    assert [line for line in shown if len(line) > 100] == []


def test_columns_of_the_trail_line_up(shown: list[str]) -> None:
    first = next(number for number, line in enumerate(shown) if line.split()[:2] == ["time", "who"])
    rows = shown[first : first + 14]
    begin = rows[0].index("outcome")

    assert all(row[begin - 2 : begin] == "  " and row[begin] != " " for row in rows)


def test_story_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.chdir(tmp_path)

    assert CliRunner().invoke(countersign, ["playground", "--story"]).exit_code == 0
    assert list(tmp_path.rglob("*")) == [tmp_path / "scratch"]


@pytest.mark.parametrize(("no_color", "is_colored"), [(None, True), ("1", False)])
def test_colour_is_for_a_terminal_whose_user_wants_it(no_color: str | None, is_colored: bool) -> None:  # noqa: FBT001
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    if no_color:
        environment["NO_COLOR"] = no_color
    controller, terminal = pty.openpty()
    with closing(os.fdopen(controller, "rb", buffering=0)) as screen:
        try:
            subprocess.run(_command(), stdout=terminal, env=environment, check=True)  # noqa: S603 - ours
            os.set_blocking(screen.fileno(), False)
            output = screen.read() or b""
        finally:
            os.close(terminal)

    assert (b"\x1b[" in output) is is_colored
    assert b"Countersign" in output


def test_pipe_gets_no_colour() -> None:
    done = subprocess.run(_command(), capture_output=True, check=True)  # noqa: S603 - ours

    assert b"\x1b[" not in done.stdout


def test_terminal_without_the_marks_gets_others() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(_command(), capture_output=True, check=True, env=environment, text=True)  # noqa: S603 - ours

    assert done.stdout.isascii()
    assert "+ verified" in done.stdout


def test_story_happens_in_the_store(tmp_path: Path) -> None:
    clock = MovableClock()
    with closing(open_stores(f"sqlite:///{tmp_path / 'story.db'}", clock=clock)) as stores:
        aws = DemoTarget(tmp_path / "aws.json", clock)
        lines = list(Story(stores, aws, clock).play())
        requests, events = list(stores.requests.iterate()), list(stores.break_glass.iterate())

    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert {each.status for each in requests} == {RequestStatus.APPROVED, RequestStatus.EXPIRED}
    assert [each.status for each in events] == [EventStatus.CLOSED]
    assert events[0].review is not None


def test_output_without_colour_leaves_every_letter_as_it_is() -> None:
    assert Ink(is_colored=False, met="+", unmet="-").paint("as it is", "bad") == "as it is"
    assert "as it is" in Ink(is_colored=True, met="+", unmet="-").paint("as it is", "bad")


def test_columns_line_up_and_the_last_one_is_not_padded() -> None:
    ink = Ink(is_colored=False, met="+", unmet="-")

    assert list(ink.columns([["a", "bb", "c"], [("aaa", "good"), "b", "ccc"]], indent=1)) == [
        " a    bb  c",
        " aaa  b   ccc",
    ]


def _command() -> list[str]:
    return [str(Path(sys.executable).with_name("countersign")), "playground", "--story"]
