"""One version of the policy file, and what it says of those who are told and asked, as opposed to those who may act.

Invariant: nothing here gives anybody a right. Whoever is told something is judged all over again when they act on it.
"""

from __future__ import annotations

from functools import cached_property

from pydantic import BaseModel, ConfigDict

from core.actor import UserId
from core.policy.principals import People, Selector, SelectorKind
from core.policy.rules import BreakGlassRule, EventTimes, PolicyShape


class Version(BaseModel):
    """One version of the policy. `digest` is the SHA-256 of the file's bytes, as hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    shape: PolicyShape

    def reviewers_of(self, profile: str) -> frozenset[Selector]:
        """Who may review an event for this profile, save its invoker. For telling people, like `deciders_of`."""
        covering = (rule.approvers for rule in self.shape.approval if rule.covers(profile))
        return self._people.leaves(tuple(each for approvers in covering for each in approvers))

    def mentioned_by(self, rule: str) -> tuple[Selector, ...]:
        """Whom the card of an event under this rule mentions: user ids and user groups, in a fixed order."""
        made_under = self._break_glass_rule(rule)
        named = made_under.notify if made_under is not None else None
        return tuple(sorted(self._people.leaves(named or ()), key=str))

    def times_of(self, rule: str) -> EventTimes:
        """When people are asked about events under this break-glass rule; the defaults when the rule is gone."""
        made_under = self._break_glass_rule(rule)
        return made_under.times() if made_under is not None else EventTimes()

    @property
    def security_channel(self) -> str | None:
        """The Slack channel that hears of refusals, escalations and overdue reviews, where there is one."""
        return self.shape.security_channel

    def may_need_code(self, profile: str) -> bool:
        """True when a break-glass rule for this profile asks for a second factor: of everybody, or of some."""
        return any(rule.needs_code for rule in self._break_glass_rules(profile))

    def named_for_codes(self) -> frozenset[UserId]:
        """Everybody whom a rule that asks for a second factor names by their id."""
        users = (rule.users for rule in self.shape.break_glass if rule.needs_code)
        leaves = self._people.leaves(tuple(each for named in users for each in named))
        return frozenset(UserId(each.value) for each in leaves if each.kind is SelectorKind.USER)

    def fallbacks_for(self, profile: str) -> tuple[str, ...]:
        """What to do when Countersign cannot record a declaration for this profile, as its rules say it."""
        said = (rule.fallback for rule in self._break_glass_rules(profile))
        return tuple(dict.fromkeys(each for each in said if each is not None))

    def _break_glass_rules(self, profile: str) -> tuple[BreakGlassRule, ...]:
        return tuple(rule for rule in self.shape.break_glass if rule.covers(profile))

    def _break_glass_rule(self, name: str) -> BreakGlassRule | None:
        return next((each for each in self.shape.break_glass if each.name == name), None)

    @cached_property
    def _people(self) -> People:
        return People(groups=self.shape.groups, is_email_trusted=self.shape.identity.trust_email)
