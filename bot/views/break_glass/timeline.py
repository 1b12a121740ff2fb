"""The timeline of an event, for its review: each step and each notification, in order.

Invariant: it holds no text that a person typed; the card has that. It fits one message, whatever happened, and says
when it leaves something out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from pydantic import JsonValue

from bot.views.block_kit import (
    MAX_SECTION_TEXT,
    Block,
    Message,
    code,
    context,
    escape,
    mention,
    moment,
    mrkdwn,
)
from core.audit.trail import AuditAction, AuditEntry
from core.services.timeline import Timeline
from core.stores.messages import MessageRef

MAX_LINES: Final = 60
_STEPS: Final[Mapping[AuditAction, str]] = {
    AuditAction.REQUEST_SUBMITTED: "requested access",
    AuditAction.APPROVAL_ADDED: "approved the request (one vote)",
    AuditAction.REQUEST_APPROVED: "approved the request",
    AuditAction.REQUEST_DENIED: "denied the request",
    AuditAction.REQUEST_CANCELLED: "cancelled the request",
    AuditAction.REQUEST_EXPIRED: "the request expired",
    AuditAction.REQUEST_REMINDED: "the approvers were reminded",
    AuditAction.BREAK_GLASS_INVOKED: "*broke the glass*",
    AuditAction.BREAK_GLASS_ENDING_SOON: "the invoker was reminded to close it",
    AuditAction.BREAK_GLASS_CLOSED: "*closed it*",
    AuditAction.BREAK_GLASS_EXPIRED: "*it expired*",
    AuditAction.REVIEW_REMINDED: "the reviewers were reminded",
    AuditAction.BREAK_GLASS_REVIEWED: "*reviewed it*",
}


def timeline(read: Timeline) -> Message:
    """The timeline as one message."""
    event = read.event
    lines = sorted([*_steps(read), *_notifications(read.places)], key=lambda line: line[0])
    shown = [text for _, text in lines[:MAX_LINES]]
    title = f"*Timeline of break-glass event* {code(event.id)} · {code(event.profile)} · {mention(event.invoker)}"
    blocks: list[Block] = [mrkdwn(title), *_sections(shown)]
    if len(lines) > MAX_LINES:
        rest = f"{len(lines) - MAX_LINES} later steps aren't shown; `countersign audit export` has all of them."
        blocks.append(context(rest))
    return Message(text=f"Timeline of {event.id}: {len(lines)} steps", blocks=tuple(blocks))


def _steps(read: Timeline) -> Iterator[tuple[datetime, str]]:
    for entry in read.entries:
        by = f"{mention(entry.actor)} " if not entry.actor.startswith("clock") else ""
        what = _STEPS.get(entry.event, escape(entry.event.replace("_", " ")))
        of = "" if entry.chain == read.event.chain else f" · request {code(entry.chain.rpartition('#')[2])}"
        yield entry.at, f"{moment(entry.at, form='{date_short} {time_secs}')} · {by}{what}{_more(entry)}{of}"


def _more(entry: AuditEntry) -> str:
    if entry.event is AuditAction.BREAK_GLASS_INVOKED and entry.details.get("is_escalated") is True:
        return " · escalated"
    if entry.event is AuditAction.REQUEST_CANCELLED and "replaced_by" in entry.details:
        return " · for this event"
    lapsed = entry.details.get("lapsed")
    if isinstance(lapsed, list) and lapsed:
        return f" · {_lapsed(lapsed)}"
    return ""


def _lapsed(votes: list[JsonValue]) -> str:
    found = [vote for vote in votes if isinstance(vote, dict)]
    return "; ".join(
        f"~{mention(str(vote.get('approver', '')))} approved~, no longer counts: {escape(str(vote.get('reason', '')))}"
        for vote in found
    )


def _notifications(places: Mapping[str, MessageRef]) -> Iterator[tuple[datetime, str]]:
    for name, place in places.items():
        at = _posted_at(place)
        if at is not None:
            kind, _, _ = name.partition(":")
            what = {"card": "card posted", "thread": "reply posted", "dm": "direct message sent"}.get(
                kind, "message posted"
            )
            where = f"to <@{escape(name.rpartition(':')[2])}>" if kind == "dm" else f"in <#{escape(place.channel)}>"
            yield at, f"{moment(at, form='{date_short} {time_secs}')} · {what} {where}"


def _posted_at(place: MessageRef) -> datetime | None:
    # Slack names a message by the time of its posting, in seconds with a fraction.
    try:
        return datetime.fromtimestamp(float(place.ts), UTC)
    except (ValueError, OverflowError):
        return None


def _sections(lines: list[str]) -> Iterator[Block]:
    """The lines in as few sections as they fit into."""
    waiting = iter(lines)
    section = list(islice(waiting, 1))
    for line in waiting:
        if len("\n".join([*section, line])) > MAX_SECTION_TEXT:
            yield mrkdwn("\n".join(section))
            section = []
        section.append(line)
    if section:
        yield mrkdwn("\n".join(section))
