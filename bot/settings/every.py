"""What concerns the settings of all kinds together: their secrets, and variables that none is read from.

Invariant: every secret that a setting can hold is named here, so that logs can leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.settings.api import ApiSettings
from bot.settings.deployment import Settings
from bot.settings.slack import SlackSettings
from bot.settings.terminal import TerminalSettings
from bot.settings.variables import find_unknown, variables_of


def secrets_of(settings: Settings, slack: SlackSettings) -> Iterable[str]:
    """Everything that must not appear in a log."""
    kept = (slack.bot_token, slack.app_token, slack.signing_secret, settings.audit_key, settings.webhook_secret)
    values = [secret.get_secret_value() for secret in (*kept, settings.audit_signing_key) if secret is not None]
    # The webhook's URL may contain its receiver's token; the audit key is a list of keys.
    values += [settings.webhook_url or ""]
    return [part.strip() for value in values for part in (value, *value.split(","))]


def unknown_variables() -> Iterable[str]:
    """One sentence for each COUNTERSIGN_ variable that is set and that no setting is read from."""
    for name, likely in find_unknown(variables_of(Settings, SlackSettings, ApiSettings, TerminalSettings)):
        yield f"{name} is not a setting. " + (f"Did you mean {likely}?" if likely else "Check its name.")
