"""Opens the check that a rule of the policy names.

Invariant: a secret is read each time, so that one that was replaced counts at once; it is in no error.
"""

from __future__ import annotations

from collections.abc import Callable

from core.clock import Clock
from core.policy.ticket_config import TicketCheckConfig
from core.targets.secret_source import is_secret_source, read_secret
from core.tickets.base import TicketChecker
from core.tickets.jira import JiraChecker
from core.tickets.webhook import WebhookChecker

TicketOpener = Callable[[TicketCheckConfig], TicketChecker]
"""Opens the check that a rule names. Raises InvalidInput when its secret or its address can't be used."""


def open_checker(config: TicketCheckConfig, clock: Clock) -> TicketChecker:
    """The check. Raises InvalidInput when its secret isn't there, or its address can't be used."""
    if (jira := config.jira) is not None:
        return JiraChecker(jira.site, jira.email, read_secret(jira.token))
    if (webhook := config.webhook) is None:
        raise ValueError("a ticket is checked in one place")
    url = read_secret(webhook.url).get_secret_value() if is_secret_source(webhook.url) else webhook.url
    return WebhookChecker(url, read_secret(webhook.secret), clock)
