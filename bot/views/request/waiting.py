"""What people read about a request that waits: whom it escalates to and when, and in which hours it is approved.

Invariant: a step that hasn't come mentions nobody, so that nobody is notified of it before it is their turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.views.block_kit import Block, context, moment
from bot.views.mentions import name_silently
from core.policy.escalation_config import TimedStep
from core.policy.time_window import TimeWindow
from core.request import Request


@dataclass(frozen=True, slots=True)
class WaitingTerms:
    """What a card says about the wait for a decision.

    `escalated` mentions whom the request escalated to, last at `escalated_at`; `next_step` comes next. `hours` are
    those of the approvers, and `anytime` names who approves at any hour.
    """

    escalated: str = ""
    escalated_at: datetime | None = None
    next_step: TimedStep | None = None
    hours: TimeWindow | None = None
    anytime: str = ""


NO_TERMS: Final = WaitingTerms()


def waiting_blocks(terms: WaitingTerms, now: datetime) -> list[Block]:
    """The small print of a card that waits; nothing where the rule has neither steps nor hours."""
    lines: list[str] = []
    if terms.escalated_at is not None:
        lines.append(f"Escalated to {terms.escalated or 'others'} · {moment(terms.escalated_at)}")
    if terms.next_step is not None:
        again = "Next, it escalates" if terms.escalated_at is not None else "Escalates"
        lines.append(f"{again} to {name_silently(terms.next_step.to)} · {moment(terms.next_step.at)}")
    if terms.hours is not None:
        lines.append(_hours(terms.hours, terms.anytime, now))
    return [context(each) for each in lines]


def closed_hours(terms: WaitingTerms, request: Request, now: datetime) -> str:
    """To who requested it: that its approvers can't approve it yet, and who can until then. Nothing in their hours."""
    if terms.hours is None or terms.hours.is_open(now):
        return ""
    line, opens, step = f"Its approvers approve {terms.hours} only", terms.hours.next_opening(now), terms.next_step
    # A start is its deadline, too.
    is_in_time = opens is not None and opens < request.expires_at
    if opens is not None:
        line += f": next from {moment(opens)}" if is_in_time else f": next from {moment(opens)}, after its deadline"
    if terms.anytime:
        return f"{line}. Until then, {terms.anytime} can approve it."
    if step is not None and (opens is None or step.at < opens):
        return f"{line}. Before that, it escalates to {name_silently(step.to)} {moment(step.at)}."
    return f"{line}." if is_in_time else f"{line}. Request it again in these hours."


def _hours(hours: TimeWindow, anytime: str, now: datetime) -> str:
    line = f"Approvers approve {hours} only"
    opens = hours.next_opening(now) if not hours.is_open(now) else None
    if opens is not None:
        line += f": next from {moment(opens)}"
    return f"{line}; {anytime} at any time" if anytime else line
