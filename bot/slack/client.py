"""Clients of Slack's Web API, with a time limit that suits their use and without retries.

Invariant: no client made here retries a call. slack_sdk would retry after a lost connection, and might post twice; it
would also sleep on a thread that others wait for. No client follows a redirect: the token goes to one address only.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from pydantic import SecretStr
from slack_sdk import WebClient

from bot.observability.clock_check import ComparedClock
from bot.observability.tracing import NO_TRACER, SLACK_ERROR, STATUS, SpanKind, Tracer
from core.tls import trusted_context

_METHOD: Final = re.compile(r"[A-Za-z.]{1,60}")
_CODE: Final = re.compile(r"[a-z_]{1,60}")


class NoRedirects(HTTPRedirectHandler):
    """Returns a redirect as the response."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: don't follow."""


class DirectClient(WebClient):
    """A client that follows no redirect. `compared_clock` learns the time of each answer, `tracer` of each call."""

    compared_clock: ComparedClock | None = None
    tracer: Tracer = NO_TRACER

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        """Replaces slack_sdk's, which follows redirects, with the token."""
        if not self.tracer.is_on:
            return self._perform(req)
        method = url.removeprefix(self.base_url)
        with self.tracer.span(f"slack {method if _METHOD.fullmatch(method) else 'upload'}", {}, SpanKind.CLIENT):
            try:
                answer = self._perform(req)
            except HTTPError as error:
                self.tracer.note({STATUS: error.code})
                raise
            self.tracer.note({STATUS: answer["status"], **_error_of(answer["body"])})
            return answer

    def _perform(self, req: Request) -> dict[str, Any]:
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
    token: SecretStr,
    api_url: str,
    seconds: int,
    *,
    compared_clock: ComparedClock | None = None,
    tracer: Tracer = NO_TRACER,
) -> WebClient:
    """A new client, whose calls take at most this many seconds."""
    client = DirectClient(
        token.get_secret_value(), base_url=api_url, timeout=seconds, ssl=trusted_context(), retry_handlers=[]
    )
    client.compared_clock, client.tracer = compared_clock, tracer
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
    another.tracer = tracer_of(client)
    return another


def tracer_of(client: WebClient) -> Tracer:
    """What hears of this client's calls."""
    return client.tracer if isinstance(client, DirectClient) else NO_TRACER


def _error_of(body: str) -> dict[str, str]:
    """Slack's error code, which is one of its own words. An answer that can't be read has none."""
    try:
        code = json.loads(body).get("error", "")
    except (ValueError, AttributeError):
        return {}
    return {SLACK_ERROR: code} if isinstance(code, str) and _CODE.fullmatch(code) else {}
