"""Clients of Slack's Web API, with a time limit that suits their use and without retries.

Invariant: no client made here retries a call. slack_sdk would retry after a lost connection, and might post twice; it
would also sleep on a thread that others wait for.
"""

from __future__ import annotations

from pydantic import SecretStr
from slack_sdk import WebClient


def open_client(token: SecretStr, api_url: str, seconds: int) -> WebClient:
    """A new client, whose calls take at most this many seconds."""
    return WebClient(token.get_secret_value(), base_url=api_url, timeout=seconds, retry_handlers=[])


def like(client: WebClient, seconds: int) -> WebClient:
    """A client with the same connection settings as this one, whose calls take at most this many seconds."""
    return WebClient(
        client.token,
        base_url=client.base_url,
        timeout=seconds,
        ssl=client.ssl,
        proxy=client.proxy,
        headers=dict(client.headers),
        retry_handlers=[],
    )
