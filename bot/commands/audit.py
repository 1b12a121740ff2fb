"""`countersign audit`: verify the audit trail, or export it as JSON Lines.

Invariant: neither command changes anything, and neither reports a missing store as a clean one. The export streams, so
its memory use doesn't grow with the trail.

Exit codes: 0 no findings, 1 findings.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from typing import Final

import click

from bot.commands.opening import opened, store_option
from bot.commands.terminal import count_of
from bot.settings import read_settings
from core.actor import check_profile_name, check_user_id
from core.audit.export import select_entries, write_line
from core.audit.findings import Tally
from core.audit.verification import verify_trail
from core.clock import SystemClock, require_utc
from core.errors import InvalidInput

_FOUND: Final = 1
_UNKEYED: Final = (
    "COUNTERSIGN_AUDIT_KEY is not set, so this check finds accidental damage but not forgery. "
    "Set it to the key that the bot uses."
)


@click.group()
def audit() -> None:
    """Verify the audit trail, or export it."""


@audit.command()
@store_option
def verify(store: str | None) -> None:
    """Check the records and the audit trail for tampering."""
    settings, tally, found = read_settings(store=store), Tally(), 0
    with opened(settings) as stores:
        for finding in verify_trail(stores, settings.keyring, SystemClock().now(), tally):
            found += 1
            click.echo(f"{finding.chain}: {finding.kind}: {finding.text}")
    outcome = f"{count_of(found, 'finding')}, listed above" if found else "no tampering found"
    click.echo(f"checked {count_of(tally.records, 'record')} and {count_of(tally.entries, 'entry')}: {outcome}")
    if not settings.keyring.is_keyed:
        click.echo(_UNKEYED)
    if found:
        click.get_current_context().exit(_FOUND)


@audit.command()
@store_option
@click.option("--since", metavar="TIME", help="From this time on, such as 2026-01-15 or 2026-01-15T10:00:00Z.")
@click.option("--until", metavar="TIME", help="Up to this time, not including it.")
@click.option("--profile", help="Only entries about this profile.")
@click.option("--person", metavar="USER", help="Only entries about this person, or about what they did.")
def export(store: str | None, since: str | None, until: str | None, profile: str | None, person: str | None) -> None:
    """Write the audit trail to standard output as JSON Lines, oldest entry first."""
    settings = read_settings(store=store)
    begin, end = _read_moment("since", since), _read_moment("until", until)
    wanted_profile = check_profile_name(profile) if profile is not None else None
    wanted_person = check_user_id(person, "person") if person is not None else None
    with opened(settings) as stores:
        for entry in select_entries(stores.audit.export(since=begin, until=end), wanted_profile, wanted_person):
            # Not click.echo, which flushes every line. If the reader exits early, as `head` does, click ends quietly.
            sys.stdout.write(f"{write_line(entry)}\n")


def _read_moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-15"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return require_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            option,
            f"{text!r:.60} is neither a date nor a time with a time zone",
            "Write 2026-01-15 or 2026-01-15T10:00:00Z.",
        ) from error
