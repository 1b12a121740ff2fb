"""`countersign audit trail`: all that is recorded about one request, event, grant, session or device, in order.

Invariant: it changes nothing. It ends with how to find in AWS what was done, with the limits of each query.

Exit codes: 0 done, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from bot.commands.access_lines import describe_activity, minute
from bot.commands.access_records import Found, find_records
from bot.commands.opening import opened, store_option
from bot.settings import Settings, read_settings
from core.audit.trail import AuditEntry
from core.clock import SystemClock
from core.invalid_policy import InvalidPolicy
from core.policy import Policy, load_policy
from core.services.activity import read_activity
from core.stores.base import Stores
from core.targets.words import one_line

_MAX_LENGTH = 300
_DETAILS = ("reason", "problem", "device", "device_name", "name", "address", "source_identity", "access_key_id")


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
    for entry in sorted(entries, key=lambda each: (each.at, each.chain, each.seq)):
        yield _line(entry, found.chains)


def _line(entry: AuditEntry, chains: Sequence[str]) -> str:
    said = "; ".join(
        f"{name}: {one_line(str(entry.details[name]), _MAX_LENGTH)}" for name in _DETAILS if name in entry.details
    )
    of = f" {entry.chain}" if len(chains) > 1 else ""
    return f"  {minute(entry.at)}{of} {entry.event.value} by {entry.actor}" + (f" ({said})" if said else "")
