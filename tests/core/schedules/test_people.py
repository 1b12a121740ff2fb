"""Who somebody on a schedule is: by Slack id, by e-mail, by the policy's table; and when it is nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.actor import UserId
from core.errors import NotKnown
from core.on_call import on_call_name
from core.policy.loader import parse_policy
from core.schedules.base import SchedulePerson
from core.schedules.people import FOUND_FOR, KEPT_FOR, NOBODY_FOR, PeopleOnCall, PeopleTable
from tests.harness.clock import FrozenClock

SAM, KIM, SAMS_OTHER = UserId("U0SAM"), UserId("U0KIM"), UserId("U0SAM2")
TABLE = PeopleTable(((SAM, "PSAM"), (KIM, "Kim Example")))


class Mail:
    """Slack's answers about e-mail addresses; `is_away` while it can't be asked."""

    def __init__(self, **known: UserId) -> None:
        self.known = {f"{name}@example.com": user for name, user in known.items()}
        self.is_away = False
        self.asked: list[str] = []

    def find(self, email: str) -> UserId | None:
        self.asked.append(email)
        if self.is_away:
            raise NotKnown("act", ("away",))
        return self.known.get(email)


def somebody(
    source_id: str = "PX", name: str = "X", *, email: str | None = None, slack_id: str | None = None
) -> SchedulePerson:
    return SchedulePerson(source_id=source_id, name=name, email=email, slack_id=slack_id)


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (somebody(slack_id=SAM), SAM),
        (somebody(email="sam@example.com"), SAM),
        (somebody(email="SAM@Example.com"), SAM),
        (somebody("PSAM"), SAM),
        (somebody(name="kim  EXAMPLE"), KIM),
        (somebody("PSAM", email="nobody@example.com"), SAM),
        # What isn't a Slack id is no answer.
        (somebody("PSAM", slack_id="sam"), SAM),
        # A name that nobody wrote down identifies nobody.
        (somebody(name="Sam"), None),
        (somebody(email="nobody@example.com"), None),
    ],
)
def test_person_is_found_by_id_mail_or_table(person: SchedulePerson, expected: UserId | None) -> None:
    found = PeopleOnCall(Mail(sam=SAM).find, lambda _: None, FrozenClock()).find(person, TABLE)

    assert (found.user_id, found.is_known) == (expected, True)
    assert bool(found.problem) == (expected is None)


@pytest.mark.parametrize(
    ("person", "table"),
    [
        (somebody("PSAM", slack_id=KIM), TABLE),
        (somebody("PSAM", email="kim@example.com"), TABLE),
        (somebody("PSAM"), PeopleTable(((SAM, "PSAM"), (KIM, "psam")))),
        (somebody("PSAM", "Kim Example"), TABLE),
    ],
)
def test_person_who_could_be_two_people_is_nobody(person: SchedulePerson, table: PeopleTable) -> None:
    found = PeopleOnCall(Mail(kim=KIM).find, lambda _: True, FrozenClock()).find(person, table)

    assert (found.user_id, found.is_known) == (None, True)
    assert "people" in found.problem


def test_several_ids_of_one_person_do_not_disagree() -> None:
    table = PeopleTable(((SAM, "PSAM"), (SAMS_OTHER, "Sam")), same_person=((SAM, SAMS_OTHER),))
    people = PeopleOnCall(Mail().find, lambda _: True, FrozenClock())

    assert people.find(somebody("PSAM", "Sam"), table).user_id == SAM
    assert people.find(somebody("PSAM", slack_id=SAMS_OTHER), table).user_id == SAMS_OTHER


@pytest.mark.parametrize(("is_active", "expected"), [(True, SAM), (None, SAM), (False, None)])
def test_deactivated_person_is_nobody(is_active: bool | None, expected: UserId | None) -> None:  # noqa: FBT001 - a table's column
    found = PeopleOnCall(Mail().find, lambda _: is_active, FrozenClock()).find(somebody(slack_id=SAM), PeopleTable())

    assert (found.user_id, found.is_known) == (expected, True)


def test_person_is_not_known_while_slack_cant_say() -> None:
    mail = Mail(sam=SAM)
    mail.is_away = True
    people = PeopleOnCall(mail.find, lambda _: None, FrozenClock())

    assert not people.find(somebody(email="sam@example.com"), PeopleTable()).is_known
    # What the policy says needs no answer of Slack.
    assert people.find(somebody("PSAM", email="sam@example.com"), TABLE).user_id == SAM


def test_no_more_people_are_asked_about_than_there_is_time_for() -> None:
    mail, turns = Mail(), iter([True, False])
    people = [somebody(each, email=f"{each}@example.com") for each in ("ann", "bob")]

    found = PeopleOnCall(mail.find, lambda _: None, FrozenClock()).find_all(people, PeopleTable(), lambda: next(turns))

    assert mail.asked == ["ann@example.com"]
    assert [found[each].is_known for each in people] == [True, False]


@pytest.mark.parametrize(
    ("who", "asked_again_after"), [("sam", FOUND_FOR), ("nobody", NOBODY_FOR)], ids=["found", "nobody"]
)
def test_answer_about_an_address_is_used_again(who: str, asked_again_after: timedelta) -> None:
    mail, clock = Mail(sam=SAM), FrozenClock()
    people = PeopleOnCall(mail.find, lambda _: None, clock)
    asked = []
    for step in (timedelta(), asked_again_after - timedelta(seconds=1), timedelta(seconds=1)):
        clock.advance(step)
        people.find(somebody(email=f"{who}@example.com"), PeopleTable())
        asked.append(len(mail.asked))

    assert asked == [1, 1, 2]


def test_last_answer_counts_for_an_hour_while_slack_is_away() -> None:
    mail, clock = Mail(sam=SAM), FrozenClock()
    people = PeopleOnCall(mail.find, lambda _: None, clock)
    sam = somebody(email="sam@example.com")
    people.find(sam, PeopleTable())
    mail.is_away = True

    clock.advance(KEPT_FOR - timedelta(seconds=1))
    assert people.find(sam, PeopleTable()).user_id == SAM
    clock.advance(timedelta(seconds=1))
    assert not people.find(sam, PeopleTable()).is_known


def test_address_is_asked_about_anew_by_a_clock_set_back() -> None:
    mail, clock = Mail(sam=SAM), FrozenClock()
    people = PeopleOnCall(mail.find, lambda _: None, clock)
    sam = somebody(email="sam@example.com")
    people.find(sam, PeopleTable())
    mail.known = {}
    clock.advance(-timedelta(hours=2))

    assert people.find(sam, PeopleTable()).user_id is None


def test_table_has_the_names_of_the_source_and_of_the_schedule() -> None:
    policy = parse_policy(
        b"""
version: 1
on_call:
  night: {ical: {url: env:NIGHT}}
  day: {ical: {url: env:DAY}}
  primary: {pagerduty: {schedule: P1, key: env:K}}
people:
  U0SAM: {ical: Sam Example, pagerduty: PSAM}
  U0KIM: {"on-call:night": Kim Example}
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: prod, profiles: [prod], approvers: ["on-call:night"], max_duration: 1h}]
""",
        "policy.yml",
    )

    tables = {
        name: PeopleTable.of(policy.document, on_call_name(name), config.kind).names
        for name, config in policy.document.on_call.items()
    }

    assert tables == {
        "night": ((SAM, "Sam Example"), (KIM, "Kim Example")),
        "day": ((SAM, "Sam Example"),),
        "primary": ((SAM, "PSAM"),),
    }
