"""The timelines of events and requests: each step and each notification, in order, and where to find what was done.

Invariant: it holds no text that a person typed; the card has that. It fits one message, whatever happened, and says
when it leaves something out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from pydantic import JsonValue

from bot.views.access.cloudtrail import activity_blocks
from bot.views.acting import acting
from bot.views.block_kit import (
    MAX_SECTION_TEXT,
    Block,
    Message,
    code,
    context,
    escape,
    length,
    mention,
    moment,
    mrkdwn,
    people,
)
from core.audit.trail import AuditAction, AuditEntry
from core.pagers.page_ledger import PageLedger
from core.policy.duty_words import kept_schedules
from core.request import Request
from core.services.timeline import RequestTimeline, Timeline
from core.stores.messages import MessageRef

MAX_LINES: Final = 60
MAX_CHARACTERS: Final = 8000
"""Of all lines: with the queries, a message stays below what Slack takes."""
_VOTES: Final = frozenset({AuditAction.APPROVAL_ADDED, AuditAction.REQUEST_APPROVED})
_STEPS: Final[Mapping[AuditAction, str]] = {
    AuditAction.REQUEST_SUBMITTED: "requested access",
    AuditAction.APPROVAL_ADDED: "approved the request (one vote)",
    AuditAction.REQUEST_APPROVED: "approved the request",
    AuditAction.REQUEST_DENIED: "denied the request",
    AuditAction.REQUEST_CANCELLED: "cancelled the request",
    AuditAction.REQUEST_EXPIRED: "the request expired",
    AuditAction.REQUEST_REMINDED: "the approvers were reminded",
    AuditAction.REQUEST_ESCALATED: "the request escalated",
    AuditAction.REQUEST_CONFIRMED: "confirmed that they want it",
    AuditAction.QUESTION_ASKED: "asked a question",
    AuditAction.QUESTION_ANSWERED: "answered a question",
    AuditAction.BREAK_GLASS_INVOKED: "*broke the glass*",
    AuditAction.BREAK_GLASS_ENDING_SOON: "the invoker was reminded to close it",
    AuditAction.BREAK_GLASS_CLOSED: "*closed it*",
    AuditAction.BREAK_GLASS_EXPIRED: "*it expired*",
    AuditAction.REVIEW_REMINDED: "the reviewers were reminded",
    AuditAction.BREAK_GLASS_REVIEWED: "*reviewed it*",
    AuditAction.CREDENTIALS_ISSUED: "credentials were issued to a device",
    AuditAction.SESSION_REVOKED: "the credentials of a device were ended",
    AuditAction.SESSION_EXPIRED: "the credentials of a device expired",
    AuditAction.DENY_PUT: "AWS was told to deny them",
    AuditAction.DENY_FAILING: "AWS doesn't deny them yet",
    AuditAction.DENY_REMOVED: "the deny was removed: the credentials are dead",
}


def timeline(read: Timeline) -> Message:
    """The timeline as one message."""
    event = read.event
    title = f"*Timeline of break-glass event* {code(event.id)} · {code(event.profile)} · {mention(event.invoker)}"
    facts = [f"rule {code(event.rule)}", f"MFA: {event.mfa_method}" if event.mfa_method is not None else "no MFA"]
    facts += [f"replaces request {code(event.instead_of)}"] if event.instead_of is not None else []
    return _message(title, facts, event.id, read, event.chain)


def request_timeline(read: RequestTimeline) -> Message:
    """The timeline of a request as one message."""
    request = read.request
    who = acting(request.requester, request.service)
    title = f"*Timeline of request* {code(request.id)} · {code(request.profile)} · {who}"
    starts = [f"starts {moment(request.starts_at)}"] if request.starts_at is not None else []
    return _message(title, [f"rule {code(request.rule)}", *starts], request.id, read, request.chain)


def _message(title: str, facts: Sequence[str], record_id: str, read: Timeline | RequestTimeline, chain: str) -> Message:
    found = [*_steps(read.entries, chain), *_notifications(read.places), *_paged(read.page)]
    lines = sorted(found, key=lambda line: line[0])
    shown = list(islice(_fitting(text for _, text in lines), MAX_LINES))
    blocks: list[Block] = [mrkdwn(title), context(" · ".join(facts)), *_sections(shown)]
    if len(lines) > len(shown):
        rest = f"{len(lines) - len(shown)} later steps aren't shown; {code(f'countersign audit trail {record_id}')}"
        blocks.append(context(f"{rest} has all of them."))
    blocks += activity_blocks(read.activity, record_id)
    return Message(text=f"Timeline of {record_id}: {len(lines)} steps", blocks=tuple(blocks))


def _fitting(lines: Iterable[str]) -> Iterator[str]:
    left = MAX_CHARACTERS
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            return
        yield line


def _steps(entries: Sequence[AuditEntry], chain: str) -> Iterator[tuple[datetime, str]]:
    issued: set[str] = set()
    for entry in entries:
        if entry.event is AuditAction.CREDENTIALS_ISSUED:
            # Once for each device: the others are renewals, which its program asks for every hour.
            if entry.chain in issued:
                continue
            issued.add(entry.chain)
        by = f"{mention(entry.actor)} " if not entry.actor.startswith("clock") else ""
        what = _STEPS.get(entry.event, escape(entry.event.replace("_", " ")))
        of = "" if entry.chain == chain else _of(entry.chain)
        at = moment(entry.at, form="{date_short} {time_secs}")
        yield entry.at, f"{at} · {by}{what}{_on_call(entry)}{_more(entry)}{of}"


def _of(chain: str) -> str:
    kind, _, record_id = chain.partition("#")
    return f" · request {code(record_id)}" if kind == Request.KIND else ""


def _on_call(entry: AuditEntry) -> str:
    schedules = kept_schedules(entry.details)
    return f" · on call in {', '.join(map(code, schedules))}" if schedules else ""


def _more(entry: AuditEntry) -> str:
    if entry.event is AuditAction.BREAK_GLASS_INVOKED and entry.details.get("is_escalated") is True:
        return " · escalated"
    if entry.event is AuditAction.REQUEST_CANCELLED and "replaced_by" in entry.details:
        return " · for this event"
    if entry.event is AuditAction.REQUEST_SUBMITTED and entry.subject is not None and "asked_by" in entry.details:
        return f" · for {mention(entry.subject)}"
    if entry.event is AuditAction.REQUEST_ESCALATED and isinstance(to := entry.details.get("to"), list):
        return f" to {', '.join(people(str(each)) for each in to)}"
    if entry.event in _VOTES and isinstance(given := entry.details.get("duration"), int):
        return f" · for {length(timedelta(microseconds=given // 1000))} only"
    lapsed = entry.details.get("lapsed")
    return f" · {_lapsed(lapsed)}" if isinstance(lapsed, list) and lapsed else ""


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


def _paged(page: PageLedger | None) -> Iterator[tuple[datetime, str]]:
    if page is None or page.pager is None or page.paged_at is None:
        return
    yield page.paged_at, f"{moment(page.paged_at, form='{date_short} {time_secs}')} · people were paged in {page.pager}"
    if (taken := page.acknowledgement) is not None:
        # The name is the pager's, not Slack's.
        at = moment(taken.at, form="{date_short} {time_secs}")
        yield taken.at, f"{at} · {code(taken.by)} acknowledged the page in {page.pager}"


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
