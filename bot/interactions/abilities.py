"""What one person can do here at all, by the rules of the policy.

Invariant: an ability is listed when some rule gives it for some profile; what can't be known now counts as given, as
every use of it is judged again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from bot.views.help import ALL_ABILITIES, Abilities
from core.actor import Actor, Need, UserId
from core.break_glass import ReasonCode
from core.directory import Directory
from core.errors import CountersignError
from core.policy import Policy, PolicySource
from core.policy.decision import Decision
from core.services.membership import Judging

_ASKED: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATE: Final = datetime(2001, 1, 1, tzinfo=UTC)
"""So long after it was asked for that every step has come."""
_SOMEBODY_ELSE: Final = UserId("U00000000")
"""Deciding is about what somebody else did; nobody has this id."""


def find_abilities(policy: PolicySource, directory: Directory, person: Actor) -> Abilities:
    """What this person can do. Never raises."""
    people = Judging(policy.current(), directory)
    rules = people.policy
    try:
        known = people.ask(person, lambda known: _needed(rules, known))
    except CountersignError:
        return ALL_ABILITIES
    if _needed(rules, known):
        return ALL_ABILITIES
    terms = [rules.terms_for(profile.name, known) for profile in rules.requestable_profiles(known)]
    return Abilities(
        may_request=bool(terms),
        may_start_later=any(rule.starts_within is not None for rule in terms if rule is not None),
        may_decide=any(each.is_allowed for each in _judge_deciding(rules, known)),
        may_declare=bool(rules.declarable_profiles(known)),
        is_admin=rules.judge_admin(known).is_allowed,
        reason_codes=_reason_codes(rules, known),
    )


def _needed(rules: Policy, known: Actor) -> frozenset[Need]:
    needed = rules.needed_to_request(known) | rules.needed_to_declare(known) | rules.judge_admin(known).needs
    return needed.union(*(each.needs for each in _judge_deciding(rules, known)))


def _reason_codes(rules: Policy, known: Actor) -> Sequence[str]:
    """Those that some rule allows this person, in the order of the form."""
    terms = [rules.break_glass_terms_for(profile.name, known) for profile in rules.declarable_profiles(known)]
    allowed = {code for rule in terms if rule is not None for code in rule.allowed_reason_codes}
    return tuple(code for code in ReasonCode if code in allowed)


def _judge_deciding(rules: Policy, known: Actor) -> Iterator[Decision]:
    """For each profile whether they decide on events, and for each rule whether on requests, escalated or not."""
    document = rules.document
    for profile in document.profiles:
        yield rules.judge_close(known, profile=profile, invoker=_SOMEBODY_ELSE)
    for rule in document.approval:
        covered = next((each for each in document.profiles if rule.covers(each)), "")
        yield rules.judge_decider(
            "deny", known, profile=covered, rule=rule.name, requester=_SOMEBODY_ELSE, waits_since=_ASKED, now=_LATE
        )
