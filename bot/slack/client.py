"""Clients of Slack's Web API, with a time limit that suits their use and without retries.

Invariant: no client made here retries a call. slack_sdk would retry after a lost connection, and might post twice; it
would also sleep on a thread that others wait for. No client follows a redirect: the token goes to one address only.
"""

from __future__ import annotations

from typing import Any
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from pydantic import SecretStr
from slack_sdk import WebClient

from bot.observability.clock_check import ComparedClock


class NoRedirects(HTTPRedirectHandler):
    """Returns a redirect as the response."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: don't follow."""


class DirectClient(WebClient):
    """A client that follows no redirect. `compared_clock` learns the time of each answer."""

    compared_clock: ComparedClock | None = None

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        """Replaces slack_sdk's, which follows redirects, with the token."""
        del url
        proxies = [ProxyHandler({"http": self.proxy, "https": self.proxy})] if self.proxy else []
        opener = build_opener(NoRedirects, HTTPSHandler(context=self.ssl), *proxies)
        clock = self.compared_clock
        sent_at = clock.now() if clock is not None else None
        with opener.open(req, timeout=self.timeout) as answer:
            headers = answer.headers
            if clock is not None and sent_at is not None:
                clock.compare(headers.get("Date"), sent_at)
            body = answer.read().decode(headers.get_content_charset() or "utf-8")
            return {"status": answer.status, "headers": headers, "body": body}


def open_client(
    token: SecretStr, api_url: str, seconds: int, *, compared_clock: ComparedClock | None = None
) -> WebClient:
    """A new client, whose calls take at most this many seconds."""
    client = DirectClient(token.get_secret_value(), base_url=api_url, timeout=seconds, retry_handlers=[])
    client.compared_clock = compared_clock
    return client


def like(client: WebClient, seconds: int) -> WebClient:
    """A client with the same connection settings as this one, whose calls take at most this many seconds."""
    another = DirectClient(
        client.token,
        base_url=client.base_url,
        timeout=seconds,
        ssl=client.ssl,
        proxy=client.proxy,
        headers=dict(client.headers),
        retry_handlers=[],
    )
    another.compared_clock = client.compared_clock if isinstance(client, DirectClient) else None
    return another
