"""PagerDuty and incident.io as pagers, on a loopback port: each refuses what the vendor refuses, by the vendor's rule.

Invariant: an event that the vendor's documents don't allow is answered as the vendor answers it, and changes nothing.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from core.clock import new_id
from core.pagers.calls import MAX_ANSWER_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUTING_KEY: Final = "R0UT1NGKEY" + "x" * 22
REST_KEY: Final = "u+rest-key-of-countersign"
TOKEN: Final = "alert-source-token"
ALERT_SOURCE: Final = "01GW2G3V0S59R238FAHPDS1R66"
# https://developer.pagerduty.com/docs/events-api-v2/overview/: "payloads are limited to 512 KB".
_MAX_EVENT_BYTES: Final = 512 * 1024
_MAX_DEDUP_KEY: Final = 255
_MAX_SUMMARY: Final = 1024
_SEVERITIES: Final = {"critical", "error", "warning", "info"}
Answer = tuple[int, dict[str, Any], dict[str, str]]


class PagerServer(ABC):
    """`faults` come before anything else: a status with headers, "hang up", "wait" or "long"."""

    def __init__(self) -> None:
        self.faults: deque[tuple[int, dict[str, str]] | str] = deque()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.end = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @abstractmethod
    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What the vendor answers."""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers["content-length"])))

            def do_GET(self) -> None:
                self._serve(b"")

            def _serve(self, body: bytes) -> None:
                pager.calls.append((self.command, self.path, json.loads(body) if body else {}))
                fault = pager.faults.popleft() if pager.faults else None
                if fault == "long":
                    self.send_response(202)
                    self.end_headers()
                    # The caller hangs up in the middle of it.
                    with suppress(OSError):
                        self.wfile.write(json.dumps({"status": "x" * 2 * MAX_ANSWER_BYTES}).encode())
                    return
                if isinstance(fault, str):
                    if fault == "wait":
                        pager.end.wait()
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, said, more = (
                    (fault[0], {}, fault[1])
                    if fault is not None
                    else pager.answer(self.command, self.path, headers, body)
                )
                content = json.dumps(said).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler


@dataclass
class FakeIncident:
    """An incident with one alert."""

    key: str
    summary: str
    event: dict[str, Any]
    status: str = "triggered"
    id: str = field(default_factory=lambda: f"P{new_id().upper()[:13]}")
    acknowledgements: list[dict[str, Any]] = field(default_factory=list)


class FakePagerDuty(PagerServer):
    """The Events API v2 and `GET /incidents` of the REST API."""

    def __init__(self) -> None:
        super().__init__()
        self.incidents: list[FakeIncident] = []

    def open(self) -> list[FakeIncident]:
        """The incidents that aren't resolved."""
        return [each for each in self.incidents if each.status != "resolved"]

    def acknowledge(self, key: str, who: str, at: datetime) -> None:
        """Somebody acknowledges the incident."""
        (incident,) = (each for each in self.open() if each.key == key)
        incident.status = "acknowledged"
        user = {"id": "PUSER01", "type": "user_reference", "summary": who, "html_url": None}
        incident.acknowledgements.append({"at": at.isoformat(timespec="seconds"), "acknowledger": user})

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        place = urlsplit(path)
        if (method, place.path) == ("POST", "/v2/enqueue"):
            return self._enqueue(body)
        if (method, place.path) == ("GET", "/incidents"):
            return self._list(headers, parse_qs(place.query))
        return 404, {"error": {"message": "Not Found", "code": 2100}}, {}

    def _enqueue(self, body: bytes) -> Answer:
        if len(body) > _MAX_EVENT_BYTES:
            return _invalid("the event is too large")
        event = json.loads(body)
        problem = _find_problem(event)
        if problem is not None:
            return _invalid(problem)
        self._apply(event)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}, {}

    def _apply(self, event: dict[str, Any]) -> None:
        key = event["dedup_key"]
        found = next((each for each in self.open() if each.key == key), None)
        if event["event_action"] == "trigger":
            # "Once the alert is resolved, any further events with the same dedup_key will create a new alert."
            if found is None:
                self.incidents.append(FakeIncident(key, event["payload"]["summary"], event))
        elif found is not None:
            # What acknowledges or resolves an alert that is resolved is dropped.
            found.status = "resolved" if event["event_action"] == "resolve" else "acknowledged"

    def _list(self, headers: Mapping[str, str], query: dict[str, list[str]]) -> Answer:
        if headers.get("authorization") != f"Token token={REST_KEY}":
            return 401, {"error": {"message": "Unauthorized", "code": 2006, "errors": ["Access token is invalid."]}}, {}
        if headers.get("accept") != "application/vnd.pagerduty+json;version=2":
            return 400, {"error": {"message": "Invalid Input Provided", "code": 2001, "errors": ["Accept"]}}, {}
        limit = int(query.get("limit", ["25"])[0])
        if not 1 <= limit <= 100:
            return 400, {"error": {"message": "Invalid Input Provided", "code": 2001, "errors": ["limit"]}}, {}
        found = [
            each
            for each in self.incidents
            if each.key in query.get("incident_key", [each.key])
            and each.status in query.get("statuses[]", [each.status])
        ]
        # "Incidents with child alerts do not have an incident key; querying by incident key will return incidents
        # whose alerts have alert_key matching the given incident key."
        told = [
            {
                "id": each.id,
                "type": "incident",
                "status": each.status,
                "incident_key": None,
                # "This list will be empty if the Incident.status is resolved or triggered."
                "acknowledgements": each.acknowledgements if each.status == "acknowledged" else [],
            }
            for each in found
        ]
        return 200, {"incidents": told[:limit], "limit": limit, "offset": 0, "total": None, "more": False}, {}


def _find_problem(event: object) -> str | None:
    """What PagerDuty refuses in an event: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/."""
    if not isinstance(event, dict):
        return "the event is no object"
    action, key = event.get("event_action"), event.get("dedup_key")
    # "This is the 32 character Integration Key".
    if event.get("routing_key") != ROUTING_KEY:
        return f"Invalid routing key {event.get('routing_key')}"
    if action not in {"trigger", "acknowledge", "resolve"}:
        return "'event_action' is invalid"
    if not isinstance(key, str) or not 1 <= len(key) <= _MAX_DEDUP_KEY:
        return "'dedup_key' is missing, blank or longer than 255 characters"
    return _find_problem_in_payload(event) if action == "trigger" else None


def _find_problem_in_payload(event: dict[str, Any]) -> str | None:
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return "'payload' is missing"
    if not isinstance(payload.get("summary"), str) or not 1 <= len(payload["summary"]) <= _MAX_SUMMARY:
        return "'payload.summary' is missing, blank or longer than 1024 characters"
    if not payload.get("source") or payload.get("severity") not in _SEVERITIES:
        return "'payload.source' or 'payload.severity' is invalid"
    if not isinstance(payload.get("custom_details", {}), dict):
        return "'payload.custom_details' is no object"
    datetime.fromisoformat(payload["timestamp"])
    return None if all(each.get("href") for each in event.get("links", ())) else "'links' has no href"


def _invalid(problem: str) -> Answer:
    return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": [problem]}, {}


class FakeIncidentIoAlerts(PagerServer):
    """`POST /v2/alert_events/http/{alert_source_config_id}`: https://api-docs.incident.io/."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if (method, path) != ("POST", f"/v2/alert_events/http/{ALERT_SOURCE}"):
            return 404, _error(404, "not_found", "alert source not found"), {}
        # The alert source's own token, not an API key.
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, _error(401, "unauthorized", f"bad token {headers.get('authorization', '')[7:]}"), {}
        event = json.loads(body)
        # `title` and `status` are required; `status` is one of two; `metadata` is a free-form object.
        if not event.get("title") or event.get("status") not in {"firing", "resolved"}:
            return 422, _error(422, "is_required", "title or status is missing or invalid"), {}
        if not isinstance(event.get("metadata", {}), dict):
            return 422, _error(422, "invalid_type", "metadata must be an object"), {}
        key = event.get("deduplication_key") or new_id()
        if event["status"] == "firing" or key in self.alerts:
            self.alerts[key] = {**self.alerts.get(key, {}), **event}
        return 202, {"deduplication_key": key, "message": "Event accepted for processing", "status": "success"}, {}


def _error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"type": "validation_error", "status": status, "errors": [{"code": code, "message": message}]}
