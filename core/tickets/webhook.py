"""Tickets behind a webhook: each question is a signed POST, as Standard Webhooks 1.0 defines it.

Invariant: a question goes to the configured address and nowhere else. The address may contain a token of the receiver,
so problems name only its host. An answer that isn't exactly one of the defined ones counts as none.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final
from urllib.request import Request

from pydantic import SecretStr

from core.access.principals import SoughtPerson
from core.clock import Clock, new_id
from core.standard_webhooks import WebhookKey
from core.targets.web_address import check_web_address
from core.targets.words import one_line
from core.tickets.base import (
    CHECK_SECONDS,
    MAX_TITLE_LENGTH,
    TicketAnswer,
    TicketFound,
    TicketUnchecked,
    TicketUnknown,
)
from core.tickets.calls import HttpAnswer, NoAnswer, TimedCalls

MAX_BYTES: Final = 65_536
OPEN: Final = "open"
CLOSED: Final = "closed"
UNKNOWN: Final = "unknown"


class WebhookChecker:
    """A `core.tickets.base.TicketChecker` of the operator's own making. Safe for threads.

    Raises InvalidInput for an address that isn't encrypted, unless it is on this machine, and for a secret that isn't
    one.
    """

    def __init__(self, url: str, secret: SecretStr, clock: Clock, *, seconds: float = CHECK_SECONDS) -> None:
        self._name = f"the webhook of {check_web_address(url, 'address of the ticket check')}"
        self._url = url
        self._key = WebhookKey(secret, "secret of the ticket check")
        self._clock = clock
        self._seconds = seconds

    @property
    def name(self) -> str:
        """The webhook, by its host."""
        return self._name

    def check(self, ticket: str, requester: SoughtPerson) -> TicketFound:
        """What the receiver says."""
        message_id = f"{new_id()}-ticket"
        person = {"slack_id": requester.slack_id, "email": requester.email, "service": requester.service}
        asked = {
            "id": message_id,
            "op": "check_ticket",
            "ticket": ticket,
            "requester": {name: value for name, value in person.items() if value is not None},
        }
        body = json.dumps(asked).encode()
        headers = {"content-type": "application/json", "user-agent": "Countersign"}
        headers |= self._key.sign(message_id, self._clock.now(), body)
        # The address was checked when this was made.
        request = Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310
        return self._read(TimedCalls(self._seconds).ask(request, MAX_BYTES))

    def _read(self, answer: HttpAnswer | NoAnswer) -> TicketFound:
        if isinstance(answer, NoAnswer):
            return TicketUnchecked(f"{self._name} gave no answer ({answer.why})")
        if answer.status != HTTPStatus.OK:
            return TicketUnchecked(f"{self._name} answered {answer.status}", answer.retry_after)
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        state = found.get("state") if isinstance(found, dict) else None
        if state == UNKNOWN:
            return TicketUnknown()
        if not isinstance(found, dict) or state not in {OPEN, CLOSED}:
            return TicketUnchecked(f"{self._name} didn't say whether it is open")
        theirs = found.get("is_requesters")
        return TicketAnswer(
            is_open=state == OPEN,
            is_requesters=theirs if isinstance(theirs, bool) else None,
            title=one_line(found.get("title"), MAX_TITLE_LENGTH),
            status=one_line(found.get("status"), MAX_TITLE_LENGTH),
        )
