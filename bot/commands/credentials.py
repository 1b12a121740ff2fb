"""`countersign credentials`: AWS credentials for the SDKs, as a `credential_process` prints them.

Invariant: standard output has the SDK's JSON or nothing. Standard error has one line at most, and nothing secret: SDKs
keep it in their logs.

Exit codes: 0 printed, 1 there are no credentials now, 2 the input can't be used.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import click

from bot.terminal.connecting import find_server
from bot.terminal.credential_output import print_credentials, write_for_process
from bot.terminal.credential_source import CredentialSource
from bot.terminal.errors import TerminalError
from bot.terminal.posix import require_posix
from core.actor import check_profile_name

_NO_CREDENTIALS: Final = 1


target_option = click.option("--target", metavar="NAME", help="Which of the profile's roles, if it has several.")


@click.command()
@target_option
@click.option("--renew", is_flag=True, help="Ask the server, even if cached credentials would do.")
@click.argument("profile")
def credentials(profile: str, target: str | None, *, renew: bool) -> None:
    """Print AWS credentials for PROFILE, to which you have access now. AWS SDKs run this as their credential_process.

    `countersign aws configure` sets that up. Until they have to be renewed, credentials come from a cache that only you
    can read. They stop working when your access ends.
    """
    require_posix("credentials")
    check_profile_name(profile)
    try:
        source = CredentialSource(find_server(), profile, partial(say, "countersign"), target=target)
        is_printed = print_credentials(write_for_process(source.get(is_renewal=renew).fields))
    except TerminalError as error:
        say("countersign", str(error))
        is_printed = False
    if not is_printed:
        click.get_current_context().exit(_NO_CREDENTIALS)


def say(who: str, text: str) -> None:
    """One line on standard error."""
    click.echo(f"{who}: {' '.join(text.split())}", err=True)
