"""What is said when something happened to an event: in its thread, to its invoker, and in the security channel.

Invariant: what people typed is plain text. What is said is true of the event as it is now, which may be later than the
thing that happened.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    countdown,
    escape,
    length,
    mention,
    moment,
    mrkdwn,
    plain,
    user_text,
)
from bot.views.break_glass.card import CLOSE, VERDICTS
from core.audit.trail import AuditEntry
from core.break_glass import BreakGlassEvent, EventStatus
from core.clock import parse_time
from core.usage import LIVE_EVENT

_MAX_JUSTIFICATION = 1000


def ended(event: BreakGlassEvent) -> Message:
    """How the event ended, for its thread."""
    if event.status is EventStatus.CLOSED:
        return _news(f"Closed by {who(event.closed_by or '')}. The access has ended.", event.closed_reason)
    return _news(f"Expired: the access ended {moment(event.expires_at)}.")


def reviewed(event: BreakGlassEvent) -> Message:
    """What the review found, for the thread. The card has the notes."""
    if event.review is None:
        return _news("Reviewed.")
    return _news(f"Reviewed by {who(event.review.reviewer)}: {VERDICTS[event.review.verdict]}.")


def is_it_over(event: BreakGlassEvent) -> Message:
    """The question to the invoker, shortly before the end."""
    line = (
        f":hourglass: Your break-glass access to {code(event.profile)} ends {countdown(event.expires_at)}, "
        f"{moment(event.expires_at)}. Is it over? Then close it now."
    )
    closing = actions(f"over:{event.id}", button("Close…", CLOSE, event.id, style="danger"))
    return Message(text=line, blocks=(mrkdwn(line), closing))


def ended_for_invoker(event: BreakGlassEvent, channel: str | None) -> Message:
    """How it ended, for the invoker. `channel` is where the card stands."""
    access = f"Your break-glass access to {code(event.profile)}"
    if event.status is EventStatus.CLOSED:
        line = f":checkered_flag: {access} was closed by {who(event.closed_by or '')}. It has ended."
    else:
        line = f":checkered_flag: {access} has ended: its time has passed."
    line += " Somebody who may approve for it reviews the event." if event.review is None else ""
    return _news(line, event.closed_reason, _where(event, channel))


def review_for_invoker(event: BreakGlassEvent, channel: str | None) -> Message:
    """What the review found, for the invoker."""
    if event.review is None:
        return _news("Your break-glass event was reviewed.")
    line = (
        f":mag: {who(event.review.reviewer)} reviewed your break-glass event for {code(event.profile)}: "
        f"*{VERDICTS[event.review.verdict]}*."
    )
    return _news(line, event.review.notes, _where(event, channel))


def review_overdue(event: BreakGlassEvent, reviewers: str, due_at: datetime) -> Message:
    """A reminder that nobody has reviewed it yet: for the thread, and for the security channel."""
    line = (
        f":mag: Nobody has reviewed the break-glass event of {who(event.invoker)} for {code(event.profile)} yet. "
        f"The review was due {moment(due_at)}."
    )
    line = f"{line} {reviewers}: please press Review on its card." if reviewers else line
    return _news(line, None, context(f"Event {code(event.id)}"))


def escalated(event: BreakGlassEvent, channel: str | None) -> Message:
    """So many events for one profile that the security channel hears of it."""
    line = (
        f":rotating_light: {who(event.invoker)} broke the glass for {code(event.profile)} ({event.reason_code}), and "
        f"with that it has been broken for {code(event.profile)} so often that this channel is told."
    )
    return _news(line, event.justification, _where(event, channel))


def refused(entry: AuditEntry) -> Message:
    """A declaration that was refused, for the security channel."""
    times = entry.details.get("times", 1)
    often = f", {times} times" if isinstance(times, int) and times > 1 else ""
    profile = f" for {code(entry.profile)}" if entry.profile is not None else ""
    line = f":no_entry: {who(entry.actor)} tried to break the glass{profile} and was refused{often}."
    return _news(line, None, _why(entry), context(f"tried {moment(entry.at)}"))


def _why(entry: AuditEntry) -> Block:
    block: Block = {"type": "context", "elements": [plain(_reason(entry), _MAX_JUSTIFICATION)]}
    with suppress(ValueError):
        ends_at = parse_time(str(entry.details.get("ends_at")))
        block["elements"] += context(f"until {moment(ends_at)}")["elements"]
    return block


def _reason(entry: AuditEntry) -> str:
    details = entry.details
    if details.get("limit") == LIVE_EVENT:
        return f"They have it already, by the event {details.get('value')}"
    if "limit" in details:
        return f"The limit is {details['limit']} ({details.get('value', '')})"
    unmet = details.get("unmet")
    if isinstance(unmet, list):
        # Groups stay as the policy spells them: to mention one here would call everybody in it.
        return "; ".join(str(each).replace(f"{entry.actor} is ", "they are ") for each in unmet)
    if "status" in details:
        return f"its request is {details['status']} by now"
    return str(details.get("why", "no reason is on record"))


def _where(event: BreakGlassEvent, channel: str | None) -> Block:
    where = f"<#{escape(channel)}> · " if channel is not None else ""
    return context(f"{where}{code(event.id)} · {length(event.duration)} from {moment(event.created_at)}")


def _news(line: str, typed: str | None = None, *more: Block) -> Message:
    return Message(text=line, blocks=(mrkdwn(line), *([user_text(typed)] if typed is not None else []), *more))
