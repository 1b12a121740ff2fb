"""Waiting for a request: what is waited out, and how it ends."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.api.models import EarlyEndInfo, PersonInfo
from bot.api.problems import ProblemCode
from bot.terminal.client import ApiClient
from bot.terminal.errors import NotPaired, ServerFailed, ServerRefused
from bot.terminal.progress import Progress
from bot.terminal.waiting import Outcome, RequestWait, describe_wait, names_of, outcome_of, with_names
from core.access.grant_status import AccessPhase
from core.request_status import RequestStatus
from tests.harness import api_answers as answers
from tests.harness.clock import FrozenClock
from tests.harness.scripted_server import CUT, ScriptedAnswer, ScriptedServer, refusal

if TYPE_CHECKING:
    from tests.bot.terminal.passing_time import PassingTime

POLL = f"GET /v1/requests/{answers.REQUEST_ID}"
BUSY = refusal(ProblemCode.UNAVAILABLE, "Busy.", retry_after=7)


class Waiter:
    """A wait with its own clock, and what it wrote."""

    def __init__(self, server: ScriptedServer, passing: PassingTime) -> None:
        self.clock = FrozenClock(answers.now())
        self.written = io.StringIO()
        client = ApiClient(server.url, SecretStr(answers.TOKEN), self.clock)
        progress = Progress(self.written, self.clock, is_live=False)
        self._wait = RequestWait(client, progress, self.clock, passing.passage)

    def wait(self, at_most: timedelta | None = None) -> Outcome:
        return outcome_of(self._wait.wait(answers.request(), at_most))


@pytest.fixture
def waiter(server: ScriptedServer, passing: PassingTime) -> Waiter:
    return Waiter(server, passing)


def test_a_wait_ends_when_access_is_open(server: ScriptedServer, waiter: Waiter) -> None:
    for found in (AccessPhase.SCHEDULED, AccessPhase.OPENING, AccessPhase.OPEN):
        server.expect(POLL, answers.granted(found))
    assert waiter.wait() is Outcome.GRANTED
    assert [call.query for call in server.calls] == [
        "wait=25&seen=v-pending",
        "wait=25&seen=v-scheduled",
        "wait=25&seen=v-opening",
    ]
    said = waiter.written.getvalue().splitlines()
    assert said[0].startswith("Waiting for approval by Jon, until ")
    assert said[1].startswith("Approved. Waiting for access to prod to start, until ")


def test_a_profile_that_opens_nothing_is_granted_at_once(server: ScriptedServer, waiter: Waiter) -> None:
    server.expect(POLL, answers.request(RequestStatus.APPROVED))
    assert waiter.wait() is Outcome.GRANTED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (RequestStatus.DENIED, Outcome.DENIED),
        (RequestStatus.EXPIRED, Outcome.EXPIRED),
        (RequestStatus.CANCELLED, Outcome.CANCELLED),
    ],
)
def test_a_wait_ends_with_the_request(
    server: ScriptedServer, waiter: Waiter, status: RequestStatus, outcome: Outcome
) -> None:
    server.expect(POLL, answers.request(status))
    assert waiter.wait() is outcome


def test_access_that_failed_or_is_over_is_not_granted() -> None:
    early = EarlyEndInfo(by="U0JON", at=answers.now(), reason="done")
    assert outcome_of(answers.granted(AccessPhase.FAILED)) is Outcome.FAILED
    assert outcome_of(answers.granted(AccessPhase.CLOSED)) is Outcome.ENDED
    closing = answers.granted().model_copy(update={"access": answers.access(AccessPhase.CLOSING, ended_early=early)})
    assert outcome_of(closing) is Outcome.ENDED


def test_a_lost_connection_is_waited_out(server: ScriptedServer, waiter: Waiter, passing: PassingTime) -> None:
    server.expect(POLL, CUT, times=3)
    server.expect(POLL, ScriptedAnswer(502, b"<html>", "text/html"))
    server.expect(POLL, BUSY)
    server.expect(POLL, answers.granted())
    assert waiter.wait() is Outcome.GRANTED
    assert passing.pauses == [1, 2, 4, 8, 16]


def test_a_wait_pauses_as_long_as_the_server_asks(server: ScriptedServer, waiter: Waiter, passing: PassingTime) -> None:
    server.expect(POLL, BUSY)
    server.expect(POLL, answers.request(version="v2"))
    server.expect(POLL, refusal(ProblemCode.RATE_LIMITED, "Slower.", retry_after=9))
    server.expect(POLL, answers.granted())
    assert waiter.wait() is Outcome.GRANTED
    assert passing.pauses == [7, 9]


def test_a_timeout_keeps_the_request(server: ScriptedServer, waiter: Waiter, passing: PassingTime) -> None:
    server.expect(POLL, answers.request(), act=lambda: passing.pause(25))
    server.expect(POLL, answers.request(), act=lambda: passing.pause(5))
    assert waiter.wait(timedelta(seconds=30)) is Outcome.WAITING
    assert [call.query.partition("&")[0] for call in server.calls] == ["wait=25", "wait=5"]


def test_names_that_come_a_moment_later_are_shown(server: ScriptedServer) -> None:
    client, unnamed = (
        ApiClient(server.url, SecretStr(answers.TOKEN)),
        answers.request(approvers=(PersonInfo(id="U0JON"),)),
    )
    server.expect(POLL, answers.request())
    assert names_of(with_names(client, unnamed).approvers) == "Jon"
    server.expect(POLL, CUT)
    assert with_names(client, unnamed) == unnamed
    named = answers.request()
    assert with_names(client, named) is named


def test_a_timeout_holds_while_the_server_is_away(server: ScriptedServer, waiter: Waiter, passing: PassingTime) -> None:
    server.expect(POLL, CUT, times=2)
    assert waiter.wait(timedelta(seconds=2)) is Outcome.WAITING
    assert passing.now == 2


def test_a_server_that_does_not_hold_is_not_hammered(
    server: ScriptedServer, waiter: Waiter, passing: PassingTime
) -> None:
    server.expect(POLL, answers.request(), times=3)
    server.expect(POLL, answers.granted())
    waiter.wait()
    assert passing.pauses == [1, 1, 1]


def test_a_server_that_stays_away_is_given_up(server: ScriptedServer, waiter: Waiter) -> None:
    server.expect(POLL, CUT)
    server.expect(POLL, CUT, act=lambda: waiter.clock.advance(timedelta(hours=2)))
    with pytest.raises(ServerFailed):
        waiter.wait()


def test_an_ended_pairing_ends_the_wait(server: ScriptedServer, waiter: Waiter) -> None:
    server.expect(POLL, refusal(ProblemCode.PAIRING_EXPIRED, "Over."))
    with pytest.raises(NotPaired):
        waiter.wait()


def test_another_refusal_ends_the_wait(server: ScriptedServer, waiter: Waiter) -> None:
    server.expect(POLL, refusal(ProblemCode.NOT_FOUND, "There is no such request."))
    with pytest.raises(ServerRefused):
        waiter.wait()


def test_a_wait_names_a_few_approvers_and_counts_the_others() -> None:
    people = tuple(PersonInfo(id=f"U{number}", name=f"P{number}") for number in range(6))
    assert names_of(people[:1]) == "P0"
    assert names_of(people[:2]) == "P0 or P1"
    assert names_of(people) == "P0, P1, P2 or 3 others"
    assert names_of((PersonInfo(id="U0JON"),)) == "U0JON"
    text, _ = describe_wait(answers.request(required_approvals=2))
    assert text == "Waiting for approval (0 of 2) by Jon"
