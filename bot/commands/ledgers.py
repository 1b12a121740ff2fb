"""`countersign ledgers`: check the ledgers that limits are judged on, and rebuild damaged ones from the events.

Invariant: `check` changes nothing. `rebuild` changes only ledgers that are damaged, or the one that is named, and each
is an entry of the audit trail.

Exit codes: 0 all ledgers are fine or rebuilt, 1 problems were found or left, 2 the input can't be used.
"""

from __future__ import annotations

from pathlib import Path

import click

from bot.commands.opening import opened, store_option
from bot.commands.terminal import count_of
from bot.settings import Settings, read_settings
from core.clock import SystemClock
from core.errors import InvalidInput, MalformedRecord
from core.policy import load_policy
from core.services.ledger_check import LedgerCheck, empty_ledger
from core.usage import IdsOf, each_alone

_FOUND = 1


@click.group()
def ledgers() -> None:
    """Check the ledgers of limits and MFA codes, or rebuild damaged ones."""


@ledgers.command()
@store_option
def check(store: str | None) -> None:
    """Find ledgers that can't be read, or that lack events or open requests."""
    settings, found = read_settings(store=store), 0
    with opened(settings) as stores:
        looking = LedgerCheck(stores, SystemClock(), _ids_of(settings))
        for problem in looking.find_problems():
            found += 1
            click.echo(f"{problem.owner}: {problem.problem}")
    click.echo(f"checked {count_of(looking.checked, 'ledger')}: {count_of(found, 'problem') if found else 'all fine'}")
    if found:
        click.echo("Find out who changed them, then run: countersign ledgers rebuild")
        click.get_current_context().exit(_FOUND)


@ledgers.command()
@store_option
@click.option("--owner", metavar="OWNER", help="Only this ledger, such as PROFILE#prod, damaged or not.")
def rebuild(store: str | None, owner: str | None) -> None:
    """Rebuild damaged ledgers from the events and requests. A damaged ledger of MFA codes starts empty."""
    if owner is not None and empty_ledger(owner) is None:
        raise InvalidInput(
            "owner",
            f"{owner!r:.60} is not a ledger that can be rebuilt",
            "Write INVOKER#, PROFILE# or CODES# and a name, or OPEN#, a person, # and a profile.",
        )
    # Without a key, the ledger would be sealed with a public constant.
    settings, rebuilt, left = read_settings(store=store).require_audit_key(), 0, 0
    with opened(settings) as stores:
        looking = LedgerCheck(stores, SystemClock(), _ids_of(settings))
        for each in [owner] if owner is not None else [problem.owner for problem in looking.find_problems()]:
            empty = empty_ledger(each)
            if empty is None:
                continue
            try:
                looking.rebuild(empty)
            except MalformedRecord as error:
                left += 1
                click.echo(f"{each}: not rebuilt: {error.problem}. Delete it in the store, then run this again.")
            else:
                rebuilt += 1
                click.echo(f"{each}: rebuilt")
    click.echo(f"rebuilt {count_of(rebuilt, 'ledger')}" + (f"; left {count_of(left, 'ledger')}" if left else ""))
    if left:
        click.get_current_context().exit(_FOUND)


def _ids_of(settings: Settings) -> IdsOf:
    """Which ids are one person: the policy says it. Raises InvalidPolicy."""
    return load_policy(settings.policy).ids_of if Path(settings.policy).is_file() else each_alone
