"""Tickets: does each ticket system accept Countersign now?

Invariant: nobody's ticket is looked at, and nothing is changed: Jira is asked for an issue that can't exist, with the
same call that a request makes. A webhook is not asked, because what its receiver does with a question isn't known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.doctor.finding import CheckResult, fine, note, wrong
from core.access.principals import SoughtPerson
from core.clock import Clock
from core.errors import InvalidInput
from core.policy import Policy
from core.tickets.base import TicketUnchecked
from core.tickets.opening import open_checker

NO_ISSUE: Final = "COUNTERSIGN-0"
"""Jira counts issues from 1."""
_HOW: Final = "docs/policy.md#tickets says what the account and its token need."


def check_tickets(policy: Policy, clock: Clock) -> Iterator[CheckResult]:
    """Every ticket system that the rules name, once each."""
    asked = (rule.ticket.check for rule in policy.document.approval if rule.ticket is not None)
    for config in dict.fromkeys(filter(None, asked)):
        try:
            checker = open_checker(config, clock)
        except InvalidInput as mistake:
            yield wrong(f"tickets: {mistake.field}: {mistake.problem}", mistake.fix)
            continue
        if config.jira is None:
            yield note(f"tickets: {checker.name} is not asked without a ticket; its secret is there")
            continue
        found = checker.check(NO_ISSUE, SoughtPerson("doctor"))
        if isinstance(found, TicketUnchecked):
            yield wrong(f"tickets: {found.problem}", _HOW)
        else:
            yield fine(f"tickets: {checker.name} accepts Countersign's token")
