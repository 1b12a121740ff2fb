"""`countersign sweep`: one pass of the background work of `serve`, for cron or a scheduler.

Invariant: it can run at any time, alongside `serve` and other sweeps; nothing is done twice, and nothing
ends by a clock that is known to be wrong.

Exit codes: 0 done, 1 a notification was parked after failing, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Final

import click

from bot.commands.opening import opened, store_option
from bot.commands.terminal import count_of
from bot.observability.clock_check import ComparedClock
from bot.settings import read_settings, read_slack_settings

if TYPE_CHECKING:
    from bot.background import Swept

_PARKED: Final = 1
SCHEDULES_SECONDS: Final = 10.0
"""How long it waits to learn who is on call. Without an answer, the channel is notified, and nobody by name."""


@click.command(short_help="Run one background pass, for cron.")
@store_option
@click.option("--retry-parked", is_flag=True, help="Also retry the notifications that are parked.")
def sweep(store: str | None, *, retry_parked: bool) -> None:
    """Run one background pass: expire, give and take access, send reminders, deliver pending notifications."""
    # Slack's SDK is slow to load, and the other commands don't need it.
    from bot.slack.clock_watch import ask_for_time  # noqa: PLC0415 - see above
    from bot.wiring.instance import build_services, build_sinks, build_sweeper, open_sweep_ports  # noqa: PLC0415 - see above
    from bot.wiring.on_call import open_roster  # noqa: PLC0415 - see above
    from bot.wiring.paging import build_paging, find_workspace  # noqa: PLC0415 - see above
    from bot.wiring.tracing import traced  # noqa: PLC0415 - see above

    settings = read_settings(store=store).require_audit_key()
    slack_settings = read_slack_settings().require_bot_token()
    with opened(settings) as stores, traced(open_sweep_ports(settings, slack_settings, stores)) as ports:
        if isinstance(ports.clock, ComparedClock):
            # Before anything may end for good because of what this machine's clock says.
            ask_for_time(ports.client, ports.clock)
        roster = open_roster(ports)
        services = build_services(ports, roster=roster)
        with closing(roster), closing(services.targets):
            # Whom to notify: it is not looked up while something is being sent.
            roster.look(SCHEDULES_SECONDS)
            paging = build_paging(ports, find_workspace(ports))
            sweeper = build_sweeper(services, build_sinks(ports, paging, roster))
            if retry_parked:
                click.echo(f"retrying {count_of(sweeper.retry_parked(), 'failed notification')}")
            swept = sweeper.sweep()
    for line in _describe(swept):
        click.echo(line)
    if swept.delivered.parked:
        click.get_current_context().exit(_PARKED)


def _describe(swept: Swept) -> Iterator[str]:
    delivered = swept.delivered
    expired_events = count_of(swept.expired_events, "break-glass event")
    yield f"expired: {count_of(swept.expired_requests, 'request')}, {expired_events}"
    yield f"reminders: {count_of(swept.reminded, 'request')}, {count_of(swept.reviews_reminded, 'review')}"
    yield f"escalated: {count_of(swept.escalated, 'request')}"
    yield f"asked before the end: {count_of(swept.asked, 'break-glass event')}"
    yield f"reminded before access ends: {count_of(swept.ends_reminded, 'request')}"
    yield f"access: {count_of(swept.access.visited, 'right')} visited"
    if behind := swept.access.left + swept.access.failed:
        yield f"access: {count_of(behind, 'right')} still due; `countersign access list --overdue` shows what is late"
    yield f"delivered: {count_of(delivered.delivered, 'notification')}"
    if delivered.postponed:
        yield f"postponed: {count_of(delivered.postponed, 'notification')}, to be retried by the next sweep or by serve"
    if delivered.parked:
        yield f"parked: {count_of(delivered.parked, 'notification')}; `countersign doctor` shows the cause and the fix"
