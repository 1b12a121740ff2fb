"""The web addresses that settings name: which ones may be used.

Invariant: nothing is sent unencrypted to another host unless its name is in COUNTERSIGN_PLAIN_HTTP_HOSTS. No error
quotes an address, because it may contain a password or a token.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from core.errors import InvalidInput

PLAIN_HTTP_HOSTS: Final = "COUNTERSIGN_PLAIN_HTTP_HOSTS"
_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_THIS_MACHINE: Final = "localhost"


def read_hosts(value: object) -> frozenset[str]:
    """The host names of a comma-separated list. Raises InvalidInput."""
    if isinstance(value, frozenset):
        return value
    hosts = [part.strip().lower() for part in str(value).split(",")]
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise InvalidInput(PLAIN_HTTP_HOSTS, "it is not a list of host names", "Write it like dynamodb,slack-proxy.")
    return frozenset(hosts)


PlainHttpHosts: TypeAlias = Annotated[frozenset[str], NoDecode, BeforeValidator(read_hosts)]
"""The hosts that may be reached unencrypted, because nobody else can listen on the way to them."""


def check_web_address(url: str, setting: str, fix: str, plain_http_hosts: Collection[str] = ()) -> None:
    """Raises InvalidInput unless the URL is http or https, has no password, and isn't unencrypted to another host."""
    if not _URL.fullmatch(url):
        raise InvalidInput(setting, "it is not a web address", fix)
    check_endpoint(url, setting, plain_http_hosts)


def check_endpoint(url: str, setting: str, plain_http_hosts: Collection[str] = ()) -> None:
    """The same for a URL that was found to begin with http:// or https://. Raises InvalidInput."""
    if not _has_host(url):
        raise InvalidInput(setting, "its web address has no valid host and port", "Write it like https://example.com.")
    if "@" in urlsplit(url).netloc:
        raise InvalidInput(setting, "its web address contains a user name or a password", "Leave it out.")
    if not is_encrypted(url, plain_http_hosts):
        raise InvalidInput(
            setting,
            "it is unencrypted: http:// to another host",
            f"Use https://. Only for a private network, name the host in {PLAIN_HTTP_HOSTS}.",
        )


def is_encrypted(url: str, plain_http_hosts: Collection[str] = ()) -> bool:
    """Whether nobody on the network can read what is sent to the URL: it uses TLS, or stays on this machine."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return parts.scheme in {"https", "wss"} or host in plain_http_hosts or _is_this_machine(host)


def _has_host(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:
        return False


def _is_this_machine(host: str) -> bool:
    if host == _THIS_MACHINE or host.endswith(f".{_THIS_MACHINE}"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
