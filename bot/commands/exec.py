"""`countersign exec`: runs a command with AWS credentials that are renewed for as long as access lasts.

Invariant: the command gets these credentials or none, never others that this machine has. Its signals, its terminal and
its exit code are its own.

Exit codes: the command's own; 128 and the signal's number if a signal ended it; 127 there is no such command, 126 it
can't be executed, 125 there are no credentials now, 2 the input can't be used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, NoReturn

import click

from bot.commands.credentials import say, target_option
from bot.terminal.child import CommandNotStarted, run_child
from bot.terminal.child_environment import clean_environment, without_default_credentials
from bot.terminal.connecting import find_server
from bot.terminal.container_endpoint import ContainerEndpoint, RenewedCredentials
from bot.terminal.credential_output import write_for_environment
from bot.terminal.credential_source import CredentialSource
from bot.terminal.credentials_cache import CachedCredentials
from bot.terminal.errors import TerminalError
from bot.terminal.local_times import local_time, time_left
from bot.terminal.posix import require_posix
from core.actor import check_profile_name
from core.clock import SystemClock

_NO_CREDENTIALS: Final = 125
_WHO: Final = "countersign exec"


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--env",
    "is_static",
    is_flag=True,
    help="Give the keys in variables, for tools that can't renew credentials. They last an hour at most.",
)
@target_option
@click.argument("profile")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(profile: str, command: Sequence[str], target: str | None, *, is_static: bool) -> None:  # noqa: A001 - the command's name
    """Run COMMAND with AWS credentials for PROFILE, to which you have access now.

    The credentials are renewed while COMMAND runs, and stop working when your access ends.
    """
    require_posix("exec")
    check_profile_name(profile)
    # Another command would be run with a part of the options of this one.
    arguments = command[1:] if command[0] == "--" else command
    if not arguments:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    try:
        with _credentials_for(profile, target, is_static=is_static) as environment:
            code = run_child(arguments, environment)
    except CommandNotStarted as error:
        _end(error, error.code)
    except TerminalError as error:
        _end(error, _NO_CREDENTIALS)
    click.get_current_context().exit(code)


@contextmanager
def _credentials_for(profile: str, target: str | None, *, is_static: bool) -> Iterator[Mapping[str, str]]:
    """The command's environment, for as long as it runs. Raises TerminalError."""
    source = CredentialSource(find_server(), profile, _SaidOnce(), target=target)
    # What can't be renewed should last as long as it can.
    first = source.get(is_renewal=is_static)
    _announce(profile, first, is_static=is_static)
    environment = clean_environment(os.environ)
    with ExitStack() as stack:
        if is_static:
            yield {**environment, **write_for_environment(first.fields)}
            return
        hidden = stack.enter_context(without_default_credentials(os.environ))
        endpoint = stack.enter_context(ContainerEndpoint(RenewedCredentials(source.get, first)))
        yield {
            **environment,
            **hidden,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": endpoint.token,
        }


class _SaidOnce:
    """Says each warning once: the command has the terminal."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(_WHO, text)


def _announce(profile: str, first: CachedCredentials, *, is_static: bool) -> None:
    # There is none where the caller closed it.
    if sys.stderr is None or not sys.stderr.isatty():
        return
    now = SystemClock().now()
    until = min(first.access_ends_at, first.expires_at) if is_static else first.access_ends_at
    what = "keys" if is_static and until < first.access_ends_at else "access"
    say(_WHO, f"{what} for {profile} until {local_time(until, now)} ({time_left(until, now)})")


def _end(error: TerminalError, code: int) -> NoReturn:
    say(_WHO, str(error))
    sys.exit(code)
