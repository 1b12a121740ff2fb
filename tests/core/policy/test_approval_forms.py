"""What a rule says about several requests of one person, and about what an approval takes besides a press."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.open_requests import RequestLimits
from core.policy.decision import ApprovalNeeds, Decision, GivenWithVote
from tests.core.policy.test_evaluator import ALICE, BOB, HOUR, MALLORY, NOW, actor, policy, rule

if TYPE_CHECKING:
    from pydantic import JsonValue

EVERYTHING = GivenWithVote(has_form=True, has_comment=True, has_code=True)
STRICT: dict[str, JsonValue] = {"confirm": True, "comment": "required", "approver_mfa": "required"}


def _judge(given: GivenWithVote | None, varied: dict[str, JsonValue], who: str = BOB) -> Decision:
    judged = policy(rule(**varied))
    return judged.judge_decider("approve", actor(who), profile="prod", rule="main", requester=ALICE, given=given)


def test_one_open_request_and_no_cooldown_are_the_default() -> None:
    decision = policy(rule()).judge_request(actor(ALICE), "prod", HOUR, NOW)
    assert decision.limits == RequestLimits(max_pending=1, cooldown_after_denial=None)


def test_limits_of_the_rule_come_with_the_decision() -> None:
    judged = policy(rule(max_pending=3, cooldown_after_denial="2h"))
    decision = judged.judge_request(actor(ALICE), "prod", HOUR, NOW)
    assert decision.limits == RequestLimits(max_pending=3, cooldown_after_denial=timedelta(hours=2))


def test_approval_takes_nothing_more_than_a_press_by_default() -> None:
    assert policy(rule()).approval_needs("main") == ApprovalNeeds()
    assert not policy(rule()).approval_needs("main").any
    assert _judge(GivenWithVote(), {}).is_allowed


def test_needs_are_those_of_the_rule_that_made_the_request() -> None:
    judged = policy(rule(**STRICT, requesters=[ALICE]), rule(name="other"))
    assert judged.approval_needs("main") == ApprovalNeeds(confirm=True, code=True, comment=True)
    assert judged.approval_needs("other") == ApprovalNeeds()
    assert judged.approval_needs("gone") == ApprovalNeeds()


@pytest.mark.parametrize(
    ("missing", "name", "text"),
    [
        ("has_form", "form", "confirmed in the form"),
        ("has_comment", "comment", "a comment is required"),
        ("has_code", "code", "an MFA code is required"),
    ],
)
def test_what_is_missing_is_an_unmet_condition_by_name(missing: str, name: str, text: str) -> None:
    assert _judge(EVERYTHING, STRICT).is_allowed
    decision = _judge(EVERYTHING.model_copy(update={missing: False}), STRICT)
    (unmet,) = [each for each in decision.conditions if not each.is_met]
    assert unmet.name == name
    assert text in unmet.text


def test_without_what_came_with_it_only_the_person_is_judged() -> None:
    assert _judge(None, STRICT).is_allowed
    assert not _judge(None, STRICT, MALLORY).is_allowed


def test_form_makes_nobody_an_approver() -> None:
    assert not _judge(EVERYTHING, STRICT, MALLORY).is_allowed
    assert not _judge(EVERYTHING, {**STRICT, "approvers": [ALICE]}, ALICE).is_allowed


def test_denying_takes_no_more_than_the_right() -> None:
    judged = policy(rule(**STRICT))
    assert judged.judge_decider("deny", actor(BOB), profile="prod", rule="main", requester=ALICE).is_allowed


def test_approvers_who_need_codes_are_known() -> None:
    assert BOB in policy(rule(approver_mfa="required")).named_for_codes()
    assert BOB not in policy(rule()).named_for_codes()
