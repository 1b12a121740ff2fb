"""`countersign audit`: verify the audit trail, show or export it, or change its key.

Invariant: the export changes nothing, and doesn't report a missing store as an empty one. It streams, so its memory use
doesn't grow with the trail.
"""

from __future__ import annotations

import errno
import sys

import click

from bot.commands.audit_key import key
from bot.commands.audit_trail import trail
from bot.commands.audit_verify import verify
from bot.commands.opening import opened, store_option
from bot.commands.terminal import read_moment
from bot.settings import read_settings
from core.actor import check_profile_name, check_user_id
from core.audit.export import select_entries, write_line


@click.group()
def audit() -> None:
    """Verify the audit trail, show or export it, or change its key."""


audit.add_command(verify)
audit.add_command(key)
audit.add_command(trail)


@audit.command()
@store_option
@click.option("--since", metavar="TIME", help="From this time on, such as 2026-01-15 or 2026-01-15T10:00:00Z.")
@click.option("--until", metavar="TIME", help="Up to this time, not including it.")
@click.option("--profile", help="Only entries about this profile.")
@click.option("--person", metavar="USER", help="Only entries about this person, or about what they did.")
def export(store: str | None, since: str | None, until: str | None, profile: str | None, person: str | None) -> None:
    """Write the audit trail to standard output as JSON Lines, oldest entry first."""
    settings = read_settings(store=store)
    begin, end = read_moment("since", since), read_moment("until", until)
    wanted_profile = check_profile_name(profile) if profile is not None else None
    wanted_person = check_user_id(person, "person") if person is not None else None
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it's closed")
    with opened(settings) as stores:
        for entry in select_entries(stores.audit.export(since=begin, until=end), wanted_profile, wanted_person):
            # Not click.echo, which flushes every line. If the reader exits early, as `head` does, click ends quietly.
            sys.stdout.write(f"{write_line(entry)}\n")
