"""What the policy says about services and devices: who owns them, what they may ask for, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.actor import Actor, ServiceName, UserId
from core.break_glass import ReasonCode
from core.invalid_policy import InvalidPolicy
from core.policy import Policy, parse_policy
from core.policy.target_use import find_notes
from tests.harness.clock import A_MOMENT

TEXT = """
version: 1
profiles:
  prod: {channel: C0ACCESS1}
  staging: {channel: C0ACCESS1}
admins: [U0ANN]
same_person: [[U0ANN, W0ANN]]
approval:
  - name: prod
    profiles: [prod]
    requesters: [U0ANN, W0ANN, U0BOB]
    approvers: [U0BOB, U0CLEO, U0ANN]
    max_duration: 4h
  - name: staging
    profiles: [staging]
    approvers: [U0ANN, U0BOB]
    max_duration: 4h
    auto_approve: {max_duration: 1h}
break_glass: [{name: all, profiles: [prod], users: [U0ANN], max_duration: 1h}]
services:
  ci-deploy: {owner: U0ANN, may: [prod], max_duration: 30m}
  agent: {owner: U0BOB, may: [staging]}
"""
POLICY = parse_policy(TEXT.encode())
MINUTES = timedelta(minutes=1)
CI = Actor(id=UserId("U0ANN"), service=ServiceName("ci-deploy"))


def judge(actor: Actor, profile: str, duration: timedelta = 10 * MINUTES, policy: Policy = POLICY) -> bool:
    return policy.judge_request(actor, profile, duration, A_MOMENT).is_allowed


def changed(old: str, new: str) -> Policy:
    assert old in TEXT
    return parse_policy(TEXT.replace(old, new).encode())


def problems(old: str, new: str) -> list[str]:
    with pytest.raises(InvalidPolicy) as refused:
        changed(old, new)
    return [f"{each.path}: {each.problem}" for each in refused.value.problems]


def test_service_may_request_what_its_list_names() -> None:
    assert judge(CI, "prod")
    assert not judge(CI, "staging")
    assert judge(CI.owner, "staging")
    assert [each.name for each in POLICY.requestable_profiles(CI)] == ["prod"]


def test_service_has_the_shorter_of_two_durations() -> None:
    assert judge(CI, "prod", 30 * MINUTES)
    assert not judge(CI, "prod", 31 * MINUTES)
    assert POLICY.judge_request(CI, "prod", MINUTES, A_MOMENT).max_duration == 30 * MINUTES
    assert judge(CI.owner, "prod", 240 * MINUTES)


def test_service_has_no_right_that_its_owner_lacks() -> None:
    policy = changed("requesters: [U0ANN, W0ANN, U0BOB]", "requesters: [S0TEAM]")
    known = CI.with_memberships(dict.fromkeys(policy.user_groups(), False))
    assert not judge(known, "prod", policy=policy)
    assert judge(CI.with_memberships(dict.fromkeys(policy.user_groups(), True)), "prod", policy=policy)


@pytest.mark.parametrize(
    ("actor", "is_owner"),
    [("U0ANN", True), ("W0ANN", True), ("U0BOB", False), ("U0CLEO", False)],
)
def test_only_its_owner_acts_for_a_service(actor: str, is_owner: bool) -> None:  # noqa: FBT001
    acting = Actor(id=UserId(actor), service=ServiceName("ci-deploy"))
    assert POLICY.judge_device(acting).is_allowed is is_owner
    assert judge(acting, "prod") is is_owner
    assert POLICY.judge_device(acting.owner).is_allowed


def test_service_that_left_the_policy_may_nothing() -> None:
    gone = Actor(id=UserId("U0ANN"), service=ServiceName("ci-old"))
    refused = POLICY.judge_device(gone)
    assert not refused.is_allowed
    assert not judge(gone, "prod")
    assert "no service ci-old" in refused.unmet[0]


def test_a_person_decides_on_what_a_service_asks_for() -> None:
    agent = Actor(id=UserId("U0BOB"), service=ServiceName("agent"))
    assert POLICY.judge_request(agent, "staging", MINUTES, A_MOMENT).auto_approval is None
    own = POLICY.judge_request(agent.owner, "staging", MINUTES, A_MOMENT)
    assert own.auto_approval is not None
    assert own.auto_approval.is_allowed


def test_service_does_nothing_but_ask() -> None:
    answers = (
        POLICY.judge_break_glass(CI, "prod", ReasonCode.INCIDENT, MINUTES, A_MOMENT, has_mfa=True),
        POLICY.judge_decider("approve", CI, profile="prod", rule="prod", requester=UserId("U0BOB")),
        POLICY.judge_decider("deny", CI, profile="prod", rule="prod", requester=UserId("U0BOB")),
        POLICY.judge_close(CI, profile="prod", invoker=UserId("U0ANN")),
        POLICY.judge_review(CI, profile="prod", invoker=UserId("U0BOB")),
        POLICY.judge_revoke(CI, profile="prod", rule="prod", source_kind="REQUEST"),
        POLICY.judge_live(CI, "prod"),
        POLICY.judge_admin(CI),
    )
    assert [each.is_allowed for each in answers] == [False] * len(answers)
    assert POLICY.declarable_profiles(CI) == ()


def test_owner_does_all_of_this_in_person() -> None:
    ann = CI.owner
    answers = (
        POLICY.judge_break_glass(ann, "prod", ReasonCode.INCIDENT, MINUTES, A_MOMENT, has_mfa=True),
        POLICY.judge_decider("approve", ann, profile="prod", rule="prod", requester=UserId("U0BOB")),
        POLICY.judge_close(ann, profile="prod", invoker=UserId("U0ANN")),
        POLICY.judge_revoke(ann, profile="prod", rule="prod", source_kind="REQUEST"),
        POLICY.judge_admin(ann),
    )
    assert [each.is_allowed for each in answers] == [True] * len(answers)


def test_waiting_request_is_judged_by_the_service_too() -> None:
    def may_still(actor: Actor, duration: timedelta = MINUTES) -> bool:
        return POLICY.judge_waiting(actor, profile="prod", rule="prod", duration=duration).is_allowed

    assert may_still(CI)
    assert not may_still(CI, 31 * MINUTES)
    assert not may_still(Actor(id=UserId("U0BOB"), service=ServiceName("ci-deploy")))


def test_mistakes_in_services_are_named() -> None:
    assert problems("may: [prod]", "may: [prdo]") == ["services.ci-deploy.may[0]: there is no profile 'prdo'"]
    assert problems("may: [prod]", "may: [prod, prod]") == ["services.ci-deploy.may[1]: prod is already in this list"]
    (alone,) = problems("{owner: U0BOB, may: [staging]}", "{owner: U0EVE, may: [prod]}")
    assert "U0EVE may not request prod" in alone
    assert len(problems("may: [prod]", "may: []")) == 1
    assert "not a service's name" in problems("  agent:", "  Agent X:")[0]
    assert "is not a Slack user id" in problems("owner: U0BOB", "owner: bob")[0]


def test_service_with_its_owners_own_right_is_noted() -> None:
    instance = "arn:aws:sso:::instance/ssoins-1111222233334444"
    target = f"{{type: identity-center, region: eu-west-1, instance: {instance}, identity_store: d-9967001122}}"
    access = "access: [{target: aws, group: 90676a8ca4-11112222-3333-4444-5555-666677778888}]"
    policy = parse_policy(
        (
            TEXT.replace("prod: {channel: C0ACCESS1}", f"prod: {{channel: C0ACCESS1, {access}}}")
            + f"targets: {{aws: {target}}}\n"
        ).encode()
    )
    notes = [note for note in find_notes(policy.document) if note.path[0] == "services"]
    assert [note.path for note in notes] == [("services", "ci-deploy", "may")]
    assert list(find_notes(POLICY.document)) == []


@pytest.mark.parametrize(("written", "is_valid"), [("15m", True), ("12h", True), ("14m", False), ("13h", False)])
def test_devices_live_for_15_minutes_to_12_hours(written: str, is_valid: bool) -> None:  # noqa: FBT001
    text = TEXT + f"devices: {{max_age: {written}}}\n"
    if not is_valid:
        with pytest.raises(InvalidPolicy):
            parse_policy(text.encode())
        return
    assert parse_policy(text.encode()).device_max_age in {15 * MINUTES, 720 * MINUTES}
    assert POLICY.device_max_age == 720 * MINUTES
