"""`countersign sweep`: do once what `serve` does in the background, for cron or a scheduler.

Invariant: it may run at any time, beside any number of others and beside `serve`; nothing is done twice.

Exit codes: 0 done, 1 something could not be told and is parked, 2 what was given cannot be used, 3 the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from bot.commands.opening import opened
from bot.settings import read_settings, read_slack_settings

if TYPE_CHECKING:
    from bot.background import Swept

_PARKED: Final = 1


@click.command()
@click.option("--store", metavar="URL", help="Which store. Default: COUNTERSIGN_STORE.")
@click.option("--retry-parked", is_flag=True, help="Begin with what could not be told: try all of it again.")
def sweep(store: str | None, *, retry_parked: bool) -> None:
    """End what is overdue, remind of what waits, tell what was not told yet, once."""
    # The other commands do not need Slack's SDK, which takes long to load.
    from bot.wiring import build_services, build_sinks, build_sweeper, open_ports  # noqa: PLC0415 - see above

    settings = read_settings(store=store).require_audit_key()
    slack_settings = read_slack_settings().require_bot_token()
    with opened(settings) as stores:
        ports = open_ports(settings, slack_settings, stores)
        sweeper = build_sweeper(build_services(ports), build_sinks(ports))
        if retry_parked:
            click.echo(f"taken up again: {_count(sweeper.retry_parked(), 'entry')} that could not be told")
        swept = sweeper.sweep()
    for line in _describe(swept):
        click.echo(line)
    if swept.delivered.parked:
        click.get_current_context().exit(_PARKED)


def _describe(swept: Swept) -> Iterator[str]:
    delivered = swept.delivered
    yield f"expired: {_count(swept.expired_requests, 'request')}, {_count(swept.expired_events, 'break-glass event')}"
    yield f"reminded of: {_count(swept.reminded, 'request')}, {_count(swept.reviews_reminded, 'review')}"
    yield f"asked before the end of: {_count(swept.asked, 'break-glass event')}"
    yield f"told: {_count(delivered.delivered, 'entry')}"
    if delivered.postponed:
        yield f"put off: {_count(delivered.postponed, 'entry')}, to be tried again by the next sweep or by serve"
    if delivered.parked:
        yield f"parked: {_count(delivered.parked, 'entry')}; `countersign doctor` says why, and what to do"


def _count(number: int, thing: str) -> str:
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"
