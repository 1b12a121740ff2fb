"""The sinks that the settings ask for: Slack always, a webhook and an SNS topic where they are set.

Invariant: building them calls nobody. Their names are what the outbox remembers of who was told, so they never change.
"""

from __future__ import annotations

from bot.notifications import slack_calls, sns_sink
from bot.notifications.slack_sink import SlackSink
from bot.notifications.sns_sink import SnsSink
from bot.notifications.webhook_sink import WebhookSink
from bot.settings import Settings, SlackSettings
from core.clock import Clock
from core.outbox.outbox import Sink
from core.policy import PolicySource
from core.stores.base import Stores


def build_sinks(
    settings: Settings, slack_settings: SlackSettings, stores: Stores, policy: PolicySource, clock: Clock
) -> tuple[Sink, ...]:
    """Whoever has to be told of each entry, by the settings.

    A sink that is set anew is told of what is not told yet, and of nothing older. Every instance, and every
    `countersign sweep`, has to have the same ones: an entry is done with when the sinks of whoever tells it have it.
    """
    slack = slack_calls.open_client(slack_settings.bot_token, slack_settings.api_url)
    sinks: list[Sink] = [SlackSink(slack, stores, policy, clock)]
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        sinks.append(WebhookSink(settings.webhook_url, settings.webhook_secret, clock))
    if settings.sns_topic is not None:
        sinks.append(SnsSink(settings.sns_topic, sns_sink.open_client(settings.sns_topic)))
    return tuple(sinks)
