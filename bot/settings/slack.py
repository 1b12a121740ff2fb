"""The settings for Slack, read from SLACK_* by the commands that need it.

Invariant: a bad setting raises one InvalidInput that names its variable and the fix. No message or repr contains a
secret. An auditor's `countersign audit verify` reads none of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from bot.settings.addresses import Address
from bot.settings.variables import EnvironmentSettings
from bot.settings.web_addresses import PlainHttpHosts, check_web_address
from core.errors import InvalidInput

_SLACK: Final = "SLACK_"


def _is_token(text: str, kind: str) -> bool:
    return re.fullmatch(rf"{kind}-[A-Za-z0-9-]+", text) is not None


class SlackSettings(EnvironmentSettings):
    """The settings for Slack. `app_token` is for Socket Mode, `signing_secret` for HTTP."""

    model_config = SettingsConfigDict(env_prefix=_SLACK, frozen=True, extra="ignore", hide_input_in_errors=True)

    plain_http_hosts: PlainHttpHosts = Field(default=frozenset(), validation_alias="COUNTERSIGN_PLAIN_HTTP_HOSTS")
    bot_token: SecretStr = SecretStr("")
    app_token: SecretStr | None = None
    signing_secret: SecretStr | None = None
    api_url: str = "https://slack.com/api/"

    @field_validator("bot_token")
    @classmethod
    def _is_a_bot_token(cls, token: SecretStr) -> SecretStr:
        if token.get_secret_value() and not _is_token(token.get_secret_value(), "xoxb"):
            raise InvalidInput(
                "SLACK_BOT_TOKEN",
                "it is not a bot token",
                "Copy the one that starts with xoxb- from OAuth & Permissions.",
            )
        return token

    @field_validator("app_token")
    @classmethod
    def _is_an_app_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not _is_token(token.get_secret_value(), "xapp"):
            raise InvalidInput(
                "SLACK_APP_TOKEN",
                "it is not an app-level token",
                "Copy the one that starts with xapp- from Basic Information.",
            )
        return token

    @field_validator("signing_secret")
    @classmethod
    def _is_a_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not re.fullmatch(r"(?!xox|xapp)[A-Za-z0-9-]{16,128}", secret.get_secret_value()):
            raise InvalidInput(
                "SLACK_SIGNING_SECRET", "it is not a signing secret", "Copy it from Basic Information, App Credentials."
            )
        return secret

    @field_validator("api_url")
    @classmethod
    def _is_an_api(cls, url: str, others: ValidationInfo) -> str:
        check_web_address(url, "SLACK_API_URL", "Unset it to use Slack itself.", others.data["plain_http_hosts"])
        return url if url.endswith("/") else f"{url}/"

    def missing(self, listen: Address | None) -> Iterator[InvalidInput]:
        """What isn't set and is needed: the bot token, and the secret of the transport."""
        if not self.bot_token.get_secret_value():
            fix = "Copy it from OAuth & Permissions, or let `countersign init` ask for it."
            yield InvalidInput("SLACK_BOT_TOKEN", "it is not set", fix)
        if listen is None and self.app_token is None:
            yield InvalidInput(
                "SLACK_APP_TOKEN", "it is not set", "Socket Mode needs it. To use HTTP instead, set COUNTERSIGN_LISTEN."
            )
        if listen is not None and self.signing_secret is None:
            yield InvalidInput(
                "SLACK_SIGNING_SECRET", "it is not set", "Over HTTP, it verifies that requests come from Slack."
            )

    def require_bot_token(self) -> Self:
        """Raises InvalidInput unless there is a bot token."""
        for each in self.missing(None):
            if each.field == "SLACK_BOT_TOKEN":
                raise each
        return self

    def require_transport(self, listen: Address | None) -> Self:
        """Raises InvalidInput unless the bot token and the secret of the transport are set."""
        for each in self.missing(listen):
            raise each
        return self


def read_slack_settings() -> SlackSettings:
    """Read SLACK_* from the environment. Raises InvalidInput, naming the variable and the fix."""
    return SlackSettings()
