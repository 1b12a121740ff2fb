"""The settings of the HTTP API for terminals and machines, and of the broker.

Invariant: a bad setting raises one InvalidInput that names its variable and the fix. Nobody's X-Forwarded-For counts
unless COUNTERSIGN_API_PROXIES names where it comes from.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from bot.settings.addresses import Address, read_address
from bot.settings.variables import EnvironmentSettings
from bot.settings.web_addresses import PlainHttpHosts, check_web_address
from core.errors import InvalidInput

_PREFIX: Final = "COUNTERSIGN_"
API_LISTEN: Final = "COUNTERSIGN_API_LISTEN"
API_URL: Final = "COUNTERSIGN_API_URL"
BROKER_LISTEN: Final = "COUNTERSIGN_BROKER_LISTEN"
_URL_FIX: Final = "Write it like https://countersign.example.com."
_PROXIES_FIX: Final = "Write addresses or networks, such as 10.0.0.0/16,192.0.2.7."


def read_networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks of a comma-separated list. Raises InvalidInput."""
    if isinstance(value, tuple):
        return value
    try:
        return tuple(ip_network(part.strip()) for part in str(value).split(",") if part.strip())
    except ValueError as error:
        name = "COUNTERSIGN_API_PROXIES"
        raise InvalidInput(name, "it is not a list of addresses and networks", _PROXIES_FIX) from error


class ApiSettings(EnvironmentSettings):
    """Where the API is served, and how people reach it.

    `api_url` is the base URL that people's terminals use, and `broker_url` the one that they get credentials from, if
    that is another process. `broker_listen` is where `countersign broker` listens.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    # First: the fields below are checked against it.
    plain_http_hosts: PlainHttpHosts = frozenset()
    api_listen: Annotated[Address | None, BeforeValidator(read_address)] = None
    api_url: str | None = None
    api_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(read_networks)] = ()
    broker_url: str | None = None
    broker_listen: Annotated[Address | None, BeforeValidator(read_address)] = None

    @field_validator("api_url", "broker_url")
    @classmethod
    def _is_a_url(cls, url: str | None, setting: ValidationInfo) -> str | None:
        if url is None:
            return None
        name = f"{_PREFIX}{(setting.field_name or '').upper()}"
        check_web_address(url, name, _URL_FIX, setting.data["plain_http_hosts"])
        return url.rstrip("/").removesuffix("/v1")

    def require_api_url(self) -> str:
        """The base URL that people use. Raises InvalidInput where it can't be guessed."""
        return self.api_url or _guess(self.api_listen, API_URL)

    def require_broker_listen(self) -> Self:
        """Raises InvalidInput unless the broker has an address to listen on."""
        if self.broker_listen is None:
            raise InvalidInput(BROKER_LISTEN, "it is not set", "Write it like 0.0.0.0:3001.")
        return self

    @property
    def credentials_url(self) -> str:
        """Where terminals get credentials. Raises InvalidInput where it can't be guessed."""
        return self.broker_url or self.require_api_url()

    @property
    def own_broker_url(self) -> str:
        """The broker's own base URL. Raises InvalidInput where it can't be guessed."""
        return self.broker_url or _guess(self.broker_listen, "COUNTERSIGN_BROKER_URL")


def read_api_settings() -> ApiSettings:
    """Read the environment. Raises InvalidInput, naming the variable and the fix."""
    return ApiSettings()


def _guess(listen: Address | None, setting: str) -> str:
    """Only a loopback address is what people use as well."""
    if listen is None or not _is_loopback(listen.host):
        raise InvalidInput(setting, "it is not set, and terminals have to know how to reach the API", _URL_FIX)
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"http://{host}:{listen.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
