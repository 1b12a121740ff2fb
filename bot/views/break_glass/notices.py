"""What is posted when something happened to an event: in its thread, to its invoker, and in the security channel.

Invariant: what people typed is plain text, and a line before it says whose words they are. What a notice says is true
of the event as it is now, which may be later than what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from bot.slack.app_surface import BREAK_GLASS
from bot.views.access.state import access_after, fallback_blocks
from bot.views.acting import WHY
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
    with_own_times,
)
from bot.views.break_glass.card import CLOSE, REVIEW, VERDICTS
from bot.views.links import NO_PLACE, CardPlace, where_line, where_with_id
from core.access.summary import AccessSummary
from core.audit.trail import AuditEntry
from core.break_glass import BreakGlassEvent, EventStatus
from core.clock import parse_time
from core.services.submit import REQUEST_REFUSED
from core.usage import LIVE_EVENT

_MAX_JUSTIFICATION = 1000


def ended(event: BreakGlassEvent, access: AccessSummary | None = None) -> Message:
    """How the event ended, for its thread."""
    if event.status is EventStatus.CLOSED:
        line = f"Closed by {mention(event.closed_by or '')}. {access_after(access)}"
        return _notice(line, event.closed_reason, lead="Closed:")
    if access is None:
        return _notice(f"Expired: the access ended {moment(event.expires_at)}.")
    return _notice(f"Expired {moment(event.expires_at)}. {access_after(access)}")


def access_problem(event: BreakGlassEvent, fallbacks: Sequence[str], place: CardPlace) -> Message:
    """Access that could not even be asked for: for the invoker, with what to do."""
    is_all = not event.rights
    what = "No access was opened" if is_all else "Some access was not opened"
    line = f":x: {what} for your break-glass event for {code(event.profile)}:"
    blocks = (mrkdwn(line), user_text(event.access_problem or ""), *fallback_blocks(fallbacks), _where(event, place))
    return Message(text=line, blocks=blocks)


def closed_by_other(event: BreakGlassEvent, place: CardPlace, access: AccessSummary | None = None) -> Message:
    """An event that somebody else than its invoker closed, for the profile's channel and the security channel."""
    closer, invoker = mention(event.closed_by or ""), mention(event.invoker)
    after = "The access has ended, and" if access is None else access_after(access)
    line = (
        f":rotating_light: {closer} closed the break-glass event of {invoker} for {code(event.profile)}. {after} "
        f"{invoker} can declare again at once. If nobody agreed to this, check the account of {closer}."
    )
    return _notice(line, event.closed_reason, _where(event, place), lead="Closed:")


def reviewed(event: BreakGlassEvent) -> Message:
    """What the review found, for the thread. The card has the notes."""
    if event.review is None:
        return _notice("Reviewed.")
    return _notice(f"Reviewed by {mention(event.review.reviewer)}: {VERDICTS[event.review.verdict]}.")


def is_it_over(event: BreakGlassEvent, place: CardPlace = NO_PLACE) -> Message:
    """The reminder to the invoker, shortly before the end."""
    line = (
        f":hourglass: Your break-glass access to {code(event.profile)} ends {countdown(event.expires_at)} "
        f"({moment(event.expires_at)}). If you're done, close it now."
    )
    closing = actions(f"over:{event.id}", button("Close…", CLOSE, event.id, style="danger"))
    return Message(text=line, blocks=(mrkdwn(line), closing, _where(event, place)))


def ended_for_invoker(event: BreakGlassEvent, place: CardPlace, summary: AccessSummary | None = None) -> Message:
    """How it ended, for the invoker. `place` is where the card is."""
    access = f"Your break-glass access to {code(event.profile)}"
    after = access_after(summary) if summary is not None else "It has ended."
    if event.status is EventStatus.CLOSED:
        line = f":checkered_flag: {access} was closed by {mention(event.closed_by or '')}. {after}"
    else:
        line = f":checkered_flag: {access} has expired."
        line += f" {after}" if summary is not None else ""
    if event.review is None:
        line += f" Someone who can approve requests for {code(event.profile)} will review the event."
    hint = _declare_again(event) if event.is_closed_by_other else ""
    more = (mrkdwn(hint), _where(event, place)) if hint else (_where(event, place),)
    notice = _notice(line, event.closed_reason, *more, lead="Closed:")
    return Message(text=f"{line} {hint}".rstrip(), blocks=notice.blocks)


def _declare_again(event: BreakGlassEvent) -> str:
    return (
        "If you still need the access, declare again now: no cooldown has started, and the closed event doesn't count "
        f"against your quota. Send:\n{code(f'{BREAK_GLASS} {event.profile}')}"
    )


def review_for_invoker(event: BreakGlassEvent, place: CardPlace) -> Message:
    """What the review found, for the invoker."""
    if event.review is None:
        return _notice("Your break-glass event was reviewed.")
    line = (
        f":mag: {mention(event.review.reviewer)} reviewed your break-glass event for {code(event.profile)}: "
        f"*{VERDICTS[event.review.verdict]}*."
    )
    return _notice(line, event.review.notes, _where(event, place), lead="Found:")


def review_overdue(event: BreakGlassEvent, reviewers: str, due_at: datetime, place: CardPlace = NO_PLACE) -> Message:
    """A reminder that nobody has reviewed it yet, with the button to do it: for the thread and the security channel."""
    line = (
        f":mag: The break-glass event of {mention(event.invoker)} for {code(event.profile)} hasn't been reviewed yet. "
        f"The review was due {moment(due_at)}."
    )
    line = f"{line} {reviewers}: please review it." if reviewers else line
    reviewing = actions(f"overdue:{event.id}", button("Review…", REVIEW, event.id, style="primary"))
    return _notice(line, None, reviewing, _where(event, place))


def escalated(event: BreakGlassEvent, place: CardPlace) -> Message:
    """An event that reaches the escalation threshold of its profile, for the security channel."""
    line = (
        f":rotating_light: {mention(event.invoker)} broke the glass for {code(event.profile)} ({event.reason_code}). "
        f"This reaches the escalation threshold for {code(event.profile)}."
    )
    return _notice(line, event.justification, _where(event, place), lead=WHY)


def refused(entry: AuditEntry, place: CardPlace = NO_PLACE) -> Message:
    """A declaration that was refused, for the security channel. `place`: of the card that the reason is about."""
    times = entry.details.get("times", 1)
    often = f", {times} times" if isinstance(times, int) and times > 1 else ""
    profile = f" for {code(entry.profile)}" if entry.profile is not None else ""
    line = f":no_entry: {mention(entry.actor)} tried to break the glass{profile} and was refused{often}."
    return _notice(line, None, _why(entry), where_line(place, f"attempted {moment(entry.at)}"))


def ledger_unreadable(entry: AuditEntry) -> Message:
    """A ledger that can't be read, for the security channel."""
    ledger = code(str(entry.details.get("ledger", "")))
    what_follows = (
        "so requests that it limits are refused. Break-glass still works."
        if entry.outcome == REQUEST_REFUSED
        else "so its limits were counted from the events. Break-glass still works."
    )
    line = (
        f":rotating_light: The ledger {ledger} in the store can't be read, {what_follows} Find out "
        "who changed the ledger, then run this where Countersign runs:\n"
        f"{code('countersign ledgers rebuild')}"
    )
    problem = plain(str(entry.details.get("problem", "")), _MAX_JUSTIFICATION)
    return _notice(line, None, {"type": "context", "elements": [problem]}, context(f"found {moment(entry.at)}"))


def _why(entry: AuditEntry) -> Block:
    # Plain text shows the backticks of a policy's sentence as they are.
    reason = _reason(entry).replace("`", "")
    timed = with_own_times(escape(reason[:_MAX_JUSTIFICATION]))
    block = (
        context(timed) if "<!date^" in timed else {"type": "context", "elements": [plain(reason, _MAX_JUSTIFICATION)]}
    )
    with suppress(ValueError):
        ends_at = parse_time(str(entry.details.get("ends_at")))
        block["elements"] += context(f"until {moment(ends_at)}")["elements"]
    return block


def _reason(entry: AuditEntry) -> str:
    details = entry.details
    if details.get("limit") == LIVE_EVENT:
        return f"they already have this access through break-glass event {details.get('value')}"
    if "limit" in details:
        return f"limit reached: {details['limit']} ({details.get('value', '')})"
    unmet = details.get("unmet")
    if isinstance(unmet, list):
        # Groups stay as the policy writes them: a mention here would notify everyone in them.
        said = (str(each).replace(f"{entry.actor} is ", "they are ") for each in unmet)
        said = (each.replace(f"{entry.actor} was ", "they were ") for each in said)
        return "; ".join(each.replace(f"no rule lets {entry.actor} ", "no rule lets them ") for each in said)
    if "status" in details:
        return f"the request it would replace is already {details['status']}"
    return str(details.get("why", "no reason was recorded"))


def _where(event: BreakGlassEvent, place: CardPlace) -> Block:
    return where_with_id(place, event.id, f"{length(event.duration)} from {moment(event.created_at)}")


def _notice(line: str, typed: str | None = None, *more: Block, lead: str = "") -> Message:
    """A line, and a person's words if there are any; `lead` says what they are."""
    if typed is None:
        return Message(text=line, blocks=(mrkdwn(line), *more))
    return Message(text=line, blocks=(mrkdwn(line), user_text(typed, lead), *more))
