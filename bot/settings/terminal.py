"""The settings of a terminal or a pipeline: which server it uses, and with which token.

Invariant: a bad setting raises one InvalidInput that names its variable and the fix, and never quotes a token.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from pydantic import SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from bot.settings.variables import EnvironmentSettings
from bot.settings.web_addresses import PlainHttpHosts, check_web_address
from core.errors import InvalidInput

_PREFIX: Final = "COUNTERSIGN_"
_TOKEN: Final = re.compile(r"cst_[A-Za-z0-9]{1,64}_[A-Za-z0-9_-]{20,200}")
_SERVER_FIX: Final = "Write it like https://countersign.example.com."
_DEFAULT_SCHEME: Final = "https://"


class TerminalSettings(EnvironmentSettings):
    """What the environment says about a terminal.

    `server` overrides the one that `countersign login` configured. With `token`, what was paired on this machine isn't
    used. `home` is the folder of this person's files.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    # First: the fields below are checked against it.
    plain_http_hosts: PlainHttpHosts = frozenset()
    server: str | None = None
    token: SecretStr | None = None
    home: str | None = None

    @field_validator("server")
    @classmethod
    def _is_a_server(cls, server: str | None, others: ValidationInfo) -> str | None:
        return read_server(server, f"{_PREFIX}SERVER", others.data["plain_http_hosts"]) if server else None

    @field_validator("token")
    @classmethod
    def _is_a_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is None:
            return None
        if not is_token(text := token.get_secret_value().strip()):
            # An empty variable means that a secret did not arrive, not that another token should be used.
            fix = "Make one with: countersign login --service NAME --token-file PATH"
            raise InvalidInput(f"{_PREFIX}TOKEN", "it is not a device's token", fix)
        return SecretStr(text)


def read_server(text: str, field: str, plain_http_hosts: Collection[str] = ()) -> str:
    """The base URL of a server as a person wrote it, without a slash at the end. Raises InvalidInput."""
    url = text.strip()
    url = (url if "://" in url else f"{_DEFAULT_SCHEME}{url}").rstrip("/")
    check_web_address(url, field, _SERVER_FIX, plain_http_hosts)
    return url.removesuffix("/v1")


def is_token(text: str) -> bool:
    """Whether this has the form of a device's token; so it fits into one header, too."""
    return _TOKEN.fullmatch(text) is not None


def read_terminal_settings() -> TerminalSettings:
    """Read the environment. Raises InvalidInput, naming the variable and the fix."""
    return TerminalSettings()
