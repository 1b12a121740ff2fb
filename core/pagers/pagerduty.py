"""PagerDuty as a pager: events by the Events API v2, acknowledgements by the REST API.

Invariant: an event keeps the bounds that PagerDuty names, whatever a record says. The routing key is only in the body
of an event, the REST key only in a header of a question.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlencode

from pydantic import SecretStr

from core.clock import new_id, require_utc
from core.pagers.base import PageAcknowledgement, PagerAlert
from core.pagers.calls import CALL_SECONDS, PagerCalls, PagerFixes
from core.targets.words import one_line

NAME: Final = "PagerDuty"
# https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
ROUTING_KEY_LENGTH: Final = 32
MAX_DEDUP_KEY: Final = 255
MAX_SUMMARY: Final = 1024
_MAX_NAME: Final = 80
_MAX_DETAIL: Final = 1500
_EVENTS: Final = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}
_REST: Final = {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}
_SOURCE: Final = "countersign"
_EVENT_FIXES: Final = PagerFixes(
    "Check the integration key at `pager: pagerduty: routing_key` in the policy.",
    "Check the integration key at `pager: pagerduty: routing_key`: it has 32 characters, and its service still exists.",
)
_REST_FIXES: Final = PagerFixes(
    "Check the REST API key at `pager: pagerduty: key` in the policy; a read-only key is enough.",
    "Check the REST API key at `pager: pagerduty: key` in the policy, and the region.",
)


class PagerDuty:
    """Pages through one service. Safe for threads. `events_url` and `rest_url` are for tests."""

    def __init__(
        self,
        routing_key: SecretStr,
        key: SecretStr | None = None,
        region: Literal["us", "eu"] = "us",
        *,
        events_url: str | None = None,
        rest_url: str | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._routing_key = routing_key
        self._key = key
        self._enqueue = f"{events_url or _EVENTS[region]}/v2/enqueue"
        self._rest = rest_url or _REST[region]
        self._events = PagerCalls(NAME, _EVENT_FIXES, routing_key, call_seconds=call_seconds)
        rest_key = key or SecretStr("")
        self._questions = PagerCalls(f"{NAME}'s REST API", _REST_FIXES, rest_key, call_seconds=call_seconds)

    @property
    def name(self) -> str:
        """PagerDuty."""
        return NAME

    @property
    def reads_back(self) -> bool:
        """With a REST key."""
        return self._key is not None

    def trigger(self, page: PagerAlert) -> None:
        """Open an alert, or add to the one that is open with this key. Raises DeliveryFailed."""
        event = self._event("trigger", page.key)
        event["payload"] = {
            "summary": one_line(page.summary, MAX_SUMMARY),
            "source": _SOURCE,
            "severity": page.severity.value,
            "timestamp": page.at.isoformat(),
            "class": page.kind,
            **({"component": page.profile} if page.profile is not None else {}),
            "custom_details": {name: one_line(text, _MAX_DETAIL) for name, text in page.details.items()},
        }
        event["client"] = "Countersign"
        if page.link is not None:
            event["client_url"] = page.link
            event["links"] = [{"href": page.link, "text": "Open the card in Slack"}]
        self._events.post(self._enqueue, event)

    def resolve(self, key: str) -> None:
        """Resolve the alert. PagerDuty drops it when there is none. Raises DeliveryFailed."""
        self._events.post(self._enqueue, self._event("resolve", key))

    def find_acknowledged(self, keys: Collection[str]) -> Mapping[str, PageAcknowledgement]:
        """Those of the open pages that somebody acknowledged: one question for each key. Raises DeliveryFailed."""
        found: dict[str, PageAcknowledgement] = {}
        for key in keys:
            # An incident of grouped alerts has no key of its own: it is found by the keys of its alerts.
            query = urlencode({"incident_key": key, "statuses[]": "acknowledged", "limit": 5})
            answered = self._ask(f"/incidents?{query}")
            incidents = answered.get("incidents") if isinstance(answered, dict) else None
            taken = [each for each in map(_read_acknowledged, incidents or ()) if each is not None]
            if taken:
                found[key] = min(taken, key=lambda each: each.at)
        return found

    def check(self) -> str:
        """Resolve an alert that doesn't exist, which PagerDuty checks and drops. Raises DeliveryFailed."""
        self.resolve(f"countersign-check-{new_id()}")
        if self._key is None:
            return "PagerDuty takes the routing key; without a REST key, acknowledgements aren't shown on cards"
        self._ask("/incidents?limit=1")
        return "PagerDuty takes the routing key and the REST key"

    def close(self) -> None:
        """Nothing is kept open."""

    def _event(self, action: str, key: str) -> dict[str, Any]:
        routing_key = self._routing_key.get_secret_value()
        return {"routing_key": routing_key, "event_action": action, "dedup_key": key[:MAX_DEDUP_KEY]}

    def _ask(self, path: str) -> Any:  # noqa: ANN401 - JSON
        key = self._key.get_secret_value() if self._key is not None else ""
        headers = {"authorization": f"Token token={key}", "accept": "application/vnd.pagerduty+json;version=2"}
        return self._questions.get(f"{self._rest}{path}", headers)


def _read_acknowledged(incident: object) -> PageAcknowledgement | None:
    """The first acknowledgement of an incident; None where it can't be read. Unknown fields are left alone."""
    given = incident.get("acknowledgements") if isinstance(incident, dict) else None
    found = [each for each in map(_read_one, given if isinstance(given, list) else ()) if each is not None]
    return min(found, key=lambda each: each.at, default=None)


def _read_one(given: object) -> PageAcknowledgement | None:
    if not isinstance(given, dict) or not isinstance(given.get("acknowledger"), dict):
        return None
    by = one_line(given["acknowledger"].get("summary"), _MAX_NAME)
    try:
        at = require_utc(datetime.fromisoformat(str(given.get("at"))))
    except ValueError:
        return None
    return PageAcknowledgement(by, at) if by else None
