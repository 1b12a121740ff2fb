"""The card of a break-glass event: loud while it is active, then how it ended and what the review found.

Invariant: a card shows what the record says and offers only buttons that can still work: Close while it is active,
Review once it has ended and until it is reviewed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from bot.views.access.state import fallback_blocks, problem_blocks, shows_end, state_blocks, state_sentence
from bot.views.access.way_in import WayIn
from bot.views.acting import WHY
from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    countdown,
    heading,
    length,
    mention,
    moment,
    mrkdwn,
    user_text,
)
from core.access.summary import AccessSummary
from core.break_glass import BreakGlassEvent, EventStatus
from core.review import Review, Verdict

CLOSE: Final = "break_glass:close"
REVIEW: Final = "break_glass:review"
TIMELINE: Final = "break_glass:timeline"
VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.JUSTIFIED: "justified",
    Verdict.PARTLY_JUSTIFIED: "partly justified",
    Verdict.NOT_JUSTIFIED: "not justified",
}


def break_glass_card(
    event: BreakGlassEvent,
    now: datetime,
    mentions: str = "",
    review_due: datetime | None = None,
    *,
    access: AccessSummary | None = None,
    way_in: WayIn | None = None,
    fallbacks: Sequence[str] = (),
) -> Message:
    """The card as it stands at this moment. `mentions` notifies the people the policy names, in mrkdwn.

    `access` is what the event gave, `way_in` how to use it; None for an event without access. `fallbacks` are the
    policy's words for when access could not be opened.
    """
    status = EventStatus.EXPIRED if event.is_overdue(now) else event.status
    blocks: list[Block] = [heading(_headline(event, status)), mrkdwn(_who_and_what(event, status, access))]
    blocks.append(user_text(event.justification, WHY))
    if status is EventStatus.ACTIVE:
        blocks += [mrkdwn(f":bell: Notified: {mentions}")] if mentions else []
    else:
        blocks += end_blocks(event)
    blocks += _access(event, now, access, way_in, fallbacks)
    if event.review is not None:
        blocks += _review(event.review)
    elif status is not EventStatus.ACTIVE:
        due = f" by {moment(review_due)}" if review_due is not None else ""
        blocks.append(
            mrkdwn(f":mag: *Needs a review*{due} from someone who can approve requests for {code(event.profile)}.")
        )
    blocks.append(_buttons(event, status))
    return Message(text=summary(event, status, access), blocks=tuple(blocks))


def summary(event: BreakGlassEvent, status: EventStatus, access: AccessSummary | None = None) -> str:
    """One sentence for notifications and screen readers, without any text that a person typed."""
    state = f" {state_sentence(access)}" if access is not None else ""
    broke = f"{mention(event.invoker)} broke the glass for {event.profile} ({event.reason_code})"
    match status:
        case EventStatus.ACTIVE:
            return f"{broke}, until {moment(event.expires_at)}.{state}"
        case EventStatus.CLOSED:
            ended = f"{broke}: closed by {mention(event.closed_by or '')}."
        case _:
            ended = f"{broke}: expired."
    return f"{ended}{state}" if event.review is None else f"{ended}{state} Review: {VERDICTS[event.review.verdict]}."


def _headline(event: BreakGlassEvent, status: EventStatus) -> str:
    if status is EventStatus.ACTIVE:
        return f":rotating_light: Break-glass: {event.profile}"
    mark = ":ballot_box_with_check:" if event.review is not None else ":checkered_flag:"
    return f"{mark} Break-glass ended: {event.profile}"


def _who_and_what(event: BreakGlassEvent, status: EventStatus, access: AccessSummary | None) -> str:
    broke = f"{mention(event.invoker)} broke the glass for {code(event.profile)} · *{event.reason_code}*"
    if status is EventStatus.ACTIVE and shows_end(access, event.expires_at):
        return broke
    if status is EventStatus.ACTIVE:
        return f"{broke}\n:hourglass: *Until {moment(event.expires_at)}* · ends {countdown(event.expires_at)}"
    return f"{broke}\nStarted {moment(event.created_at)}, for up to {length(event.duration)}"


def end_blocks(event: BreakGlassEvent) -> list[Block]:
    """How an event ended, and what the person who closed it said."""
    if event.status is EventStatus.CLOSED and event.closed_at is not None:
        lasted = length(event.closed_at - event.created_at)
        line = f"*Closed* by {mention(event.closed_by or '')} · {moment(event.closed_at)} · after {lasted}"
        return [mrkdwn(line), *([user_text(event.closed_reason, "Closed:")] if event.closed_reason is not None else [])]
    return [mrkdwn(f"*Expired* · {moment(event.expires_at)} · after {length(event.duration)}")]


def _access(
    event: BreakGlassEvent,
    now: datetime,
    access: AccessSummary | None,
    way_in: WayIn | None,
    fallbacks: Sequence[str],
) -> list[Block]:
    blocks: list[Block] = []
    if event.access_problem is not None:
        blocks += problem_blocks(event.access_problem, is_all=access is None)
        blocks += fallback_blocks(fallbacks) if event.is_granting(now) else []
        fallbacks = ()
    if access is None:
        return blocks
    # The card of an event that was closed says by whom, and why.
    is_active = event.status is not EventStatus.CLOSED
    return [*blocks, *state_blocks(access, now, way_in=way_in, fallbacks=fallbacks, names_who_ended=is_active)]


def _review(review: Review) -> list[Block]:
    line = f":mag: *Reviewed: {VERDICTS[review.verdict]}* · {mention(review.reviewer)} · {moment(review.at)}"
    link = [user_text(review.follow_up, "Follow-up:")] if review.follow_up is not None else []
    return [mrkdwn(line), user_text(review.notes, "Found:"), *link]


def _buttons(event: BreakGlassEvent, status: EventStatus) -> Block:
    timeline = button("Timeline", TIMELINE, event.id)
    if status is EventStatus.ACTIVE:
        return actions(f"break_glass:{event.id}", button("Close…", CLOSE, event.id, style="danger"), timeline)
    if event.review is None:
        return actions(f"break_glass:{event.id}", button("Review…", REVIEW, event.id, style="primary"), timeline)
    return actions(f"break_glass:{event.id}", timeline)
