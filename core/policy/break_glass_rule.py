"""A break-glass rule: who may break the glass for which profiles, why, for how long, and how often.

Invariant: a rule is checked here on its own. Its limits are judged on the usage ledgers, in the transaction that
declares.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from pydantic import Field, StrictBool

from core.break_glass import ReasonCode
from core.policy.approval_rule import ASK_BEFORE_END
from core.policy.rule_base import Mfa, Rule
from core.policy.rule_fields import MAX_FALLBACK_LENGTH, EventDuration, Fallback, LimitWindow, Quota, Selectors
from core.policy.time_window import TimeWindow
from core.usage import UsageLimits


class EventTimes(NamedTuple):
    """How long before the end of an event its invoker is asked whether it is over, and how soon it must be reviewed.

    Three days span a weekend, and the people involved still remember.
    """

    ask_before_end: timedelta = ASK_BEFORE_END
    review_within: timedelta = timedelta(days=3)


_TIMES: Final = EventTimes()


class BreakGlassRule(Rule):
    """Who may break the glass for which profiles, why, for how long, and how often."""

    users: Selectors = Field(description="Who may break the glass.")
    allowed_reason_codes: tuple[ReasonCode, ...] = Field(
        default=tuple(ReasonCode), min_length=1, description="The reason codes that are allowed. Left out: all of them."
    )
    max_duration: EventDuration = Field(description="The longest access, such as 2h.")
    cooldown: LimitWindow | None = Field(default=None, description="The pause after a person's last event.")
    max_per_user: Quota | None = Field(default=None, description="How many events one person may have in the window.")
    max_per_profile: Quota | None = Field(default=None, description="How many events one profile may have in it.")
    quota_window: LimitWindow = Field(default=timedelta(hours=24), description="Window of the quotas; 24h if left out.")
    escalation_threshold: Quota | None = Field(
        default=None, description="The number of events in the window at which the security channel is notified."
    )
    mfa: Mfa = Field(default=Mfa.OPTIONAL, description="Whether an MFA code is needed; optional if left out.")
    time: TimeWindow | None = Field(default=None, description="Only in these hours. Left out: always.")
    notify: Selectors | None = Field(default=None, description="Who is mentioned when it happens.")
    ask_before_end: EventDuration = Field(
        default=_TIMES.ask_before_end,
        description="How long before the end the invoker is asked whether it is over; 10m if left out.",
    )
    review_within: LimitWindow = Field(
        default=_TIMES.review_within,
        description="How soon after its end an event has to be reviewed, and how often reviewers are reminded; "
        "3d if left out.",
    )
    page: StrictBool = Field(
        default=True, description="Whether a declaration pages people, where there is a pager; true if left out."
    )
    fallback: Fallback | None = Field(
        default=None,
        description="What to do when Countersign cannot record it; "
        f"plain text, up to {MAX_FALLBACK_LENGTH} characters.",
    )

    @property
    def needs_code(self) -> bool:
        """True when an MFA code has to be verified."""
        return self.mfa is Mfa.REQUIRED

    def times(self) -> EventTimes:
        """When people are asked about its events."""
        return EventTimes(self.ask_before_end, self.review_within)

    def limits(self) -> UsageLimits:
        """The limits that the usage ledgers are judged by."""
        return UsageLimits(
            cooldown=self.cooldown,
            max_per_user=self.max_per_user,
            max_per_profile=self.max_per_profile,
            quota_window=self.quota_window,
            escalation_threshold=self.escalation_threshold,
        )
