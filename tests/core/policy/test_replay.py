"""Past decisions under another policy: what would differ is said, what can't be judged too, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from core.actor import DeciderId, ProfileName, UserGroupId, UserId
from core.audit.trail import AuditAction, AuditEntry
from core.policy import Policy
from core.policy.loader import parse_policy
from core.policy.replay import Groups, replay_event, replay_refusal, replay_request
from core.request import Request
from tests.builders import HOUR, a_request, an_event
from tests.harness.clock import A_MOMENT

ANN, BOB, CAL = UserId("U0ANN"), UserId("U0BOB"), UserId("U0CAL")
PROD: Final = ProfileName("prod")
GROUPS: Final[Groups] = {UserGroupId("S0ENG"): frozenset({ANN}), UserGroupId("S0LEADS"): frozenset({BOB, CAL})}
TEXT: Final = """\
version: 1
profiles: {prod: {channel: C0ACCESS1}}
approval:
  - {name: prod, profiles: [prod], requesters: [S0ENG], approvers: [S0LEADS], max_duration: 4h}
break_glass:
  - {name: on-call, profiles: [prod], users: [S0ENG], max_duration: 2h}
"""


def policy(before: str = "", after: str = "") -> Policy:
    return parse_policy(TEXT.replace(before, after).encode() if before else TEXT.encode())


def approved() -> Request:
    request = a_request(requester=ANN, profile=PROD, rule="prod")
    return request.approve(BOB, A_MOMENT + timedelta(minutes=1))


def differences(before: str, after: str, request: Request | None = None) -> tuple[str, ...]:
    found = replay_request(policy(before, after), request or approved(), GROUPS)
    return found.differences if found is not None else ()


def test_same_policy_decides_the_same() -> None:
    assert replay_request(policy(), approved(), GROUPS) is None
    assert replay_event(policy(), an_event(invoker=ANN, profile=PROD), GROUPS) is None


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        ("max_duration: 4h", "max_duration: 30m", "would be refused: 1h is longer than the 30m that are allowed"),
        (
            "requesters: [S0ENG]",
            "requesters: [S0LEADS]",
            "would be refused: no rule lets U0ANN request prod",
        ),
        (
            "max_duration: 4h}",
            "max_duration: 4h, required_approvals: 2}",
            "needed 1 approval, would need 2 approvals",
        ),
        ("max_duration: 4h}", "max_duration: 4h, auto_approve: {max_duration: 2h}}", "would be approved automatically"),
        ("approvers: [S0LEADS]", "approvers: [U0CAL]", "the decision of U0BOB would be refused: "),
        ("{name: prod,", "{name: other,", "was decided by rule prod, would be by rule other"),
    ],
)
def test_difference_of_a_request_is_named(before: str, after: str, difference: str) -> None:
    found = replay_request(policy(before, after), approved(), GROUPS)
    assert found is not None
    assert any(each.startswith(difference) for each in found.differences), found.differences


def test_profile_that_is_gone_is_named() -> None:
    gone = parse_policy(TEXT.replace("prod: {channel", "vault: {channel").replace("[prod]", "[vault]").encode())
    found = replay_request(gone, approved(), GROUPS)
    assert found is not None
    assert found.differences == ("there is no profile 'prod'",)


def test_request_that_was_automatic_and_no_longer_would_be() -> None:
    automatic = "max_duration: 4h, auto_approve: {max_duration: 2h}}"
    request = a_request(requester=ANN, profile=PROD, rule="prod").approve_by_policy(A_MOMENT)
    assert differences("max_duration: 4h}", automatic, request) == ()
    assert differences("", "", request) == ("was approved automatically, would need 1 approval",)


def test_denial_by_somebody_without_the_right_is_named() -> None:
    denied = a_request(requester=ANN, profile=PROD, rule="prod").deny(BOB, A_MOMENT, "not now")
    assert differences("", "", denied) == ()
    (found,) = differences("approvers: [S0LEADS]", "approvers: [U0CAL]", denied)
    assert found.startswith("the decision of U0BOB would be refused")


@pytest.mark.parametrize("known", [{}, {UserGroupId("S0ENG"): frozenset({ANN})}])
def test_what_depends_on_an_unknown_group_is_not_judged(known: Groups) -> None:
    found = replay_request(policy(), approved(), known)
    assert found is not None
    assert (found.is_known, found.differences) == (False, ())


def test_difference_of_an_event_is_named() -> None:
    event = an_event(invoker=ANN, profile=PROD, duration=HOUR)
    found = replay_event(policy("max_duration: 2h}", "max_duration: 2h, mfa: required}"), event, GROUPS)
    assert found is not None
    assert found.differences == ("would be refused: an MFA code is required and was not verified",)
    unknown = replay_event(policy(), event, {})
    assert unknown is not None
    assert unknown.unknown == {"S0ENG"}


def a_refusal(event: AuditAction, person: UserId, **details: str) -> AuditEntry:
    return AuditEntry(
        event=event, actor=DeciderId(person), outcome="refused", profile=PROD, details=dict(details),
        chain="REFUSALS#1", seq=1, at=A_MOMENT, key_id="k",
    )  # fmt: skip


@pytest.mark.parametrize("event", [AuditAction.SUBMIT_REFUSED, AuditAction.INVOKE_REFUSED])
def test_refusal_that_would_be_allowed_is_named(event: AuditAction) -> None:
    found = replay_refusal(policy(), a_refusal(event, ANN, unmet="no rule"), GROUPS)
    assert found is not None
    assert found.differences[0].startswith("might be allowed, by rule ")
    assert replay_refusal(policy(), a_refusal(event, BOB, unmet="no rule"), GROUPS) is None
    assert replay_refusal(policy(), a_refusal(event, ANN, limit="open request"), GROUPS) is None


def test_other_refusals_are_not_replayed() -> None:
    assert replay_refusal(policy(), a_refusal(AuditAction.DENY_REFUSED, ANN, unmet="no"), GROUPS) is None
