"""`countersign audit trail`: all that is recorded about one request, event, grant, session or device, in order.

Invariant: it changes nothing. It ends with how to find in AWS what was done, with the limits of each query.

Exit codes: 0 done, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import click
from pydantic import JsonValue

from bot.commands.access_lines import describe_activity, minute
from bot.commands.access_records import Found, find_records
from bot.commands.opening import opened, store_option
from bot.settings import Settings, read_settings
from core.audit.trail import AuditAction, AuditEntry
from core.clock import SystemClock
from core.duration import format_duration
from core.invalid_policy import InvalidPolicy
from core.policy import Policy, load_policy
from core.policy.duty_words import describe_kept_duties
from core.services.activity import read_activity
from core.stores.base import Stores
from core.targets.words import one_line

_MAX_LENGTH = 300
_WORDS: Final = {
    "justification": "why", "reason_code": "reason code", "mfa_method": "mfa", "right": "right", "rule": "rule",
    "asked_by": "asked by", "text": "text", "answer": "answer", "comment": "comment", "verdict": "verdict",
    "notes": "found", "follow_up": "follow-up", "reason": "reason", "unmet": "unmet", "problem": "problem",
    "device": "device", "device_name": "device", "service": "service", "name": "name", "address": "address",
    "ticket": "ticket", "ticket_check": "check of the ticket",
    "source_identity": "source identity", "access_key_id": "access key", "replaced_by": "replaced by",
}  # fmt: skip
"""The details that are shown, with their labels. A newer version's others are in `audit export`."""
_DECIDED: Final = frozenset({AuditAction.REQUEST_APPROVED, AuditAction.BREAK_GLASS_INVOKED})


@click.command()
@store_option
@click.argument("what", metavar="ID")
def trail(store: str | None, what: str) -> None:
    """Show each step of a request, event, grant, session or device, and how to find in AWS what was done."""
    settings, now = read_settings(store=store).require_audit_key(), SystemClock().now()
    with opened(settings) as stores:
        found = find_records(stores, what)
        for line in _describe(stores, found):
            click.echo(line)
        activity = read_activity(stores, _find_policy(settings), found.grants, now)
    for line in describe_activity(activity):
        click.echo(line)


def _find_policy(settings: Settings) -> Policy | None:
    """The policy, for the names of people in Identity Center; the trail can be read without it."""
    try:
        return load_policy(settings.policy)
    except InvalidPolicy:
        return None


def _describe(stores: Stores, found: Found) -> Iterator[str]:
    entries = [entry for chain in found.chains for entry in stores.audit.get_chain(chain)]
    yield from found.titles
    decided_at = {entry.chain: entry.at for entry in entries if entry.event in _DECIDED}

    def find_moment(entry: AuditEntry) -> datetime:
        # One change made the decision and its grants; the store stamped them a tick apart.
        is_made = entry.event is AuditAction.GRANT_CREATED
        return max(entry.at, decided_at.get(str(entry.details.get("source")), entry.at)) if is_made else entry.at

    # Stable: of one moment, the entries of the decision come first, as its chain does.
    for entry in sorted(entries, key=find_moment):
        yield from _lines(entry, found.chains)


def _lines(entry: AuditEntry, chains: Sequence[str]) -> Iterator[str]:
    of = f" {entry.chain}" if len(chains) > 1 else ""
    yield f"  {minute(entry.at)}{of} {entry.event.value} by {entry.actor}{_numbers(entry)}"
    for name, label in _WORDS.items():
        value = entry.details.get(name)
        if value:
            said = "; ".join(_parts(value))
            yield f"    {label}: {one_line(said, _MAX_LENGTH)}"
    for said in describe_kept_duties(entry.details):
        yield f"    on call: {one_line(said, _MAX_LENGTH)}"


def _parts(value: JsonValue) -> list[str]:
    if isinstance(value, dict):
        return [f"{name} {each}" for name, each in value.items()]
    return [*map(str, value)] if isinstance(value, list) else [str(value)]


def _numbers(entry: AuditEntry) -> str:
    """For how long, until when, and how many votes there are of those that are needed."""
    said, parts = entry.details, []
    duration, until, votes = said.get("duration"), said.get("access_ends_at"), said.get("approvals")
    if isinstance(duration, int):
        parts.append(f"for {format_duration(timedelta(microseconds=duration // 1000))}")
    if isinstance(until, str):
        parts.append(f"until {until[:19].replace('T', ' ')}Z")
    if isinstance(votes, int):
        parts.append(f"{votes} of {said.get('required_approvals')} approvals")
    return f" ({', '.join(parts)})" if parts else ""
