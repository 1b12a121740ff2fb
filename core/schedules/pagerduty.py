"""A schedule of PagerDuty: who is on call for it at one level of the escalation policies that use it.

Invariant: only entries of this schedule and this level count. An answer with no entry at all counts only when the
schedule exists: PagerDuty answers an id that it doesn't know with an empty list, too.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from core.schedules.pagerduty_login import PagerDutyLogin
from core.schedules.web import ScheduleWeb, WebAnswer, read_address, write_window
from core.targets.words import one_line

NAME: Final = "PagerDuty"
HOSTS: Final = {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}
PAGE: Final = 100
MAX_OFFSET: Final = 10_000
"""PagerDuty answers 400 beyond: offset + limit can't be more."""
_ACCEPT: Final = "application/vnd.pagerduty+json;version=2"
_MAX_TITLE: Final = 100


class PagerDutyUser(BaseModel):
    """A person in an answer. What else PagerDuty says of them isn't read."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str | None = None
    summary: str | None = None
    email: str | None = None


class _Reference(BaseModel):
    """What an entry points to."""

    id: str


class PagerDutyEntry(BaseModel):
    """One entry of `/oncalls`: the same shift appears once for each escalation policy that uses the schedule."""

    model_config = ConfigDict(frozen=True)

    user: PagerDutyUser | None
    schedule: _Reference | None
    escalation_level: int
    start: AwareDatetime | None
    end: AwareDatetime | None

    def shift(self) -> Shift | None:
        """The shift; None when nobody has it, or it takes no time."""
        user = self.user
        person = read_person(user.id, user.name or user.summary, user.email) if user else None
        return read_shift(person, self.start, self.end) if person else None


class _OnCallPage(BaseModel):
    oncalls: tuple[PagerDutyEntry, ...]
    more: bool = False


class _Policies(BaseModel):
    name: str | None = None
    summary: str | None = None
    escalation_policies: tuple[_Reference, ...] | None = None


class _ScheduleShown(BaseModel):
    schedule: _Policies


class PagerDutySource:
    """A `core.schedules.base.ScheduleSource`. Safe for threads.

    Shifts are asked for without `earliest=true`: it leaves out each later shift of a person who has one before it.
    """

    kind: Final = "pagerduty"

    def __init__(
        self,
        schedule: str,
        level: int,
        url: str,
        login: PagerDutyLogin,
        web: ScheduleWeb,
        max_offset: int = MAX_OFFSET,
    ) -> None:
        self.schedule: Final = schedule
        self._level = level
        self.url: Final = url
        self._login = login
        self._web = web
        self._max_offset = max_offset

    def find_shifts(self, since: datetime, until: datetime) -> tuple[Shift, ...]:
        """Every shift that overlaps [since, until), the earliest first."""
        times = dict(zip(("since", "until"), write_window(since, until), strict=True))
        entries = list(self._entries({**times, "include[]": "users"}))
        if not entries:
            self._show()
        self._check_level(entries)
        shifts = (each.shift() for each in entries if each.escalation_level == self._level)
        return order_shifts({each for each in shifts if each}, since, until)

    def check(self) -> str:
        """The name of the schedule. Raises ScheduleRefused, also when it's on no or another level."""
        shown = self._show()
        if shown.escalation_policies == ():
            fix = f"Put it on level {self._level} of an escalation policy in PagerDuty."
            raise ScheduleRefused(
                f"No escalation policy uses the schedule {self.schedule}, so nobody is ever on call in it", fix
            )
        # Once for each person, policy and level is enough here; without times it is about now.
        self._check_level(list(self._entries({"earliest": "true"})))
        return one_line(shown.name or shown.summary, _MAX_TITLE) or self.schedule

    def close(self) -> None:
        """Nothing is kept open."""

    def _entries(self, query: dict[str, str]) -> Iterator[PagerDutyEntry]:
        """All pages. Entries of other schedules are left out, even if PagerDuty, or what is before it, sends them."""
        offset = 0
        while True:
            page = self._page({"schedule_ids[]": self.schedule, **query, "limit": str(PAGE), "offset": str(offset)})
            yield from (each for each in page.oncalls if each.schedule and each.schedule.id == self.schedule)
            if not page.more:
                return
            offset += PAGE
            if offset + PAGE > self._max_offset:
                fix = "Use a schedule of its own for this, that fewer escalation policies use."
                raise ScheduleRefused(f"PagerDuty has more than {self._max_offset} entries for {self.schedule}", fix)

    def _page(self, query: dict[str, str]) -> _OnCallPage:
        answer = self._ask(f"/oncalls?{urlencode(query)}")
        try:
            return _OnCallPage.model_validate_json(answer.body)
        except ValidationError:
            raise ScheduleUnavailable(f"{NAME} sent an answer that isn't a list of who is on call") from None

    def _show(self) -> _Policies:
        answer = self._ask(f"/schedules/{self.schedule}")
        try:
            return _ScheduleShown.model_validate_json(answer.body).schedule
        except ValidationError:
            raise ScheduleUnavailable(f"{NAME} sent an answer that isn't a schedule") from None

    def _ask(self, path: str) -> WebAnswer:
        answer = self._send(path)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._login.forget():
            answer = self._send(path)
        if answer.status == HTTPStatus.OK:
            return answer
        raise self._refusal(answer.status)

    def _send(self, path: str) -> WebAnswer:
        url = read_address(self.url, NAME).rstrip("/")
        return self._web.call(f"{url}{path}", {"authorization": self._login.header(), "accept": _ACCEPT})

    def _refusal(self, status: int) -> ScheduleRefused:
        if status == HTTPStatus.NOT_FOUND:
            fix = "Copy its id from the end of its address in PagerDuty, and check that the key is of the same account."
            return ScheduleRefused(f"PagerDuty has no schedule {self.schedule}", fix)
        if status == HTTPStatus.UNAUTHORIZED:
            return ScheduleRefused("PagerDuty rejects the key", self._login.fix)
        if status == HTTPStatus.FORBIDDEN:
            return ScheduleRefused("PagerDuty doesn't let this key see schedules and who is on call", self._login.fix)
        fix = "Check the schedule's id and the account's plan in PagerDuty."
        return ScheduleRefused(f"PagerDuty refused with {status}", fix)

    def _check_level(self, entries: list[PagerDutyEntry]) -> None:
        """If anybody is on call, somebody is at this level. Otherwise it's the wrong level, not an empty schedule."""
        levels = sorted({each.escalation_level for each in entries})
        if levels and self._level not in levels:
            found = f"The schedule {self.schedule} is on level {' and '.join(map(str, levels))} of escalation policies"
            fix = f"Write level: {levels[0]} for it in the policy, or move it in PagerDuty."
            raise ScheduleRefused(f"{found}, and not on level {self._level}", fix)
