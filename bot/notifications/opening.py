"""Opens the sinks besides Slack that the settings name.

Invariant: the AWS SDK is loaded only when a topic is set.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.notifications.webhook_sink import WebhookSink
from bot.settings import Settings
from core.clock import Clock
from core.outbox.outbox import Sink


def open_more_sinks(settings: Settings, clock: Clock) -> Iterator[Sink]:
    """The sinks. Raises InvalidInput."""
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        yield WebhookSink(settings.webhook_url, settings.webhook_secret, clock)
    if settings.sns_topic is not None:
        # The AWS SDK takes half a second to load, and most installations don't need it.
        from bot.notifications import sns_sink  # noqa: PLC0415 - see above

        yield sns_sink.SnsSink(settings.sns_topic, sns_sink.open_client(settings.sns_topic))
