"""What a policy says about notifications: who is notified and asked, when, and where.

Invariant: nothing here gives anybody a right. A person who was notified is judged again when they act.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.duty import OnCallName, on_call_name
from core.policy.deciding import find_stepped
from core.policy.pager_config import PagerConfig
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import EventTimes, PolicyDocument
from core.policy.summary_config import SummaryConfig


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """The part of one policy version that is about notifications. Groups are resolved in every answer."""

    document: PolicyDocument
    people: People

    @property
    def security_channel(self) -> str | None:
        """The Slack channel for refusals, escalations and overdue reviews, if there is one."""
        return self.document.security_channel

    @property
    def summary(self) -> SummaryConfig:
        """What the security channel gets each month."""
        return self.document.summary

    @property
    def link_hosts(self) -> tuple[str, ...]:
        """The hosts to which links in people's text can be clicked."""
        return self.document.link_hosts

    @property
    def pager(self) -> PagerConfig | None:
        """Where people are paged, if anywhere."""
        return self.document.pager

    def pages_request(self, rule: str) -> bool:
        """True when a pending request under this approval rule pages people."""
        made_under = self.document.approval_rule(rule)
        return self.pager is not None and made_under is not None and made_under.page

    def pages_event(self, rule: str) -> bool:
        """True when a declaration under this break-glass rule pages people, also when the rule is gone."""
        made_under = self.document.break_glass_rule(rule)
        return self.pager is not None and (made_under is None or made_under.page)

    def deciders_of(
        self, rule: str, waits_since: datetime | None = None, now: datetime | None = None
    ) -> frozenset[PrincipalSelector]:
        """Who may decide on a request that was made under this rule, as people, user groups, schedules and addresses.

        With the time, also those to whom a request that has waited since then has escalated by now. Empty when the
        rule is no longer in the policy.
        """
        made_under = self.document.approval_rule(rule)
        if made_under is None:
            return frozenset()
        return self.people.leaves((*made_under.approvers, *find_stepped(made_under, waits_since, now)))

    def schedules_of(self, rule: str) -> frozenset[OnCallName]:
        """The schedules that say who may decide on a request that was made under this rule."""
        deciders = self.deciders_of(rule)
        return frozenset(on_call_name(each.value) for each in deciders if each.kind is PrincipalKind.ON_CALL)

    def reviewers_of(self, profile: str) -> frozenset[PrincipalSelector]:
        """Who may review an event for this profile, except its invoker."""
        covering = (rule.approvers for rule in self.document.approval if rule.covers(profile))
        return self.people.leaves(tuple(each for approvers in covering for each in approvers))

    def mentioned_by(self, rule: str) -> tuple[PrincipalSelector, ...]:
        """Whom the card of an event under this rule mentions: user ids, user groups and schedules, in a fixed order."""
        made_under = self.document.break_glass_rule(rule)
        named = made_under.notify if made_under is not None else None
        return tuple(sorted(self.people.leaves(named or ()), key=str))

    def times_of(self, rule: str) -> EventTimes:
        """When people are asked about events under this break-glass rule; the defaults when the rule is gone."""
        made_under = self.document.break_glass_rule(rule)
        return made_under.times() if made_under is not None else EventTimes()
