"""What a policy says: requests, votes, break-glass events, closes and reviews."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from core.actor import Actor, UserId
from core.break_glass import ReasonCode
from core.errors import InvalidInput, NotAllowed
from core.policy import Condition, Decision, Policy, PolicySource, parse_policy
from tests.builders import a_person

NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALICE, BOB, CAROL, MALLORY = (UserId(each) for each in ("U0ALICE", "U0BOB", "U0CAROL", "U0MALLORY"))
CHANNEL: JsonValue = {"channel": "C0ACCESS1"}


def rule(**varied: JsonValue) -> JsonValue:
    """An approval rule: Bob and Carol approve for everybody."""
    return {"name": "main", "profiles": ["prod"], "approvers": [BOB, CAROL], "max_duration": "4h", **varied}


def glass(**varied: JsonValue) -> JsonValue:
    """A break-glass rule for Alice."""
    return {"name": "on-call", "profiles": ["prod"], "users": [ALICE], "max_duration": "2h", **varied}


def policy(*approval: JsonValue, **varied: JsonValue) -> Policy:
    """A policy with these approval rules and the profile prod."""
    file = {"version": 1, "profiles": {"prod": CHANNEL}, "approval": list(approval), **varied}
    return parse_policy(json.dumps(file).encode())


def actor(user: str, *groups: str, email: str | None = None) -> Actor:
    return a_person(user, *groups, email=email)


def judge_vote(
    judged: Policy, approver: str, *, requester: str = ALICE, profile: str = "prod", rule: str = "main"
) -> Decision:
    return judged.judge_decider("approve", actor(approver), profile=profile, rule=rule, requester=UserId(requester))


class TestRequests:
    def test_profile_that_no_rule_covers_is_refused_in_words(self) -> None:
        decision = policy().judge_request(actor(ALICE), "prod", HOUR, NOW)
        assert not decision.is_allowed
        assert decision.rule is None
        assert decision.unmet == ("no rule covers prod",)
        assert (decision.required_approvals, decision.max_duration) == (0, timedelta())
        assert decision.auto_approval is None

    def test_rule_for_other_people_is_named_in_the_refusal(self) -> None:
        decision = policy(rule(requesters=["S0ENG"])).judge_request(actor(ALICE), "prod", HOUR, NOW)
        assert decision.rule is None
        assert decision.unmet == (
            "no rule lets U0ALICE request prod",
            "U0ALICE is not among the requesters of rule main: S0ENG",
        )

    def test_rule_without_requesters_covers_every_verified_person(self) -> None:
        decision = policy(rule(required_approvals=2, decide_within="3h")).judge_request(
            actor(MALLORY), "prod", HOUR, NOW
        )
        assert decision.is_allowed
        assert decision.rule == "main"
        assert decision.required_approvals == 2
        assert decision.max_duration == timedelta(hours=4)
        assert decision.decide_within == timedelta(hours=3)
        assert [each.is_met for each in decision.conditions] == [True, True]

    def test_request_waits_a_day_unless_the_rule_says_otherwise(self) -> None:
        assert policy(rule()).judge_request(actor(ALICE), "prod", HOUR, NOW).decide_within == timedelta(hours=24)

    def test_first_rule_that_covers_profile_and_requester_decides(self) -> None:
        judged = policy(
            rule(name="strict", requesters=["S0ENG"], max_duration="1h", required_approvals=2), rule(name="lax")
        )
        assert judged.judge_request(actor(ALICE, "S0ENG"), "prod", HOUR, NOW).rule == "strict"
        assert judged.judge_request(actor(ALICE), "prod", HOUR, NOW).rule == "lax"

    def test_request_the_first_rule_refuses_is_not_passed_on(self) -> None:
        judged = policy(rule(name="strict", requesters=["S0ENG"], max_duration="1h"), rule(name="lax"))
        decision = judged.judge_request(actor(ALICE, "S0ENG"), "prod", 2 * HOUR, NOW)
        assert (decision.is_allowed, decision.rule) == (False, "strict")
        assert decision.unmet == ("2h is longer than the 1h that are allowed",)

    @pytest.mark.parametrize(
        ("duration", "is_allowed"),
        [
            (timedelta(hours=4), True),
            (timedelta(hours=4, microseconds=1), False),
            (timedelta(), False),
            (-HOUR, False),
            (timedelta(microseconds=1), True),
        ],
    )
    def test_longest_duration_is_allowed_and_nothing_beyond_it(self, duration: timedelta, *, is_allowed: bool) -> None:
        assert policy(rule()).judge_request(actor(ALICE), "prod", duration, NOW).is_allowed == is_allowed

    def test_unknown_profile_is_refused_with_the_nearest_name(self) -> None:
        with pytest.raises(InvalidInput, match="Did you mean prod") as caught:
            policy(rule()).judge_request(actor(ALICE), "prdo", HOUR, NOW)
        assert caught.value.field == "profile"

    def test_unknown_profile_near_nothing_gets_the_list_of_profiles(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            policy(rule()).profile("x")
        assert caught.value.fix == "Known here: prod."

    def test_pattern_covers_whole_names_with_regard_to_case(self) -> None:
        names = ("prod-a", "prod-bb", "PROD-a", "my-prod-a", "prod-")
        profiles: JsonValue = dict.fromkeys(names, CHANNEL)
        judged = policy(rule(profiles=["prod-?"]), profiles=profiles)
        covered = [name for name in names if judged.judge_request(actor(ALICE), name, HOUR, NOW).is_allowed]
        assert covered == ["prod-a"]

    def test_rule_that_cannot_be_judged_refuses_the_request(self) -> None:
        judged = policy(rule(name="strict", requesters=["S0ENG"], max_duration="1h"), rule(name="lax"))
        broken = Actor.model_construct(id=ALICE, memberships=None)  # type: ignore[arg-type]
        decision = judged.judge_request(broken, "prod", HOUR, NOW)
        assert not decision.is_allowed
        assert decision.rule is None
        assert "could not be judged (AttributeError" in decision.unmet[0]


class TestAutoApproval:
    WINDOW: ClassVar[JsonValue] = {"hours": "09:00-17:00", "timezone": "UTC"}

    def judge(
        self, automatic: JsonValue, who: Actor, duration: timedelta = HOUR, now: datetime = NOW
    ) -> Decision | None:
        return policy(rule(auto_approve=automatic)).judge_request(who, "prod", duration, now).auto_approval

    def test_automatic_approval_needs_a_line_in_the_rule(self) -> None:
        assert policy(rule()).judge_request(actor(ALICE), "prod", HOUR, NOW).auto_approval is None

    def test_automatic_approval_needs_all_that_the_rule_lists(self) -> None:
        automatic: JsonValue = {"requesters": [ALICE], "max_duration": "1h", "time": self.WINDOW}
        allowed = self.judge(automatic, actor(ALICE))
        assert allowed is not None
        assert allowed.is_allowed
        assert [each.name for each in allowed.conditions] == ["requester", "duration", "time"]
        for refused, name in (
            (self.judge(automatic, actor(BOB)), "requester"),
            (self.judge(automatic, actor(ALICE), 2 * HOUR), "duration"),
            (self.judge(automatic, actor(ALICE), now=NOW.replace(hour=17)), "time"),
        ):
            assert refused is not None
            assert [each.name for each in refused.conditions if not each.is_met] == [name]
            assert not refused.is_allowed

    def test_condition_that_raises_counts_as_unmet(self) -> None:
        refused = self.judge({"time": self.WINDOW}, actor(ALICE), now=NOW.replace(tzinfo=None))
        assert refused is not None
        assert not refused.is_allowed
        assert refused.unmet[0].startswith("the time could not be judged (ValueError: a time needs a zone")

    def test_refused_request_has_no_automatic_approval(self) -> None:
        assert self.judge({"requesters": [ALICE]}, actor(ALICE), 5 * HOUR) is None


class TestDeciders:
    @pytest.mark.parametrize("action", ["approve", "deny"])
    def test_approver_of_the_rule_may_approve_and_deny(self, action: str) -> None:
        decision = policy(rule()).judge_decider(
            "deny" if action == "deny" else "approve", actor(BOB), profile="prod", rule="main", requester=ALICE
        )
        assert (decision.is_allowed, decision.rule, decision.action) == (True, "main", action)

    def test_nobody_decides_on_their_own_request(self) -> None:
        decision = judge_vote(policy(rule()), BOB, requester=BOB)
        assert decision.unmet == ("U0BOB is the requester, and nobody decides on their own request",)

    def test_somebody_else_may_not_decide(self) -> None:
        assert judge_vote(policy(rule()), MALLORY).unmet == (
            "U0MALLORY is not among the approvers of rule main: U0BOB, U0CAROL",
        )

    def test_rule_of_the_request_counts_not_the_one_that_matches_now(self) -> None:
        judged = policy(rule(name="new", requesters=[MALLORY], approvers=[MALLORY]), rule())
        assert judge_vote(judged, BOB).is_allowed
        assert not judge_vote(judged, MALLORY).is_allowed

    def test_removed_rule_lets_nobody_decide_and_says_what_to_do(self) -> None:
        decision = judge_vote(policy(rule(name="renamed")), BOB)
        assert (decision.is_allowed, decision.rule) == (False, None)
        assert decision.unmet == (
            "rule main, under which this was asked, is not in the policy any more; cancel the request and ask again",
        )

    def test_rule_that_lost_the_profile_lets_nobody_decide(self) -> None:
        judged = policy(rule(profiles=["prod"]), profiles={"prod": CHANNEL, "db": CHANNEL})
        assert judge_vote(judged, BOB, profile="db").unmet == (
            "rule main does not cover db any more; cancel the request and ask again",
        )

    def test_removed_profile_lets_nobody_decide_even_by_a_pattern(self) -> None:
        decision = judge_vote(policy(rule(profiles=["*"])), BOB, profile="db")
        assert decision.unmet == ("the profile db is not in the policy any more; cancel the request and ask again",)

    def test_break_glass_rule_of_that_name_gives_no_vote(self) -> None:
        judged = policy(rule(name="other"), break_glass=[glass(name="main", users=[BOB])])
        assert not judge_vote(judged, BOB).is_allowed


class TestBreakGlass:
    def judge(
        self,
        judged: Policy,
        who: Actor | None = None,
        reason: ReasonCode = ReasonCode.INCIDENT,
        duration: timedelta = HOUR,
        *,
        has_mfa: bool = False,
        now: datetime = NOW,
    ) -> Decision:
        return judged.judge_break_glass(who or actor(ALICE), "prod", reason, duration, now, has_mfa=has_mfa)

    def test_rule_brings_its_limits(self) -> None:
        judged = policy(
            rule(),
            break_glass=[glass(cooldown="30m", max_per_user=3, max_per_profile=10, escalation_threshold=2)],
            security_channel="C0SECURITY",
        )
        decision = judged.judge_break_glass(actor(ALICE), "prod", ReasonCode.INCIDENT, HOUR, NOW, has_mfa=False)
        assert (decision.is_allowed, decision.rule, decision.requires_mfa) == (True, "on-call", False)
        assert decision.max_duration == timedelta(hours=2)
        limits = decision.limits
        assert (limits.cooldown, limits.max_per_user, limits.max_per_profile) == (timedelta(minutes=30), 3, 10)
        assert (limits.quota_window, limits.escalation_threshold) == (timedelta(hours=24), 2)

    def test_break_glass_without_a_rule_is_refused(self) -> None:
        decision = policy(rule()).judge_break_glass(actor(BOB), "prod", ReasonCode.INCIDENT, HOUR, NOW, has_mfa=True)
        assert (decision.is_allowed, decision.rule) == (False, None)
        assert decision.requires_mfa

    def test_person_whom_no_rule_names_is_refused(self) -> None:
        assert not self.judge(policy(rule(), break_glass=[glass()]), actor(BOB)).is_allowed

    def test_each_condition_is_reported_separately(self) -> None:
        time: JsonValue = {"days": ["sat", "sun"], "timezone": "UTC"}
        judged = policy(rule(), break_glass=[glass(allowed_reason_codes=["security"], time=time, mfa="required")])
        decision = self.judge(judged, reason=ReasonCode.OTHER, duration=3 * HOUR)
        assert [(each.name, each.is_met) for each in decision.conditions] == [
            ("user", True),
            ("reason", False),
            ("duration", False),
            ("time", False),
            ("code", False),
        ]
        assert decision.unmet == (
            "reason code other isn't allowed (allowed: security)",
            "3h is longer than the 2h that are allowed",
            "it is outside Sat, Sun 00:00-24:00 UTC",
            "an MFA code is required and was not verified",
        )

    def test_mfa_satisfies_a_rule_that_requires_it(self) -> None:
        judged = policy(rule(), break_glass=[glass(mfa="required")])
        assert self.judge(judged, has_mfa=True).is_allowed
        assert not self.judge(judged, has_mfa=False).is_allowed

    def test_unknown_profile_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="no profile"):
            policy(rule()).judge_break_glass(actor(ALICE), "x", ReasonCode.OTHER, HOUR, NOW, has_mfa=True)


class TestCloseAndReview:
    def test_invoker_may_close_even_when_the_profile_is_gone(self) -> None:
        assert policy().judge_close(actor(ALICE), profile="gone", invoker=ALICE).is_allowed

    def test_approver_for_the_profile_may_close(self) -> None:
        judged = policy(rule(name="one", requesters=[ALICE]), rule(name="two", approvers=[MALLORY]))
        decision = judged.judge_close(actor(MALLORY), profile="prod", invoker=ALICE)
        assert (decision.is_allowed, decision.rule) == (True, "two")
        assert judged.judge_close(actor(BOB), profile="prod", invoker=ALICE).rule == "one"

    def test_stranger_may_neither_close_nor_review(self) -> None:
        judged = policy(rule())
        assert not judged.judge_close(actor(MALLORY), profile="prod", invoker=ALICE).is_allowed
        assert not judged.judge_review(actor(MALLORY), profile="prod", invoker=ALICE).is_allowed

    def test_approver_of_another_profile_may_not_close(self) -> None:
        judged = policy(rule(), profiles={"prod": CHANNEL, "db": CHANNEL})
        assert not judged.judge_close(actor(BOB), profile="db", invoker=ALICE).is_allowed

    def test_approver_may_review_unless_they_are_the_invoker(self) -> None:
        judged = policy(rule())
        assert judged.judge_review(actor(BOB), profile="prod", invoker=ALICE).is_allowed
        own = judged.judge_review(actor(BOB), profile="prod", invoker=BOB)
        assert own.unmet == ("U0BOB is the one who broke the glass, and nobody reviews their own event",)


class TestWhatIsOffered:
    def test_form_offers_what_a_rule_allows_in_the_order_of_the_file(self) -> None:
        judged = policy(
            rule(profiles=["a", "c"]),
            rule(name="eng", profiles=["b"], requesters=["S0ENG"]),
            profiles={"c": CHANNEL, "b": CHANNEL, "a": {"channel": "C0ACCESS1", "description": "An account"}},
        )
        assert [each.name for each in judged.requestable_profiles(actor(ALICE))] == ["c", "a"]
        assert [each.name for each in judged.requestable_profiles(actor(ALICE, "S0ENG"))] == ["c", "b", "a"]
        assert judged.requestable_profiles(actor(ALICE))[1].description == "An account"
        assert judged.requestable_profiles(actor(ALICE))[1].channel == "C0ACCESS1"

    def test_break_glass_form_offers_what_a_break_glass_rule_covers(self) -> None:
        judged = policy(rule(), break_glass=[glass()])
        assert [each.name for each in judged.declarable_profiles(actor(ALICE))] == ["prod"]
        assert judged.declarable_profiles(actor(BOB)) == ()

    def test_approvers_are_shown_as_the_rule_names_them(self) -> None:
        judged = policy(rule(approvers=["group:sre", "S0SEC", BOB], requesters=[ALICE]), groups={"sre": [CAROL]})
        assert judged.approvers_for("prod", actor(ALICE)) == ("group:sre", "S0SEC", "U0BOB")
        assert judged.approvers_for("prod", actor(BOB)) == ()

    @given(
        requesters=st.lists(st.sampled_from([ALICE, BOB, CAROL, "S0ENG"]), min_size=1, unique=True),
        who=st.sampled_from([ALICE, BOB, CAROL, MALLORY]),
        is_engineer=st.booleans(),
    )
    def test_form_and_the_enforcement_never_disagree(
        self, requesters: list[JsonValue], who: str, *, is_engineer: bool
    ) -> None:
        judged = policy(rule(requesters=requesters))
        person = actor(who, *(["S0ENG"] if is_engineer else []))
        is_offered = bool(judged.requestable_profiles(person))
        assert is_offered == judged.judge_request(person, "prod", HOUR, NOW).is_allowed
        assert is_offered == bool(judged.approvers_for("prod", person))
        assert is_offered == (who in requesters or (is_engineer and "S0ENG" in requesters))


class TestPeople:
    def may_ask(self, who: Actor, *selectors: JsonValue, **varied: JsonValue) -> bool:
        judged = policy(rule(requesters=list(selectors)), **varied)
        return judged.judge_request(who, "prod", HOUR, NOW).is_allowed

    def test_user_matches_by_id_only(self) -> None:
        assert self.may_ask(actor(ALICE), ALICE)
        assert not self.may_ask(a_person(BOB, email=ALICE), ALICE)

    def test_user_group_of_slack_matches_its_members(self) -> None:
        assert self.may_ask(actor(ALICE, "S0ENG"), "S0ENG")
        assert not self.may_ask(actor(ALICE, "S0OPS"), "S0ENG")

    def test_group_of_the_policy_matches_its_people_and_user_groups(self) -> None:
        groups: JsonValue = {"sre": [ALICE, "S0SRE"]}
        assert self.may_ask(actor(ALICE), "group:sre", groups=groups)
        assert self.may_ask(actor(BOB, "S0SRE"), "group:sre", groups=groups)
        assert not self.may_ask(actor(BOB), "group:sre", groups=groups)

    def test_trusted_email_address_matches_whole_in_any_case(self) -> None:
        trust: JsonValue = {"trust_email": True}
        assert self.may_ask(actor(ALICE, email="Alice@Example.COM"), "aLICE@example.com", identity=trust)
        assert not self.may_ask(actor(ALICE, email="alice@example.com.evil.io"), "alice@example.com", identity=trust)
        assert not self.may_ask(actor(ALICE), "alice@example.com", identity=trust)

    @pytest.mark.parametrize(
        "lookalike", ["ju\u017ftin@example.com", "justin@example.\u212aom", "JUSTIN@EXAMPLE.\uff23OM"]
    )
    def test_email_address_matches_in_ascii_only(self, lookalike: str) -> None:
        # Folded, a long s is an s and a Kelvin sign is a k: two addresses of two people would be equal.
        trust: JsonValue = {"trust_email": True}
        selectors = ("justin@example.com", "justin@example.kom")
        assert not self.may_ask(actor(ALICE, email=lookalike), *selectors, identity=trust)
        assert self.may_ask(actor(ALICE, email="JUSTIN@Example.com"), *selectors, identity=trust)

    def test_untrusted_email_address_matches_nobody(self) -> None:
        # Such a file is refused; this is the second lock, for a policy that came about in another way.
        trusting = policy(rule(requesters=["a@example.com"]), identity={"trust_email": True})
        wary = Policy(
            digest="0" * 64, document=trusting.document.model_copy(update={"identity": policy().document.identity})
        )
        person = actor(ALICE, email="a@example.com")
        assert trusting.judge_request(person, "prod", HOUR, NOW).is_allowed
        assert not wary.judge_request(person, "prod", HOUR, NOW).is_allowed


class TestDecisions:
    MET = Condition(name="a", is_met=True, text="a holds")
    UNMET = Condition(name="b", is_met=False, text="b does not hold")

    def decision(self, *conditions: Condition, is_allowed: bool) -> Decision:
        return Decision(action="x", is_allowed=is_allowed, rule=None, conditions=conditions, policy_digest="d")

    def test_yes_with_an_unmet_condition_or_with_none_cannot_be_made(self) -> None:
        for conditions in ((), (self.UNMET,), (self.MET, self.UNMET)):
            with pytest.raises(ValidationError):
                self.decision(*conditions, is_allowed=True)

    def test_no_without_an_unmet_condition_cannot_be_made(self) -> None:
        with pytest.raises(ValidationError):
            self.decision(self.MET, is_allowed=False)

    def test_require_raises_with_every_reason(self) -> None:
        with pytest.raises(NotAllowed) as caught:
            policy(rule(requesters=[ALICE])).judge_request(actor(ALICE), "prod", 5 * HOUR, NOW).require()
        assert (caught.value.action, caught.value.rule) == ("request", "main")
        assert caught.value.reasons == ("5h is longer than the 4h that are allowed",)

    def test_require_passes_a_yes(self) -> None:
        policy(rule()).judge_request(actor(ALICE), "prod", HOUR, NOW).require()

    def test_audit_entry_names_rule_digest_and_reasons_of_a_no(self) -> None:
        judged = policy(rule())
        assert judged.judge_request(actor(ALICE), "prod", HOUR, NOW).to_details() == {
            "rule": "main",
            "policy_digest": judged.digest,
        }
        assert policy().judge_request(actor(ALICE), "prod", HOUR, NOW).to_details() == {
            "policy_digest": policy().digest,
            "unmet": ["no rule covers prod"],
        }

    def test_policy_is_its_own_source(self) -> None:
        judged: PolicySource = policy(rule())
        assert judged.current() is judged


# Telling, not judging ------------------------------------------------------------------------------------------------


def test_user_groups_of_a_policy_are_those_it_names_anywhere() -> None:
    policy = parse_policy(
        b"""\
version: 1
groups: {sre: [U0SRE, S0GROUP], unused: [S0UNUSED]}
profiles: {prod: {channel: C0ACCESS1}}
approval:
  - name: prod
    profiles: [prod]
    requesters: [S0ENGINEERS]
    approvers: [group:sre, S0LEADS]
    max_duration: 4h
    auto_approve: {requesters: [S0ONCALL]}
break_glass:
  - {name: on-call, profiles: [prod], users: [S0BREAKERS], max_duration: 1h}
"""
    )
    assert policy.user_groups() == {"S0GROUP", "S0ENGINEERS", "S0LEADS", "S0ONCALL", "S0BREAKERS", "S0UNUSED"}


def test_approvers_of_a_rule_are_named_without_group_names() -> None:
    policy = parse_policy(
        b"""\
version: 1
groups: {sre: [U0SRE, S0GROUP]}
profiles: {prod: {channel: C0ACCESS1}}
approval:
  - {name: prod, profiles: [prod], approvers: [group:sre, U0LEAD], max_duration: 4h}
"""
    )
    assert {each.value for each in policy.notifications.deciders_of("prod")} == {"U0SRE", "S0GROUP", "U0LEAD"}
    assert policy.notifications.deciders_of("gone") == frozenset()
