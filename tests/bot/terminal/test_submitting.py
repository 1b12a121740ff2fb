"""Making a request: once, whatever becomes of its answer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.api.models import NewRequest
from bot.api.problems import ProblemCode
from bot.terminal.client import ApiClient
from bot.terminal.errors import ServerFailed, ServerRefused
from bot.terminal.submitting import KEPT_FOR, MAX_TRIES, RequestSubmitter
from tests.harness import api_answers as answers
from tests.harness.clock import FrozenClock
from tests.harness.scripted_server import CUT, ScriptedServer, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bot.terminal.passing_time import PassingTime

SUBMIT = "POST /v1/requests"
ASKED = NewRequest(profile="prod", duration="1h", justification="fix the login")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def submitter(server: ScriptedServer, passing: PassingTime, home: Path, clock: FrozenClock) -> RequestSubmitter:
    return RequestSubmitter(ApiClient(server.url, SecretStr(answers.TOKEN)), home, clock, passing.passage)


def _keys(server: ScriptedServer) -> list[str]:
    return [call.headers["Idempotency-Key"] for call in server.calls]


def test_a_lost_answer_is_asked_for_with_the_same_key(server: ScriptedServer, submitter: RequestSubmitter) -> None:
    server.expect(SUBMIT, CUT, times=2)
    server.expect(SUBMIT, answers.request())
    assert submitter.submit(ASKED).id == answers.REQUEST_ID
    assert len(set(_keys(server))) == 1


def test_a_command_that_is_run_again_has_the_same_key(
    server: ScriptedServer, submitter: RequestSubmitter, home: Path
) -> None:
    server.expect(SUBMIT, CUT, times=MAX_TRIES)
    with pytest.raises(ServerFailed, match="makes no second request") as caught:
        submitter.submit(ASKED)
    server.expect(SUBMIT, answers.request())
    submitter.submit(ASKED)
    assert len(set(_keys(server))) == 1
    assert _keys(server)[0] in str(caught.value)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("change", [{"profile": "vault"}, {"duration": "2h"}, {"justification": "something else"}])
def test_another_request_has_another_key(
    server: ScriptedServer, submitter: RequestSubmitter, change: dict[str, str]
) -> None:
    server.expect(SUBMIT, CUT, times=MAX_TRIES)
    with pytest.raises(ServerFailed):
        submitter.submit(ASKED)
    server.expect(SUBMIT, answers.request())
    submitter.submit(ASKED.model_copy(update=change))
    assert len(set(_keys(server))) == 2


def test_a_key_is_forgotten_after_its_answer(server: ScriptedServer, submitter: RequestSubmitter) -> None:
    server.expect(SUBMIT, answers.request(), times=2)
    submitter.submit(ASKED)
    submitter.submit(ASKED)
    server.expect(SUBMIT, refusal(ProblemCode.NOT_ALLOWED, "No."))
    with pytest.raises(ServerRefused):
        submitter.submit(ASKED)
    server.expect(SUBMIT, answers.request())
    submitter.submit(ASKED)
    assert len(set(_keys(server))) == 4


def test_a_key_without_an_answer_is_forgotten_in_time(
    server: ScriptedServer, submitter: RequestSubmitter, clock: FrozenClock
) -> None:
    server.expect(SUBMIT, CUT, times=MAX_TRIES)
    with pytest.raises(ServerFailed):
        submitter.submit(ASKED)
    clock.advance(KEPT_FOR + timedelta(seconds=1))
    server.expect(SUBMIT, answers.request())
    submitter.submit(ASKED)
    assert len(set(_keys(server))) == 2


def _spoil(home: Path) -> None:
    (note,) = home.glob("unanswered-*")
    note.write_text('["nonsense"]')


def _share(home: Path) -> None:
    (note,) = home.glob("unanswered-*")
    note.chmod(0o644)


@pytest.mark.parametrize("damage", [_spoil, _share])
def test_a_damaged_note_stops_nothing(
    server: ScriptedServer, submitter: RequestSubmitter, home: Path, damage: Callable[[Path], None]
) -> None:
    server.expect(SUBMIT, CUT, times=MAX_TRIES)
    with pytest.raises(ServerFailed):
        submitter.submit(ASKED)
    damage(home)
    server.expect(SUBMIT, answers.request())
    assert submitter.submit(ASKED).id == answers.REQUEST_ID


def test_a_home_that_cannot_be_written_stops_nothing(
    server: ScriptedServer, submitter: RequestSubmitter, home: Path
) -> None:
    home.write_text("a file where the folder belongs")
    server.expect(SUBMIT, answers.request())
    assert submitter.submit(ASKED).id == answers.REQUEST_ID


def test_a_given_key_is_used_as_it_is(server: ScriptedServer, submitter: RequestSubmitter) -> None:
    server.expect(SUBMIT, answers.request())
    submitter.submit(ASKED, "build-77")
    assert _keys(server) == ["build-77"]


def test_a_busy_server_is_asked_again_when_it_says(
    server: ScriptedServer, submitter: RequestSubmitter, passing: PassingTime
) -> None:
    server.expect(SUBMIT, refusal(ProblemCode.UNAVAILABLE, "Busy.", retry_after=3))
    server.expect(SUBMIT, refusal(ProblemCode.RATE_LIMITED, "Slower.", retry_after=5))
    server.expect(SUBMIT, answers.request())
    submitter.submit(ASKED)
    assert passing.pauses == [3, 5]


@pytest.mark.parametrize("code", [ProblemCode.UNAVAILABLE, ProblemCode.RATE_LIMITED])
def test_a_long_pause_is_left_to_the_person(
    server: ScriptedServer, submitter: RequestSubmitter, passing: PassingTime, code: ProblemCode
) -> None:
    server.expect(SUBMIT, refusal(code, "Not now.", retry_after=600))
    with pytest.raises((ServerFailed, ServerRefused)):
        submitter.submit(ASKED)
    assert passing.pauses == []


def test_a_dead_server_is_not_asked_again(passing: PassingTime, home: Path, clock: FrozenClock) -> None:
    with ScriptedServer() as gone:
        url = gone.url
    dead = RequestSubmitter(ApiClient(url, SecretStr(answers.TOKEN)), home, clock, passing.passage)
    with pytest.raises(ServerFailed, match="connection refused"):
        dead.submit(ASKED)
    assert passing.pauses == []
    assert list(home.iterdir()) == []
