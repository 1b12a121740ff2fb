"""Settings: what is said of each one that cannot be used, or is missing.

Invariant: a bad value of every setting is read from the environment, as the command line reads it.
"""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from bot.settings import read_settings, read_slack_settings, read_terminal_settings
from bot.settings.addresses import Address
from core.errors import InvalidInput
from tests.texts.writing import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HTTP: Final = Address("127.0.0.1", 3000)


def setting_errors(raised_in: set[tuple[str, int]]) -> Iterator[Text]:
    """Each mistake. `raised_in` gets the files and lines on the way to each error."""
    for name, values in _BAD.items():
        for value in values:
            yield _read(f"{name}={value}"[:100], {name: value}, _reader_of(name), raised_in)
    for title, (environment, require) in _MISSING.items():
        yield _read(title, environment, require, raised_in)


def _reader_of(name: str) -> Callable[[], object]:
    if name in {"COUNTERSIGN_SERVER", "COUNTERSIGN_TOKEN"}:
        return read_terminal_settings
    return read_slack_settings if name.startswith("SLACK_") else read_settings


def _read(title: str, environment: dict[str, str], read: Callable[[], object], raised_in: set[tuple[str, int]]) -> Text:
    kept = {name: each for name, each in os.environ.items() if not name.startswith(("COUNTERSIGN_", "SLACK_"))}
    with patch.dict(os.environ, kept | environment, clear=True):
        try:
            read()
        except InvalidInput as error:
            frames = traceback.extract_tb(error.__traceback__)
            raised_in |= {(frame.filename, frame.lineno or 0) for frame in frames}
            return Text("Settings that cannot be used", title, str(error))
    raise AssertionError(f"{title} was taken")


_TOKEN: Final = {"SLACK_BOT_TOKEN": "xoxb-1-2"}
_MISSING: Final[dict[str, tuple[dict[str, str], Callable[[], object]]]] = {
    "no COUNTERSIGN_AUDIT_KEY": ({}, lambda: read_settings().require_audit_key()),
    "no COUNTERSIGN_WEBHOOK_SECRET": ({"COUNTERSIGN_WEBHOOK_URL": "https://hooks.example.com"}, read_settings),
    "no SLACK_BOT_TOKEN": ({}, lambda: read_slack_settings().require_bot_token()),
    "no SLACK_APP_TOKEN": (_TOKEN, lambda: read_slack_settings().require_transport(None)),
    "no SLACK_SIGNING_SECRET": (_TOKEN, lambda: read_slack_settings().require_transport(_HTTP)),
    "--store postgres://": ({}, lambda: read_settings(store="postgres://db")),
}
_BAD: Final = {
    "COUNTERSIGN_STORE": (
        "",
        "countersign.db",
        "sqlite://",
        "sqlite:///",
        "dynamodb://",
        "dynamodb://eu-west-1",
        "dynamodb://mars/countersign",
        "dynamodb://eu-west-1/countersign?region=x",
        "dynamodb://eu-west-1/countersign?endpoint_url=http://dynamodb:8000",
    ),
    "COUNTERSIGN_POLICY": (" ",),
    "COUNTERSIGN_AUDIT_KEY": ("", "short", "a-key-that-has-more-than-32-characters,,", "a" * 32),
    "COUNTERSIGN_AUDIT_SIGNING_KEY": ("short",),
    "COUNTERSIGN_RETENTION": ("soon", "90", "0d"),
    "COUNTERSIGN_LISTEN": ("3000", "0.0.0.0:99999"),
    "COUNTERSIGN_METRICS": ("9090",),
    "COUNTERSIGN_PLAIN_HTTP_HOSTS": ("http://a",),
    "COUNTERSIGN_AUDIT_KEY_FILE": ("/no/such/file",),
    "COUNTERSIGN_WEBHOOK_URL": ("hooks.example.com", "http://hooks.example.com", "https://a:b@hooks.example.com"),
    "COUNTERSIGN_WEBHOOK_SECRET": ("secret", "whsec_x"),
    "COUNTERSIGN_SNS_TOPIC": ("countersign",),
    "COUNTERSIGN_MFA_SECRETS": (
        "",
        "mfa/",
        "https://example.com",
        "ssm://mars/mfa",
        "ssm://eu-west-1/aws/mfa",
        "ssm://eu-west-1/mfa?x=y",
        "http://[",
    ),
    "COUNTERSIGN_LOG": ("yaml",),
    "COUNTERSIGN_TRACING": ("jaeger",),
    "COUNTERSIGN_SERVER": ("http://countersign.example.com", "https://a:b@countersign.example.com", "a b"),
    "COUNTERSIGN_TOKEN": ("", "xoxb-1"),
    "SLACK_BOT_TOKEN": ("xapp-1",),
    "SLACK_APP_TOKEN": ("xoxb-1",),
    "SLACK_SIGNING_SECRET": ("xoxb-1",),
    "SLACK_API_URL": ("slack.com", "http://slack.com", "https://:x"),
}
