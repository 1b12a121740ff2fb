"""Which server this machine uses and as which device, read with nothing but the standard library.

Invariant: it finds what `bot.terminal.connecting` finds, or nothing. It checks nothing and asks nobody: what it finds
only names a file in the cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from bot.terminal.private_files import config_folder, read_private

_TOKEN: Final = "COUNTERSIGN_TOKEN"  # noqa: S105 - the variable's name
_SERVER: Final = "COUNTERSIGN_SERVER"
_CONFIGURATION: Final = "terminal.json"
_MAX_TOKEN_BYTES: Final = 4096


class PairedDevice(NamedTuple):
    """The server and the id of the device that its token is for."""

    server: str
    device: str


def find_device(environ: Mapping[str, str]) -> PairedDevice | None:
    """The server and the device, if it's simple to say. Raises OSError or ValueError if files can't be read."""
    if f"{_SERVER}_FILE" in environ:
        return None
    server = _tidy(environ.get(_SERVER, ""))
    if _TOKEN in environ or f"{_TOKEN}_FILE" in environ:
        device = device_of_token(_read_token(environ))
    else:
        found = json.loads(read_private(config_folder(environ) / _CONFIGURATION) or b"{}")
        server = server or str(found.get("server") or "")
        device = str((found.get("paired") or {}).get(server, {}).get("device_id") or "")
    return PairedDevice(server, device) if server and device else None


def device_of_token(token: str) -> str:
    """The id of the device that a token is for; "" if this is no token."""
    kind, _, rest = token.strip().partition("_")
    device, _, secret = rest.partition("_")
    return device if kind == "cst" and secret else ""


def _read_token(environ: Mapping[str, str]) -> str:
    path = environ.get(f"{_TOKEN}_FILE")
    if path is None:
        return environ[_TOKEN]
    if _TOKEN in environ:
        return ""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as plain as it is quick
        return file.read(_MAX_TOKEN_BYTES)


def _tidy(server: str) -> str:
    url = server.strip().rstrip("/")
    if url and "://" not in url:
        url = f"https://{url}"
    return url.removesuffix("/v1")
