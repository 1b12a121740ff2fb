"""The address of a webhook: where orders may be sent.

Invariant: an address may contain a token of the receiver, so no error quotes it.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from core.errors import InvalidInput

_FIX: Final = "Write it like https://access.example.com/hook."


def check_web_address(url: str, field: str = "target's address") -> str:
    """The host of the address. Raises InvalidInput for one that isn't encrypted, unless it is on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc or not url.isascii() or " " in url:
        raise InvalidInput(field, "it is not a web address without a password", _FIX)
    if parts.scheme == "http" and not _is_this_machine(host):
        raise InvalidInput(field, "it is unencrypted: http:// to another host", _FIX)
    return host


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
