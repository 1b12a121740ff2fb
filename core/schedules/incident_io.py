"""A schedule of incident.io: its final entries, in which overrides are applied.

Invariant: only `final` counts; `scheduled` is the rotation without overrides. An answer without entries counts only
when the schedule is shown to this key: a team's key doesn't see the schedules of others.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from core.schedules.base import (
    ScheduleRefused,
    ScheduleUnavailable,
    Shift,
    order_shifts,
    read_person,
    read_shift,
)
from core.schedules.web import ScheduleWeb, WebAnswer, read_address, read_key, write_window
from core.targets.words import one_line

NAME: Final = "incident.io"
HOST: Final = "https://api.incident.io"
MAX_PAGES: Final = 50
_MAX_TITLE: Final = 100
_KEY_FIX: Final = (
    "Make an API key in incident.io under Settings, API keys, with the permission to view schedules and without a "
    "limit to teams, and put it where the policy says."
)


class IncidentIoUser(BaseModel):
    """A person in an entry."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str | None = None
    email: str | None = None
    slack_user_id: str | None = None


class IncidentIoEntry(BaseModel):
    """One entry of a schedule. Without `user`, nobody is on call in it."""

    model_config = ConfigDict(frozen=True)

    start_at: AwareDatetime
    end_at: AwareDatetime
    user: IncidentIoUser | None = None

    def shift(self) -> Shift | None:
        """The shift; None when nobody has it, or it takes no time."""
        user = self.user
        person = read_person(user.id, user.name, user.email, user.slack_user_id) if user else None
        return read_shift(person, self.start_at, self.end_at) if person else None


class _Entries(BaseModel):
    final: tuple[IncidentIoEntry, ...]


class _After(BaseModel):
    after: AwareDatetime | None = None
    """The end of the last entry: where the next page begins."""


class _EntriesPage(BaseModel):
    schedule_entries: _Entries
    pagination_meta: _After | None = None


class _Titled(BaseModel):
    name: str | None = None


class _TitledSchedule(BaseModel):
    schedule: _Titled


class IncidentIoSource:
    """A `core.schedules.base.ScheduleSource`. Safe for threads."""

    kind: Final = "incident_io"

    def __init__(self, schedule: str, key: str, url: str, web: ScheduleWeb) -> None:
        self.schedule: Final = schedule
        self._key = key
        self._url = url
        self._web = web

    def find_shifts(self, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """Every shift that overlaps [since, until), the earliest first."""
        found: set[Shift] = set()
        has_entries = False
        start = since
        for _ in range(MAX_PAGES):
            page = self._page(start, until)
            entries = page.schedule_entries.final
            has_entries = has_entries or bool(entries)
            found.update(filter(None, (each.shift() for each in entries)))
            after = page.pagination_meta.after if page.pagination_meta else None
            if after is None or not start < after < until:
                break
            start = after
        else:
            raise ScheduleUnavailable(f"{NAME} has more than {MAX_PAGES} pages of entries for this time")
        if not has_entries:
            self._show()
        return order_shifts(found, since, until)

    def check(self) -> str:
        """The name of the schedule."""
        return one_line(self._show().name, _MAX_TITLE) or self.schedule

    def close(self) -> None:
        """Nothing is kept open."""

    def _page(self, since: datetime, until: datetime) -> _EntriesPage:
        start, end = write_window(since, until)
        query = {"schedule_id": self.schedule, "entry_window_start": start, "entry_window_end": end}
        answer = self._ask(f"/v2/schedule_entries?{urlencode(query)}")
        try:
            return _EntriesPage.model_validate_json(answer.body)
        except ValidationError:
            raise ScheduleUnavailable(f"{NAME} sent an answer that isn't a list of entries") from None

    def _show(self) -> _Titled:
        answer = self._ask(f"/v2/schedules/{self.schedule}")
        try:
            return _TitledSchedule.model_validate_json(answer.body).schedule
        except ValidationError:
            raise ScheduleUnavailable(f"{NAME} sent an answer that isn't a schedule") from None

    def _ask(self, path: str) -> WebAnswer:
        key = read_key(self._key, NAME).get_secret_value()
        headers = {"authorization": f"Bearer {key}", "accept": "application/json"}
        answer = self._web.call(f"{read_address(self._url, NAME).rstrip('/')}{path}", headers)
        if answer.status == HTTPStatus.OK:
            return answer
        raise self._refusal(answer.status)

    def _refusal(self, status: int) -> ScheduleRefused:
        if status == HTTPStatus.NOT_FOUND:
            fix = (
                "Check the id, and use a key of the whole account: a key that is limited to teams doesn't see the "
                "schedules of others."
            )
            return ScheduleRefused(f"incident.io has no schedule {self.schedule}, or hides it from this key", fix)
        if status == HTTPStatus.UNAUTHORIZED:
            return ScheduleRefused("incident.io rejects the key", _KEY_FIX)
        if status == HTTPStatus.FORBIDDEN:
            return ScheduleRefused("incident.io doesn't let this key view schedules", _KEY_FIX)
        return ScheduleRefused(f"incident.io refused with {status}", "Check the schedule's id in incident.io.")
