"""The address of a message, as Slack's own "Copy link" writes it.

Invariant: an address leads to the workspace's own messages or there is none, whatever the store says: where a message
is, is not sealed.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from core.actor import check_channel_id
from core.errors import InvalidInput
from core.stores.messages import MessageRef

_DOMAINS: Final = (".slack.com", ".slack-gov.com")
_TS: Final = re.compile(r"[0-9]{10}\.[0-9]{6}")
_PATH: Final = re.compile(r"/archives/[A-Z0-9]{3,32}/p[0-9]{16}")


def permalink(workspace_url: str | None, ref: MessageRef) -> str | None:
    """The https address of a message; None when the workspace, the channel or the message isn't one of Slack's."""
    host = _host_of(workspace_url or "")
    if host is None or not _TS.fullmatch(ref.ts):
        return None
    try:
        channel = check_channel_id(ref.channel)
    except InvalidInput:
        return None
    return f"https://{host}/archives/{channel}/p{ref.ts.replace('.', '')}"


def is_slacks(url: str) -> bool:
    """True for the address of a message in a workspace."""
    return _host_of(url) is not None and bool(_PATH.fullmatch(urlsplit(url).path))


def _host_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    is_slacks = parts.scheme == "https" and host.endswith(_DOMAINS) and parts.netloc == host
    return host if is_slacks else None
