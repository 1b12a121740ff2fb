"""The settings, read once from the environment by the command line.

Invariant: a bad setting raises one InvalidInput that names its variable and the fix. No message, repr or log contains
a secret. Slack's settings are read separately: an auditor's `countersign audit verify` needs no token.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from bot.environment.addresses import DEFAULT_METRICS, Address, read_address, read_metrics
from bot.environment.variables import EnvironmentSettings, find_unknown, variables_of
from bot.environment.web_addresses import PlainHttpHosts, check_endpoint, check_web_address
from bot.mfa.secret_store import ParameterLocation, read_location
from core.audit.keyring import AuditKeyring
from core.duration import parse_duration
from core.errors import InvalidInput
from core.stores.base import DEFAULT_RETENTION
from core.stores.opening import DynamoLocation, read_store_url

_PREFIX: Final = "COUNTERSIGN_"
_SLACK: Final = "SLACK_"
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}")
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every such secret begins
_WEBHOOK_KEY_BYTES: Final = (24, 64)
"""Standard Webhooks: a symmetric secret has 24 to 64 random bytes, written in base64 behind `whsec_`."""


class LogForm(StrEnum):
    """The format of the log."""

    JSON = "json"
    TEXT = "text"


def _read_retention(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(value, f"{_PREFIX}RETENTION")


def _read_log_form(value: object) -> LogForm | None:
    try:
        return LogForm(str(value)) if value is not None else None
    except ValueError as error:
        raise InvalidInput(f"{_PREFIX}LOG", f"{value!r:.60} is not a log format", "Use json or text.") from error


class Settings(EnvironmentSettings):
    """The settings of the environment, validated.

    `store` is a URL, `policy` a path, `mfa_secrets` a path or a URL. `audit_key` holds the keys that seal the trail,
    newest first. `retention` is how long a record is kept after its life has ended. `listen` selects HTTP instead of
    Socket Mode; `metrics` is a separate address for metrics and health, or "off". `webhook_url` and `sns_topic` receive
    every change, as Slack does. Without `log`, the log is text on a terminal and JSON elsewhere.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    # First: the fields below are checked against it.
    plain_http_hosts: PlainHttpHosts = frozenset()
    store: str = "sqlite:///countersign.db"
    policy: str = "policy.yml"
    audit_key: SecretStr | None = None
    retention: Annotated[timedelta, BeforeValidator(_read_retention)] = DEFAULT_RETENTION
    listen: Annotated[Address | None, BeforeValidator(read_address)] = None
    metrics: Annotated[Address | Literal["off"] | None, BeforeValidator(read_metrics)] = None
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    sns_topic: str | None = None
    mfa_secrets: str = "countersign-mfa.json"
    log: Annotated[LogForm | None, BeforeValidator(_read_log_form)] = None

    @property
    def metrics_address(self) -> Address | None:
        """Where metrics and readiness are served: with HTTP, on this machine unless set; None for nowhere."""
        if self.metrics is None:
            return DEFAULT_METRICS if self.listen is not None else None
        return self.metrics if isinstance(self.metrics, Address) else None

    @property
    def keyring(self) -> AuditKeyring:
        """The keys of the audit trail; an empty keyring if none is set."""
        return AuditKeyring() if self.audit_key is None else AuditKeyring.from_text(self.audit_key.get_secret_value())

    def require_audit_key(self) -> Self:
        """Raises InvalidInput unless an audit key is set. Every command that writes to the trail needs one."""
        if self.audit_key is None:
            raise InvalidInput(
                f"{_PREFIX}AUDIT_KEY",
                "it is not set, and without it anyone could forge the audit trail",
                "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'",
            )
        return self

    @field_validator("store")
    @classmethod
    def _is_a_store(cls, url: str, others: ValidationInfo) -> str:
        try:
            location = read_store_url(url)
        except InvalidInput as error:
            raise InvalidInput(f"{_PREFIX}STORE", error.problem, error.fix) from error
        if isinstance(location, DynamoLocation) and location.endpoint_url is not None:
            check_endpoint(location.endpoint_url, f"{_PREFIX}STORE", others.data["plain_http_hosts"])
        return url

    @field_validator("policy")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if not path.strip() or "\0" in path:
            raise InvalidInput(f"{_PREFIX}POLICY", "it is not a file path", "Write a path, such as policy.yml.")
        return path

    @field_validator("mfa_secrets")
    @classmethod
    def _is_a_place(cls, place: str, others: ValidationInfo) -> str:
        try:
            location = read_location(place)
        except InvalidInput as error:
            raise InvalidInput(f"{_PREFIX}MFA_SECRETS", error.problem, error.fix) from error
        if isinstance(location, ParameterLocation) and location.endpoint_url is not None:
            check_endpoint(location.endpoint_url, f"{_PREFIX}MFA_SECRETS", others.data["plain_http_hosts"])
        return place

    @field_validator("audit_key")
    @classmethod
    def _is_a_keyring(cls, keys: SecretStr | None) -> SecretStr | None:
        # An empty variable means that a secret did not arrive, not that the trail should go unsealed.
        if keys is not None:
            AuditKeyring.from_text(keys.get_secret_value())
        return keys

    @field_validator("webhook_url")
    @classmethod
    def _is_a_url(cls, url: str | None, others: ValidationInfo) -> str | None:
        if url is not None:
            fix = "Write it like https://hooks.example.com/countersign."
            check_web_address(url, f"{_PREFIX}WEBHOOK_URL", fix, others.data["plain_http_hosts"])
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _is_a_webhook_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not _is_webhook_key(secret.get_secret_value()):
            raise InvalidInput(
                f"{_PREFIX}WEBHOOK_SECRET",
                "it is not a Standard Webhooks secret",
                "Make one with: python3 -c 'import base64, secrets; "
                'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\'',
            )
        return secret

    @field_validator("sns_topic")
    @classmethod
    def _is_a_topic(cls, topic: str | None) -> str | None:
        if topic is not None and not _TOPIC.fullmatch(topic):
            raise InvalidInput(
                f"{_PREFIX}SNS_TOPIC",
                f"{topic!r:.80} is not the ARN of an SNS topic",
                "Write it like arn:aws:sns:eu-west-1:123456789012:countersign.",
            )
        return topic

    @model_validator(mode="after")
    def _signs_what_it_sends(self) -> Self:
        if self.webhook_url is not None and self.webhook_secret is None:
            raise InvalidInput(
                f"{_PREFIX}WEBHOOK_SECRET", "it is not set", "Requests to COUNTERSIGN_WEBHOOK_URL are signed with it."
            )
        return self


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

    def require_bot_token(self) -> Self:
        """Raises InvalidInput unless there is a bot token."""
        if not self.bot_token.get_secret_value():
            raise InvalidInput(
                "SLACK_BOT_TOKEN", "it is not set", "Copy it from OAuth & Permissions; see docs/slack.md."
            )
        return self

    def require_transport(self, listen: Address | None) -> Self:
        """Raises InvalidInput unless the bot token and the secret of the transport are set."""
        self.require_bot_token()
        if listen is None and self.app_token is None:
            raise InvalidInput(
                "SLACK_APP_TOKEN", "it is not set", "Socket Mode needs it. To use HTTP instead, set COUNTERSIGN_LISTEN."
            )
        if listen is not None and self.signing_secret is None:
            raise InvalidInput(
                "SLACK_SIGNING_SECRET", "it is not set", "Over HTTP, it verifies that requests come from Slack."
            )
        return self


def _is_webhook_key(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    least, most = _WEBHOOK_KEY_BYTES
    return secret.startswith(_SECRET_PREFIX) and least <= len(key) <= most


def secrets_of(settings: Settings, slack: SlackSettings) -> Iterable[str]:
    """Everything that must not appear in a log."""
    kept = (slack.bot_token, slack.app_token, slack.signing_secret, settings.audit_key, settings.webhook_secret)
    values = [secret.get_secret_value() for secret in kept if secret is not None]
    # The webhook's URL may contain its receiver's token; the audit key is a list of keys.
    values += [settings.webhook_url or ""]
    return [part.strip() for value in values for part in (value, *value.split(","))]


def read_slack_settings() -> SlackSettings:
    """Read SLACK_* from the environment. Raises InvalidInput, naming the variable and the fix."""
    return SlackSettings()


def read_settings(*, store: str | None = None) -> Settings:
    """Read the environment. `store` is the option of the command line that overrides COUNTERSIGN_STORE.

    Raises InvalidInput, naming the variable and the fix.
    """
    if store is None:
        return Settings()
    # An error in the option names the option, not the variable.
    read_store_url(store)
    return Settings(store=store)


def unknown_variables() -> Iterable[str]:
    """One sentence for each COUNTERSIGN_ variable that is set and that no setting is read from."""
    for name, likely in find_unknown(variables_of(Settings, SlackSettings)):
        yield f"{name} is not a setting. " + (f"Did you mean {likely}?" if likely else "Check its name.")
