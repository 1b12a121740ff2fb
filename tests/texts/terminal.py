"""The command line for people: what login, request, devices, access and logout print, and each of their errors.

Invariant: the server is scripted, so that every answer is the same on each run; times and ports are replaced.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from click.testing import CliRunner

from bot.api.models import AccessList, EarlyEndInfo, RequestInfo, RequestList, RightInfo
from bot.api.problems import Problem, ProblemCode
from bot.cli import countersign
from bot.commands.mcp import ExtraMissing
from bot.terminal.child import CommandNotStarted
from bot.terminal.credential_source import AccessOver
from bot.terminal.errors import FilesFailed, NotPaired, ServerFailed, ServerRefused, TerminalError
from bot.terminal.pairing import PairingFailed
from core.access.grant_status import AccessPhase
from core.request_status import RequestStatus
from tests.harness import api_answers as answers
from tests.harness.scripted_server import CUT, ScriptedAnswer, ScriptedServer, refusal
from tests.texts.records import NOW
from tests.texts.writing import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import BaseModel

TERMINAL_SAMPLES: Final[dict[str, TerminalError]] = {
    "terminal: no server": ServerFailed("https://a.example can't be reached: no answer in time", "Try again."),
    "terminal: not paired": NotPaired("This machine isn't paired with https://a.example"),
    "terminal: files": FilesFailed("/home/m/token can't be written: no space left on device", "Fix that."),
    "terminal: refused": ServerRefused(Problem.of(ProblemCode.NOT_ALLOWED, "Not allowed", "This isn't allowed.")),
    "terminal: not confirmed": PairingFailed("The code has expired. Nothing was paired."),
    "terminal: access is over": AccessOver("prod", NOW, NOW),
    "terminal: no such command": CommandNotStarted("mak: there is no such command", 127),
    "terminal: no extra": ExtraMissing("The extra for agents isn't installed."),
}
_ID: Final = answers.REQUEST_ID
_ASK: Final = ("request", "prod", "1h", "Deploy the fix for INC-12")
_WAIT: Final = (*_ASK, "--wait")
_SUBMIT: Final = "POST /v1/requests"
_LOOK: Final = f"GET /v1/requests/{_ID}"


def terminal(folder: Path) -> Iterator[Text]:
    """What each command prints in its main cases."""
    person = _Person(folder)
    for surface, cases in (
        ("login and logout", _pairing(person)),
        ("request", _requests(person)),
        ("request, refused", _refusals(person)),
        ("access and devices", _access(person)),
        ("a server that fails", _failures(person)),
    ):
        for title, said in cases:
            yield Text(f"Command line for people: {surface}", title, said)


def with_fixed_times(said: str) -> str:
    """The text as it reads at five past two, wherever the machine is."""
    return re.sub(r"\b(\d{4}-\d\d-\d\d )?\d\d:\d\d\b", "14:05", said)


class _Person:
    """Somebody with a home of their own, who types commands at a scripted server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def type(
        self, *arguments: str, does: tuple[tuple[str, ScriptedAnswer | BaseModel], ...] = (), paired: bool = True
    ) -> str:
        """What the command prints, to both streams, and how it ends."""
        with ScriptedServer() as server:
            for call, answer in does:
                server.expect(call, answer)
            unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("COUNTERSIGN_")}
            environ = {**unset, "COUNTERSIGN_HOME": str(self._folder), "COUNTERSIGN_SERVER": server.url, "TZ": "UTC"}
            environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
            if paired:
                environ["COUNTERSIGN_TOKEN"] = answers.TOKEN
            result = CliRunner().invoke(countersign, arguments, env=environ, terminal_width=100)
            server.check()
            said = result.output.replace(server.url, "https://countersign.example.com")
        said = with_fixed_times(said.replace(str(self._folder), "/home/mira"))
        ending = [f"(exit code {result.exit_code})"] if result.exit_code else []
        return "\n".join([said.rstrip(), *ending])


def _pairing(person: _Person) -> Iterator[tuple[str, str]]:
    start, exchange = ("POST /v1/pairings", answers.started_pairing()), "POST /v1/pairings/token"
    confirmed, who = (exchange, answers.issued_token()), ("GET /v1/me", answers.me())
    end = ("DELETE /v1/devices/self", answers.device())
    yield "login", person.type("login", does=(start, confirmed, who), paired=False)
    refused = (exchange, refusal(ProblemCode.ACCESS_DENIED, "Refused."))
    yield "login, refused in Slack", person.type("login", does=(start, refused), paired=False)
    expired = (exchange, refusal(ProblemCode.EXPIRED_TOKEN, "Expired."))
    yield "login, expired", person.type("login", does=(start, expired), paired=False)
    yield "logout", person.type("logout", does=(end,))
    yield "logout, the server is away", person.type("logout", does=((end[0], CUT),))
    yield "not paired", person.type("devices", paired=False)


def _requests(person: _Person) -> Iterator[tuple[str, str]]:
    pending, two = answers.request(), answers.request(required_approvals=2)
    yield "made", person.type(*_ASK, does=((_SUBMIT, pending),))
    yield "two approvals", person.type(*_ASK, does=((_SUBMIT, two),))
    right = RightInfo(target="aws", resource="r", level="assume", phase=AccessPhase.FAILED, problem="no such role")
    early = EarlyEndInfo(by="U0JON", at=answers.now(), reason="The incident is over")
    outcomes = {
        "granted": answers.granted(comment="Go ahead"),
        "granted, opens nothing": answers.request(RequestStatus.APPROVED),
        "starts later, opens nothing": answers.request(RequestStatus.APPROVED, starts_at=answers.now()),
        "denied": answers.request(RequestStatus.DENIED, comment="Wait for the change window"),
        "expired": answers.request(RequestStatus.EXPIRED),
        "cancelled": answers.request(RequestStatus.CANCELLED, decided_by="U0MIRA"),
        "could not be opened": _with_access(phase=AccessPhase.FAILED, rights=(right,)),
        "ended early": _with_access(phase=AccessPhase.CLOSED, ended_early=early),
        "over": _with_access(phase=AccessPhase.CLOSED),
    }
    for title, found in outcomes.items():
        yield f"--wait, {title}", person.type(*_WAIT, does=((_SUBMIT, pending), (_LOOK, found)))
    yield "show", person.type("request", "show", _ID, does=((_LOOK, outcomes["granted"]),))
    yield "list", person.type("request", "list", does=(("GET /v1/requests", RequestList(requests=(pending,))),))
    yield "list, empty", person.type("request", "list", does=(("GET /v1/requests", RequestList(requests=())),))


def _refusals(person: _Person) -> Iterator[tuple[str, str]]:
    cases = {
        "not allowed": refusal(ProblemCode.NOT_ALLOWED, "This isn't allowed.", reasons=("8h is too long: at most 4h",)),
        "open already": refusal(ProblemCode.LIMIT_REACHED, "You have an open request.", existing=_ID),
        "too fast": refusal(ProblemCode.RATE_LIMITED, "Too many requests.", retry_after=60),
        "pairing expired": refusal(ProblemCode.PAIRING_EXPIRED, "Expired."),
    }
    for title, answer in cases.items():
        yield title, person.type(*_ASK, does=((_SUBMIT, answer),))
    yield "--timeout without --wait", person.type(*_ASK, "--timeout", "5m")
    yield "no duration", person.type("request", "prod", "soon", "Deploy")
    yield "no reason", person.type("request", "prod", "1h", "")


def _access(person: _Person) -> Iterator[tuple[str, str]]:
    look, one = "GET /v1/access", AccessList(access=(answers.access(),))
    end = (f"POST /v1/access/REQUEST%23{_ID}/end", answers.access(AccessPhase.CLOSING, residual_until=answers.now()))
    other = answers.device(id="0000000000000002", name="old-laptop", is_this=False, last_used_at=None)
    found = answers.devices({"devices": [answers.device().model_dump(), other.model_dump()]})
    yield "access list", person.type("access", "list", does=((look, one),))
    yield "access list, empty", person.type("access", "list", does=((look, AccessList(access=())),))
    yield "access list --overdue", person.type("access", "list", "--overdue")
    yield "access end", person.type("access", "end", does=((look, one), end))
    yield "access end, none", person.type("access", "end", does=((look, AccessList(access=())),))
    twice = AccessList(access=(answers.access(), answers.access(id="00000000000000b2")))
    yield "access end, not clear", person.type("access", "end", does=((look, twice),))
    yield "devices", person.type("devices", does=(("GET /v1/devices", found),))
    yield (
        "devices revoke",
        person.type("devices", "revoke", other.id, does=((f"DELETE /v1/devices/{other.id}", other),)),
    )


def _failures(person: _Person) -> Iterator[tuple[str, str]]:
    page = b"<html>Sign in</html>"
    cases = {
        "cut": CUT,
        "a proxy's page": ScriptedAnswer(502, page, "text/html"),
        "a redirect": ScriptedAnswer(302, headers={"Location": "https://login.example.com/"}),
        "a newer answer": ScriptedAnswer(body=b'{"devices": [{}]}'),
        "away for a moment": refusal(ProblemCode.UNAVAILABLE, "The store didn't answer. Nothing was changed."),
    }
    for title, answer in cases.items():
        yield title, person.type("devices", does=(("GET /v1/devices", answer),))


def _with_access(**facts: object) -> RequestInfo:
    return answers.granted().model_copy(update={"access": answers.access().model_copy(update=facts)})
