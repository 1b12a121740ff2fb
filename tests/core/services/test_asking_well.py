"""Less time than was asked, several profiles at once, asking again, questions and answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.actor import Actor
from core.audit.trail import AuditAction
from core.clock import TICK
from core.errors import InvalidInput, InvalidStateTransition, LimitReached, NotAllowed
from core.question import MAX_QUESTIONS
from core.request import MAX_DURATION, Request, RequestStatus
from core.services import RequestService
from core.services.again import AskAgain
from core.services.bundle import MAX_PROFILES
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    DEPLOY,
    EVE,
    RITA,
    STRANGER,
    ChangingPolicy,
    noted,
    request_id_of,
    trail,
)
from tests.core.services.test_asking_for_others import QUESTION, is_intact
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory

MINUTE = timedelta(minutes=1)
ANSWER = "INC-12, as I wrote."


def test_shortest_vote_decides_the_window(
    requests: RequestService, stores: Stores, pending: Request, clock: FrozenClock
) -> None:
    first = requests.approve(request_id_of(pending), ANN, duration=30 * MINUTE)
    assert (first.approvals[0].duration, first.granted_duration) == (30 * MINUTE, 30 * MINUTE)
    approved = requests.approve(request_id_of(pending), BOB, duration=HOUR)
    assert (approved.granted_duration, approved.duration) == (30 * MINUTE, 2 * HOUR)
    assert approved.access_ends_at == clock.now() + 30 * MINUTE
    assert stores.audit.get_chain(pending.chain)[1].details["duration"] == 30 * 60 * 10**9
    assert is_intact(stores, pending, clock)


def test_vote_for_all_of_the_time_says_nothing_of_it(requests: RequestService, pending: Request) -> None:
    assert requests.approve(request_id_of(pending), ANN, duration=2 * HOUR).approvals[0].duration is None


@pytest.mark.parametrize("duration", [timedelta(), -HOUR, MINUTE - TICK, 2 * HOUR + TICK, MAX_DURATION], ids=str)
def test_vote_outside_what_was_asked_is_refused(
    requests: RequestService, stores: Stores, pending: Request, duration: timedelta
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        requests.approve(request_id_of(pending), ANN, duration=duration)
    assert refusal.value.field == "duration"
    assert stores.requests.get(request_id_of(pending)) == pending


def test_less_than_a_minute_is_given_where_it_was_asked(requests: RequestService) -> None:
    asked = requests.submit(RITA, "staging", 30 * timedelta(seconds=1), DEPLOY)
    approved = requests.approve(request_id_of(asked), ANN, duration=30 * timedelta(seconds=1))
    assert approved.granted_duration == 30 * timedelta(seconds=1)


def test_second_press_changes_no_time(requests: RequestService, pending: Request) -> None:
    once = requests.approve(request_id_of(pending), ANN, duration=HOUR)
    assert requests.approve(request_id_of(pending), ANN, duration=15 * MINUTE) == once


def test_vote_that_lapsed_shortens_nothing(
    requests: RequestService, stores: Stores, pending: Request, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    requests.approve(request_id_of(pending), ANN, duration=15 * MINUTE)
    policy.edit({"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [U0BOB, U0CLEO]"})
    requests.approve(request_id_of(pending), BOB, duration=HOUR)
    approved = requests.approve(request_id_of(pending), CLEO)
    assert (approved.status, approved.granted_duration) == (RequestStatus.APPROVED, HOUR)
    assert is_intact(stores, pending, clock)


def test_each_profile_of_a_form_is_a_request_of_its_own(requests: RequestService, clock: FrozenClock) -> None:
    profiles = ("prod", "vault", "staging", "prod")
    done = requests.submit_several(RITA, profiles, HOUR, DEPLOY, idempotency_key="V1")
    assert [(each.profile, each.request is not None) for each in done] == [
        ("prod", True), ("vault", False), ("staging", True),
    ]  # fmt: skip
    prod, vault, staging = done
    assert isinstance(vault.refusal, NotAllowed)
    assert prod.request is not None
    assert staging.request is not None
    assert prod.request.bundle == staging.request.bundle is not None
    requests.deny(request_id_of(staging.request), ANN, "not today")
    assert requests.approve(request_id_of(prod.request), ANN).status is RequestStatus.PENDING
    clock.advance(MINUTE)
    again = requests.submit_several(RITA, profiles, HOUR, DEPLOY, idempotency_key="V1")
    assert [each.request.id for each in again if each.request] == [prod.request.id, staging.request.id]


def test_several_profiles_keep_the_limits_of_each(requests: RequestService, pending: Request) -> None:
    prod, staging = requests.submit_several(RITA, ("prod", "staging"), HOUR, DEPLOY)
    assert isinstance(prod.refusal, LimitReached)
    assert staging.request is not None
    assert pending.bundle is None


@pytest.mark.parametrize("count", [0, MAX_PROFILES + 1])
def test_none_and_too_many_profiles_are_refused(requests: RequestService, count: int) -> None:
    with pytest.raises(InvalidInput) as refusal:
        requests.submit_several(RITA, [f"profile-{number}" for number in range(count)], HOUR, DEPLOY)
    assert refusal.value.field == "profile"


def test_single_profile_of_a_form_keeps_its_key(requests: RequestService) -> None:
    (done,) = requests.submit_several(RITA, ("prod",), HOUR, DEPLOY, idempotency_key="V1")
    assert done.request == requests.submit(RITA, "prod", HOUR, DEPLOY, idempotency_key="V1")
    assert done.request.bundle is None


@pytest.fixture
def again(requests: RequestService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> AskAgain:
    """Asks again for what has ended."""
    return AskAgain(stores, requests, policy, clock)


def test_ended_request_is_requested_again_as_it_was(again: AskAgain, requests: RequestService, single: Request) -> None:
    requests.deny(request_id_of(single), ANN, "not today")
    once = again.again(request_id_of(single), RITA, "press")
    assert (once.profile, once.duration, once.justification) == (single.profile, single.duration, DEPLOY)
    assert once.id != single.id
    assert again.again(request_id_of(single), RITA, "press") == once
    with pytest.raises(LimitReached):
        again.again(request_id_of(single), RITA, "another press")


def test_what_has_not_ended_is_not_requested_again(again: AskAgain, requests: RequestService, single: Request) -> None:
    with pytest.raises(NotAllowed, match="has not ended"):
        again.again(request_id_of(single), RITA, "press")
    requests.approve(request_id_of(single), ANN)
    with pytest.raises(NotAllowed, match="has not ended"):
        again.again(request_id_of(single), RITA, "press")


@pytest.mark.parametrize("who", [ANN, STRANGER])
def test_nobody_requests_again_what_was_another_s(
    again: AskAgain, requests: RequestService, single: Request, who: Actor
) -> None:
    requests.cancel(request_id_of(single), RITA)
    with pytest.raises(NotAllowed):
        again.again(request_id_of(single), who, "press")


def test_words_of_somebody_else_are_not_used_again(again: AskAgain, requests: RequestService) -> None:
    asked = requests.submit(ANN, "prod", HOUR, DEPLOY, on_behalf_of=RITA)
    requests.cancel(request_id_of(asked), RITA)
    with pytest.raises(InvalidInput) as refusal:
        again.again(request_id_of(asked), RITA, "press")
    assert refusal.value.field == "justification"
    with pytest.raises(NotAllowed):
        again.again(request_id_of(asked), ANN, "press")


def test_question_is_asked_and_answered_once(
    requests: RequestService, stores: Stores, pending: Request, clock: FrozenClock
) -> None:
    asked = requests.ask(request_id_of(pending), ANN, f"  {QUESTION}  ")
    assert requests.ask(request_id_of(pending), ANN, QUESTION) == asked
    clock.advance(MINUTE)
    answered = requests.answer(request_id_of(pending), RITA, 1, ANSWER)
    assert requests.answer(request_id_of(pending), RITA, 1, ANSWER) == answered
    with pytest.raises(InvalidInput, match="has an answer already"):
        requests.answer(request_id_of(pending), RITA, 1, "another one")
    (question,) = answered.questions
    assert (question.text, question.answer, question.answered_by) == (QUESTION, ANSWER, RITA.id)
    assert (answered.status, answered.approvals) == (RequestStatus.PENDING, ())
    said = [("request_submitted", RITA.id), ("question_asked", ANN.id), ("question_answered", RITA.id)]
    assert trail(stores, pending) == said
    assert is_intact(stores, pending, clock)


@pytest.mark.parametrize("who", [RITA, EVE, STRANGER, ANN.model_copy(update={"service": "ci"})])
def test_only_those_who_decide_ask_questions(
    requests: RequestService, stores: Stores, pending: Request, who: Actor
) -> None:
    with pytest.raises(NotAllowed):
        requests.ask(request_id_of(pending), who, QUESTION)
    assert noted(stores)[-1].event is AuditAction.QUESTION_REFUSED


@pytest.mark.parametrize("who", [ANN, BOB, STRANGER])
def test_only_the_requester_answers(requests: RequestService, stores: Stores, pending: Request, who: Actor) -> None:
    requests.ask(request_id_of(pending), ANN, QUESTION)
    with pytest.raises(NotAllowed):
        requests.answer(request_id_of(pending), who, 1, ANSWER)
    assert noted(stores)[-1].event is AuditAction.ANSWER_REFUSED


def test_asker_on_behalf_answers_too(requests: RequestService, stores: Stores, clock: FrozenClock) -> None:
    asked = requests.submit(ANN, "prod", HOUR, DEPLOY, on_behalf_of=RITA)
    requests.confirm(request_id_of(asked), RITA)
    requests.ask(request_id_of(asked), BOB, QUESTION)
    assert requests.answer(request_id_of(asked), ANN, 1, ANSWER).questions[0].answered_by == ANN.id
    assert is_intact(stores, asked, clock)


def test_decided_request_takes_no_question_and_no_answer(requests: RequestService, pending: Request) -> None:
    requests.ask(request_id_of(pending), ANN, QUESTION)
    requests.deny(request_id_of(pending), BOB, "not today")
    with pytest.raises(InvalidStateTransition):
        requests.ask(request_id_of(pending), ANN, "and now?")
    with pytest.raises(InvalidStateTransition):
        requests.answer(request_id_of(pending), RITA, 1, ANSWER)


def test_questions_have_bounds(requests: RequestService, pending: Request) -> None:
    for text in ("?", "x" * 501):
        with pytest.raises(InvalidInput):
            requests.ask(request_id_of(pending), ANN, text)
    for number in range(MAX_QUESTIONS):
        requests.ask(request_id_of(pending), ANN, f"question {number}")
    with pytest.raises(InvalidInput, match="10 questions already"):
        requests.ask(request_id_of(pending), ANN, "one more")
    for number in (0, -1, MAX_QUESTIONS + 1):
        with pytest.raises(InvalidInput):
            requests.answer(request_id_of(pending), RITA, number, ANSWER)


def test_question_keeps_votes_and_votes_keep_questions(
    requests: RequestService, stores: Stores, pending: Request, clock: FrozenClock, directory: OfficeDirectory
) -> None:
    requests.approve(request_id_of(pending), ANN)
    requests.ask(request_id_of(pending), BOB, QUESTION)
    requests.answer(request_id_of(pending), RITA, 1, ANSWER)
    approved = requests.approve(request_id_of(pending), BOB)
    assert (approved.status, len(approved.questions), len(approved.approvals)) == (RequestStatus.APPROVED, 1, 2)
    assert directory.questions == []
    assert is_intact(stores, pending, clock)
