"""Escalation and approver hours: who may decide at which moment, and the mistakes that a file can have there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.actor import Actor, ProfileName, UserGroupId, UserId
from core.clock import TICK
from core.errors import NotAllowed, NotKnown
from core.invalid_policy import InvalidPolicy
from core.on_call import FixedRoster, on_call_name
from core.policy import Policy, parse_policy
from core.policy.difference import compare_policies
from core.policy.escalation_config import QUIET_AFTER_STEP, EscalationStep, TimedStep, find_reminder
from core.policy.principals import parse_selector
from core.policy.time_window import TimeWindow
from tests.builders import a_request

if TYPE_CHECKING:
    from core.policy.decision import Decision
    from core.request import Request

MONDAY: Final = datetime.fromisoformat("2026-01-12T10:00:00Z")
NIGHT: Final = datetime.fromisoformat("2026-01-13T02:00:00Z")
ANN, SAM, LEA, KIM, RITA = (UserId(each) for each in ("U0ANN", "U0SAM", "U0LEA", "U0KIM", "U0RITA"))
LEADS: Final = UserGroupId("S0LEADS")
TWO_STEPS: Final = "escalation: [{after: 10m, to: [U0SAM]}, {after: 30m, to: [group:leads, U0KIM]}]"
HOURS: Final = "approver_hours: {days: [mon, tue, wed, thu, fri], hours: '09:00-17:00', timezone: UTC}"
TEXT: Final = """
version: 1
groups: {leads: [U0LEA, S0LEADS]}
on_call: {primary: {pagerduty: {schedule: PXYZ, key: 'env:PD'}}}
profiles: {prod: {description: Production, channel: C0ACCESS1}}
approval:
  - {name: main, profiles: [prod], approvers: [U0ANN], max_duration: 4h, decide_within: 2h, MORE}
"""


def file_with(more: str) -> bytes:
    """The file, with more keys in its rule."""
    return TEXT.replace("MORE", more).encode()


def policy(more: str, **changes: str) -> Policy:
    text = file_with(more).decode()
    for old, new in changes.items():
        text = text.replace({"approvers": "approvers: [U0ANN]"}.get(old, old), new)
    return parse_policy(text.encode())


ONE_STEP: Final = policy("escalate_after: 10m, escalate_to: [U0SAM]")


def judge(
    judged: Policy,
    who: UserId | Actor,
    waited: timedelta | None,
    *,
    since: datetime = MONDAY,
    action: Literal["approve", "deny"] = "approve",
) -> Decision:
    person = who if isinstance(who, Actor) else Actor(id=who, memberships={LEADS: False})
    now = since + waited if waited is not None else None
    return judged.judge_decider(action, person, profile="prod", rule="main", requester=RITA, waits_since=since, now=now)


def on_call(user_id: UserId, *names: str) -> Actor:
    roster = FixedRoster({on_call_name(each): [user_id] for each in names}, NIGHT)
    asked = [on_call_name(each) for each in ("primary", *names)]
    return Actor(id=user_id).with_duties(roster.duties(user_id, asked))


def starting_in(ahead: timedelta) -> Request:
    made = a_request(profile=ProfileName("prod"), rule="main", now=MONDAY)
    return made.model_copy(update={"starts_at": MONDAY + ahead, "expires_at": MONDAY + ahead})


@pytest.mark.parametrize(
    ("rule", "before"),
    [
        ("", 60),
        ("escalate_after: 10m, escalate_to: [U0SAM]", 60),
        (TWO_STEPS.replace("30m", "45m"), 90),
        # Never earlier than a request without a start would have been made.
        (TWO_STEPS.replace("30m", "110m"), 120),
    ],
)
def test_later_start_escalates_shortly_before_it(rule: str, before: int) -> None:
    judged, days = policy(rule), timedelta(days=2)
    request = starting_in(days)
    assert judged.waiting.urgent_since(request) == MONDAY + days - timedelta(minutes=before)
    assert judged.waiting.urgent_since(starting_in(timedelta(minutes=50))) == MONDAY
    assert all(each.at < request.expires_at for each in judged.waiting.steps_of(request))


@pytest.mark.parametrize("action", ["approve", "deny"])
@pytest.mark.parametrize(
    ("who", "comes_after"),
    [(ANN, 0), (SAM, 10), (LEA, 30), (KIM, 30)],
)
def test_step_may_decide_from_its_very_moment(
    who: UserId, comes_after: int, action: Literal["approve", "deny"]
) -> None:
    judged, moment = policy(TWO_STEPS), timedelta(minutes=comes_after)
    assert judge(judged, who, moment, action=action).is_allowed
    assert not judge(judged, who, moment - TICK, action=action).is_allowed or who == ANN


def test_two_keys_are_one_step() -> None:
    short, long = policy("escalate_after: 10m, escalate_to: [U0SAM]"), policy("escalation: [{after: 10m, to: [U0SAM]}]")
    steps = [each.document.approval[0].steps() for each in (short, long)]
    assert steps[0] == steps[1]
    assert len(steps[0]) == 1
    assert policy("comment: required").document.approval[0].steps() == ()


def test_no_step_comes_while_the_time_is_not_known() -> None:
    assert not judge(policy(TWO_STEPS), SAM, None).is_allowed
    decided = policy(TWO_STEPS).judge_decider(
        "approve", Actor(id=SAM), profile="prod", rule="main", requester=RITA, now=MONDAY + timedelta(days=1)
    )
    assert not decided.is_allowed


def test_decision_says_that_it_escalated() -> None:
    allowed = judge(policy(TWO_STEPS), SAM, timedelta(minutes=10))
    assert "U0SAM is named among those to whom rule main escalated it" in [each.text for each in allowed.conditions]
    refused = judge(policy(TWO_STEPS), LEA, timedelta(minutes=10))
    assert refused.unmet == (
        "U0LEA is not among the approvers of rule main, and those to whom it escalated: U0ANN, U0SAM",
        "U0LEA may decide once it has waited 30m",
    )
    assert len(judge(policy(TWO_STEPS), UserId("U0BEN"), timedelta(minutes=10)).unmet) == 1
    shut = judge(policy(f"{TWO_STEPS}, {HOURS}", approvers="approvers: [U0ANN, U0KIM]"), KIM, timedelta(), since=NIGHT)
    assert shut.unmet[-1] == "U0KIM may decide once it has waited 30m"


def test_user_group_of_a_step_is_asked_about_once_it_came() -> None:
    judged, stranger = policy(TWO_STEPS), Actor(id=UserId("U0NEW"))
    assert judge(judged, stranger, timedelta(minutes=29)).needs == frozenset()
    late = judge(judged, stranger, timedelta(minutes=30))
    assert late.needs == {LEADS}
    with pytest.raises(NotKnown):
        late.require()
    assert policy("escalate_after: 10m, escalate_to: [S0NIGHT]").user_groups() >= {"S0NIGHT"}


def test_requester_in_a_step_decides_nothing() -> None:
    judged = policy("escalate_after: 10m, escalate_to: [U0RITA, U0SAM]")
    with pytest.raises(NotAllowed, match="nobody decides on their own request"):
        judge(judged, RITA, timedelta(hours=1)).require()


def test_refusal_outside_the_hours_says_when_they_open() -> None:
    judged = policy(HOURS)
    assert judge(judged, ANN, timedelta()).is_allowed
    with pytest.raises(NotAllowed) as caught:
        judge(judged, ANN, timedelta(), since=NIGHT).require()
    assert caught.value.unmet == ("hours",)
    (said,) = caught.value.reasons
    assert said == (
        "approvers of rule main may approve only in their hours, Mon-Fri 09:00-17:00 UTC, "
        "next from 2026-01-13 09:00 UTC"
    )


def test_approver_may_deny_at_any_hour() -> None:
    assert judge(policy(HOURS), ANN, timedelta(), since=NIGHT, action="deny").is_allowed


def test_hours_stay_shut_while_the_time_is_not_known() -> None:
    assert not judge(policy(HOURS), ANN, None).is_allowed


def test_step_that_came_approves_outside_the_hours() -> None:
    judged = policy(f"{HOURS}, escalate_after: 10m, escalate_to: [U0SAM, U0ANN]")
    for who in (SAM, ANN):
        assert not judge(judged, who, timedelta(minutes=9), since=NIGHT).is_allowed
        assert judge(judged, who, timedelta(minutes=10), since=NIGHT).is_allowed


def test_approver_on_call_approves_outside_the_hours() -> None:
    judged = policy(HOURS, approvers="approvers: [U0ANN, on-call:primary]")
    assert judge(judged, on_call(SAM, "primary"), timedelta(), since=NIGHT).is_allowed
    assert judge(judged, on_call(ANN, "primary"), timedelta(), since=NIGHT).is_allowed
    refused = judge(judged, on_call(ANN), timedelta(), since=NIGHT)
    assert not refused.is_allowed
    assert refused.unmet[0].endswith("; on-call:primary may approve now")
    unknown = judge(judged, Actor(id=ANN), timedelta(), since=NIGHT)
    assert unknown.needs == {"on-call:primary"}
    assert judge(judged, Actor(id=ANN), timedelta()).is_allowed


def policy_with(steps: list[tuple[int, str]]) -> Policy:
    """The policy with these steps, made without reading a file, which takes much longer."""
    rule = ONE_STEP.document.approval[0]
    made = tuple(
        EscalationStep.model_construct(after=timedelta(minutes=after), to=(parse_selector(who),))
        for after, who in steps
    )
    changed = rule.model_copy(update={"escalate_after": None, "escalate_to": None, "escalation": made})
    return Policy(digest="0" * 64, document=ONE_STEP.document.model_copy(update={"approval": (changed,)}))


@given(
    afters=st.lists(st.integers(1, 119), min_size=1, max_size=5, unique=True).map(sorted),
    waited=st.integers(0, 130),
    who=st.integers(0, 5),
)
def test_who_decides_agrees_with_the_table_of_steps(afters: list[int], waited: int, who: int) -> None:
    judged = policy_with([(after, f"U0STEP{number}") for number, after in enumerate(afters)])
    person = UserId(f"U0STEP{who}")
    expected = who < len(afters) and waited >= afters[who]
    assert judge(judged, person, timedelta(minutes=waited)).is_allowed == expected
    come = [
        each.number
        for each in judged.waiting.steps("main", "prod", MONDAY)
        if each.has_come(MONDAY + timedelta(minutes=waited))
    ]
    assert come == list(range(1, sum(after <= waited for after in afters) + 1))


@given(afters=st.lists(st.integers(1, 100), max_size=5, unique=True).map(sorted), due=st.integers(0, 120))
def test_reminder_never_comes_right_after_a_step(afters: list[int], due: int) -> None:
    steps = [TimedStep(n, MONDAY + timedelta(minutes=after), ()) for n, after in enumerate(afters, start=1)]
    asked = MONDAY + timedelta(minutes=due)
    at = find_reminder(steps, asked)
    assert at >= asked
    assert not any(step.at <= at < step.at + QUIET_AFTER_STEP for step in steps)
    # It is put off by steps only, and not past the first quiet moment.
    assert at == asked or any(at == step.at + QUIET_AFTER_STEP for step in steps)


MISTAKES: Final = {
    "escalate_after: 10m": "approval[0]: escalate_after needs escalate_to",
    "escalate_to: [U0SAM]": "approval[0]: escalate_to needs escalate_after",
    f"escalate_after: 5m, escalate_to: [U0LEA], {TWO_STEPS}": "approval[0]: escalation is given twice",
    "escalate_after: 2h, escalate_to: [U0SAM]": "approval[0].escalate_after: a step after 2h would come too late",
    "escalation: [{after: 30m, to: [U0SAM]}, {after: 30m, to: [U0LEA]}]": (
        "approval[0].escalation[1].after: this step comes after 30m, and the one before it after 30m"
    ),
    "escalate_after: 10m, escalate_to: [U0ANN]": "approval[0].escalate_to: everybody here may decide before this step",
    "escalation: [{after: 1m, to: [U0SAM]}, {after: 2m, to: [U0SAM]}]": (
        "approval[0].escalation[1].to: everybody here may decide before this step"
    ),
    "escalate_after: 10m, escalate_to: [group:lead]": "approval[0].escalate_to[0]: there is no group 'lead'",
    "escalate_after: 10m, escalate_to: [on-call:secondary]": "approval[0].escalate_to[0]: there is no schedule",
    "escalate_after: 10m, escalate_to: [ann@example.com]": "approval[0].escalate_to[0]",
    "required_approvals: 2": "approval[0].required_approvals: 2 approvals are needed",
    "approver_hours: {timezone: Mars}": "approval[0].approver_hours.timezone: 'Mars' is not a time zone",
}


@pytest.mark.parametrize("more", MISTAKES)
def test_mistake_in_an_escalation_is_named_with_its_place(more: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        policy(more)
    assert MISTAKES[more] in str(caught.value)


def test_quorum_may_need_a_step() -> None:
    assert policy("required_approvals: 2, escalate_after: 10m, escalate_to: [U0SAM]").document.approval


def test_difference_says_who_gains_a_step_and_who_gets_hours() -> None:
    found = compare_policies(policy("comment: required"), policy(f"comment: required, {HOURS}, {TWO_STEPS}"))
    said = {name: change.after for each in found.people for name in each.people for change in each.changes}
    assert said["U0ANN"] == "in some hours; with a comment"
    assert said["U0SAM"] == "once it has waited 10m; with a comment"
    assert said["everybody in S0LEADS"] == "once it has waited 30m; with a comment"


OPENINGS: Final = [
    ("2026-01-13T02:00:00Z", {"hours": "09:00-17:00", "timezone": "UTC"}, "2026-01-13T09:00:00+00:00"),
    ("2026-01-13T09:00:00Z", {"hours": "09:00-17:00", "timezone": "UTC"}, "2026-01-13T09:00:00+00:00"),
    ("2026-01-13T09:00:01Z", {"hours": "09:00-17:00", "timezone": "UTC"}, "2026-01-14T09:00:00+00:00"),
    ("2026-01-16T18:00:00Z", {"days": ["mon"], "timezone": "Europe/Berlin"}, "2026-01-18T23:00:00+00:00"),
    # The clocks go from 02:00 to 03:00, so it opens then; where all of it is skipped, a day later.
    ("2026-03-28T12:00:00Z", {"hours": "02:30-05:00", "timezone": "Europe/Berlin"}, "2026-03-29T01:00:00+00:00"),
    ("2026-03-28T12:00:00Z", {"hours": "02:15-02:45", "timezone": "Europe/Berlin"}, "2026-03-30T00:15:00+00:00"),
    # The hour that comes twice.
    ("2026-10-25T00:31:00Z", {"hours": "02:30-05:00", "timezone": "Europe/Berlin"}, "2026-10-25T01:30:00+00:00"),
]


@pytest.mark.parametrize(("now", "hours", "opens"), OPENINGS)
def test_next_opening_is_the_moment_the_window_opens(now: str, hours: dict[str, object], opens: str) -> None:
    window = TimeWindow.model_validate(hours)
    found = window.next_opening(datetime.fromisoformat(now))
    assert found is not None
    assert found.isoformat() == opens
    assert window.is_open(found)
    assert not window.is_open(found - TICK)


def test_keys_of_an_escalation_are_read_strictly() -> None:
    with pytest.raises((InvalidPolicy, ValidationError)):
        policy("escalation: []")
