"""A strict PagerDuty, as far as schedules go. Each rule stands beside the behaviour that comes from it.

From PagerDuty's OpenAPI document (PagerDuty/api-schema, reference/REST/openapiv3.json, `GET /oncalls` and
`GET /schedules/{id}`) and its pages on pagination, rate limits and scoped OAuth.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from tests.harness.schedule_server import (
    RosterPerson,
    RosterShift,
    ScheduleServer,
    ServedAnswer,
    ServedCall,
    as_json,
    cut_out,
)

KEY: Final = "u+pagerduty-key"
SCHEDULE: Final = "PABC123"
CLIENT: Final = ("client-1", "app-secret")
ACCEPT: Final = "application/vnd.pagerduty+json;version=2"
SOMEBODY: Final = RosterPerson("PSAM", "Sam Example", "sam@example.com")
NOW: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
_KNOWN: Final = {"schedule_ids[]", "include[]", "since", "until", "limit", "offset", "earliest", "total", "time_zone"}
_MAX_LIMIT: Final = 100
_MAX_END: Final = 10_000


class FakePagerDuty(ScheduleServer):
    """One account."""

    def __init__(self) -> None:
        super().__init__()
        self.schedules: dict[str, list[RosterShift]] = {SCHEDULE: []}
        self.policies: dict[str, tuple[tuple[int, str], ...]] = {"PPOLICY1": ((1, SCHEDULE),)}
        """Which schedule is on which level."""
        self.max_end = _MAX_END
        self.tokens: set[str] = set()
        self.filters = True
        """False for a gateway that drops the filter of schedules."""

    def add(self, person: RosterPerson, start: datetime | None, end: datetime | None, schedule: str = SCHEDULE) -> None:
        """A shift of the rotation."""
        self.schedules[schedule].append(RosterShift(person, start, end))

    def override(self, person: RosterPerson, start: datetime, end: datetime) -> None:
        """`/oncalls` is computed from the final schedule: an override takes its time from the rotation."""
        self.schedules[SCHEDULE] = [*cut_out(self.schedules[SCHEDULE], start, end), RosterShift(person, start, end)]

    def answer(self, call: ServedCall) -> ServedAnswer:
        if call.path == "/oauth/token":
            return self._grant_token(call)
        if call.headers.get("accept") != ACCEPT:
            self.violations.append(f"the version belongs into Accept, not {call.headers.get('accept')}")
        known = {f"Token token={KEY}", *(f"Bearer {each}" for each in self.tokens)}
        if call.headers.get("authorization") not in known:
            return ServedAnswer(HTTPStatus.UNAUTHORIZED)
        if self.forbidden:
            return as_json({"error": {"message": "Forbidden", "code": 2010}}, HTTPStatus.FORBIDDEN)
        if call.path == "/oncalls":
            return self._on_calls(call)
        return self._schedule(call.path.removeprefix("/schedules/"))

    def _grant_token(self, call: ServedCall) -> ServedAnswer:
        """Client credentials: a form, and the account with its region is in the scope."""
        form = {name: value[0] for name, value in parse_qs(call.body.decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != CLIENT:
            return as_json({"error": "invalid_client"}, HTTPStatus.UNAUTHORIZED)
        scopes = form.get("scope", "").split()
        if form.get("grant_type") != "client_credentials" or scopes[:1] != ["as_account-us.acme"]:
            return as_json({"error": "invalid_request"}, HTTPStatus.BAD_REQUEST)
        if not {"oncalls.read", "schedules.read", "users.read"} <= set(scopes):
            self.violations.append(f"these scopes don't let it see everything: {scopes}")
        token = f"pdus+token-{len(self.tokens)}"
        self.tokens = {token}
        return as_json({"access_token": token, "token_type": "bearer", "expires_in": 86_400})

    def _schedule(self, schedule: str) -> ServedAnswer:
        if schedule not in self.schedules:
            return as_json({"error": {"message": "Not Found", "code": 2100}}, HTTPStatus.NOT_FOUND)
        used_by = [
            {"id": policy, "type": "escalation_policy_reference"}
            for policy, rules in self.policies.items()
            if schedule in {each for _, each in rules}
        ]
        return as_json({"schedule": {"id": schedule, "name": "Primary", "escalation_policies": used_by}})

    def _on_calls(self, call: ServedCall) -> ServedAnswer:
        self.violations += [f"unknown parameter {name}" for name in {each for each, _ in call.query} - _KNOWN]
        limit, offset = int(call.get("limit") or 25), int(call.get("offset") or 0)
        now = NOW + self.clock_is_off
        since, until = (_read(call.get(name)) or now for name in ("since", "until"))
        # More than 100 a page, or beyond 10,000, is refused; so is a range that ends before it begins.
        if limit > _MAX_LIMIT or offset + limit > self.max_end or until < since:
            return as_json({"error": {"message": "Invalid Input Provided", "code": 2001}}, HTTPStatus.BAD_REQUEST)
        found = self._entries(call.all("schedule_ids[]"), since, until)
        if call.get("earliest") == "true":
            found = _earliest(found)
        page = found[offset : offset + limit]
        shown = [_shown(each, is_full="users" in call.all("include[]")) for each in page]
        more = offset + limit < len(found)
        return as_json({"oncalls": shown, "limit": limit, "offset": offset, "more": more, "total": None})

    def _entries(self, schedules: list[str], since: datetime, until: datetime) -> list[dict[str, Any]]:
        """What overlaps the range, once for each policy that uses the schedule. Unknown ids filter everything out."""
        return [
            {"policy": policy, "level": level, "schedule": schedule, "shift": shift}
            for policy, rules in self.policies.items()
            for level, schedule in rules
            if schedule in schedules or not self.filters
            for shift in sorted(self.schedules.get(schedule, ()), key=lambda each: each.start or since)
            if (shift.start is None or shift.start <= until) and (shift.end is None or shift.end >= since)
        ]


def _earliest(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only the earliest for each combination of escalation policy, escalation level and user."""
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for each in entries:
        found.setdefault((each["policy"], each["level"], each["shift"].person.id), each)
    return list(found.values())


def _shown(entry: dict[str, Any], *, is_full: bool) -> dict[str, Any]:
    """Without `include[]=users`, a user is only a reference, which has no e-mail."""
    shift: RosterShift = entry["shift"]
    assert shift.person
    user: dict[str, Any] = {"id": shift.person.id, "type": "user_reference", "summary": shift.person.name}
    if is_full:
        user |= {"type": "user", "name": shift.person.name, "email": shift.person.email}
    return {
        "escalation_policy": {"id": entry["policy"], "type": "escalation_policy_reference"},
        "escalation_level": entry["level"],
        "schedule": {"id": entry["schedule"], "type": "schedule_reference"},
        "user": user,
        "start": _written(shift.start),
        "end": _written(shift.end),
    }


def _written(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
