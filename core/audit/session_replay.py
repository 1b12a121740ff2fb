"""Replay the chain of a session, and compare the session with its grant.

Invariant: pure. Credentials that were issued without an entry, or under a grant that gave no access then, are named,
even if an honest change sealed the session afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from core.access.grant import Grant
from core.access.session import ISSUED, Session
from core.access.timing import CLOCK_MARGIN
from core.audit.trail import AuditAction, AuditEntry

_NOTED: Final = (
    ("revoke", AuditAction.SESSION_REVOKED, "revoked_at"),
    ("deny", AuditAction.DENY_PUT, "denied_at"),
    ("cleanup", AuditAction.DENY_REMOVED, "cleaned_at"),
)
_NOTED_ONCE: Final = (AuditAction.SESSION_REVOKED, AuditAction.SESSION_EXPIRED, AuditAction.DENY_REMOVED)


def chain_of_session_grant(session: Session) -> str:
    """The chain of the grant under which its credentials were issued."""
    return f"{Grant.KIND}#{session.grant}"


def compare_session(session: Session, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """In what a session contradicts its own chain, as sentences; its status is compared elsewhere."""
    found: dict[AuditAction, AuditEntry] = {entry.event: entry for entry in entries}
    for name, action, field in _NOTED:
        if (action in found) != (getattr(session, field) is not None):
            yield f"its {name} is not that of its entries"
    for action in _NOTED_ONCE:
        if sum(entry.event is action for entry in entries) > 1:
            yield f"its entries say {action} more than once"
    stored, said = session.to_item(), _find_last_issue(entries)
    for name in ISSUED:
        if stored.get(name) != said.get(name):
            yield f"its {name.replace('_', ' ')} is not that of its entries"
    yield from _compare_end(session, found)


def _find_last_issue(entries: Sequence[AuditEntry]) -> dict[str, JsonValue]:
    """What the entries say was issued last: the intent, and the key that came of it."""
    last: dict[str, JsonValue] = {}
    for entry in entries:
        if entry.event is AuditAction.CREDENTIALS_ISSUED:
            said: dict[str, JsonValue] = {name: entry.details[name] for name in ISSUED if name in entry.details}
            last = said if "issue_count" in said else last | said
    return last


def _compare_end(session: Session, found: Mapping[AuditAction, AuditEntry]) -> Iterator[str]:
    revoked = found.get(AuditAction.SESSION_REVOKED)
    if revoked is not None and session.revoked_by != revoked.actor:
        yield "it was not revoked by the person whom its entries name"
    if revoked is not None and session.revoked_reason != revoked.details.get("reason", session.revoked_reason):
        yield "the reason of its revoke is not the one that was given"
    bounds = ((AuditAction.SESSION_EXPIRED, session.expires_at), (AuditAction.DENY_REMOVED, session.credentials_until))
    for action, bound in bounds:
        entry = found.get(action)
        # The service read the clock before the store did.
        if entry is not None and entry.at + CLOCK_MARGIN < bound:
            yield f"its entries say {action} before its time"


def compare_with_grant(session: Session, grant: Grant) -> Iterator[str]:
    """In what a session contradicts the grant under which its credentials were issued."""
    pairs: tuple[tuple[str, JsonValue, JsonValue], ...] = (
        ("person", session.person, grant.person),
        ("profile", session.profile, grant.profile),
        ("right", str(session.right), str(grant.right)),
        ("decision", session.source, grant.source),
        ("service", session.service, grant.service),
        ("end", session.to_item()["expires_at"], grant.to_item()["expires_at"]),
    )
    for name, of_session, of_grant in pairs:
        if of_session != of_grant:
            yield f"its {name} is not that of {grant.chain}"
    if grant.opened_at is None or session.created_at + CLOCK_MARGIN < grant.opened_at:
        yield f"its credentials were issued before {grant.chain} was open"
    if session.last_used_at > grant.ended_at + CLOCK_MARGIN:
        yield f"its credentials were issued after {grant.chain} had ended"
