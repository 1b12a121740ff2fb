"""`countersign access list` and `access end` on a paired machine: your own access, through the server.

Invariant: the server is asked only when no store is named. Nothing is ended that the person didn't name, unless it is
the only access there is.

Exit codes: 0 done, 1 refused, 2 the input can't be used, 6 the server can't be reached, 7 this machine isn't paired.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import click

from bot.api.models import AccessInfo
from bot.commands.decider_words import name_decider
from bot.commands.server_answers import refusals_shown, write_answer
from bot.commands.terminal import Cell, Ink, json_option
from bot.terminal.connecting import connect, is_paired
from bot.terminal.credentials_cache import forget_profile
from bot.terminal.local_times import local_time
from core.access.grant_status import AccessPhase
from core.clock import SystemClock
from core.errors import InvalidInput
from core.targets.words import one_line

_STORE: Final = ("COUNTERSIGN_STORE", "COUNTERSIGN_STORE_FILE")
_OF_OPERATORS: Final = tuple(
    name + ending for name in ("COUNTERSIGN_AUDIT_KEY", "COUNTERSIGN_POLICY") for ending in ("", "_FILE")
)
"""Where none of these is set, nobody keeps a store: what is missing there is a pairing, not an audit key."""
_OVER: Final = frozenset({AccessPhase.CLOSING, AccessPhase.CLOSED, AccessPhase.FAILED})


def is_about_own_access(store: str | None) -> bool:
    """Whether the server is asked: no store is named, and this machine is paired, or nobody's but a person's.

    Raises InvalidInput or FilesFailed.
    """
    if store is not None or any(name in os.environ for name in _STORE):
        return False
    return is_paired() or not any(name in os.environ for name in _OF_OPERATORS)


def list_own_access(profile: str | None, *, only_for_operators: Mapping[str, bool], as_json: bool) -> None:
    """Show what the person has now. Raises InvalidInput for an option that needs the store."""
    for option, is_given in only_for_operators.items():
        if is_given:
            raise InvalidInput(option, "it needs the store", "Name it with --store, or set COUNTERSIGN_STORE.")
    with refusals_shown(as_json=as_json):
        found = [each for each in connect().access().access if profile in (None, each.profile)]
    if as_json:
        for each in found:
            write_answer(each)
        return
    ink, now = Ink.of_stdout(), SystemClock().now()
    for line in ink.columns([_row(each, now) for each in found], indent=0):
        ink.say(line)
    if not found:
        ink.say("You have no access now.")


@click.command()
@click.argument("what", metavar="[PROFILE|ID]", required=False)
@json_option
def end(what: str | None, *, as_json: bool) -> None:
    """End access of yours early: of a profile, or of the id that `access list` shows. Without either: the only one."""
    client = connect()
    with refusals_shown(as_json=as_json):
        chosen = _choose([each for each in client.access().access if each.may_end], what)
        ended = client.end_access(chosen.source)
    forget_profile(os.environ, ended.profile)
    if as_json:
        write_answer(ended)
        return
    state = "has ended" if ended.phase is AccessPhase.CLOSED else "is ending"
    click.echo(f"Access to {one_line(ended.profile)} {state}.")
    if ended.residual_until is not None:
        until = local_time(ended.residual_until, SystemClock().now())
        click.echo(f"A session that is open can live on until {until}.")


def _choose(found: Sequence[AccessInfo], what: str | None) -> AccessInfo:
    meant = [each for each in found if what is None or what in {each.profile, each.id, each.source}]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        problem = (
            f"you have no access {what!r:.80} that can be ended" if what else "you have no access that can be ended"
        )
        raise InvalidInput("access", problem, "See: countersign access list")
    known = ", ".join(f"{one_line(each.id)} ({one_line(each.profile)})" for each in meant)
    raise InvalidInput("access", f"there are {len(meant)}: {known}", "Name one by its id.")


def _row(access: AccessInfo, now: datetime) -> list[Cell]:
    is_over = access.phase in _OVER
    state: Cell = ("overdue", "bad") if access.is_overdue else access.phase.value
    until = f"{'ended' if is_over else 'until'} {local_time(access.until, now)}"
    whose = f"for {one_line(access.service)}" if access.service else "for you"
    who = name_decider(access.decided_by, access.decided_by_name, access.person)
    return [state, one_line(access.profile), until, whose, f"by {who}", one_line(access.id)]
