"""Replay the chain of a grant: what the target confirmed, who ended it and when, against what its record says.

Invariant: pure. A window, an opening, an early end, a close or a residue that the record has and its entries don't is
named, even if an honest change sealed it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from core.access.grant import Grant
from core.access.timing import CLOCK_MARGIN
from core.audit.trail import AuditAction, AuditEntry

_NOTED: Final = (
    ("opening", AuditAction.GRANT_OPENED, "opened_at"),
    ("early end", AuditAction.GRANT_ENDED_EARLY, "ended_early"),
    ("delay", AuditAction.GRANT_DELAYED, "delay_told_at"),
)
_NOTED_ONCE: Final = (
    AuditAction.GRANT_CREATED,
    AuditAction.GRANT_OPENED,
    AuditAction.GRANT_ENDED_EARLY,
    AuditAction.GRANT_ENDING,
    AuditAction.GRANT_CLOSED,
    AuditAction.GRANT_FAILED,
)
_CLOSING: Final = frozenset({AuditAction.GRANT_CLOSED, AuditAction.GRANT_FAILED})


def compare_grant(grant: Grant, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """In what a grant contradicts its own chain, as sentences; its status is compared elsewhere."""
    found: dict[AuditAction, AuditEntry] = {entry.event: entry for entry in entries}
    for name, action, field in _NOTED:
        if (action in found) != (getattr(grant, field) is not None):
            yield f"its {name} is not that of its entries"
    for action in _NOTED_ONCE:
        if sum(entry.event is action for entry in entries) > 1:
            yield f"its entries say {action} more than once"
    yield from _compare_opening(grant, found.get(AuditAction.GRANT_OPENED))
    yield from _compare_end(grant, found)
    yield from _compare_closing(grant, found)


def _compare_opening(grant: Grant, opened: AuditEntry | None) -> Iterator[str]:
    if opened is None:
        return
    if grant.stood_before != bool(opened.details.get("stood_before")):
        yield "whether the right stood before is not what its opening says"
    if _differs(grant, "opened_at", opened):
        yield "it opened at another time than its entries say"


def _compare_end(grant: Grant, found: Mapping[AuditAction, AuditEntry]) -> Iterator[str]:
    ended, early = found.get(AuditAction.GRANT_ENDED_EARLY), grant.ended_early
    if ended is not None and early is not None:
        if early.by != ended.actor:
            yield "its early end is not by the person whom its entries name"
        if early.reason != ended.details.get("reason", early.reason):
            yield "the reason of its early end is not the one that was given"
        # The service read the clock before the store did.
        if early.at > ended.at + CLOCK_MARGIN:
            yield "its early end is later than its entries say"
    ending = found.get(AuditAction.GRANT_ENDING)
    if ending is not None and ending.at + CLOCK_MARGIN < grant.ends_at:
        yield "it was ended as over before its window was"


def _compare_closing(grant: Grant, found: Mapping[AuditAction, AuditEntry]) -> Iterator[str]:
    last = next((found[action] for action in _CLOSING if action in found), None)
    if (last is not None) != (grant.closed_at is not None):
        yield "its close is not that of its entries"
        return
    if last is None:
        return
    if _differs(grant, "closed_at", last):
        yield "it closed at another time than its entries say"
    if last.event is AuditAction.GRANT_FAILED:
        if grant.failure != last.details.get("reason", grant.failure):
            yield "it failed for another reason than its entries say"
        return
    if grant.is_kept != bool(last.details.get("kept_for") or last.details.get("stood_before")):
        yield "whether the right was kept is not what its close says"
    if grant.to_item().get("residual_until") != last.details.get("residual_until"):
        yield "how long a session can live on is not what its close says"


def _differs(grant: Grant, name: str, entry: AuditEntry) -> bool:
    """True when the entry says another time. An entry of an older version doesn't say it."""
    said: JsonValue = entry.details.get(name)
    return isinstance(said, str) and grant.to_item().get(name) != said
