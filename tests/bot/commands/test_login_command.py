"""`countersign login`, `logout` and `devices`."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from bot.api.problems import ProblemCode
from bot.terminal import token_store
from bot.terminal.configuration import open_configuration
from tests.bot.commands.terminal_runs import pair, run, use_token
from tests.harness import api_answers as answers
from tests.harness.scripted_server import CUT, ScriptedServer, refusal

if TYPE_CHECKING:
    from pathlib import Path

START = "POST /v1/pairings"
EXCHANGE = "POST /v1/pairings/token"
END = "DELETE /v1/devices/self"
PENDING = refusal(ProblemCode.AUTHORIZATION_PENDING, "Not yet.")


@pytest.fixture(autouse=True)
def no_keyring(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without one: the developer's own keyring is left alone."""
    del home
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    import keyring  # noqa: PLC0415 - only after its backend is chosen

    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    assert token_store.find_keyring() is None


def _expect_pairing(server: ScriptedServer) -> None:
    server.expect(START, answers.started_pairing())
    server.expect(EXCHANGE, PENDING)
    server.expect(EXCHANGE, answers.issued_token())


def test_login_shows_what_to_type_on_a_line_of_its_own(server: ScriptedServer, home: Path) -> None:
    _expect_pairing(server)
    server.expect("GET /v1/me", answers.me())
    result = run("login", server.url, "--name", "build-7")
    assert result.exit_code == 0
    assert "/access pair WDJB-MJHT" in result.stdout.splitlines()
    assert "Somebody who sends you a code wants to act as you" in result.stdout
    assert "Waiting for you to confirm in Slack, until " in result.stderr
    assert "Paired as Mira until " in result.stdout
    assert server.calls[0].body["name"] == "build-7"
    for secret in (answers.TOKEN, "the-device-code"):
        assert secret not in result.output
    for path in home.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.name.startswith("token-") or answers.TOKEN not in path.read_text()
    assert open_configuration().read().server == server.url


def test_login_for_scripts_is_json(server: ScriptedServer) -> None:
    _expect_pairing(server)
    server.expect("GET /v1/me", CUT)
    result = run("login", server.url, "--service", "ci-deploy", "--json")
    waiting, paired = map(json.loads, result.stdout.splitlines())
    assert (waiting["user_code"], waiting["outcome"]) == ("WDJB-MJHT", "waiting")
    assert (paired["outcome"], paired["device"]["id"]) == ("paired", answers.DEVICE_ID)
    assert server.calls[0].body["service"] == "ci-deploy"
    for secret in (answers.TOKEN, "the-device-code"):
        assert secret not in result.output


def test_login_writes_a_pipelines_token_to_its_file(server: ScriptedServer, home: Path, tmp_path: Path) -> None:
    _expect_pairing(server)
    server.expect("GET /v1/me", answers.me())
    path = tmp_path / "token"
    assert run("login", server.url, "--service", "ci-deploy", "--token-file", str(path)).exit_code == 0
    assert (path.read_text().strip(), path.stat().st_mode & 0o777) == (answers.TOKEN, 0o600)
    assert not home.exists()


def test_login_that_is_interrupted_pairs_nothing(server: ScriptedServer, home: Path) -> None:
    server.expect(START, answers.started_pairing())
    server.expect(EXCHANGE, PENDING, act=lambda: os.kill(os.getpid(), signal.SIGINT))
    result = run("login", server.url)
    assert result.exit_code == 130
    assert "Stopped. Nothing was paired" in result.stderr
    assert not list(home.glob("token-*"))


def test_login_without_a_server_says_how() -> None:
    result = run("login")
    assert result.exit_code == 2
    assert result.stderr == (
        "countersign: server: nothing says which one. Run: countersign login https://countersign.example.com\n"
    )


@pytest.mark.parametrize("server", ["http://countersign.example.com", "https://me:secret@example.com", "https://"])
def test_login_takes_only_a_safe_address(server: str) -> None:
    result = run("login", server)
    assert result.exit_code == 2
    assert (
        result.stderr.startswith("countersign: server: its web address")
        or "unencrypted" in result.stderr
        or ("not a web address" in result.stderr)
    )
    assert "secret" not in result.stderr


def test_login_without_a_home_asks_nobody_to_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERSIGN_HOME")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    result = run("login", "https://countersign.example.com")
    assert result.exit_code == 1
    assert result.stderr == (
        "countersign: neither COUNTERSIGN_HOME nor HOME says where your files belong. "
        "Set HOME, or COUNTERSIGN_HOME to a folder.\n"
    )


def test_login_with_a_home_that_is_a_file_is_one_line(home: Path) -> None:
    home.write_text("")
    result = run("login", "https://countersign.example.com")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "can't be read: not a directory" in result.stderr


def test_login_against_a_dead_server_is_one_line() -> None:
    with ScriptedServer() as gone:
        url = gone.url
    result = run("login", url)
    assert result.exit_code == 6
    assert len(result.stderr.splitlines()) == 1
    assert f"{url} can't be reached: connection refused" in result.stderr


def test_logout_ends_the_device_here_and_there(server: ScriptedServer, home: Path) -> None:
    pair(server)
    server.expect(END, answers.device())
    result = run("logout")
    assert result.stdout == f"Logged out of {server.url}; ended 1 device.\n"
    assert not list(home.glob("token-*"))
    assert run("logout").exit_code == 7


def test_logout_from_everywhere_ends_this_device_last(server: ScriptedServer) -> None:
    pair(server)
    others = [answers.device(id=f"{number:016d}", is_this=False).model_dump(mode="json") for number in (1, 2)]
    every = {"devices": [others[0], answers.device().model_dump(mode="json"), others[1]]}
    server.expect("GET /v1/devices", answers.devices(every))
    server.expect(f"DELETE /v1/devices/{1:016d}", answers.device())
    server.expect(f"DELETE /v1/devices/{2:016d}", answers.device())
    server.expect(END, answers.device())
    assert json.loads(run("logout", "--all", "--json").stdout)["ended"] == 3


def test_logout_forgets_the_token_of_a_dead_server(home: Path) -> None:
    with ScriptedServer() as gone:
        pair(gone)
    result = run("logout")
    assert result.exit_code == 6
    assert "The token was removed from this machine" in result.stderr
    assert "End the device in Slack" in result.stderr
    assert not list(home.glob("token-*"))


def test_logout_of_an_expired_pairing_is_done(server: ScriptedServer, home: Path) -> None:
    pair(server)
    server.expect(END, refusal(ProblemCode.PAIRING_EXPIRED, "Over."))
    assert run("logout").exit_code == 0
    assert not list(home.glob("token-*"))


def test_logout_leaves_a_pipelines_server_alone(
    server: ScriptedServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair(server)
    monkeypatch.setenv("COUNTERSIGN_SERVER", "https://other.example.com")
    assert run("logout").exit_code == 7
    assert len(list(home.glob("token-*"))) == 1


def test_devices_are_listed_and_one_is_ended(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use_token(server, monkeypatch)
    other = answers.device(id="0000000000000002", name="old\x1b[2Jlaptop", is_this=False, service="ci-deploy")
    found = answers.devices({"devices": [answers.device().model_dump(), other.model_dump()]})
    server.expect("GET /v1/devices", found, times=2)
    shown = run("devices").stdout
    assert "mira-laptop (this one)" in shown
    assert "old [2Jlaptop" in shown
    assert "If one isn't yours, end it: countersign devices revoke ID" in shown
    assert [json.loads(line)["id"] for line in run("devices", "list", "--json").stdout.splitlines()] == [
        answers.DEVICE_ID,
        "0000000000000002",
    ]
    server.expect("DELETE /v1/devices/0000000000000002", other)
    assert run("devices", "revoke", "0000000000000002").stdout == "Ended the device 0000000000000002.\n"


def test_ending_this_device_forgets_its_token(server: ScriptedServer, home: Path) -> None:
    pair(server)
    server.expect(f"DELETE /v1/devices/{answers.DEVICE_ID}", answers.device())
    assert run("devices", "revoke", answers.DEVICE_ID).exit_code == 0
    assert not list(home.glob("token-*"))


@pytest.mark.parametrize("token", ["", "xoxb-12345", "cst_1_short", f"{answers.TOKEN}\nX-Evil: 1"])
def test_a_token_that_is_none_is_not_sent_nor_shown(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("COUNTERSIGN_TOKEN", token)
    result = run("devices")
    assert result.exit_code == 2
    assert result.stderr.startswith("countersign: COUNTERSIGN_TOKEN: it is not a device's token.")
    assert not token or token not in result.stderr


def test_a_token_without_its_server_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{answers.TOKEN}\n")
    monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(tmp_path / "token"))
    result = run("devices")
    assert result.exit_code == 7
    assert "Set COUNTERSIGN_SERVER" in result.stderr
