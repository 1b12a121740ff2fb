"""Pairing: waiting for the confirmation, and keeping the token or ending the device again."""

from __future__ import annotations

import io
import resource
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.api.problems import ProblemCode
from bot.terminal.client import ApiClient
from bot.terminal.configuration import open_configuration
from bot.terminal.connecting import find_server
from bot.terminal.errors import FilesFailed, ServerRefused
from bot.terminal.pairing import PairingFailed, PairingKeeper, PairingWait, keep_in_file
from bot.terminal.progress import Progress
from bot.terminal.token_store import TokenStore
from tests.harness import api_answers as answers
from tests.harness.clock import FrozenClock
from tests.harness.scripted_server import CUT, ScriptedServer, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bot.api.pairing_models import IssuedToken
    from tests.bot.terminal.passing_time import PassingTime

EXCHANGE = "POST /v1/pairings/token"
END = "DELETE /v1/devices/self"
PENDING = refusal(ProblemCode.AUTHORIZATION_PENDING, "Not yet.")
SLOWER = refusal(ProblemCode.SLOW_DOWN, "Slower.")
OTHER_TOKEN = f"cst_0000000000000002_{'b' * 43}"


def _wait(server: ScriptedServer, passing: PassingTime) -> IssuedToken:
    clock = FrozenClock()
    progress = Progress(io.StringIO(), clock, is_live=False)
    wait = PairingWait(ApiClient(server.url), progress, clock, passing.passage)
    return wait.wait(answers.started_pairing(interval=5))


def test_a_token_comes_once_it_is_confirmed(server: ScriptedServer, passing: PassingTime) -> None:
    server.expect(EXCHANGE, PENDING, times=2)
    server.expect(EXCHANGE, SLOWER)
    server.expect(EXCHANGE, PENDING)
    server.expect(EXCHANGE, answers.issued_token())
    assert _wait(server, passing).token.get_secret_value() == answers.TOKEN
    assert passing.pauses == [5, 5, 5, 10, 10]
    assert {call.body["device_code"] for call in server.calls} == {"the-device-code"}


def test_a_lost_answer_is_asked_for_again(server: ScriptedServer, passing: PassingTime) -> None:
    server.expect(EXCHANGE, CUT)
    server.expect(EXCHANGE, answers.issued_token())
    _wait(server, passing)


def test_a_code_that_nobody_types_expires(server: ScriptedServer, passing: PassingTime) -> None:
    server.expect(EXCHANGE, PENDING, times=60)
    with pytest.raises(PairingFailed, match=r"The code has expired\. Nothing was paired"):
        _wait(server, passing)
    assert passing.now == 300


@pytest.mark.parametrize("code", [ProblemCode.EXPIRED_TOKEN, ProblemCode.ACCESS_DENIED])
def test_a_refused_code_ends_the_wait(server: ScriptedServer, passing: PassingTime, code: ProblemCode) -> None:
    server.expect(EXCHANGE, refusal(code, "Over."))
    with pytest.raises(PairingFailed, match="Nothing was paired"):
        _wait(server, passing)


def test_another_problem_ends_the_wait(server: ScriptedServer, passing: PassingTime) -> None:
    server.expect(EXCHANGE, refusal(ProblemCode.NOT_ALLOWED, "You aren't a member any more."))
    with pytest.raises(ServerRefused, match="member"):
        _wait(server, passing)


@pytest.fixture
def keeper(server: ScriptedServer, home: Path) -> PairingKeeper:
    return PairingKeeper(server.url, open_configuration(), TokenStore(home))


def test_a_kept_token_is_the_one_that_is_used(server: ScriptedServer, keeper: PairingKeeper) -> None:
    assert keeper.keep(answers.issued_token()) == "file"
    found = find_server()
    assert (found.server, found.token.get_secret_value()) == (server.url, answers.TOKEN)


def test_a_new_pairing_ends_the_one_it_replaces(server: ScriptedServer, keeper: PairingKeeper, home: Path) -> None:
    keeper.keep(answers.issued_token())
    server.expect(END, answers.device())
    keeper.keep(answers.issued_token(OTHER_TOKEN, id="0000000000000002"))
    assert server.calls[0].headers["Authorization"] == f"Bearer {answers.TOKEN}"
    assert find_server().token.get_secret_value() == OTHER_TOKEN
    assert len(list(home.glob("token-*"))) == 1


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file can grow beyond so many bytes: the kernel refuses to write more, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 100])
def test_a_token_that_cannot_be_kept_is_ended(
    server: ScriptedServer, keeper: PairingKeeper, home: Path, room: int
) -> None:
    # With 100 bytes the token can still be written, and the configuration that names it can't.
    keeper.keep(answers.issued_token())
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    server.expect(END, answers.device())
    with full_disk(room), pytest.raises(FilesFailed, match="the new pairing was ended at the server again") as caught:
        keeper.keep(answers.issued_token(OTHER_TOKEN, id="0000000000000002"))
    assert "can't be written: file too large" in str(caught.value)
    assert OTHER_TOKEN not in str(caught.value)
    assert server.calls[0].headers["Authorization"] == f"Bearer {OTHER_TOKEN}"
    # The pairing that there was still works.
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_a_device_that_cannot_be_ended_is_named(server: ScriptedServer, keeper: PairingKeeper, home: Path) -> None:
    home.write_text("a file where the folder belongs")
    server.expect(END, CUT)
    with pytest.raises(FilesFailed, match="End the device 'mira-laptop' in Slack"):
        keeper.keep(answers.issued_token())


def test_a_home_is_checked_before_anybody_confirms(keeper: PairingKeeper, home: Path) -> None:
    keeper.check_files()
    shutil.rmtree(home)
    home.write_text("a file where the folder belongs")
    with pytest.raises(FilesFailed, match=r"terminal\.json can't be"):
        keeper.check_files()


def test_a_token_file_is_for_its_owner_only(server: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "ci" / "token"
    keep_in_file(server.url, answers.issued_token(), path)
    assert path.read_text() == f"{answers.TOKEN}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.mkdir()
    server.expect(END, answers.device())
    with pytest.raises(FilesFailed, match="ended at the server again"):
        keep_in_file(server.url, answers.issued_token(), path)


def test_a_token_goes_to_no_other_server(
    keeper: PairingKeeper, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    keeper.keep(answers.issued_token())
    monkeypatch.setenv("COUNTERSIGN_SERVER", "https://other.example.com")
    with pytest.raises(Exception, match=r"isn't paired with https://other\.example\.com"):
        find_server()
    monkeypatch.setenv("COUNTERSIGN_SERVER", f"{server.url}/")
    assert find_server().token == SecretStr(answers.TOKEN)
