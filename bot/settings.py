"""The settings, read once from the environment by the command line.

Invariant: a bad setting raises one InvalidInput that names its variable and the fix. A secret is in no message, no
repr and no log. SLACK_* and COUNTERSIGN_LISTEN come with `countersign serve`, beside these.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.audit import AuditKeyring
from core.duration import parse_duration
from core.errors import InvalidInput
from core.stores.base import DEFAULT_RETENTION
from core.stores.opening import read_store_url

_PREFIX = "COUNTERSIGN_"


def _read_retention(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(value, f"{_PREFIX}RETENTION")


class Settings(BaseSettings):
    """What the environment says, checked.

    `store` is a URL, `policy` a path, `audit_key` the keys that seal the trail, newest first; `retention` is how long
    a record stays after its life has ended.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    store: str = "sqlite:///countersign.db"
    policy: str = "policy.yml"
    audit_key: SecretStr | None = None
    retention: Annotated[timedelta, BeforeValidator(_read_retention)] = DEFAULT_RETENTION

    @property
    def keyring(self) -> AuditKeyring:
        """The keys of the audit trail; an empty ring when none is set."""
        return AuditKeyring() if self.audit_key is None else AuditKeyring.from_text(self.audit_key.get_secret_value())

    @field_validator("store")
    @classmethod
    def _is_a_store(cls, url: str) -> str:
        try:
            read_store_url(url)
        except InvalidInput as error:
            raise InvalidInput(f"{_PREFIX}STORE", error.problem, error.fix) from error
        return url

    @field_validator("policy")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if not path.strip() or "\0" in path:
            raise InvalidInput(f"{_PREFIX}POLICY", "it names no file", "Write a path, such as policy.yml.")
        return path

    @field_validator("audit_key")
    @classmethod
    def _is_a_keyring(cls, keys: SecretStr | None) -> SecretStr | None:
        # An empty variable is a secret that did not arrive, not a wish for an unsealed trail: it is refused.
        if keys is not None:
            AuditKeyring.from_text(keys.get_secret_value())
        return keys


def read_settings(*, store: str | None = None) -> Settings:
    """Read the environment; `store` is what the command line says instead of COUNTERSIGN_STORE.

    Raises InvalidInput, naming the variable and the fix.
    """
    if store is None:
        return Settings()
    # What was given on the command line is named by its own name.
    read_store_url(store)
    return Settings(store=store)
