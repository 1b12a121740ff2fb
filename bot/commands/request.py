"""`countersign request`: ask for access from a terminal or a pipeline, wait for it, look at it, cancel it.

Invariant: a request that was made is kept when this command stops, for whatever reason; only `cancel` cancels.

Exit codes: 0 made, or with --wait granted; 1 refused; 2 the input can't be used; 3 denied or cancelled; 4 expired;
5 timed out; 6 the server can't be reached; 7 this machine isn't paired; 130 interrupted.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from bot.api.models import NewRequest, RequestInfo
from bot.commands import request_lines as lines
from bot.commands.server_answers import INTERRUPTED, refusals_shown, write_answer
from bot.commands.terminal import Ink, json_option
from bot.terminal.client import ApiClient
from bot.terminal.configuration import open_configuration
from bot.terminal.connecting import connect
from bot.terminal.credentials_cache import forget_profile
from bot.terminal.errors import FilesFailed
from bot.terminal.local_times import MachineZone
from bot.terminal.pacing import PassageOfTime
from bot.terminal.progress import Progress
from bot.terminal.submitting import RequestSubmitter
from bot.terminal.waiting import EXIT_CODES, Outcome, RequestWait, outcome_of, with_names
from core.actor import check_profile_name
from core.clock import SystemClock
from core.duration import parse_duration
from core.errors import InvalidInput
from core.text import clean_text
from core.written_time import read_time

_NEW: Final = "new"
_TIMED_OUT: Final = "timed_out"
_MAX_LISTED: Final = 20
_MAX_WHY: Final = 2000
_MAX_TICKET: Final = 500
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")

wait_option = click.option("--wait", "is_waiting", is_flag=True, help="Wait until it is decided and access is open.")
timeout_option = click.option(
    "--timeout", metavar="DURATION", help="With --wait, stop waiting after this time, such as 30m. The request is kept."
)


class RequestCommands(click.Group):
    """A group whose first word may also be a profile: then it asks for that profile."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Arguments that don't begin with a subcommand are those of `new`."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_NEW, *args]
        return super().parse_args(ctx, args)


@click.group(cls=RequestCommands, subcommand_metavar="PROFILE DURATION WHY [OPTIONS] | COMMAND …")
def request() -> None:
    """Ask for access to PROFILE: `countersign request prod 1h "why you need it" --wait`.

    That is short for `countersign request new prod 1h …`, whose --help has the options.

    \b
    Exit codes:
      0  made, or with --wait granted and open
      1  refused, or access could not be opened
      2  the input can't be used
      3  denied or cancelled
      4  expired: nobody decided in time
      5  the time of --timeout is over; the request is kept
      6  the server can't be reached, or gave no usable answer
      7  this machine isn't paired; run `countersign login`
    """  # noqa: D301 - \b is click's mark for lines that stay as they are


@request.command(_NEW)
@click.argument("profile")
@click.argument("duration")
@click.argument("why")
@wait_option
@timeout_option
@click.option(
    "--at", "start", metavar="TIME", help="Start later: 'tomorrow 22:00', 'at 22:00', 'mon 9pm', '2026-01-15 22:00'."
)
@click.option("--ticket", metavar="TICKET", help="The ticket that it is for. Default: the one that WHY names.")
@click.option("--idempotency-key", metavar="KEY", help="A call with the key of an earlier one makes no second request.")
@json_option
def new_request(
    profile: str, duration: str, why: str, timeout: str | None, start: str | None, ticket: str | None,
    idempotency_key: str | None, *, is_waiting: bool, as_json: bool,
) -> None:  # fmt: skip
    """Ask for access to PROFILE for DURATION, such as 90m or 1h30m, because of WHY.

    The request appears in Slack, marked with this machine's name. With --wait, the command ends when access is open, or
    when it's clear that it won't be. Ctrl-C stops waiting and keeps the request.

    With --at, access opens at that time, by the clock of this machine, if it's approved by then.
    """
    asked, at_most = _read_asked(profile, duration, why, start, ticket), _read_timeout(timeout, is_waiting=is_waiting)
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise InvalidInput("idempotency-key", "it is not a key", "Use 1 to 255 letters, digits and signs, no spaces.")
    client = connect()
    with refusals_shown(as_json=as_json):
        made = _submit(client, asked, idempotency_key)
        if not is_waiting:
            made = with_names(client, made)
        if is_waiting:
            _wait(client, made, at_most, as_json=as_json)
        _show(made, as_json=as_json)


@request.command()
@click.argument("request_id", metavar="ID")
@wait_option
@timeout_option
@json_option
def show(request_id: str, timeout: str | None, *, is_waiting: bool, as_json: bool) -> None:
    """Show a request of yours, or wait for it."""
    at_most, client = _read_timeout(timeout, is_waiting=is_waiting), connect()
    with refusals_shown(as_json=as_json):
        found = client.request(request_id)
        if is_waiting:
            _wait(client, found, at_most, as_json=as_json)
        _show(found, as_json=as_json)


@request.command()
@click.argument("request_id", metavar="ID")
@json_option
def cancel(request_id: str, *, as_json: bool) -> None:
    """Cancel a request of yours that is still pending."""
    with refusals_shown(as_json=as_json):
        _show(connect().cancel(request_id), as_json=as_json)


@request.command("list")
@json_option
def list_requests(*, as_json: bool) -> None:
    """Show your newest requests."""
    with refusals_shown(as_json=as_json):
        found = connect().requests().requests[:_MAX_LISTED]
    ink, now = Ink.of_stdout(), SystemClock().now()
    if as_json:
        for each in found:
            write_answer(lines.as_json(each))
    elif not found:
        ink.say('There are no requests of yours. Ask with: countersign request PROFILE 1h "why you need it"')
    else:
        for line in ink.columns([lines.row_of(each, now) for each in found], indent=0):
            ink.say(line)


def _submit(client: ApiClient, asked: NewRequest, idempotency_key: str | None) -> RequestInfo:
    try:
        return RequestSubmitter(client, _notes_folder(), SystemClock(), PassageOfTime()).submit(asked, idempotency_key)
    except KeyboardInterrupt:
        click.echo("Stopped. It isn't known whether the request was made: countersign request list", err=True)
        click.get_current_context().exit(INTERRUPTED)


def _wait(client: ApiClient, made: RequestInfo, at_most: timedelta | None, *, as_json: bool) -> None:
    """Wait, show the outcome, and end the command with its exit code."""
    follow = f"countersign request show {made.id} --wait"
    try:
        with Progress() as progress:
            progress.say(f"Request {made.id}: {made.profile}")
            found = RequestWait(client, progress, SystemClock(), PassageOfTime()).wait(
                with_names(client, made), at_most
            )
    except KeyboardInterrupt:
        click.echo(f"Stopped waiting; request {made.id} is kept. Follow it with: {follow}", err=True)
        click.echo(f"Cancel it with: countersign request cancel {made.id}", err=True)
        click.get_current_context().exit(INTERRUPTED)
    outcome = outcome_of(found)
    if outcome is Outcome.GRANTED:
        # What is cached may be of access that was ended early: AWS denies it for as long as it lives.
        forget_profile(os.environ, found.profile)
    if as_json:
        write_answer(lines.as_json(found, _TIMED_OUT if outcome is Outcome.WAITING else None))
    elif outcome is Outcome.WAITING:
        click.echo(f"Not decided yet; request {found.id} is kept. Follow it with: {follow}")
    else:
        _say(found)
    click.get_current_context().exit(EXIT_CODES[outcome])


def _say(found: RequestInfo) -> None:
    ink, is_granted = Ink.of_stdout(), outcome_of(found) is Outcome.GRANTED
    mark = ink.paint(ink.met, "good") if is_granted else ink.paint(ink.unmet, "bad")
    first, *more = lines.describe_outcome(found, SystemClock().now())
    ink.say(f"{mark} {first}")
    for line in more:
        ink.say(line)
    if (step := lines.next_step(found)) is not None:
        ink.say(f"Next: {step}")


def _show(found: RequestInfo, *, as_json: bool) -> None:
    if as_json:
        write_answer(lines.as_json(found))
        return
    ink = Ink.of_stdout()
    for line in lines.describe_request(found, SystemClock().now()):
        ink.say(line)
    if (step := lines.next_step(found)) is not None:
        ink.say(f"Next: {step}")


def _read_asked(profile: str, duration: str, why: str, start: str | None, ticket: str | None) -> NewRequest:
    parse_duration(duration)
    check_profile_name(profile)
    # How long it has to be, the server says: it may be newer.
    justification = clean_text("why", why, at_least=1, at_most=_MAX_WHY)
    starts_at = read_time(start).resolve(MachineZone(), SystemClock().now()) if start is not None else None
    ticket = clean_text("ticket", ticket, at_least=1, at_most=_MAX_TICKET) if ticket is not None else None
    return NewRequest(
        profile=profile, duration=duration, justification=justification, starts_at=starts_at, ticket=ticket
    )


def _read_timeout(text: str | None, *, is_waiting: bool) -> timedelta | None:
    if text is None:
        return None
    if not is_waiting:
        raise InvalidInput("timeout", "it needs --wait", "Add --wait, or leave --timeout out.")
    return parse_duration(text, "timeout", likely="sm")


def _notes_folder() -> Path | None:
    # A pipeline may have no home; its own --idempotency-key does the same there.
    try:
        return open_configuration().folder
    except FilesFailed:
        return None
