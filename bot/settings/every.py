"""What concerns the settings of all kinds together: their secrets, and variables that none is read from.

Invariant: every secret that a setting can hold is named here, so that logs can leave it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

from bot.settings.api import ApiSettings, read_api_settings
from bot.settings.deployment import Settings, read_settings
from bot.settings.problems import Examined, examine_settings, require_no_problem
from bot.settings.slack import SlackSettings, read_slack_settings
from bot.settings.terminal import TerminalSettings
from bot.settings.variables import field_of, find_unknown, variables_of
from core.errors import InvalidInput


def secrets_of(settings: Settings, slack: SlackSettings) -> Iterable[str]:
    """Everything that must not appear in a log."""
    kept = (slack.bot_token, slack.app_token, slack.signing_secret, settings.audit_key, settings.webhook_secret)
    values = [secret.get_secret_value() for secret in (*kept, settings.audit_signing_key) if secret is not None]
    # The webhook's URL may contain its receiver's token; the audit key is a list of keys.
    values += [settings.webhook_url or "", *_collector_secrets()]
    return [part.strip() for value in values for part in (value, *value.split(","))]


def _collector_secrets() -> Iterator[str]:
    """What the headers of exported traces contain, such as a token."""
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        for header in os.environ.get(name, "").split(","):
            # One without a name is a mistake, which the SDK quotes whole.
            value = (header.partition("=")[2] or header).strip()
            yield from (value, unquote(value))


def settings_to_serve() -> tuple[Settings, SlackSettings, ApiSettings]:
    """All that `serve` needs. Raises InvalidInput, or InvalidSettings where several can't be used."""
    settings, slack, api = examine_settings(Settings), examine_settings(SlackSettings), examine_settings(ApiSettings)
    require_no_problem([*settings.problems, *slack.problems, *api.problems, *find_missing(settings, slack, api)])
    # Without a problem, each of them was read.
    return read_settings(), read_slack_settings(), read_api_settings()


def find_missing(
    settings: Examined[Settings], slack: Examined[SlackSettings], api: Examined[ApiSettings]
) -> Iterator[InvalidInput]:
    """What `serve` needs and nobody set. What was set and can't be used is named by its own problem."""
    if settings.settings is not None and "audit_key" not in settings.bad:
        yield from _raised_by(settings.settings.require_audit_key)
    if slack.settings is not None:
        listen = settings.settings.listen if settings.settings is not None else None
        skipped = {*slack.bad, *({"app_token", "signing_secret"} if "listen" in settings.bad else ())}
        for each in slack.settings.missing(listen):
            if field_of(SlackSettings, each.field) not in skipped:
                yield each
    if api.settings is not None and api.settings.api_listen is not None and not {"api_url", "broker_url"} & api.bad:
        yield from _raised_by(api.settings.require_api_url)


def _raised_by(require: Callable[[], object]) -> Iterator[InvalidInput]:
    try:
        require()
    except InvalidInput as error:
        yield error


def unknown_variables() -> Iterable[str]:
    """One sentence for each COUNTERSIGN_ variable that is set and that no setting is read from."""
    for name, likely in find_unknown(variables_of(Settings, SlackSettings, ApiSettings, TerminalSettings)):
        yield f"{name} is not a setting. " + (f"Did you mean {likely}?" if likely else "Check its name.")
