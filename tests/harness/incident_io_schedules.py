"""A strict incident.io, as far as schedules go. Each rule stands beside the behaviour that comes from it.

From incident.io's OpenAPI document (`GET /v2/schedule_entries`, `GET /v2/schedules/{id}`) and its page on API keys.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from tests.harness.schedule_server import (
    RosterPerson,
    RosterShift,
    ScheduleServer,
    ServedAnswer,
    ServedCall,
    as_json,
    cut_out,
)

KEY: Final = "inc_key"
TEAM_KEY: Final = "inc_team_key"
SCHEDULE: Final = "01FDAG4SAP5TYPT98WGR2N7W91"
PAGE: Final = 25
_KNOWN: Final = {"schedule_id", "entry_window_start", "entry_window_end"}


class FakeIncidentIo(ScheduleServer):
    """One account."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduled: list[RosterShift] = []
        self.final: list[RosterShift] = []
        self.exists = True

    def add(self, person: RosterPerson | None, start: datetime, end: datetime) -> None:
        """A shift of the rotation. Without a person, nobody is on call in it."""
        self.scheduled.append(RosterShift(person, start, end))
        self.final.append(RosterShift(person, start, end))

    def override(self, person: RosterPerson, start: datetime, end: datetime) -> None:
        """An override is in `overrides` and in `final`, and never in `scheduled`."""
        self.final = [*cut_out(self.final, start, end), RosterShift(person, start, end)]

    def answer(self, call: ServedCall) -> ServedAnswer:
        key = call.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in {KEY, TEAM_KEY}:
            return _problem(HTTPStatus.UNAUTHORIZED, "authentication_error")
        if self.forbidden:
            return _problem(HTTPStatus.FORBIDDEN, "forbidden")
        # A key with a limit to teams doesn't see the schedules of others: they are as if they didn't exist.
        is_seen = self.exists and key == KEY
        if call.path == f"/v2/schedules/{SCHEDULE}" and is_seen:
            return as_json({"schedule": {"id": SCHEDULE, "name": "Primary", "timezone": "Europe/London"}})
        if call.path.startswith("/v2/schedules/"):
            return _problem(HTTPStatus.NOT_FOUND, "not_found")
        return self._entries(call, is_seen=is_seen and call.get("schedule_id") == SCHEDULE)

    def _entries(self, call: ServedCall, *, is_seen: bool) -> ServedAnswer:
        self.violations += [f"unknown parameter {name}" for name in {each for each, _ in call.query} - _KNOWN]
        since, until = (datetime.fromisoformat(call.get(f"entry_window_{end}") or "") for end in ("start", "end"))
        page = _within(self.final, since, until) if is_seen else []
        more = len(page) > PAGE
        page = page[:PAGE]
        # The next page begins where the last entry ended.
        after = page[-1].end if page else None
        entries = {
            "final": [_entry(each) for each in page],
            "scheduled": [_entry(each) for each in _within(self.scheduled, since, until)] if is_seen else [],
            "overrides": [],
        }
        meta = {"after": _time(after), "after_url": "https://api.incident.io/…"} if after and more else {}
        return as_json({"schedule_entries": entries, "pagination_meta": meta or None})


def _within(shifts: list[RosterShift], since: datetime, until: datetime) -> list[RosterShift]:
    """All entries that overlap the window, those that only touch it included."""
    found = [each for each in shifts if each.start and each.end and each.start <= until and each.end >= since]
    return sorted(found, key=lambda each: (each.start, each.end))


def _entry(shift: RosterShift) -> dict[str, Any]:
    person = shift.person
    user = {"id": person.id, "name": person.name, "role": "viewer"} if person else None
    if user and person:
        # Left out when it isn't known.
        user |= {"email": person.email} if person.email else {}
        user |= {"slack_user_id": person.slack_id} if person.slack_id else {}
    return {
        "entry_id": "01G0J1EXE7AXZ2C93K61WBPYEH",
        "start_at": _time(shift.start),
        "end_at": _time(shift.end),
        **({"user": user} if user else {}),
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _problem(status: int, kind: str) -> ServedAnswer:
    return as_json({"type": kind, "status": status, "errors": [{"code": kind, "message": kind}]}, status)
