"""Who is asked about, when, and what somebody may do while it isn't known."""

from __future__ import annotations

import pytest

from core.actor import Actor, UserGroupId, UserId
from core.directory import DirectoryNotes, FixedDirectory
from core.errors import CodeRefused, LimitReached, NotAllowed, NotKnown
from core.policy import parse_policy
from core.services import BreakGlassService, RequestService
from core.services.membership import Judging
from core.stores import Stores
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    DEPLOY,
    INCIDENT,
    NOTES,
    OUTAGE,
    POLICY,
    RITA,
    ChangingPolicy,
    event_id_of,
    request_id_of,
)
from tests.harness.clock import A_MOMENT, FrozenClock
from tests.harness.directory import OfficeDirectory
from tests.harness.mfa import WrittenCodes, code_at

SRE, ENGINEERS = UserGroupId("S0SRE"), UserGroupId("S0ENGINEERS")
BY_GROUP = {"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [S0SRE, U0BOB]"}


@pytest.fixture
def silent(directory: OfficeDirectory) -> OfficeDirectory:
    """A directory that knows no user group."""
    directory.fall_silent(SRE, ENGINEERS)
    return directory


def test_person_named_by_id_needs_nobody_s_answer(
    break_glass: BreakGlassService, policy: ChangingPolicy, silent: OfficeDirectory
) -> None:
    policy.edit(BY_GROUP)
    event = break_glass.invoke(BOB, "prod", INCIDENT, OUTAGE, HOUR)
    assert break_glass.close(event_id_of(event), BOB, "it is over").closed_by == BOB.id
    assert silent.questions == []
    assert silent.confirmed == []


def test_approver_named_by_id_closes_while_groups_are_silent(
    break_glass: BreakGlassService, policy: ChangingPolicy, silent: OfficeDirectory
) -> None:
    event = break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    policy.edit(BY_GROUP)
    assert break_glass.close(event_id_of(event), BOB, "it is over").closed_by == BOB.id
    assert silent.questions == []


def test_person_of_a_silent_group_is_told_so_and_tries_again(
    break_glass: BreakGlassService, policy: ChangingPolicy, silent: OfficeDirectory
) -> None:
    policy.edit(BY_GROUP)
    silent.join(SRE, ANN.id)
    with pytest.raises(NotKnown, match="Slack couldn't say whether U0ANN is in S0SRE") as refusal:
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    assert refusal.value.groups == (SRE,)
    silent.answer_again()
    assert break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR).invoker == ANN.id


def test_review_by_a_silent_group_is_not_known(
    break_glass: BreakGlassService, policy: ChangingPolicy, silent: OfficeDirectory
) -> None:
    event = break_glass.invoke(BOB, "prod", INCIDENT, OUTAGE, HOUR)
    break_glass.close(event_id_of(event), BOB, "it is over")
    policy.edit(BY_GROUP)
    assert silent.questions == []
    with pytest.raises(NotKnown):
        break_glass.review(event_id_of(event), ANN, "justified", NOTES)  # type: ignore[arg-type]


def test_vote_by_a_silent_group_is_not_known(
    requests: RequestService, policy: ChangingPolicy, silent: OfficeDirectory
) -> None:
    del silent
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    policy.edit(BY_GROUP)
    with pytest.raises(NotKnown):
        requests.approve(request_id_of(asked), ANN)
    with pytest.raises(NotKnown):
        requests.deny(request_id_of(asked), ANN, "not now")


def test_request_waits_while_automatic_approval_is_not_known(requests: RequestService, silent: OfficeDirectory) -> None:
    asked = requests.submit(Actor(id=UserId("U0EVE")), "staging", HOUR, DEPLOY)
    assert asked.approver is None
    assert [groups for _, groups in silent.questions] == [{ENGINEERS}]


def test_only_groups_that_decide_are_asked_about_and_once(
    requests: RequestService, directory: OfficeDirectory, policy: ChangingPolicy
) -> None:
    policy.edit({"sre: [U0ANN, U0BOB, U0CLEO]": "sre: [S0SRE, S0LEADS, U0BOB]"})
    directory.join("S0LEADS", ANN.id)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    assert directory.questions == []
    requests.approve(request_id_of(asked), Actor(id=ANN.id))
    assert directory.questions == [(ANN.id, frozenset({SRE, UserGroupId("S0LEADS")}))]


def test_question_is_asked_once_for_many_records(requests: RequestService, directory: OfficeDirectory) -> None:
    judged = parse_policy(POLICY.replace("sre: [U0ANN, U0BOB, U0CLEO]", "sre: [S0SRE, U0BOB]").encode())
    people = Judging(judged, directory)
    directory.join(SRE, ANN.id)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    for _ in range(5):
        assert people.judge_decider("approve", asked, Actor(id=ANN.id), asked.created_at).is_allowed
    directory.fall_silent(ENGINEERS, SRE)
    for _ in range(5):
        assert not people.judge_decider("approve", asked, Actor(id=UserId("U0DAN")), asked.created_at).is_allowed
    assert directory.questions == [(ANN.id, frozenset({SRE})), ("U0DAN", frozenset({SRE}))]


def test_notes_that_came_with_the_record_go_to_the_directory(
    requests: RequestService, stores: Stores, directory: OfficeDirectory, policy: ChangingPolicy
) -> None:
    policy.edit(BY_GROUP)
    asked = requests.submit(RITA, "prod", HOUR, DEPLOY)
    stores.directory.note([SRE], A_MOMENT)
    directory.join(SRE, ANN.id)
    requests.approve(request_id_of(asked), Actor(id=ANN.id))
    assert directory.notes[-1].changed_at(SRE) == A_MOMENT


def test_known_answer_about_a_group_that_changed_does_not_count(directory: OfficeDirectory) -> None:
    judged = parse_policy(POLICY.replace("sre: [U0ANN, U0BOB, U0CLEO]", "sre: [S0SRE, U0BOB]").encode())
    people = Judging(judged, directory)
    people.noting((None, DirectoryNotes().add(SRE, A_MOMENT)))
    stale = Actor(id=ANN.id, memberships={SRE: True})
    decision = people.judge(stale, lambda known: judged.judge_close(known, profile="prod", invoker=RITA.id))
    assert not decision.is_allowed
    assert directory.questions == [(ANN.id, frozenset({SRE}))]


def test_person_who_changed_is_confirmed_before_an_emergency(
    break_glass: BreakGlassService, stores: Stores, directory: OfficeDirectory, clock: FrozenClock
) -> None:
    stores.directory.note([ANN.id], clock.now())
    directory.leave(ANN.id)
    with pytest.raises(NotAllowed, match="deactivated"):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    assert break_glass.invoke(BOB, "prod", INCIDENT, OUTAGE, HOUR).invoker == BOB.id
    assert directory.confirmed == [ANN.id]


def test_without_a_directory_nothing_is_decided_that_needs_one(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    service = RequestService(stores, policy, clock)
    asked = service.submit(RITA, "staging", HOUR, DEPLOY)
    with pytest.raises(NotKnown):
        service.approve(request_id_of(asked), ANN)
    assert BreakGlassService(stores, policy, clock).invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR).invoker == ANN.id


def test_limits_count_a_person_with_two_ids_once(
    break_glass: BreakGlassService, stores: Stores, policy: ChangingPolicy
) -> None:
    one = "security_channel: C0SECURITY\nsame_person: [[U0ANN, U0BOB]]"
    policy.edit({"security_channel: C0SECURITY": one})
    event = break_glass.invoke(BOB, "prod", INCIDENT, OUTAGE, HOUR)
    with pytest.raises(LimitReached, match="live event"):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    found = break_glass.find_access(ANN.id, event.profile)
    assert found is not None
    assert found.event_id == event.id
    # Either id closes it as the one who broke the glass.
    closed = break_glass.close(event_id_of(event), ANN, "it is over")
    assert closed.closed_by == BOB.id
    assert stores.audit.get_chain(closed.chain)[-1].details["acted_with"] == ANN.id
    with pytest.raises(LimitReached, match="cooldown"):
        break_glass.invoke(ANN, "prod", INCIDENT, OUTAGE, HOUR)
    with pytest.raises(NotAllowed, match="are one person"):
        break_glass.review(event_id_of(event), ANN, "justified", NOTES)  # type: ignore[arg-type]


def test_code_of_either_id_of_a_person_works_once(
    stores: Stores, policy: ChangingPolicy, requests: RequestService, clock: FrozenClock
) -> None:
    one = "security_channel: C0SECURITY\nsame_person: [[U0ANN, U0BOB]]"
    policy.edit({"security_channel: C0SECURITY": one, "required_approvals: 2": "approver_mfa: required"})
    directory, codes = FixedDirectory(), WrittenCodes()
    glass = BreakGlassService(stores, policy, clock, mfa=codes, directory=directory)
    service = RequestService(stores, policy, clock, mfa=codes, directory=directory)
    pending, code = requests.submit(RITA, "prod", HOUR, DEPLOY), code_at(BOB.id, clock.now())
    glass.invoke(BOB, "vault", INCIDENT, OUTAGE, HOUR, code=code)
    with pytest.raises(CodeRefused, match="used"):
        service.approve(request_id_of(pending), BOB, shown=pending.facts_digest(), code=code)


def test_wrong_codes_lock_the_id_that_typed_them(stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> None:
    one = "security_channel: C0SECURITY\nsame_person: [[U0ANN, U0BOB]]"
    policy.edit({"security_channel: C0SECURITY": one})
    glass = BreakGlassService(stores, policy, clock, mfa=WrittenCodes(), directory=FixedDirectory())
    with pytest.raises(CodeRefused):
        glass.invoke(BOB, "vault", INCIDENT, OUTAGE, HOUR, code="000000")
    # So `countersign mfa unlock` and `audit verify` find them where they look.
    assert [len(stores.break_glass.get_codes(each.id).wrong_at) for each in (ANN, BOB)] == [0, 1]
