"""`countersign request`, and `access list` and `access end` on a paired machine."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.api.models import AccessList, EarlyEndInfo, RequestList, RightInfo
from bot.api.problems import ProblemCode
from core.access.grant_status import AccessPhase
from core.request_status import RequestStatus
from tests.bot.commands.terminal_runs import run, use_token
from tests.harness import api_answers as answers
from tests.harness.keys import AUDIT_KEY
from tests.harness.scripted_server import ScriptedServer, refusal

if TYPE_CHECKING:
    from pathlib import Path

SUBMIT = "POST /v1/requests"
LOOK = f"GET /v1/requests/{answers.REQUEST_ID}"
ASK = ("request", "prod", "1h", "fix the login")


@pytest.fixture(autouse=True)
def pipeline(server: ScriptedServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token comes from the environment."""
    del home
    use_token(server, monkeypatch)


def test_a_request_is_made_and_says_what_is_next(server: ScriptedServer) -> None:
    server.expect(SUBMIT, answers.request())
    result = run(*ASK)
    assert result.exit_code == 0
    assert server.calls[0].body == {"profile": "prod", "duration": "1h", "justification": "fix the login"}
    assert f"request {answers.REQUEST_ID}: prod for 1h" in result.stdout
    assert "Waiting for approval by Jon, until " in result.stdout
    assert result.stdout.endswith(f"Next: countersign request show {answers.REQUEST_ID} --wait\n")


def test_a_start_is_read_by_the_clock_of_this_machine(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        server.expect(SUBMIT, answers.request())
        assert run(*ASK, "--at", "2031-07-01 22:00").exit_code == 0
        assert server.calls[0].body["starts_at"] == "2031-07-02T02:00:00Z"
        skipped, twice = run(*ASK, "--at", "2031-03-09 02:30"), run(*ASK, "--at", "2031-11-02 01:30")
        assert "doesn't exist in this machine's time zone: the clocks go forward then" in skipped.stderr
        assert "2031-11-02 05:30 UTC for the first, 2031-11-02 06:30 UTC for the second" in twice.stderr
        assert (skipped.exit_code, len(server.calls)) == (2, 1)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_request_that_is_granted_ends_with_0(server: ScriptedServer) -> None:
    server.expect(SUBMIT, answers.request())
    server.expect(LOOK, answers.granted(AccessPhase.OPENING))
    server.expect(LOOK, answers.granted(comment="go on"))
    result = run(*ASK, "--wait")
    assert result.exit_code == 0
    granted, until, following = result.stdout.splitlines()
    assert granted.endswith("Granted by Jon: go on")
    assert until.startswith("Access to prod is open until ")
    assert following == "Next: countersign exec prod -- COMMAND"
    assert "Waiting for approval by Jon" in result.stderr


def test_a_profile_without_credentials_names_no_exec(server: ScriptedServer) -> None:
    group = RightInfo(target="idc", resource="group", level="member", phase=AccessPhase.OPEN)
    found = answers.granted().model_copy(update={"access": answers.access(rights=(group,))})
    server.expect(SUBMIT, found)
    assert "exec" not in run(*ASK, "--wait").output
    server.expect(SUBMIT, answers.request(RequestStatus.APPROVED))
    assert "Countersign opens nothing for this profile" in run(*ASK, "--wait").stdout


@pytest.mark.parametrize(
    ("status", "exit_code", "said"),
    [
        (RequestStatus.DENIED, 3, "Denied by Jon: not today"),
        (RequestStatus.EXPIRED, 4, "Expired: nobody decided until "),
        (RequestStatus.CANCELLED, 3, "Cancelled: not today"),
    ],
)
def test_a_request_that_is_not_granted_has_its_code(
    server: ScriptedServer, status: RequestStatus, exit_code: int, said: str
) -> None:
    server.expect(SUBMIT, answers.request())
    server.expect(LOOK, answers.request(status, comment="not today"))
    result = run(*ASK, "--wait")
    assert result.exit_code == exit_code
    assert said in result.stdout


def test_access_that_could_not_be_opened_ends_with_1(server: ScriptedServer) -> None:
    right = RightInfo(target="aws", resource="r", level="assume", phase=AccessPhase.FAILED, problem="no such role")
    failed = answers.access(AccessPhase.FAILED, rights=(right,))
    server.expect(SUBMIT, answers.granted().model_copy(update={"access": failed}))
    result = run(*ASK, "--wait")
    assert result.exit_code == 1
    assert "access to prod could not be opened: no such role" in result.stdout


def test_access_that_was_ended_says_by_whom(server: ScriptedServer) -> None:
    early = EarlyEndInfo(by="U0JON", by_name="Jon", at=answers.now(), reason="incident is over")
    ended = answers.access(AccessPhase.CLOSED, ended_early=early)
    server.expect(SUBMIT, answers.granted().model_copy(update={"access": ended}))
    result = run(*ASK, "--wait")
    assert result.exit_code == 1
    assert "Access to prod was ended by Jon at " in result.stdout


def test_a_wait_that_times_out_ends_with_5(server: ScriptedServer) -> None:
    server.expect(SUBMIT, answers.request())
    server.expect(LOOK, answers.request())
    result = run(*ASK, "--wait", "--timeout", "1s", "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout)["outcome"] == "timed_out"


def test_ctrl_c_keeps_the_request_and_says_how_to_follow(server: ScriptedServer) -> None:
    server.expect(SUBMIT, answers.request())
    server.expect(LOOK, answers.request(), act=lambda: os.kill(os.getpid(), signal.SIGINT))
    result = run(*ASK, "--wait")
    assert result.exit_code == 130
    assert f"request {answers.REQUEST_ID} is kept. Follow it with: countersign request show" in result.stderr
    assert f"countersign request cancel {answers.REQUEST_ID}" in result.stderr


def test_a_request_for_scripts_is_one_object(server: ScriptedServer) -> None:
    server.expect(SUBMIT, answers.request())
    server.expect(LOOK, answers.granted())
    result = run(*ASK, "--wait", "--json", "--idempotency-key", "build-77")
    found = json.loads(result.stdout)
    assert (found["outcome"], found["request"]["id"]) == ("granted", answers.REQUEST_ID)
    assert found["next"] == "countersign exec prod -- COMMAND"
    assert server.calls[0].headers["Idempotency-Key"] == "build-77"


def test_a_refusal_has_its_reasons_and_ends_with_1(server: ScriptedServer) -> None:
    reasons = ("you aren't in the group S0OPS", "the duration is over 1h")
    server.expect(SUBMIT, refusal(ProblemCode.NOT_ALLOWED, "This isn't allowed.", reasons=reasons), times=2)
    result = run(*ASK, "--wait")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"countersign: This isn't allowed. {reasons[0]}. {reasons[1]}"]
    found = json.loads(run(*ASK, "--json").stdout)
    assert (found["code"], found["problem"]["reasons"]) == ("not_allowed", list(reasons))


def test_a_request_that_is_open_already_is_named(server: ScriptedServer) -> None:
    server.expect(SUBMIT, refusal(ProblemCode.LIMIT_REACHED, "You have one already.", existing=answers.REQUEST_ID))
    assert f"countersign request show {answers.REQUEST_ID} --wait" in run(*ASK).stderr


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("prod", "soon", "x"), "duration"),
        (("prod", "1h", ""), "why"),
        (("", "1h", "x"), "profile"),
        (("prod", "1h", "x", "--timeout", "3m"), "timeout"),
        (("prod", "1h", "x", "--wait", "--timeout", "never"), "timeout"),
        (("prod", "1h", "x", "--idempotency-key", "two words"), "idempotency-key"),
    ],
)
def test_input_that_cannot_be_used_ends_with_2(arguments: tuple[str, ...], field: str) -> None:
    result = run("request", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"countersign: {field}: ")


def test_an_expired_pairing_ends_with_7(server: ScriptedServer) -> None:
    server.expect(SUBMIT, refusal(ProblemCode.PAIRING_EXPIRED, "Over."))
    result = run(*ASK)
    assert result.exit_code == 7
    assert result.stderr.splitlines() == [
        "countersign: This terminal's pairing has expired or was ended. Run: countersign login"
    ]


def test_a_request_is_shown_followed_and_cancelled(server: ScriptedServer) -> None:
    server.expect(LOOK, answers.request())
    assert "fix the login" in run("request", "show", answers.REQUEST_ID).stdout
    server.expect(LOOK, answers.request())
    server.expect(LOOK, answers.request(RequestStatus.DENIED))
    assert run("request", "show", answers.REQUEST_ID, "--wait").exit_code == 3
    server.expect(f"POST /v1/requests/{answers.REQUEST_ID}/cancel", answers.request(RequestStatus.CANCELLED))
    cancelled = run("request", "cancel", answers.REQUEST_ID)
    assert (cancelled.exit_code, "Cancelled" in cancelled.stdout) == (0, True)
    found = RequestList(requests=(answers.request(), answers.granted()))
    server.expect("GET /v1/requests", found, times=2)
    assert "granted" in run("request", "list").stdout
    assert len(run("request", "list", "--json").stdout.splitlines()) == 2


def test_words_of_other_people_cannot_move_the_cursor(server: ScriptedServer) -> None:
    server.expect(SUBMIT, answers.request(RequestStatus.DENIED, comment="no\x1b[2J\r\n✓ Granted by Jon"))
    shown = run(*ASK, "--wait").stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 1


def test_a_profile_named_like_a_subcommand_can_be_asked_for(server: ScriptedServer) -> None:
    server.expect(SUBMIT, answers.request())
    run("request", "new", "show", "1h", "fix the login")
    assert server.calls[0].body["profile"] == "show"
    server.expect(SUBMIT, answers.request())
    run("request", "--json", "prod", "1h", "fix the login")
    assert server.calls[1].body["profile"] == "prod"


def test_help_has_every_exit_code() -> None:
    shown = run("request", "--help").stdout
    assert [code for code in range(8) if f"\n    {code}  " not in shown] == []
    assert "PROFILE DURATION WHY" in shown


def _access(server: ScriptedServer, *phases: AccessPhase) -> None:
    found = [answers.access(phase, id=f"{number:016d}") for number, phase in enumerate(phases)]
    server.expect("GET /v1/access", AccessList(access=tuple(found)))


def test_access_list_of_a_new_machine_says_how_to_pair_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_HOME", str(tmp_path / "new"))
    for name in ("COUNTERSIGN_TOKEN", "COUNTERSIGN_SERVER"):
        monkeypatch.delenv(name)
    result = run("access", "list")
    assert (result.exit_code, "countersign login" in result.stderr) == (7, True), result.stderr
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", "short")
    assert run("access", "list").exit_code == 2


def test_access_list_asks_the_server_on_a_paired_machine(server: ScriptedServer) -> None:
    _access(server, AccessPhase.OPEN)
    shown = run("access", "list").stdout
    assert shown.startswith("open  prod  until ")
    _access(server)
    assert run("access", "list").stdout == "You have no access now.\n"
    _access(server, AccessPhase.OPEN)
    assert run("access", "list", "--profile", "vault", "--json").stdout == ""
    result = run("access", "list", "--overdue")
    assert (result.exit_code, "--overdue: it needs the store" in result.stderr) == (2, True)


def test_access_list_asks_the_store_where_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", AUDIT_KEY)
    missing = f"sqlite:///{tmp_path}/nothing.db"
    assert "there is no file" in run("access", "list", "--store", missing).stderr
    monkeypatch.setenv("COUNTERSIGN_STORE", missing)
    assert run("access", "list").exit_code == 2


def test_access_list_needs_no_home_where_an_operator_runs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERSIGN_AUDIT_KEY", AUDIT_KEY)
    for name in ("COUNTERSIGN_TOKEN", "COUNTERSIGN_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert "there is no file countersign.db" in run("access", "list").stderr


def test_access_is_ended_by_profile_or_id(server: ScriptedServer) -> None:
    end = f"POST /v1/access/REQUEST%23{answers.REQUEST_ID}/end"
    closing = answers.access(AccessPhase.CLOSING, residual_until=answers.now() + timedelta(minutes=30))
    for name in ("prod", f"{0:016d}"):
        _access(server, AccessPhase.OPEN)
        server.expect(end, closing)
        shown = run("access", "end", name).stdout
        assert shown.startswith("Access to prod is ending.\nA session that is open can live on until ")
    _access(server, AccessPhase.OPEN)
    server.expect(end, answers.access(AccessPhase.CLOSED))
    assert json.loads(run("access", "end", "--json").stdout)["phase"] == "closed"


def test_access_that_is_not_clear_is_not_ended(server: ScriptedServer) -> None:
    _access(server, AccessPhase.OPEN, AccessPhase.OPEN)
    result = run("access", "end", "prod")
    assert (result.exit_code, "there are 2" in result.stderr) == (2, True)
    _access(server, AccessPhase.OPEN)
    assert "you have no access 'vault'" in run("access", "end", "vault").stderr
