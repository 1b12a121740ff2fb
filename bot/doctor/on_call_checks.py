"""Who is on call: can each schedule of the policy be looked up, and is everybody on it known in Slack?

Invariant: schedules are only read. Slack is asked about people and nothing is posted; nobody who isn't on a schedule is
asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from slack_sdk import WebClient

from bot.doctor.finding import CheckResult, fine, note, wrong
from bot.slack.email_lookup import BURST, CALLS_PER_SECOND, EmailLookup
from bot.slack.installation import find_installation
from bot.slack.manifest import finds_by_email
from bot.slack.membership import Member
from bot.slack.questions import SlackQuestions
from core.actor import UserId
from core.clock import Clock
from core.errors import CountersignError, NotAllowed, NotKnown
from core.on_call import OnCallName, on_call_name
from core.policy import Policy
from core.policy.on_call_config import DEMO_SCHEDULE, OnCallConfig
from core.schedules.base import SchedulePerson, ScheduleRefused, ScheduleSource, Shift
from core.schedules.opening import open_source
from core.schedules.people import PeopleOnCall, PeopleTable
from core.schedules.watched import LOOK_BACK
from core.targets.call_pace import CallPace
from core.targets.words import one_line

AHEAD: Final = timedelta(days=14)
"""Everybody takes a turn in two weeks, in most schedules."""
MAX_WAIT_SECONDS: Final = 30.0
"""How long one look-up may wait for its turn: an operator would rather wait than run the command again."""
MAX_SAID: Final = 200
OpenSchedule = Callable[[str, OnCallConfig], ScheduleSource]
_FIX: Final = "docs/on-call.md says how people are found. Correct it there, or add them to `people` in the policy."


def check_schedules(
    policy: Policy, clock: Clock, people: PeopleOnCall | None, opener: OpenSchedule = open_source
) -> Iterator[CheckResult]:
    """Each schedule of the policy, and who is on it for two weeks. Without `people`, Slack isn't asked about them."""
    for name, config in policy.document.on_call.items():
        if config.kind == DEMO_SCHEDULE:
            continue
        full_name, now = on_call_name(name), clock.now()
        try:
            called, shifts = _look(name, config, now, opener)
        except ScheduleRefused as refused:
            yield wrong(f"{full_name}: can't be looked up: {_short(refused.problem)}", one_line(refused.fix, MAX_SAID))
        except CountersignError as error:
            yield wrong(f"{full_name}: can't be looked up now: {_short(str(error))}", "Try again in a moment.")
        else:
            yield fine(f"{full_name}: {config.kind}, {_short(called)}; {_count(shifts)} on call in the next two weeks")
            if not any(each.covers(now) for each in shifts):
                yield note(f"{full_name}: nobody is on call now")
            if people is not None:
                table = PeopleTable.of(policy.document, full_name, config.kind)
                yield from _check_people(full_name, table, shifts, people, now)


def people_in_slack(client: WebClient, policy: Policy, clock: Clock) -> PeopleOnCall:
    """Asks Slack who people are, patiently. Raises InvalidInput for a refused token, and SlackUnreachable."""
    here = find_installation(client)
    questions = SlackQuestions(client, here.team_id, here.enterprise_id, clock)
    emails = EmailLookup(client, lambda: here, clock, pace=CallPace(CALLS_PER_SECOND, BURST, MAX_WAIT_SECONDS))

    def find(email: str) -> UserId | None:
        return emails.find(email) if finds_by_email(policy) else None

    def is_active(user_id: UserId) -> bool | None:
        try:
            return isinstance(questions.ask_person(user_id), Member)
        except NotKnown:
            return None
        except NotAllowed:
            return False

    return PeopleOnCall(find, is_active, clock)


def _look(name: str, config: OnCallConfig, now: datetime, opener: OpenSchedule) -> tuple[str, tuple[Shift, ...]]:
    source = opener(name, config)
    try:
        return source.check(), source.find_shifts(now - LOOK_BACK, now + AHEAD)
    finally:
        source.close()


def _check_people(
    name: OnCallName, table: PeopleTable, shifts: Iterable[Shift], people: PeopleOnCall, now: datetime
) -> Iterator[CheckResult]:
    first: dict[SchedulePerson, Shift] = {}
    for shift in shifts:
        first.setdefault(shift.person, shift)
    found = people.find_all(first, table)
    for person, shift in first.items():
        who = found[person]
        if who.user_id is None:
            said = f"{_short(person.name)} ({_short(person.email)})" if person.email else _short(person.name)
            yield wrong(f"{name}: {said} is on call {_when(shift, now)} and isn't found in Slack: {who.problem}", _FIX)


def _when(shift: Shift, now: datetime) -> str:
    if shift.starts_at is None or shift.starts_at <= now:
        return "now"
    return f"from {shift.starts_at:%Y-%m-%d %H:%M} UTC"


def _count(shifts: Iterable[Shift]) -> str:
    people = len({each.person for each in shifts})
    return f"{people} {'person' if people == 1 else 'people'}"


def _short(text: str) -> str:
    return one_line(text, MAX_SAID).rstrip(".")
