"""Who is notified and asked about an event according to the policy, as opposed to who may act on it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.policy import Policy, parse_policy

TEXT = """\
version: 1
groups:
  sre: [U0BOB, S0ONCALL]
profiles:
  prod: {channel: C0ACCESS1}
  staging: {channel: C0ACCESS1}
  vault: {channel: C0ACCESS1}
approval:
  - {name: prod, profiles: [prod], requesters: [U0RITA], approvers: [group:sre], max_duration: 4h}
  - {name: all, profiles: ['*'], approvers: [U0CLEO], max_duration: 4h}
break_glass:
  - {name: told, profiles: [prod], users: [S0ENG], max_duration: 2h, notify: [U0CLEO, group:sre], %s}
  - {name: quiet, profiles: [staging], users: [S0ENG], max_duration: 2h}
"""


@pytest.fixture
def policy() -> Policy:
    return parse_policy((TEXT % "ask_before_end: 5m, review_within: 7d").encode())


def test_card_of_a_rule_mentions_each_once_in_a_fixed_order(policy: Policy) -> None:
    assert [str(each) for each in policy.notifications.mentioned_by("told")] == ["S0ONCALL", "U0BOB", "U0CLEO"]
    assert policy.notifications.mentioned_by("quiet") == ()
    assert policy.notifications.mentioned_by("removed since") == ()


def test_mention_gives_no_right_and_looks_nobody_up() -> None:
    policy = parse_policy((TEXT % "mfa: optional").replace("group:sre], %s", "S0MANAGERS]").encode())
    assert "S0MANAGERS" not in policy.user_groups()


def test_rule_says_when_people_are_asked_with_defaults(policy: Policy) -> None:
    assert policy.notifications.times_of("told") == (timedelta(minutes=5), timedelta(days=7))
    defaults = (timedelta(minutes=10), timedelta(days=3))
    assert policy.notifications.times_of("quiet") == policy.notifications.times_of("removed since") == defaults


def test_reviewers_are_the_approvers_of_all_the_profiles_rules(policy: Policy) -> None:
    assert {str(each) for each in policy.notifications.reviewers_of("prod")} == {"U0BOB", "S0ONCALL", "U0CLEO"}
    assert {str(each) for each in policy.notifications.reviewers_of("staging")} == {"U0CLEO"}


def test_security_channel_is_the_one_that_the_file_names(policy: Policy) -> None:
    assert policy.notifications.security_channel is None
    named = parse_policy((TEXT % "mfa: required" + "security_channel: C0SECURITY\n").encode())
    assert named.notifications.security_channel == "C0SECURITY"


def test_profile_may_need_a_code_when_one_of_its_rules_does() -> None:
    policy = parse_policy((TEXT % "mfa: required").encode())
    assert [policy.may_need_code(name) for name in ("prod", "staging", "vault")] == [True, False, False]


def test_rule_says_what_to_do_without_countersign() -> None:
    policy = parse_policy((TEXT % "fallback: ' Call the duty manager '").encode())
    assert policy.fallbacks_for("prod") == ("Call the duty manager",)
    assert policy.fallbacks_for("staging") == ()
