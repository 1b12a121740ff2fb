"""Sends a payload to the app and returns its acknowledgement: the protocol, and its implementation over HTTP.

Invariant: an HTTP request has exactly the form and the signature of Slack's. Nothing is sent to any address but the
app's request URL.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias
from urllib.parse import urlencode, urlsplit

from localslack.open_posts import OpenPosts
from localslack.records import Json

PayloadKind: TypeAlias = Literal["slash_commands", "interactive", "events_api"]
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Reply:
    """The acknowledgement; or, in `failure`, why there was none: `dispatch_failed` or `operation_timeout`."""

    status: int | None
    body: str
    content_type: str
    seconds: float
    failure: str | None = None


class AppTransport(Protocol):
    """A way to reach the app."""

    def send(self, kind: PayloadKind, payload: Json, retry: tuple[int, str] | None = None) -> Reply:
        """Send a payload and wait for its acknowledgement. `retry` is the number of the retry, and its reason."""
        ...


def sign(signing_secret: str, body: bytes, timestamp: int | str) -> dict[str, str]:
    """The two headers that prove that a request is from Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    signed = b"v0:" + str(timestamp).encode() + b":" + body
    digest = hmac.new(signing_secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}


def encode(kind: PayloadKind, payload: Json) -> tuple[bytes, str]:
    """The body and the content type with which Slack sends this kind of payload over HTTP."""
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return urlencode(form).encode(), _FORM


@dataclass(frozen=True, slots=True)
class HttpAppTransport:
    """The app's request URL. `timeout_seconds` is how long to wait for an acknowledgement."""

    url: str
    signing_secret: str
    timeout_seconds: float
    open_posts: OpenPosts = field(default_factory=OpenPosts)

    def send(self, kind: PayloadKind, payload: Json, retry: tuple[int, str] | None = None) -> Reply:
        """Sign a payload and post it. The timestamp is the machine's, because the app compares it with that."""
        body, content_type = encode(kind, payload)
        headers = {"Content-Type": content_type, **sign(self.signing_secret, body, int(time.time()))}
        if retry is not None:
            headers |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        return self.post(body, headers)

    def post(self, body: bytes, headers: dict[str, str]) -> Reply:
        """Post exactly these bytes and headers, so that requests can be forged too."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self.timeout_seconds)
        began = time.monotonic()
        try:
            agent = {"User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)", "Accept": "application/json,*/*"}
            with self.open_posts.of(connection):
                connection.request("POST", parts.path or "/", body, {**agent, **headers})
                response = connection.getresponse()
                text = response.read().decode("utf-8", "replace")
            kind = (response.getheader("Content-Type") or "").split(";")[0]
            return Reply(response.status, text, kind, time.monotonic() - began)
        except TimeoutError:
            return Reply(None, "", "", time.monotonic() - began, "operation_timeout")
        except (OSError, http.client.HTTPException):
            return Reply(None, "", "", time.monotonic() - began, "dispatch_failed")
        finally:
            connection.close()
