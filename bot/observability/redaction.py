"""Redacts secrets from log text: by their format, and by their value.

Invariant: no Slack token, device's token, response_url, trigger_id, websocket ticket or webhook secret passes, however
a library wrote it: as a repr, as JSON, as JSON in JSON, or URL-encoded. No secret that this process was given by name
passes either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "[hidden]"
_MIN_LENGTH: Final = 8
"""A shorter text is never one of our secrets, and redacting it would garble every line."""

_END: Final = r"(?:(?!%22|%26|%2C|%7D|&quot;)[^\s\"'&,<>{}\[\]()])"
"""One character of a value, which ends at a quote, comma, ampersand or bracket, encoded or not."""
_BETWEEN: Final = r"(?:[\\\"'\s]|%22|%5C|%20|\+|&quot;)*(?:=|:|%3A|%3D)(?:[\\\"'\s]|%22|%5C|%20|\+|&quot;)*u?"
_KEYS: Final = (
    r"response_url|trigger_id|(?:bot|app|access|refresh|bot_access|app_level)?_?token|(?:signing|client|webhook)_secret"
    r"|audit_key|ticket|authorization|cookie|x-slack-signature|webhook-signature|device_code"
    r"|secret_?access_?key"
)
_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Slack's tokens: xoxb-, xoxp-, xoxe.xoxp-, xapp-, xwfp- and future ones.
        r"x(?:ox[a-z]|app|wfp)(?:\.xox[a-z])?(?:-|%2D)(?:[\w.-]|%2D)+",
        # URLs that let anyone who has them reply to a person or start a workflow.
        rf"https?(?::|%3A)(?:\\|/|%2F|%5C){{2,40}}hooks\.slack(?:-gov)?\.com{_END}*",
        # trigger_ids, anywhere in the text.
        r"\d{6,}\.\d{6,}\.[0-9a-f]{16,}",
        # Countersign's own: the tokens of devices, and the codes that machines fetch them with.
        r"cs[td]_[A-Za-z0-9_-]{16,}",
        r"whsec_(?:[A-Za-z0-9+/=]|%2B|%2F|%3D)+",
        r"v0(?:=|%3D)[0-9a-f]{64}",
        # The user name and password in a URL.
        r"(?<=://)[^\s/?#@'\"<>]+(?=@)",
        rf"Bearer(?:\s|%20|\+)+{_END}+",
    )
)
_BY_KEY: Final = re.compile(rf"(?P<key>(?:{_KEYS}){_BETWEEN})(?P<value>{_END}+)", re.IGNORECASE)


class Redaction:
    """Redacts what looks like a secret, and the known `secrets`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets if len(secret) >= _MIN_LENGTH for form in (secret, quote(secret, safe=""))}
        # The longest first: a secret that contains another one is replaced whole.
        self._known = sorted(known, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        for pattern in _PATTERNS:
            text = pattern.sub(HIDDEN, text)
        return _BY_KEY.sub(rf"\g<key>{HIDDEN}", text)
