"""Clients of Slack's Web API that fit where they are used: how long a call may take, and that it is made once.

Invariant: no client made here repeats a call. slack_sdk would, after a lost connection, and so might post twice; it
would also sleep on a thread that others wait for.
"""

from __future__ import annotations

from pydantic import SecretStr
from slack_sdk import WebClient


def open_client(token: SecretStr, api_url: str, seconds: int) -> WebClient:
    """A client of its own, whose calls take at most so many seconds."""
    return WebClient(token.get_secret_value(), base_url=api_url, timeout=seconds, retry_handlers=[])


def like(client: WebClient, seconds: int) -> WebClient:
    """A client that reaches Slack the same way as this one, with calls of at most so many seconds."""
    return WebClient(
        client.token,
        base_url=client.base_url,
        timeout=seconds,
        ssl=client.ssl,
        proxy=client.proxy,
        headers=dict(client.headers),
        retry_handlers=[],
    )
