"""Carries one payload to the app and brings back its acknowledgement: over HTTP, signed, or over Socket Mode.

Invariant: what is sent over HTTP is what Slack sends, byte for byte in form and signature; nothing is sent to any
address but the one the app was registered with.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import urlencode, urlsplit

Json: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["slash_commands", "interactive", "events_api"]
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `failure` is what Slack would say instead: `dispatch_failed` or `operation_timeout`."""

    status: int | None
    body: str
    content_type: str
    seconds: float
    failure: str | None = None


class Delivery(Protocol):
    """A way to the app."""

    def send(self, kind: Kind, payload: Json, retry: tuple[int, str] | None = None) -> Reply:
        """Send a payload and wait for its acknowledgement. `retry` counts repeated deliveries and says why."""
        ...


def sign(signing_secret: str, body: bytes, timestamp: int | str) -> dict[str, str]:
    """The two headers by which the app knows Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    signed = b"v0:" + str(timestamp).encode() + b":" + body
    digest = hmac.new(signing_secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}


def encode(kind: Kind, payload: Json) -> tuple[bytes, str]:
    """The body and its content type, as Slack sends this kind of payload over HTTP."""
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return urlencode(form).encode(), _FORM


@dataclass(frozen=True, slots=True)
class HttpDelivery:
    """The request URL of the app. `patience` is how long an acknowledgement is waited for, in seconds."""

    url: str
    signing_secret: str
    patience: float

    def send(self, kind: Kind, payload: Json, retry: tuple[int, str] | None = None) -> Reply:
        """Sign a payload with the machine's time, since the app checks it against that, and post it."""
        body, content_type = encode(kind, payload)
        headers = {"Content-Type": content_type, **sign(self.signing_secret, body, int(time.time()))}
        if retry is not None:
            headers |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        return self.post(body, headers)

    def post(self, body: bytes, headers: dict[str, str]) -> Reply:
        """Post these very bytes with these headers, for a forged request too."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self.patience)
        began = time.monotonic()
        try:
            agent = {"User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)", "Accept": "application/json,*/*"}
            connection.request("POST", parts.path or "/", body, {**agent, **headers})
            response = connection.getresponse()
            told = response.read().decode("utf-8", "replace")
            kind = (response.getheader("Content-Type") or "").split(";")[0]
            return Reply(response.status, told, kind, time.monotonic() - began)
        except TimeoutError:
            return Reply(None, "", "", time.monotonic() - began, "operation_timeout")
        except (OSError, http.client.HTTPException):
            return Reply(None, "", "", time.monotonic() - began, "dispatch_failed")
        finally:
            connection.close()
