"""Every error of Countersign's tree has its problem, and the problem says what the error knows."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import core
from bot.api.problems import ProblemCode
from bot.api.refusals import PROBLEMS, to_problem
from core.access.credentials import AccessEnded, IssuerUnavailable, NothingOpen
from core.access.device import TokenRefused
from core.access.pairing import PairingExpired, PairingRefused, PairingTooFast, PairingWaiting
from core.errors import (
    ConcurrentModification,
    CountersignError,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    MalformedRecord,
    NotAllowed,
    NotKnown,
    RequestExists,
    RequestNotFound,
    StoreUnavailable,
)
from core.open_requests import OPEN_REQUEST
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

LATER = A_MOMENT + timedelta(minutes=5)


def tree(kind: type[CountersignError]) -> Iterator[type[CountersignError]]:
    for each in kind.__subclasses__():
        yield each
        yield from tree(each)


def test_every_error_of_the_core_has_a_problem_of_its_own() -> None:
    for module in pkgutil.walk_packages(core.__path__, "core."):
        importlib.import_module(module.name)
    classes = {each for each in tree(CountersignError) if each.__module__.startswith("core.")}
    assert len(classes) > 30
    unknown = {each.__name__ for each in classes if not any(base in PROBLEMS for base in each.__mro__)}
    assert unknown == set()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("duration", "it is odd", "Write 1h."), ProblemCode.INVALID_INPUT),
        (NotAllowed("request", ("no rule covers you",)), ProblemCode.NOT_ALLOWED),
        (NotKnown("act", ("Slack is away",)), ProblemCode.UNAVAILABLE),
        (LimitReached("cooldown", "5m", LATER), ProblemCode.LIMIT_REACHED),
        (InvalidStateTransition("REQUEST#1", "denied", "cancelled", decided_by="U0JON"), ProblemCode.CONFLICT),
        (RequestNotFound("1"), ProblemCode.NOT_FOUND),
        (RequestExists("1"), ProblemCode.CONFLICT),
        (ConcurrentModification("REQUEST#1"), ProblemCode.UNAVAILABLE),
        (MalformedRecord("REQUEST#1", "odd"), ProblemCode.UNAVAILABLE),
        (StoreUnavailable("slow"), ProblemCode.UNAVAILABLE),
        (TokenRefused(), ProblemCode.UNAUTHORIZED),
        (PairingWaiting(), ProblemCode.AUTHORIZATION_PENDING),
        (PairingTooFast(), ProblemCode.SLOW_DOWN),
        (PairingExpired(), ProblemCode.EXPIRED_TOKEN),
        (PairingRefused(), ProblemCode.ACCESS_DENIED),
        (AccessEnded("prod", A_MOMENT), ProblemCode.ENDED),
        (NothingOpen("prod", "Request it."), ProblemCode.NOT_ALLOWED),
        (NothingOpen("prod", "Wait.", is_opening=True), ProblemCode.UNAVAILABLE),
        (IssuerUnavailable("AWS is away", "Try again."), ProblemCode.UNAVAILABLE),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_error_becomes_its_problem(error: CountersignError, code: ProblemCode) -> None:
    problem = to_problem(error, A_MOMENT)
    assert problem.code == code
    assert problem.title
    assert problem.detail


@pytest.mark.parametrize(
    ("groups", "who"),
    [
        (("on-call:primary",), "Who is on call"),
        (("S0SRE", "on-call:primary"), "Who you are"),
        ((), "Who you are"),
    ],
)
def test_what_is_not_known_is_in_the_title(groups: tuple[str, ...], who: str) -> None:
    assert to_problem(NotKnown("act", ("away",), groups=groups), A_MOMENT).title == f"{who} couldn't be confirmed"


def test_limits_say_until_when_and_what_is_open() -> None:
    limit = to_problem(LimitReached("cooldown", "5m", LATER), A_MOMENT)
    assert (limit.ends_at, limit.retry_after) == (LATER, 300)
    opened = to_problem(LimitReached(OPEN_REQUEST, "0f" * 8, LATER), A_MOMENT)
    assert (opened.existing, opened.retry_after) == ("0f" * 8, None)


def test_what_is_wrong_in_the_store_is_not_shown() -> None:
    for error in (MalformedRecord("REQUEST#1", "secret-detail"), StoreUnavailable("secret-detail")):
        assert "secret-detail" not in to_problem(error, A_MOMENT).to_json().decode()
