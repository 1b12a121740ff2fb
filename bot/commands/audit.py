"""`countersign audit`: verify the trail, and export it as JSON Lines.

Invariant: neither changes anything, and neither says that all is well about a store that is not there. The export
streams: its memory does not grow with the trail.

Exit codes: 0 nothing was found, 1 something was.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from typing import Final

import click

from bot.commands.opening import opened
from bot.settings import read_settings
from core.actor import check_profile_name, check_user_id
from core.audit.export import select_entries, write_line
from core.audit.verification import Tally, verify_trail
from core.clock import SystemClock, require_utc
from core.errors import InvalidInput

_FOUND: Final = 1
_store_option = click.option("--store", metavar="URL", help="Which store. Default: COUNTERSIGN_STORE.")
_UNKEYED: Final = (
    "The trail is sealed without a secret key, so this finds accidents but no forger. Set COUNTERSIGN_AUDIT_KEY."
)


@click.group()
def audit() -> None:
    """Verify or export the audit trail."""


@audit.command()
@_store_option
def verify(store: str | None) -> None:
    """Find what was changed behind the bot's back."""
    settings, tally, found = read_settings(store=store), Tally(), 0
    with opened(settings) as stores:
        for finding in verify_trail(stores, settings.keyring, SystemClock().now(), tally):
            found += 1
            click.echo(f"{finding.chain}: {finding.kind}: {finding.text}")
    outcome = f"{_count(found, 'finding')}, see above" if found else "nothing was changed behind the bot's back"
    click.echo(f"checked {_count(tally.records, 'record')} and {_count(tally.entries, 'entry')}: {outcome}")
    if not settings.keyring.is_keyed:
        click.echo(_UNKEYED)
    if found:
        click.get_current_context().exit(_FOUND)


@audit.command()
@_store_option
@click.option("--since", metavar="TIME", help="From this moment on, such as 2026-01-15 or 2026-01-15T10:00:00Z.")
@click.option("--until", metavar="TIME", help="Up to this moment, and without it.")
@click.option("--profile", help="Only what is about this profile.")
@click.option("--person", metavar="USER", help="Only what this person did, or what was about this person.")
def export(store: str | None, since: str | None, until: str | None, profile: str | None, person: str | None) -> None:
    """Write the trail to standard output, oldest entry first, one line of JSON each."""
    settings = read_settings(store=store)
    begin, end = _read_moment("since", since), _read_moment("until", until)
    wanted_profile = check_profile_name(profile) if profile is not None else None
    wanted_person = check_user_id(person, "person") if person is not None else None
    with opened(settings) as stores:
        for entry in select_entries(stores.audit.export(since=begin, until=end), wanted_profile, wanted_person):
            # Not click.echo, which flushes each line. When the reader goes away, as `head` does, click ends quietly.
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
            option, f"{text!r:.60} is not a day, or a time with its zone", "Write 2026-01-15 or 2026-01-15T10:00:00Z."
        ) from error


def _count(number: int, thing: str) -> str:
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"
