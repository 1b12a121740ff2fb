"""The editor finds mistakes where they are, explains what would be decided, and saves as any editor would."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from core.errors import InvalidInput
from core.policy import PolicyFile, parse_policy
from localslack.clock import SystemClock
from localslack.journal import Journal
from localslack.refusals import NotOnScreen
from localslack.workspace import Workspace
from playground.people import POLICY, populate
from playground.policy_editor import PolicyEditor, check_text, find_column
from playground.policy_explaining import Explainer
from playground.pretend_on_call import PretendOnCall

if TYPE_CHECKING:
    from pathlib import Path

    from localslack.records import Json

SHIPPED = POLICY.read_text(encoding="utf-8")
SHORTER = SHIPPED.replace("max_duration: 4h", "max_duration: 30m", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yml"
    path.write_text(SHIPPED, encoding="utf-8")
    return path


@pytest.fixture
def on_call(tmp_path: Path) -> PretendOnCall:
    clock = SystemClock()
    return PretendOnCall(tmp_path / "pager.json", clock, clock.now(), lambda: parse_policy(SHIPPED.encode()))


@pytest.fixture
def editor(path: Path, on_call: PretendOnCall) -> PolicyEditor:
    workspace = Workspace(Journal(SystemClock()), "U0BOT")
    populate(workspace)
    followed = PolicyFile(path, settle_seconds=0, check_interval_seconds=0)
    return PolicyEditor(path, lambda: followed, Explainer(workspace, SystemClock().now, on_call.duties))


def _explain(editor: PolicyEditor, text: str = SHIPPED, **question: str) -> Json:
    asked = {"what": "request", "person": "U0MIRA", "profile": "prod", **question}
    return editor.carry_out({"do": "explain", "text": text, "question": asked})


def test_shipped_policy_has_no_mistake(editor: PolicyEditor) -> None:
    opened = editor.carry_out({"do": "open"})
    assert (opened["text"], opened["problems"], opened["is_in_force"]) == (SHIPPED, [], True)


def test_mistake_has_its_line_column_and_fix() -> None:
    lines = SHIPPED.replace("max_duration: 4h", "max_duration: for ever", 1)
    (found,) = check_text(lines)["problems"]
    assert lines.split("\n")[found["line"] - 1][found["column"] - 1 :] == "max_duration: for ever"
    assert found["path"] == "approval[0].max_duration"
    assert found["fix"]


@pytest.mark.parametrize(
    ("line", "path", "column"),
    [
        ("    approvers: [S0SRE]", "approval[0].approvers[0]", 5),
        ("  - name: prod", "approval[0]", 3),
        ("version: 2", "version", 1),
        ("", "file", 1),
    ],
)
def test_column_is_that_of_the_last_key(line: str, path: str, column: int) -> None:
    assert find_column(line, path) == column


@pytest.mark.parametrize("text", ["", "\t", "version: [", "a: &b 1", "\x00", "a" * 100_000])
def test_any_text_is_checked_without_an_error(text: str) -> None:
    assert check_text(text)["problems"]


def test_saved_policy_comes_into_force(editor: PolicyEditor, path: Path) -> None:
    base = editor.carry_out({"do": "open"})["base"]
    editor.carry_out({"do": "save", "text": SHORTER, "base": base})
    assert path.read_text(encoding="utf-8") == SHORTER
    assert editor.carry_out({"do": "look"})["is_in_force"]
    assert editor.carry_out({"do": "reset"})["text"] == SHIPPED


def test_saved_mistake_is_refused_and_changes_nothing(editor: PolicyEditor) -> None:
    opened = editor.carry_out({"do": "open"})
    editor.carry_out({"do": "save", "text": "version: 7\n", "base": opened["base"]})
    looked = editor.carry_out({"do": "look"})
    assert (looked["digest"], looked["is_in_force"]) == (opened["digest"], False)
    assert looked["refused"]


def test_file_that_changed_elsewhere_is_not_overwritten(editor: PolicyEditor, path: Path) -> None:
    base = hashlib.sha256(SHIPPED.encode()).hexdigest()
    path.write_text(SHORTER, encoding="utf-8")
    with pytest.raises(NotOnScreen, match="changed elsewhere"):
        editor.carry_out({"do": "save", "text": SHIPPED, "base": base})
    assert path.read_text(encoding="utf-8") == SHORTER


def test_decision_is_explained_with_every_reason(editor: PolicyEditor) -> None:
    allowed = _explain(editor)
    assert (allowed["is_allowed"], allowed["rule"]) == (True, "prod")
    assert allowed["more"][0] == "Approvals needed: 1, from S0SRE"
    refused = _explain(editor, SHORTER)
    assert not refused["is_allowed"]
    assert [each for each in refused["conditions"] if not each["is_met"]]


def test_who_is_on_call_is_explained_and_unknown_while_away(editor: PolicyEditor, on_call: PretendOnCall) -> None:
    asked = {"what": "break_glass", "profile": "checkout"}
    sam, aiko = (_explain(editor, **asked, person=each) for each in ("U0SAM", "U0AIKO"))
    assert (sam["is_allowed"], aiko["is_allowed"]) == (True, False)
    assert "on call in primary" in str(sam["conditions"])
    on_call.schedules.set_away(is_away=True)
    assert not _explain(editor, **asked, person="U0SAM")["is_allowed"]
    assert _explain(editor, what="break_glass", profile="prod", person="U0SAM")["is_allowed"]


def test_approver_guest_and_emergency_are_explained(editor: PolicyEditor) -> None:
    assert _explain(editor, what="approve", person="U0JON", requester="U0MIRA")["is_allowed"]
    assert not _explain(editor, what="approve", person="U0MIRA", requester="U0MIRA")["is_allowed"]
    named = SHIPPED.replace("engineers: [", "engineers: [U0GIA, ", 1)
    assert "guest" in _explain(editor, named, person="U0GIA")["conditions"][0]["text"]
    assert _explain(editor, what="break_glass", person="U0SAM")["is_allowed"]
    with pytest.raises(InvalidInput, match="requester"):
        _explain(editor, what="approve", person="U0JON")


@pytest.mark.parametrize(
    "question", [{"person": "U0NOBODY"}, {"profile": "nowhere"}, {"duration": "soon"}, {"what": "fly"}], ids=str
)
def test_question_that_makes_no_sense_is_refused(editor: PolicyEditor, question: dict[str, str]) -> None:
    with pytest.raises((NotOnScreen, InvalidInput, ValidationError)):
        _explain(editor, **question)


def test_policy_with_a_mistake_decides_nothing(editor: PolicyEditor) -> None:
    with pytest.raises(NotOnScreen, match="Fix the mistakes first"):
        _explain(editor, "version: 7\n")
