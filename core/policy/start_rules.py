"""How far ahead access may be requested that starts later, and when automatic approval counts for it.

Invariant: a rule without `starts_within` gives access from now on only. It is judged on how far ahead the request was
made, so that a request which waits is judged as it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from core.duration import format_duration
from core.policy.approval_rule import ApprovalRule
from core.policy.conditions import Judgment, judge
from core.policy.decision import Condition

STARTS: Final = "start"
_NOT_LATER: Final = "rule {rule} gives access from now on only; leave out when it starts"
_TOO_FAR: Final = (
    "rule {rule} allows a start up to {within} ahead, and this one is {ahead} ahead; choose an earlier one"
)


def judge_start(rule: ApprovalRule, ahead: timedelta | None) -> Iterator[Condition]:
    """Whether access may start so far ahead under this rule; nothing is judged of access from now on."""
    if ahead is not None:
        yield judge(STARTS, lambda: _may_start(rule, ahead))


def _may_start(rule: ApprovalRule, ahead: timedelta) -> Judgment:
    if rule.starts_within is None:
        return Judgment(is_met=False, text=_NOT_LATER.format(rule=rule.name))
    within, far = format_duration(rule.starts_within), format_duration(ahead)
    if ahead > rule.starts_within:
        return Judgment(is_met=False, text=_TOO_FAR.format(rule=rule.name, within=within, ahead=far))
    return Judgment(is_met=True, text=f"it starts {far} ahead, and rule {rule.name} allows up to {within}")
