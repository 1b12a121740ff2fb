"""The webhook sink: each entry as a signed HTTP POST, as Standard Webhooks 1.0 defines it.

Invariant: `webhook-id` is the entry's id, the same at each attempt, so receivers can recognise duplicates. The URL may
contain a token of the receiver, so logs and problems contain only its host. Redirects aren't followed: a signed message
goes to the configured URL, and nowhere else.
"""

from __future__ import annotations

from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

from pydantic import SecretStr

from bot.notifications.entry_message import write_entry
from bot.slack.client import NoRedirects
from bot.slack.retry_after import FIX_PAUSE, read_retry_after
from core.audit.trail import AuditEntry
from core.clock import Clock
from core.errors import DeliveryFailed
from core.standard_webhooks import WebhookKey
from core.tls import trusted_context

NAME: Final = "webhook"
CALL_TIMEOUT_SECONDS: Final = 10.0
"""How long a receiver may take; Standard Webhooks advises receivers to answer first and work later."""
_ASKS_FOR_PAUSE: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_UNAUTHORISED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class WebhookSink:
    """Sends every entry to one receiver. Thread-safe.

    `secret` is `whsec_` and 24 to 64 bytes in base64; `seconds` limits each step of a call, such as connecting.
    """

    def __init__(self, url: str, secret: SecretStr, clock: Clock, *, seconds: float = CALL_TIMEOUT_SECONDS) -> None:
        self._url = url
        self._key = WebhookKey(secret, "COUNTERSIGN_WEBHOOK_SECRET")
        self._clock = clock
        self._seconds = seconds
        self._receiver = f"the webhook of {urlsplit(url).hostname}"
        self._opener = build_opener(NoRedirects, HTTPSHandler(context=trusted_context()))

    @property
    def name(self) -> str:
        """The sink's name."""
        return NAME

    def deliver(self, entry: AuditEntry) -> None:
        """Post one entry. Raises DeliveryFailed unless the receiver answers with 2xx."""
        body = write_entry(entry).encode()
        request = Request(self._url, data=body, headers=self._headers(entry, body), method="POST")  # noqa: S310 - settings accept only web addresses
        try:
            with self._opener.open(request, timeout=self._seconds):
                return
        except HTTPError as error:
            with error:
                raise self._refused(error.code, error.headers) from error
        except (OSError, HTTPException, ValueError) as error:
            # Only the type of the error: its text may quote the URL.
            problem = f"{self._receiver} didn't answer: {type(error).__name__}. It will be retried automatically."
            raise DeliveryFailed(problem) from error

    def _headers(self, entry: AuditEntry, body: bytes) -> dict[str, str]:
        signed = self._key.sign(entry.id, self._clock.now(), body)
        return {"content-type": "application/json", "user-agent": "Countersign", **signed}

    def _refused(self, status: int, headers: Message) -> DeliveryFailed:
        problem = f"{self._receiver} answered {status}."
        if status == HTTPStatus.GONE:
            fix = "It no longer accepts deliveries. Set COUNTERSIGN_WEBHOOK_URL to another address, or unset it."
            return DeliveryFailed(f"{problem} {fix}", is_final=True)
        if status in _ASKS_FOR_PAUSE:
            pause = read_retry_after(headers.get("retry-after"), self._clock.now())
            return DeliveryFailed(f"{problem} It will be retried automatically.", retry_after=pause)
        if status < HTTPStatus.BAD_REQUEST:
            fix = "Redirects aren't followed. Set COUNTERSIGN_WEBHOOK_URL to the final address."
            return DeliveryFailed(f"{problem} {fix}", retry_after=FIX_PAUSE)
        if status in _UNAUTHORISED:
            fix = "Check that the receiver uses COUNTERSIGN_WEBHOOK_SECRET, and what else it requires."
            return DeliveryFailed(f"{problem} {fix}", retry_after=FIX_PAUSE)
        return DeliveryFailed(f"{problem} Check the receiver's log. It will be retried, then parked.")
