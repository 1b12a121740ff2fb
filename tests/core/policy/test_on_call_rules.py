"""What a policy says of people on call: in words, with the shift, and never more than the schedule said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from core.actor import Actor, UserId
from core.break_glass import ReasonCode
from core.clock import TICK
from core.duty import Duty, OnCallName, on_call_name
from core.errors import NotKnown
from core.invalid_policy import InvalidPolicy
from core.policy import Decision, Policy, parse_policy
from core.policy.difference import compare_policies
from core.policy.lint import all_selectors
from core.policy.on_call_lint import find_on_call_notes
from core.policy.replay import KnownDuties, replay_request
from core.policy.rules import PolicyDocument
from tests.builders import HOUR, a_request

Holds = tuple[bool | None, bool | None]
"""Whether a person is on call, and whether they may approve."""
NOW: Final = datetime(2026, 1, 15, 17, tzinfo=UTC)
PRIMARY, NIGHT = on_call_name("primary"), on_call_name("night")
SAM, BEN = UserId("U0SAM1"), UserId("U0BEN1")
RULES: Final = """
version: 1
on_call:
  primary: {pagerduty: {schedule: PABC123, key: env:PD}}
  night: {ical: {url: "https://calendar.example.com/night.ics"}}
groups: {responders: ["on-call:primary", U0BEN1]}
profiles: {prod: {channel: C0ACCESS1}}
admins: ["on-call:night"]
approval:
  - name: prod
    profiles: [prod]
    approvers: ["on-call:primary", "group:responders"]
    max_duration: 4h
    auto_approve: {requesters: ["on-call:primary"]}
break_glass:
  - {name: glass, profiles: [prod], users: ["group:responders"], max_duration: 1h}
"""
POLICY: Final = parse_policy(RULES.encode())


def duty(holds: Holds, *, name: OnCallName = PRIMARY, ends: timedelta | None = HOUR) -> Duty:
    is_on_call, may_approve = holds
    return Duty(
        name=name,
        is_on_call=is_on_call,
        may_approve=may_approve,
        source="pagerduty",
        schedule="PABC123",
        starts_at=NOW - HOUR,
        ends_at=NOW + ends if ends is not None else None,
        answered_at=NOW,
    )


ALONE: Final = 'approvers: ["on-call:primary", "group:responders"]'
ON_CALL: Final = duty((True, True))


def sam(*duties: Duty) -> Actor:
    return Actor(id=SAM).with_duties({each.name: each for each in duties})


def approve(person: Actor, requester: UserId = BEN, policy: Policy = POLICY, *, waited: timedelta = HOUR) -> Decision:
    return policy.judge_decider(
        "approve",
        person,
        profile="prod",
        rule="prod",
        requester=requester,
        waits_since=NOW - waited,
        now=NOW,
    )


def break_glass(person: Actor, policy: Policy = POLICY) -> Decision:
    return policy.judge_break_glass(person, "prod", ReasonCode.INCIDENT, HOUR, NOW, has_mfa=False)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (duty((True, True)), "is on call in primary until 18:00 UTC (pagerduty)"),
        (duty((True, True), ends=None), "is on call in primary (pagerduty)"),
        (duty((True, True), ends=9 * HOUR), "is on call in primary until 2026-01-16 02:00 UTC (pagerduty)"),
        (duty((None, True)), "is on call in primary until 18:00 UTC (pagerduty, as of 17:00 UTC)"),
        (
            duty((False, True), ends=timedelta(minutes=-1)),
            "was on call in primary until 16:59 UTC (pagerduty), which still counts for approving",
        ),
    ],
)
def test_decision_says_the_duty_in_words(held: Duty, said: str) -> None:
    decision = approve(sam(held))
    assert decision.is_allowed
    assert f"U0SAM1 {said}, among the approvers of rule prod" in [each.text for each in decision.conditions]
    assert decision.duty == held


def test_details_keep_source_schedule_and_shift_once() -> None:
    held = duty((True, True))
    assert approve(sam(held)).to_details()["on_call"] == [held.to_details()]
    assert break_glass(sam(held)).to_details()["on_call"] == [held.to_details()]
    assert "on_call" not in approve(Actor(id=BEN), SAM).to_details()


def test_duty_by_which_two_conditions_are_met_is_kept_once() -> None:
    hours = ALONE + "\n    approver_hours: {hours: 09:00-10:00, timezone: UTC}"
    decision = approve(sam(ON_CALL), policy=parse_policy(RULES.replace(ALONE, hours).encode()))
    assert [each.name for each in decision.conditions if each.duty is not None] == ["approver", "hours"]
    assert decision.to_details()["on_call"] == [ON_CALL.to_details()]


def test_replayed_vote_has_the_schedule_that_it_was_given_by() -> None:
    policy = parse_policy(RULES.replace('    auto_approve: {requesters: ["on-call:primary"]}\n', "").encode())
    asked = a_request(requester=BEN)
    voted, unsaid = (asked.approve(SAM, asked.created_at + HOUR, on_call=each) for each in (PRIMARY, None))
    assert replay_request(policy, voted, {}) is None
    found = replay_request(policy, unsaid, {})
    assert found is not None
    assert found.unknown == {PRIMARY}
    said = KnownDuties({PRIMARY: frozenset({SAM})})
    assert replay_request(policy, unsaid, {}, said) is None


@pytest.mark.parametrize("held", [duty((None, True)), duty((False, True)), duty((None, None)), duty((False, False))])
def test_right_that_needs_nobody_else_is_strict(held: Duty) -> None:
    person = sam(held)
    asked = POLICY.judge_request(person, "prod", HOUR, NOW)
    assert not break_glass(person).is_allowed
    assert asked.is_allowed
    assert asked.auto_approval is not None
    assert not asked.auto_approval.is_allowed
    assert not POLICY.judge_admin(
        person.with_duties({NIGHT: duty((held.is_on_call, held.may_approve), name=NIGHT)})
    ).is_allowed


@pytest.mark.parametrize(
    "automatic", ['requesters: ["on-call:primary"]', 'max_duration: 4h}\n    requesters: ["on-call:primary"]\n#']
)
def test_shift_that_ends_before_the_start_approves_nothing(automatic: str) -> None:
    changed = RULES.replace('requesters: ["on-call:primary"]', automatic)
    policy = parse_policy(
        changed.replace("    max_duration: 4h\n", "    max_duration: 4h\n    starts_within: 7d\n").encode()
    )
    for ahead, is_approved in ((HOUR - TICK, True), (HOUR, False)):
        asked = policy.judge_request(sam(ON_CALL), "prod", HOUR, NOW, NOW + ahead)
        assert asked.is_allowed
        assert asked.auto_approval is not None
        assert asked.auto_approval.is_allowed is is_approved


def test_what_is_not_known_names_source_and_schedule() -> None:
    decision = approve(sam())
    assert decision.needs == {PRIMARY}
    with pytest.raises(NotKnown, match="PagerDuty couldn't say who is on call in primary") as refusal:
        decision.require()
    assert refusal.value.groups == (PRIMARY,)
    assert POLICY.judge_admin(sam()).unmet == ("the calendar couldn't say who is on call in night, among the admins",)


def test_groups_and_schedules_that_are_not_known_are_both_named() -> None:
    people = POLICY.document.named_people()
    said = people.describe_unknown(SAM, {PRIMARY, NIGHT, "S0OPS1", on_call_name("gone")})  # type: ignore[arg-type]
    assert said == (
        "Slack couldn't say whether U0SAM1 is in S0OPS1 and PagerDuty couldn't say who is on call in primary and "
        "nobody could say who is on call in gone and the calendar couldn't say who is on call in night"
    )


# Whatever the policy, the person and the schedules are --------------------------------------------------------------

_DUTIES: Final = st.dictionaries(
    st.sampled_from([PRIMARY, NIGHT]),
    st.tuples(st.sampled_from([True, False, None]), st.sampled_from([True, False, None])),
)
_WHO: Final = st.lists(
    st.sampled_from(["on-call:primary", "on-call:night", "U0CLEO1", "group:mixed"]), min_size=1, max_size=3
)


def _policy(draw: st.DrawFn, *always: str) -> Policy:
    def who() -> JsonValue:
        return [*draw(_WHO), *always]

    automatic: JsonValue = {"requesters": who(), "max_duration": "4h"}
    terms: dict[str, JsonValue] = {"auto_approve": automatic} if draw(st.booleans()) else {}
    approval: list[JsonValue] = [
        {"name": f"a{n}", "profiles": ["*"], "requesters": who(), "approvers": who(), "max_duration": "4h", **terms}
        for n in range(draw(st.integers(1, 3)))
    ]
    glass: list[JsonValue] = [
        {"name": f"g{n}", "profiles": ["*"], "users": who(), "max_duration": "4h"}
        for n in range(draw(st.integers(1, 3)))
    ]
    file = {
        "version": 1,
        "on_call": {"primary": {"demo": {"schedule": "a"}}, "night": {"demo": {"schedule": "b"}}},
        "groups": {"mixed": ["on-call:night", *draw(st.sampled_from([(), ("U0CLEO1",)]))]},
        "profiles": {"prod": {"channel": "C0ACCESS1"}},
        "approval": approval,
        "break_glass": glass,
    }
    return Policy(digest="0" * 64, document=PolicyDocument.model_validate(file))


policies = st.composite(_policy)


def _person(duties: Mapping[OnCallName, Holds]) -> Actor:
    return sam(*(duty(holds, name=name) for name, holds in duties.items()))


@settings(max_examples=150, deadline=None)
@given(judged=policies(), duties=_DUTIES)
def test_schedule_that_is_away_never_grants(judged: Policy, duties: dict[OnCallName, Holds]) -> None:
    """What isn't known, or only known for approving, gives nothing that a plain no wouldn't give."""
    known = {name: (is_on_call is True, is_on_call is True) for name, (is_on_call, _) in duties.items()}
    everywhere = dict.fromkeys((PRIMARY, NIGHT), (False, False)) | known
    unsure, sure = _person(duties), _person(everywhere)
    glass = break_glass(unsure, judged)
    assert not glass.is_allowed or break_glass(sure, judged).is_allowed
    asked, answer = (judged.judge_request(each, "prod", HOUR, NOW) for each in (unsure, sure))
    assert not asked.is_allowed or answer.is_allowed
    if asked.auto_approval is not None and asked.auto_approval.is_allowed:
        assert answer.auto_approval is not None
        assert answer.auto_approval.is_allowed
    for rule in judged.document.approval:
        held = {name: duty((False, may is True), name=name) for name, (_, may) in duties.items()}
        absent = {name: duty((False, False), name=name) for name in (PRIMARY, NIGHT)} | held
        votes = (
            judged.judge_decider("approve", each, profile="prod", rule=rule.name, requester=BEN)
            for each in (unsure, unsure.with_duties(absent))
        )
        vote, complete = votes
        assert vote.is_allowed <= complete.is_allowed


@settings(max_examples=100, deadline=None)
@given(judged=policies(SAM), duties=_DUTIES)
def test_person_named_by_id_is_never_stopped(judged: Policy, duties: dict[OnCallName, Holds]) -> None:
    person = _person(duties)
    first = judged.document.approval[0].name
    vote = judged.judge_decider("approve", person, profile="prod", rule=first, requester=BEN)
    asked = judged.judge_request(person, "prod", HOUR, NOW)
    for decision in (break_glass(person, judged), asked, vote):
        assert decision.is_allowed
        assert decision.needs == frozenset()
    assert asked.auto_approval is None or asked.auto_approval.is_allowed


# Whom to ask next ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approvers", "waited", "said"),
    [
        (ALONE, 0, "ask U0BEN1, who may decide under rule prod too"),
        ('approvers: ["on-call:primary", U0SAM1, S0LEADS]', 0, "ask S0LEADS, who may decide under rule prod too"),
        (
            'approvers: ["on-call:primary"]',
            0,
            "if nobody else is on call, nobody can decide under rule prod: ask a policy owner to add an approver",
        ),
        (
            'approvers: ["on-call:primary"]\n    escalate_after: 10m\n    escalate_to: ["on-call:night", S0LEADS]',
            0,
            "who is on call in night or S0LEADS may decide once it has waited 10m",
        ),
        (
            'approvers: ["on-call:primary"]\n    escalate_after: 10m\n    escalate_to: ["on-call:night", S0LEADS]',
            10,
            "ask who is on call in night or S0LEADS, who may decide under rule prod too",
        ),
    ],
)
def test_person_alone_on_call_reads_whom_to_ask(approvers: str, waited: int, said: str) -> None:
    policy = parse_policy(RULES.replace(ALONE, approvers).encode())
    person = sam(ON_CALL, duty((False, False), name=NIGHT))
    # Of two schedules, the person is on call in one: the other one is somebody to ask.
    decision = approve(person, SAM, policy, waited=timedelta(minutes=waited))
    own = "U0SAM1 is the requester, and nobody decides on their own request"
    assert not decision.is_allowed
    assert decision.unmet == (own, said)


def test_others_read_only_that_it_is_their_own() -> None:
    off_duty = sam(duty((False, False)))
    named = RULES.replace(ALONE, "approvers: [U0SAM1, U0BEN1]")
    for decision in (approve(off_duty, SAM), approve(Actor(id=SAM), SAM, parse_policy(named.encode()))):
        assert not any("ask" in each for each in decision.unmet)


# Mistakes, notes and differences ------------------------------------------------------------------------------------


ADMINS: Final = 'admins: ["on-call:night"]'
SCHEDULE_MISTAKES: Final = [
    (RULES.replace(ADMINS, 'admins: ["on-call:nigt"]'), "there is no schedule 'nigt' in on_call"),
    (RULES.replace(ADMINS, 'admins: ["oncall: night"]'), "'oncall: night' is not how a schedule is named"),
    (RULES.replace(ADMINS, 'admins: ["on-call:"]'), "'on-call:' names no schedule"),
    (
        RULES.replace("  primary: {pagerduty: {schedule: PABC123, key: env:PD}}\n", ""),
        "there is no schedule 'primary' in on_call",
    ),
]


@pytest.mark.parametrize(("text", "mistake"), SCHEDULE_MISTAKES, ids=[each[1] for each in SCHEDULE_MISTAKES])
def test_schedule_that_is_not_defined_is_a_mistake(text: str, mistake: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        parse_policy(text.encode())
    assert mistake in [each.problem for each in refused.value.problems]


def test_name_that_is_nearly_right_has_the_right_one_as_its_fix() -> None:
    for written, fix in (("on-call:nigt", "Did you mean night?"), ("on_call/night", "Write on-call:night.")):
        with pytest.raises(InvalidPolicy) as refused:
            parse_policy(RULES.replace(ADMINS, f'admins: ["{written}"]').encode())
        assert [each.fix for each in refused.value.problems] == [fix]


ALONE_EDIT: Final = (ALONE, 'approvers: ["on-call:primary"]')
QUORUM_EDIT: Final = (ALONE, 'approvers: ["on-call:primary"]\n    required_approvals: 2')
FEED_EDIT: Final = ('users: ["group:responders"]', 'users: ["on-call:night", S0OPS]')
UNUSED_EDIT: Final = (f"{ADMINS}\n", "")


def notes(*edits: tuple[str, str]) -> list[str]:
    text = RULES
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    document = parse_policy(text.encode()).document
    named = document.named_people().leaves(tuple(each for _, each in all_selectors(document)))
    return [f"{'.'.join(map(str, each.path))}: {each.problem}" for each in find_on_call_notes(document, named)]


def test_rule_that_depends_on_a_schedule_is_noted() -> None:
    assert notes() == []
    assert notes(UNUSED_EDIT) == ["on_call.night: no rule names this schedule"]
    assert notes(ALONE_EDIT) == [
        "approval.0.approvers: nobody else decides when the person on call asks (on-call:primary)"
    ]
    assert notes(QUORUM_EDIT) == [
        (
            "approval.0.required_approvals: 2 approvals are needed, and in most schedules one person is on call: "
            "on-call:primary"
        )
    ]
    assert notes(FEED_EDIT) == [
        "break_glass.0.users: while the calendar can't be asked, nobody can break the glass under this rule",
        "break_glass.0.users: on-call:night is a calendar feed, which may be hours behind",
    ]


def test_difference_has_the_people_on_call_and_their_source() -> None:
    new = RULES.replace("PABC123", "PXYZ").replace('users: ["group:responders"]', "users: [U0BEN1]")
    found = compare_policies(POLICY, parse_policy(new.encode()))
    assert [(each.people, [change.right for change in each.changes]) for each in found.people] == [
        (("the people on call in primary",), ["break the glass for prod"])
    ]
    assert [(each.right, each.before, each.after) for each in found.schedules] == [
        ("on-call:primary", "pagerduty PABC123", "pagerduty PXYZ")
    ]
    moved = parse_policy(RULES.replace("night.ics", "other.ics").encode())
    assert [each.after for each in compare_policies(POLICY, moved).schedules] == [
        "ical calendar.example.com with other settings"
    ]
