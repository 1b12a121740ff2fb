"""Delivers a monthly summary to the security channel, with a picture where the app may upload one.

Invariant: a summary is posted with its picture, or without one, and never waits for it for long: Slack takes a moment
until an uploaded picture can be shown, and after PATIENCE the summary goes without. Like everything from the outbox, it
is posted at least once.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from bot.notifications.plan import Post
from bot.notifications.posted import PostedMessages
from bot.notifications.slack_calls import SlackCalls
from bot.notifications.slack_failed import SlackFailed
from bot.notifications.steps import post_message
from bot.slack.errors import INVALID_BLOCKS
from bot.views.report.monthly import chart_of_summary, monthly_summary
from core.audit.trail import AuditEntry
from core.clock import Clock, format_time, parse_time
from core.errors import DeliveryFailed
from core.policy import PolicySource
from core.stores.messages import MessageRef

PATIENCE: Final = timedelta(minutes=2)
RETRY_AFTER: Final = timedelta(seconds=5)
_PICTURE: Final = "picture"
_log = logging.getLogger("countersign.slack")


class SummaryDelivery:
    """Posts summaries. Safe for threads and for any number of instances."""

    def __init__(self, policy: PolicySource, clock: Clock, posted: PostedMessages) -> None:
        self._policy = policy
        self._clock = clock
        self._posted = posted

    def deliver(self, entry: AuditEntry, calls: SlackCalls) -> None:
        """Post it, unless the policy names no security channel any more. Raises DeliveryFailed."""
        rules = self._policy.current().notifications
        if rules.security_channel is None:
            return
        file = self._find_picture(entry, calls) if rules.summary.picture else None
        if file is not None:
            try:
                self._post(rules.security_channel, entry, calls, file.channel)
            except SlackFailed as failure:
                # It says so of a picture that it hasn't processed yet, too.
                if failure.code != INVALID_BLOCKS:
                    raise
                if self._clock.now() < parse_time(file.ts) + PATIENCE:
                    problem = f"{entry.chain}: Slack can't show the picture yet."
                    raise DeliveryFailed(problem, retry_after=RETRY_AFTER) from failure
            else:
                return
        self._post(rules.security_channel, entry, calls, None)

    @staticmethod
    def _post(channel: str, entry: AuditEntry, calls: SlackCalls, picture: str | None) -> None:
        post_message(calls, Post("security", channel, monthly_summary(entry, picture)))

    def _find_picture(self, entry: AuditEntry, calls: SlackCalls) -> MessageRef | None:
        """The picture, uploaded once; None when there is nothing to draw, or Slack doesn't take it."""
        place, chart = f"{entry.chain}#{entry.seq}", chart_of_summary(entry)
        if chart.is_empty:
            return None
        if (known := self._posted.of(place).get(_PICTURE)) is not None:
            return known
        # It loads Pillow, which nothing else needs.
        from bot.views.report.png import draw_png  # noqa: PLC0415

        name = f"countersign-{entry.details.get('month', 'summary')}.png"
        file_id = calls.upload(name, chart.title, chart.describe(), draw_png(chart))
        if file_id is None:
            return None
        # Not a message; but kept like one: what it is called in Slack, and since when it is there.
        ref = MessageRef(channel=file_id, ts=format_time(self._clock.now()))
        self._posted.save(place, _PICTURE, ref)
        return ref
