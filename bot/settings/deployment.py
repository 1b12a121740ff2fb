"""The settings of a deployment, read from COUNTERSIGN_* by the command line.

Invariant: a bad setting raises one InvalidInput that names its variable and the fix. No message, repr or log contains
a secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from bot.mfa.secret_store import ParameterLocation, read_location
from bot.settings.addresses import DEFAULT_METRICS, Address, read_address, read_metrics
from bot.settings.variables import EnvironmentSettings
from bot.settings.web_addresses import PlainHttpHosts, check_endpoint, check_web_address
from core.audit.keyring import KEY_FIX, AuditKeyring
from core.audit.signature import SigningKey
from core.duration import parse_duration
from core.errors import InvalidInput
from core.stores.base import DEFAULT_RETENTION
from core.stores.opening import DynamoLocation, read_store_url

_PREFIX: Final = "COUNTERSIGN_"
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}")
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every such secret begins
_WEBHOOK_KEY_BYTES: Final = (24, 64)
"""Standard Webhooks: a symmetric secret has 24 to 64 random bytes, written in base64 behind `whsec_`."""


class LogForm(StrEnum):
    """The format of the log."""

    JSON = "json"
    TEXT = "text"


def _read_retention(value: object) -> timedelta:
    # People mean days: minutes would delete what they want to keep.
    return value if isinstance(value, timedelta) else parse_duration(value, f"{_PREFIX}RETENTION", likely="d")


def _read_log_form(value: object) -> LogForm | None:
    try:
        return LogForm(str(value)) if value is not None else None
    except ValueError as error:
        raise InvalidInput(f"{_PREFIX}LOG", f"{value!r:.60} is not a log format", "Use json or text.") from error


def _read_tracing(value: object) -> str | None:
    if value not in {None, "otlp", "off"}:
        problem = f"{value!r:.60} is not a way to export traces"
        raise InvalidInput(f"{_PREFIX}TRACING", problem, "Use otlp, or leave it out.")
    return "otlp" if value == "otlp" else None


class Settings(EnvironmentSettings):
    """The settings of the environment, validated.

    `store` is a URL, `policy` a path, `mfa_secrets` a path or a URL. `audit_key` holds the keys that seal the trail,
    newest first; with `audit_signing_key`, entries are signed as well. `retention` is how long a record is kept after
    its life has ended. `listen` selects HTTP instead of Socket Mode; `metrics` is the address for metrics and health,
    or "off". `webhook_url` and `sns_topic` receive every change. Without `log`, a terminal gets text, others JSON.
    `tracing` says how traces are exported; the rest of them is in OTEL_* variables.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    needed_by: ClassVar[Mapping[str, str]] = {"webhook_secret": "webhook_url"}

    # First: the fields below are checked against it.
    plain_http_hosts: PlainHttpHosts = frozenset()
    store: str = "sqlite:///countersign.db"
    policy: str = "policy.yml"
    audit_key: SecretStr | None = None
    audit_signing_key: SecretStr | None = None
    retention: Annotated[timedelta, BeforeValidator(_read_retention)] = DEFAULT_RETENTION
    listen: Annotated[Address | None, BeforeValidator(read_address)] = None
    metrics: Annotated[Address | Literal["off"] | None, BeforeValidator(read_metrics)] = None
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    sns_topic: str | None = None
    mfa_secrets: str = "countersign-mfa.json"
    log: Annotated[LogForm | None, BeforeValidator(_read_log_form)] = None
    tracing: Annotated[Literal["otlp"] | None, BeforeValidator(_read_tracing)] = None

    @property
    def metrics_address(self) -> Address | None:
        """Where metrics and readiness are served: with HTTP, on this machine unless set; None for nowhere."""
        if self.metrics is None:
            return DEFAULT_METRICS if self.listen is not None else None
        return self.metrics if isinstance(self.metrics, Address) else None

    @property
    def keyring(self) -> AuditKeyring:
        """The keys of the audit trail; an empty keyring if none is set."""
        ring = AuditKeyring() if self.audit_key is None else AuditKeyring.from_text(self.audit_key.get_secret_value())
        if self.audit_signing_key is None:
            return ring
        signer = SigningKey.from_text(self.audit_signing_key.get_secret_value())
        return ring.model_copy(update={"signer": signer, "signature_check": signer.public})

    def require_audit_key(self) -> Self:
        """Raises InvalidInput unless an audit key is set. Every command that writes to the trail needs one."""
        if self.audit_key is None:
            raise InvalidInput(
                f"{_PREFIX}AUDIT_KEY",
                "it is not set, and without it anyone could forge the audit trail",
                KEY_FIX,
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

    @field_validator("audit_key", "audit_signing_key")
    @classmethod
    def _is_a_key(cls, keys: SecretStr | None, setting: ValidationInfo) -> SecretStr | None:
        # An empty variable means that a secret did not arrive, not that the trail should go unsealed.
        if keys is not None and setting.field_name == "audit_key":
            AuditKeyring.from_text(keys.get_secret_value())
        elif keys is not None:
            SigningKey.from_text(keys.get_secret_value())
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


def _is_webhook_key(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    least, most = _WEBHOOK_KEY_BYTES
    return secret.startswith(_SECRET_PREFIX) and least <= len(key) <= most


def read_settings(*, store: str | None = None) -> Settings:
    """Read the environment. `store` is the option of the command line that overrides COUNTERSIGN_STORE.

    Raises InvalidInput, naming the variable and the fix.
    """
    if store is None:
        return Settings()
    # An error in the option names the option, not the variable.
    read_store_url(store)
    return Settings(store=store)
