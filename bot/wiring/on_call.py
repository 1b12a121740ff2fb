"""Builds the roster: who is on call, from the schedules of the policy in force.

Invariant: building starts nothing and calls nothing. Slack is asked for people by e-mail only while the policy has a
schedule that knows them by it.
"""

from __future__ import annotations

from bot.observability.on_call_metrics import OnCallMetrics
from bot.slack.email_lookup import EmailLookup
from bot.slack.installation import Installation, find_installation
from bot.slack.manifest import finds_by_email
from bot.wiring.ports import Ports
from core.actor import UserId
from core.schedules.roster import ScheduleRoster


def open_roster(ports: Ports, metrics: OnCallMetrics | None = None) -> ScheduleRoster:
    """The roster of one process. Without `start`, it looks up only what it is asked for."""
    count = metrics.looked_up_email if metrics is not None else _count_nothing
    emails = EmailLookup(ports.client, lambda: _installation_of(ports), ports.clock, count=count)

    def find_by_email(email: str) -> UserId | None:
        return emails.find(email) if finds_by_email(ports.policy.current()) else None

    roster = ScheduleRoster(ports.policy, ports.clock, find_by_email, ports.schedule_sources, observer=metrics)
    if metrics is not None:
        metrics.watch(roster.ages, roster.count_unknown)
    return roster


def _installation_of(ports: Ports) -> Installation:
    return ports.installation or find_installation(ports.client)


def _count_nothing(outcome: str) -> None:
    del outcome
