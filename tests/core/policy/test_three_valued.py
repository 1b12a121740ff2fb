"""What a policy says while it isn't known in which user groups a person is: never more than it would say if it were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from core.actor import Actor, UserGroupId, UserId
from core.break_glass import ReasonCode
from core.errors import NotAllowed, NotKnown
from core.policy import Condition, Decision, Policy
from core.policy.rules import PolicyDocument
from tests.builders import HOUR

NOW: Final = datetime(2026, 1, 15, 10, tzinfo=UTC)
ANN, BOB, CLEO = UserId("U0ANN"), UserId("U0BOB"), UserId("U0CLEO")
ENG, OPS, SEC = (UserGroupId(each) for each in ("S0ENG", "S0OPS", "S0SEC"))
GROUPS: Final = (ENG, OPS, SEC)
Judge = Callable[[Policy, Actor], Decision]

# A policy and a person, whatever they are -------------------------------------------------------------------------

_NAMES: Final = st.sampled_from([ANN, BOB, "ann@example.com", "group:mixed", "group:people", *GROUPS])
_WHO: Final = st.lists(_NAMES, min_size=1, max_size=3, unique=True)
_CODES: Final = st.sampled_from(["incident", "recovery"])
_DURATIONS: Final = st.sampled_from(["30m", "2h"])


@st.composite
def _approval_rules(draw: st.DrawFn, number: int) -> JsonValue:
    rule: dict[str, JsonValue] = {
        "name": f"approval-{number}",
        "profiles": ["*"],
        "approvers": [*draw(_WHO)],
        "max_duration": draw(_DURATIONS),
    }
    if draw(st.integers(0, 4)):
        rule["requesters"] = [*draw(_WHO)]
    if draw(st.booleans()):
        rule["auto_approve"] = {"requesters": [*draw(_WHO)], "max_duration": "30m"}
    return rule


@st.composite
def _glass_rules(draw: st.DrawFn, number: int) -> JsonValue:
    return {
        "name": f"glass-{number}",
        "profiles": ["*"],
        "users": [*draw(_WHO)],
        "max_duration": draw(_DURATIONS),
        "allowed_reason_codes": [*draw(st.lists(_CODES, min_size=1, max_size=2, unique=True))],
    }


def policy_of(approval: list[JsonValue], glass: list[JsonValue], **varied: JsonValue) -> Policy:
    """The policy of these rules, also of those that `policy check` calls dead."""
    file: dict[str, JsonValue] = {
        "version": 1,
        "groups": {"mixed": [BOB, OPS], "people": [ANN, CLEO]},
        "profiles": {"prod": {"channel": "C0ACCESS1"}},
        "approval": approval,
        "break_glass": glass,
        "identity": {"trust_email": True},
        **varied,
    }
    return Policy(digest="0" * 64, document=PolicyDocument.model_validate(file))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """A policy of one to four rules of each kind."""
    numbers = range(draw(st.integers(1, 4)))
    return policy_of([draw(_approval_rules(each)) for each in numbers], [draw(_glass_rules(each)) for each in numbers])


@st.composite
def people(draw: st.DrawFn) -> Actor:
    """A person about whose user groups some questions were answered."""
    answers = draw(st.dictionaries(st.sampled_from(GROUPS), st.booleans()))
    email = draw(st.sampled_from([None, "ann@example.com", "ANN@EXAMPLE.COM"]))
    return Actor(id=draw(st.sampled_from([ANN, BOB, CLEO])), email=email, memberships=answers)


def completions(person: Actor) -> Iterator[Actor]:
    """Every way in which what isn't known about the person could turn out."""
    unknown = [group for group in GROUPS if person.is_in(group) is None]
    for answers in product((True, False), repeat=len(unknown)):
        yield person.with_memberships(dict(zip(unknown, answers, strict=True)))


def _request(judged: Policy, person: Actor) -> Decision:
    return judged.judge_request(person, "prod", HOUR, NOW)


def _short_request(judged: Policy, person: Actor) -> Decision:
    return judged.judge_request(person, "prod", timedelta(minutes=10), NOW)


def _waiting(judged: Policy, person: Actor) -> Decision:
    rule = judged.document.approval[-1].name
    return judged.judge_waiting(person, profile="prod", rule=rule, duration=HOUR)


def _decide(judged: Policy, person: Actor) -> Decision:
    rule = judged.document.approval[-1].name
    return judged.judge_decider("approve", person, profile="prod", rule=rule, requester=CLEO)


def _break(judged: Policy, person: Actor) -> Decision:
    return judged.judge_break_glass(person, "prod", ReasonCode.INCIDENT, HOUR, NOW, has_mfa=False)


def _close(judged: Policy, person: Actor) -> Decision:
    return judged.judge_close(person, profile="prod", invoker=CLEO)


def _review(judged: Policy, person: Actor) -> Decision:
    return judged.judge_review(person, profile="prod", invoker=CLEO)


FIRST_RULE: Final[list[Judge]] = [_request, _short_request, _waiting, _decide, _break]
ANY_RULE: Final[list[Judge]] = [_close, _review]
"""Here each rule that names a person gives the same right, so the answer has to be the same, not the rule."""


@pytest.mark.parametrize("judge", [*FIRST_RULE, *ANY_RULE])
@settings(max_examples=60, deadline=None)
@given(judged=policies(), person=people())
def test_yes_is_a_yes_however_the_unknown_turns_out(judge: Judge, judged: Policy, person: Actor) -> None:
    decision = judge(judged, person)
    if decision.is_allowed:
        for complete in completions(person):
            answer = judge(judged, complete)
            assert answer.is_allowed
            assert judge in ANY_RULE or answer.rule == decision.rule


@pytest.mark.parametrize("judge", [*FIRST_RULE, *ANY_RULE])
@settings(max_examples=60, deadline=None)
@given(judged=policies(), person=people())
def test_final_no_is_a_no_however_the_unknown_turns_out(judge: Judge, judged: Policy, person: Actor) -> None:
    decision = judge(judged, person)
    if not decision.is_allowed and not decision.needs:
        assert not any(judge(judged, complete).is_allowed for complete in completions(person))


@pytest.mark.parametrize("judge", [*FIRST_RULE, *ANY_RULE])
@settings(max_examples=60, deadline=None)
@given(judged=policies(), person=people())
def test_answering_what_is_needed_leads_to_an_answer(judge: Judge, judged: Policy, person: Actor) -> None:
    for complete in completions(person):
        asked = person
        for _ in GROUPS:
            needs = {UserGroupId(each) for each in judge(judged, asked).needs}
            # Never a question that is answered already, and none about a group that the policy doesn't name.
            assert all(asked.is_in(group) is None for group in needs)
            assert needs <= judged.user_groups()
            asked = asked.with_memberships({group: complete.is_in(group) is True for group in needs})
        decision = judge(judged, asked)
        assert decision.needs == frozenset()
        answer = judge(judged, complete)
        assert decision.is_allowed == answer.is_allowed
        assert judge in ANY_RULE or decision.rule == answer.rule


@settings(max_examples=60, deadline=None)
@given(judged=policies(), person=people())
def test_automatic_approval_never_rests_on_the_unknown(judged: Policy, person: Actor) -> None:
    decision = judged.judge_request(person, "prod", timedelta(minutes=10), NOW)
    if decision.auto_approval is not None and decision.auto_approval.is_allowed:
        for complete in completions(person):
            automatic = judged.judge_request(complete, "prod", timedelta(minutes=10), NOW).auto_approval
            assert automatic is not None
            assert automatic.is_allowed


@settings(max_examples=60, deadline=None)
@given(judged=policies(), person=people())
def test_offers_for_the_unknown_are_never_more_than_is_true(judged: Policy, person: Actor) -> None:
    for complete in completions(person):
        assert set(judged.requestable_profiles(person)) <= set(judged.requestable_profiles(complete))
        assert set(judged.declarable_profiles(person)) <= set(judged.declarable_profiles(complete))


# The rules, one by one --------------------------------------------------------------------------------------------


def approval(name: str, **varied: JsonValue) -> JsonValue:
    return {"name": name, "profiles": ["prod"], "approvers": [BOB], "max_duration": "4h", **varied}


def glass(name: str, *users: str) -> JsonValue:
    return {"name": name, "profiles": ["prod"], "users": list(users), "max_duration": "2h"}


def policy(*rules: JsonValue, break_glass: tuple[JsonValue, ...] = (), **varied: JsonValue) -> Policy:
    return policy_of(list(rules), list(break_glass), **varied)


def unasked(user: UserId, answers: Mapping[UserGroupId, bool] | None = None) -> Actor:
    return Actor(id=user, memberships=answers or {})


STRICT_FIRST: Final = policy(
    approval("contractors", requesters=[OPS], max_duration="1h"),
    approval("everybody", auto_approve={"max_duration": "4h"}),
)


def test_person_never_falls_through_a_rule_that_is_not_known() -> None:
    decision = STRICT_FIRST.judge_request(unasked(ANN), "prod", HOUR, NOW)
    assert (decision.is_allowed, decision.rule) == (False, None)
    assert decision.needs == {OPS}
    with pytest.raises(NotKnown, match="couldn't say whether U0ANN is in S0OPS") as refusal:
        decision.require()
    assert refusal.value.groups == (OPS,)


def test_answer_no_leads_to_the_next_rule() -> None:
    decision = STRICT_FIRST.judge_request(unasked(ANN, {OPS: False}), "prod", HOUR, NOW)
    assert (decision.is_allowed, decision.rule) == (True, "everybody")


def test_person_named_by_id_needs_no_user_group() -> None:
    judged = policy(
        approval("first", requesters=[ENG, "group:mixed"], approvers=[OPS, ANN]),
        break_glass=(glass("on-call", OPS, SEC, ANN),),
    )
    assert judged.judge_request(unasked(BOB), "prod", HOUR, NOW).is_allowed
    assert _break(judged, unasked(ANN)).is_allowed
    assert _decide(judged, unasked(ANN)).is_allowed
    assert _close(judged, unasked(ANN)).is_allowed
    assert judged.needed_to_declare(unasked(ANN)) == frozenset()


def test_trusted_email_address_needs_no_user_group() -> None:
    judged = policy(approval("first", requesters=[ENG, "ann@example.com"]))
    person = Actor(id=CLEO, email="Ann@Example.com")
    assert judged.judge_request(person, "prod", HOUR, NOW).is_allowed


def test_one_group_that_is_known_is_enough() -> None:
    judged = policy(approval("first", requesters=[ENG, OPS]))
    assert judged.judge_request(unasked(ANN, {OPS: True}), "prod", HOUR, NOW).is_allowed


def test_only_the_groups_of_the_rule_are_needed() -> None:
    judged = policy(approval("one", requesters=[ENG]), approval("two", requesters=[OPS]), approval("three"))
    assert judged.judge_request(unasked(ANN), "prod", HOUR, NOW).needs == {ENG}
    assert judged.judge_request(unasked(ANN, {ENG: False}), "prod", HOUR, NOW).needs == {OPS}


def test_own_request_is_refused_without_asking_anybody() -> None:
    judged = policy(approval("first", approvers=[ENG]))
    decision = judged.judge_decider("approve", unasked(ANN), profile="prod", rule="first", requester=ANN)
    assert decision.needs == frozenset()
    assert decision.unmet == ("U0ANN is the requester, and nobody decides on their own request",)
    with pytest.raises(NotAllowed) as refusal:
        decision.require()
    assert not isinstance(refusal.value, NotKnown)


def test_automatic_approval_is_asked_about_but_never_assumed() -> None:
    judged = policy(approval("first", auto_approve={"requesters": [ENG], "max_duration": "2h"}))
    decision = judged.judge_request(unasked(ANN), "prod", HOUR, NOW)
    assert decision.is_allowed
    assert decision.needs == {ENG}
    assert decision.auto_approval is not None
    assert not decision.auto_approval.is_allowed


def test_automatic_approval_that_is_too_long_needs_nothing() -> None:
    judged = policy(approval("first", auto_approve={"requesters": [ENG], "max_duration": "30m"}))
    assert judged.judge_request(unasked(ANN), "prod", HOUR, NOW).needs == frozenset()


def test_another_rule_closes_while_one_is_not_known() -> None:
    judged = policy(approval("one", approvers=[ENG], requesters=[OPS]), approval("two", approvers=[ANN]))
    assert _close(judged, unasked(ANN)).rule == "two"
    assert _review(judged, unasked(ANN)).is_allowed
    assert _close(judged, unasked(BOB)).needs == {ENG}


def test_form_needs_the_groups_of_every_rule_it_may_show() -> None:
    judged = policy(approval("one", requesters=[ENG]), break_glass=(glass("on-call", OPS),))
    assert judged.needed_to_request(unasked(ANN)) == {ENG}
    assert judged.needed_to_declare(unasked(ANN)) == {OPS}


def test_condition_that_needs_more_can_not_be_met() -> None:
    with pytest.raises(ValidationError, match="a condition that needs more is not met"):
        Condition(name="a", is_met=True, text="a", needs=frozenset({ENG}))


# What a waiting request is judged on -------------------------------------------------------------------------------


def judge_waiting(judged: Policy, user: UserId = ANN, rule: str = "first") -> Decision:
    return judged.judge_waiting(unasked(user), profile="prod", rule=rule, duration=HOUR)


def test_waiting_request_is_allowed_while_its_rule_allows_it() -> None:
    decision = policy(approval("first", required_approvals=1)).judge_waiting(
        unasked(ANN), profile="prod", rule="first", duration=HOUR
    )
    assert (decision.is_allowed, decision.rule, decision.required_approvals) == (True, "first", 1)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ((approval("second"),), "rule first, under which this was asked, is not in the policy any more"),
        ((approval("first", max_duration="30m"),), "1h is longer than the 30m that are allowed"),
        ((approval("first", requesters=[CLEO]),), "no rule lets U0ANN request prod"),
        ((approval("strict", requesters=[ANN]), approval("first")), "rule strict decides about U0ANN now"),
    ],
)
def test_waiting_request_is_refused_by_a_tightened_policy(rules: tuple[JsonValue, ...], reason: str) -> None:
    decision = judge_waiting(policy(*rules))
    assert not decision.is_allowed
    assert decision.unmet[0].startswith(reason)


def test_waiting_request_is_not_known_while_a_rule_above_is_not() -> None:
    judged = policy(approval("strict", requesters=[ENG]), approval("first"))
    assert judge_waiting(judged).needs == {ENG}


# One person with two ids -------------------------------------------------------------------------------------------

ONE: Final = policy(approval("first", approvers=[BOB, CLEO]), same_person=[[BOB, "W0BOB"], [CLEO, "U0OTHER"]])


def test_second_id_of_a_person_can_not_decide_on_their_request() -> None:
    decision = ONE.judge_decider("approve", unasked(BOB), profile="prod", rule="first", requester=UserId("W0BOB"))
    assert decision.unmet == (
        "U0BOB and W0BOB are one person, who is the requester, and nobody decides on their own request",
    )


def test_second_id_of_a_person_can_not_review_their_event() -> None:
    assert not ONE.judge_review(unasked(BOB), profile="prod", invoker=UserId("W0BOB")).is_allowed


def test_second_id_gives_nobody_more_rights() -> None:
    decision = ONE.judge_decider("approve", unasked(UserId("W0BOB")), profile="prod", rule="first", requester=ANN)
    assert not decision.is_allowed


def test_every_id_of_a_person_is_found_by_any_of_them() -> None:
    assert ONE.ids_of(UserId("W0BOB")) == (BOB, "W0BOB")
    assert ONE.ids_of(ANN) == (ANN,)
