"""What the policy says about access that was given: what, to whom, who may revoke it and see it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.access.principals import SoughtPerson
from core.access.right import Permission, Right
from core.actor import Actor, UserGroupId, UserId
from core.break_glass import BreakGlassEvent
from core.errors import NotAllowed, NotKnown
from core.policy.deciding_groups import find_deciding_groups
from core.policy.target_use import TargetUse, find_notes, find_target_use
from core.request import Request
from tests.core.policy.access_policy import ADMIN, GROUP, access_policy

USER = "90676a8ca4-11112222-3333-4444-5555-666677778888"
POLICY = access_policy()
PROD_RIGHT = Permission(target="aws", resource="111122223333", level=ADMIN)


def person(user_id: str, **memberships: bool) -> Actor:
    """Somebody about whom these memberships are known."""
    return Actor(id=UserId(user_id), memberships={UserGroupId(group): is_in for group, is_in in memberships.items()})


def test_profile_gives_its_rights_in_order() -> None:
    assert POLICY.access_of("prod") == (PROD_RIGHT,)
    assert [str(each.target) for each in POLICY.access_of("db")] == ["wh", "fn"]
    assert POLICY.access_of("plain") == POLICY.access_of("gone") == ()


def test_group_is_a_membership() -> None:
    policy = access_policy((f'account: "111122223333", permission_set: {ADMIN}', f"group: {GROUP}"))
    assert policy.access_of("prod") == (Permission(target="aws", resource=GROUP, level="member"),)


def test_mapping_holds_for_every_id_of_a_person() -> None:
    policy = access_policy(("people:", "same_person: [[W0ANN, U0ANN]]\npeople:"))
    assert [policy.mapped(UserId(each), "aws") for each in ("U0ANN", "W0ANN", "U0BOB")] == ["ann", "ann", None]
    assert policy.mapped(UserId("U0ANN"), "wh") is None


def test_address_is_passed_on_only_if_trusted() -> None:
    bob = Actor(id=UserId("U0BOB"), email="bob@example.com")
    assert POLICY.find_sought(bob, "aws") == SoughtPerson("U0BOB")
    trusting = access_policy(("people:", "identity: {trust_email: true}\npeople:"))
    assert trusting.find_sought(bob, "aws") == SoughtPerson("U0BOB", email="bob@example.com")


@pytest.mark.parametrize(
    ("revoker", "is_allowed"),
    [
        (person("U0ADMIN"), True),
        (person("U0EVE", S0SECURITY=True, S0SRE=False), True),
        (person("U0EVE", S0SECURITY=False, S0SRE=True), True),
        (person("U0BOB"), True),
        (person("U0EVE", S0SECURITY=False, S0SRE=False), False),
        (person("U0CAROL", S0SECURITY=False, S0SRE=False), False),
    ],
)
def test_admins_and_approvers_of_its_rule_revoke(revoker: Actor, *, is_allowed: bool) -> None:
    decision = POLICY.judge_revoke(revoker, profile="prod", rule="prod", source_kind=Request.KIND)
    assert decision.is_allowed == is_allowed
    if not is_allowed:
        with pytest.raises(NotAllowed):
            decision.require()


def test_what_is_not_known_stops_nobody_who_may_anyway() -> None:
    def judged(revoker: Actor) -> frozenset[str]:
        decision = POLICY.judge_revoke(revoker, profile="prod", rule="prod", source_kind=Request.KIND)
        with pytest.raises(NotKnown):
            decision.require()
        return decision.needs

    assert judged(person("U0EVE")) == {"S0SECURITY", "S0SRE"}
    assert judged(person("U0EVE", S0SRE=False)) == {"S0SECURITY"}
    assert POLICY.judge_revoke(
        person("U0EVE", S0SRE=True), profile="prod", rule="prod", source_kind=Request.KIND
    ).is_allowed


def test_approvers_of_the_profile_revoke_when_its_rule_is_gone() -> None:
    bob, carol = person("U0BOB", S0SECURITY=False), person("U0CAROL", S0SECURITY=False, S0SRE=False)
    for rule, kind in (("gone", Request.KIND), ("glass", BreakGlassEvent.KIND), ("rest", BreakGlassEvent.KIND)):
        assert POLICY.judge_revoke(bob, profile="prod", rule=rule, source_kind=kind).is_allowed
        assert not POLICY.judge_revoke(carol, profile="prod", rule=rule, source_kind=kind).is_allowed


def test_only_admins_revoke_what_no_rule_covers() -> None:
    for who, is_allowed in ((person("U0ADMIN"), True), (person("U0BOB", S0SECURITY=False), False)):
        decision = POLICY.judge_revoke(who, profile="gone", rule="gone", source_kind=Request.KIND)
        assert decision.is_allowed == is_allowed


def test_approvers_see_what_is_live_in_their_profiles() -> None:
    bob = person("U0BOB", S0SECURITY=False)
    assert POLICY.judge_live(bob, "prod").is_allowed
    assert not POLICY.judge_live(bob, "db").is_allowed
    assert POLICY.judge_live(person("U0ADMIN"), "db").is_allowed
    assert POLICY.judge_live(person("U0EVE"), "prod").needs == {"S0SECURITY", "S0SRE"}


def test_admins_are_those_whom_the_policy_names() -> None:
    assert POLICY.judge_admin(person("U0ADMIN")).is_allowed
    assert POLICY.judge_admin(person("U0EVE")).needs == {"S0SECURITY"}
    none = access_policy(("admins: [U0ADMIN, S0SECURITY]\n", ""))
    assert none.judge_admin(person("U0ADMIN")).unmet == ("the policy names no admins",)


def test_groups_of_admins_decide() -> None:
    assert "S0SECURITY" in POLICY.user_groups()
    assert find_deciding_groups(POLICY.document) == {"S0SRE": ("approvers of prod",), "S0SECURITY": ("admins",)}


@pytest.mark.parametrize(
    ("people", "target", "principal", "is_of_another"),
    [
        ("U0ANN: {aws: ann}", "aws", USER, False),
        (f"U0ANN: {{aws: {USER.upper()}}}", "aws", USER, False),
        (f"U0ANN: {{aws: {GROUP}}}", "aws", USER, True),
        (f"U0EVE: {{aws: {USER}}}", "aws", USER, True),
        ("U0EVE: {wh: eve}", "aws", USER, False),
        ("U0ANN: {aws: ann}", "wh", "U0ANN", False),
        ("U0ANN: {wh: ann}", "wh", "U0ANN", True),
        ("U0ANN: {wh: ann}", "wh", "service:ci", False),
        ("U0ANN: {aws: ann}", "fn", "ann", True),
        ("U0EVE: {wh: Ann}, U0ANN: {wh: ann2}", "wh", "ann", True),
    ],
)
def test_principal_who_is_somebody_else_by_now_is_seen(
    people: str, target: str, principal: str, *, is_of_another: bool
) -> None:
    policy = access_policy(("U0ANN: {aws: ann}", people))
    right = Right(target=target, resource="db", level="ro", principal=principal)
    assert policy.is_of_another(UserId("U0ANN"), right) == is_of_another


def test_requester_is_asked_before_the_end_as_the_rule_says() -> None:
    asked = [POLICY.ask_before_end(rule) for rule in ("rest", "prod", "gone")]
    assert asked == [timedelta(minutes=20), timedelta(minutes=10), timedelta(minutes=10)]


def test_use_of_a_target_has_rights_and_people() -> None:
    people = (SoughtPerson("U0ANN", "ann"), SoughtPerson("U0BOB"), SoughtPerson("U0DAN"))
    assert find_target_use(POLICY, "aws") == TargetUse(("prod",), (ADMIN,), ("111122223333",), (), people)
    assert find_target_use(POLICY, "gone") == TargetUse((), (), (), (), ())
    grouped = access_policy((f'account: "111122223333", permission_set: {ADMIN}', f"group: {GROUP}"))
    assert find_target_use(grouped, "aws").groups == (GROUP,)


def test_addresses_are_asked_for_only_where_they_decide() -> None:
    asked: list[str] = []

    def find_email(person: UserId) -> str:
        asked.append(person)
        return f"{person}@example.com"

    assert find_target_use(POLICY, "aws", find_email).people[1] == SoughtPerson("U0BOB")
    trusting = access_policy(("people:", "identity: {trust_email: true}\npeople:"))
    assert find_target_use(trusting, "aws", find_email).people[1] == SoughtPerson("U0BOB", email="U0BOB@example.com")
    assert asked == ["U0BOB", "U0DAN"]


def test_notes_say_what_is_probably_not_meant() -> None:
    unused = access_policy(
        ("admins: [U0ADMIN, S0SECURITY]\n", ""), (", {target: fn, resource: x, level: y}", "")
    ).document
    assert [(each.path, each.problem) for each in find_notes(unused)] == [
        (("targets", "aws"), "U0BOB, U0DAN may get access here, and people doesn't say who they are"),
        (("targets", "fn"), "no profile uses this target"),
        (("profiles",), "profiles give access, and there are no admins"),
    ]
    trusting = access_policy(("people:", "identity: {trust_email: true}\npeople:")).document
    assert list(find_notes(trusting)) == []
