"""The user groups: one call for all, at a pace; no older answer over a newer one; a change of one leaves the others."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.slack.coalescing_cache import FRESH_FOR
from bot.slack.pace import Pace
from bot.slack.questions import not_known
from bot.slack.user_groups import BURST, SECONDS_BETWEEN_LOOKS, UserGroups
from core.actor import UserGroupId
from core.directory import MAX_ANSWER_AGE, DirectoryNotes
from core.errors import NotKnown, StoreUnavailable
from core.user_group import UserGroupMembers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from tests.harness.clock import FrozenClock

SRE, DEV, OPS = UserGroupId("S0SRE"), UserGroupId("S0DEV"), UserGroupId("S0OPS")
ANN, BEN = "U0ANN", "U0BEN"
SECOND = timedelta(seconds=1)
SECONDS = 10.0


class Slack:
    """A Slack with user groups; `version` is its own time of their last change."""

    def __init__(self, clock: FrozenClock) -> None:
        self.clock = clock
        self.members: dict[UserGroupId, set[str]] = {SRE: {ANN}, DEV: {ANN, BEN}}
        self.versions: dict[UserGroupId, int] = {}
        self.calls: list[frozenset[UserGroupId]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Semaphore(0)
        self.is_down = False
        self.cannot_say: set[UserGroupId] = set()

    def __call__(
        self, wanted: Collection[UserGroupId], changes: Mapping[UserGroupId, datetime]
    ) -> Mapping[UserGroupId, UserGroupMembers]:
        self.calls.append(frozenset(wanted))
        # What is true when Slack is asked, not when its answer arrives.
        answers = {group: self.answer(group, changes.get(group)) for group in set(wanted) - self.cannot_say}
        self.asked.release()
        assert self.gate.wait(SECONDS)
        if self.is_down:
            raise not_known("Slack is down")
        return answers

    def answer(self, group: UserGroupId, known_change: datetime | None = None) -> UserGroupMembers:
        users = frozenset(self.members.get(group, set()))
        version = self.versions.get(group, 1)
        return UserGroupMembers.of(group, users, self.clock.now(), known_change=known_change, slack_version=version)

    def edit(self, group: UserGroupId, *users: str) -> UserGroupMembers:
        """Somebody edits a group; the answer is what the event says."""
        self.members[group] = set(users)
        self.versions[group] = self.versions.get(group, 1) + 1
        return self.answer(group, self.clock.now())


class Shared:
    """What other instances keep in the store."""

    def __init__(self) -> None:
        self.answers: dict[UserGroupId, UserGroupMembers] = {}
        self.reads = 0
        self.is_down = False

    def get_groups(self, groups: Iterable[UserGroupId]) -> Mapping[UserGroupId, UserGroupMembers]:
        self.reads += 1
        if self.is_down:
            raise StoreUnavailable("throttled")
        return {group: self.answers[group] for group in groups if group in self.answers}


@pytest.fixture
def slack(clock: FrozenClock) -> Slack:
    return Slack(clock)


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def learned() -> list[UserGroupMembers]:
    return []


@pytest.fixture
def make(
    slack: Slack, shared: Shared, clock: FrozenClock, learned: list[UserGroupMembers]
) -> Iterator[Callable[..., UserGroups]]:
    made: list[UserGroups] = []

    def make(pace: Pace | None = None) -> UserGroups:
        made.append(
            UserGroups(
                slack,
                clock,
                lambda: frozenset({SRE, DEV}),
                shared=shared,
                learn=learned.extend,
                pace=pace or Pace(1_000, 0),
            )
        )
        return made[-1]

    yield make
    slack.gate.set()
    for groups in made:
        groups.close()


@pytest.fixture
def groups(make: Callable[..., UserGroups]) -> UserGroups:
    return make()


def members(groups: UserGroups, *wanted: UserGroupId, notes: DirectoryNotes | None = None) -> dict[str, set[str]]:
    """Who is in these groups, after the look at Slack if one is needed."""
    notes = notes or DirectoryNotes()
    known, look = groups.find(wanted, notes.changed_at)
    if look is not None:
        look.exception(SECONDS)
        known, _ = groups.find(wanted, notes.changed_at)
    return {group: set(answer.users) for group, answer in known.items()}


def test_one_call_answers_for_all_groups_of_the_policy(groups: UserGroups, slack: Slack) -> None:
    assert members(groups, SRE) == {SRE: {ANN}}
    assert members(groups, SRE, DEV) == {SRE: {ANN}, DEV: {ANN, BEN}}
    assert slack.calls == [{SRE, DEV}]


def test_all_who_wait_share_one_call(groups: UserGroups, slack: Slack) -> None:
    slack.gate.clear()
    looks = [groups.find([SRE])[1] for _ in range(50)]
    slack.gate.set()
    for look in looks:
        assert look is not None
        look.result(SECONDS)
    assert len(slack.calls) == 1


def test_group_of_an_older_policy_is_asked_for_too(groups: UserGroups, slack: Slack) -> None:
    slack.members[OPS] = {BEN}
    members(groups, SRE)
    assert members(groups, OPS) == {OPS: {BEN}}


def test_answer_lasts_ten_minutes_and_is_refreshed_after_five(
    groups: UserGroups, slack: Slack, clock: FrozenClock
) -> None:
    members(groups, SRE)
    slack.is_down = True
    clock.advance(FRESH_FOR)
    known, look = groups.find([SRE])
    assert (set(known), look) == ({SRE}, None)
    assert slack.asked.acquire(timeout=SECONDS)
    assert slack.asked.acquire(timeout=SECONDS)
    clock.advance(MAX_ANSWER_AGE - FRESH_FOR)
    assert members(groups, SRE) == {}


def test_clock_that_was_set_back_makes_no_answer_younger(groups: UserGroups, slack: Slack, clock: FrozenClock) -> None:
    members(groups, SRE)
    slack.edit(SRE, BEN)
    clock.advance(-timedelta(hours=1))
    assert members(groups, SRE) == {SRE: {BEN}}


def test_answer_from_before_a_noted_change_does_not_count(groups: UserGroups, slack: Slack, clock: FrozenClock) -> None:
    members(groups, SRE, DEV)
    slack.edit(SRE)
    notes = DirectoryNotes().add(SRE, clock.now())
    assert members(groups, SRE, notes=notes) == {SRE: set()}
    # Once asked for it, nobody asks again.
    assert members(groups, SRE, notes=notes) == {SRE: set()}
    assert len(slack.calls) == 2


def test_call_that_began_before_a_change_does_not_answer_for_it(
    groups: UserGroups, slack: Slack, clock: FrozenClock
) -> None:
    slack.gate.clear()
    groups.find([SRE])
    assert slack.asked.acquire(timeout=SECONDS)
    slack.edit(SRE)
    notes = DirectoryNotes().add(SRE, clock.now())
    _, look = groups.find([SRE], notes.changed_at)
    slack.gate.set()
    assert look is not None
    look.result(SECONDS)
    # Whoever waited has the answer now, and need not click again.
    known, again = groups.find([SRE], notes.changed_at)
    assert (set(known), again) == ({SRE}, None)
    assert known[SRE].users == ()
    assert len(slack.calls) == 2


def test_change_of_one_group_leaves_the_others_as_they_are(
    groups: UserGroups, slack: Slack, clock: FrozenClock
) -> None:
    members(groups, SRE, DEV)
    slack.gate.clear()
    groups.hear(SRE, clock.now(), None)
    known, look = groups.find([SRE, DEV])
    assert (set(known), look is None) == ({DEV}, False)
    assert groups.find([DEV]) == (known, None)


def test_event_is_an_answer(groups: UserGroups, slack: Slack, clock: FrozenClock) -> None:
    members(groups, SRE)
    assert groups.hear(SRE, clock.now(), slack.edit(SRE, BEN))
    assert members(groups, SRE) == {SRE: {BEN}}
    assert len(slack.calls) == 1


def test_event_about_a_group_that_nobody_names_is_ignored(groups: UserGroups, slack: Slack, clock: FrozenClock) -> None:
    assert not groups.hear(OPS, clock.now(), slack.edit(OPS, BEN))


def test_late_event_replaces_nothing(groups: UserGroups, slack: Slack, clock: FrozenClock) -> None:
    early = slack.edit(SRE, BEN)
    groups.hear(SRE, clock.now(), slack.edit(SRE))
    clock.advance(SECOND)
    groups.hear(SRE, clock.now(), early)
    assert members(groups, SRE) == {SRE: set()}


def test_outdated_copy_of_slack_replaces_no_event(groups: UserGroups, slack: Slack, clock: FrozenClock) -> None:
    old = dict(slack.members), dict(slack.versions)
    groups.hear(SRE, clock.now(), slack.edit(SRE))
    slack.members, slack.versions = old
    clock.advance(FRESH_FOR)
    members(groups, SRE, OPS)
    assert members(groups, SRE) == {SRE: set()}
    # Noted once more, and Slack still answers from its outdated copy: then it isn't known.
    assert members(groups, SRE, notes=DirectoryNotes().add(SRE, clock.now())) == {}


def test_two_changes_in_one_second_are_asked_about(groups: UserGroups, slack: Slack, clock: FrozenClock) -> None:
    first = slack.edit(SRE, BEN)
    groups.hear(SRE, clock.now(), first)
    slack.members[SRE] = set()
    clock.advance(SECOND)
    groups.hear(SRE, clock.now(), slack.answer(SRE, clock.now()))
    assert members(groups, SRE) == {SRE: set()}
    assert len(slack.calls) == 1


def test_flood_of_edits_shuts_nobody_out_where_it_is_heard(
    groups: UserGroups, slack: Slack, clock: FrozenClock
) -> None:
    members(groups, SRE, DEV)
    for _ in range(100):
        clock.advance(SECOND)
        groups.hear(SRE, clock.now(), slack.edit(SRE, BEN))
        assert members(groups, SRE, DEV) == {SRE: {BEN}, DEV: {ANN, BEN}}
    assert len(slack.calls) == 1


def test_looks_take_turns_at_the_pace(make: Callable[..., UserGroups], slack: Slack, clock: FrozenClock) -> None:
    monotonic = [0.0]
    turns: list[float] = []
    has_to_wait = threading.Event()

    class NotedPace(Pace):
        def take_turn(self) -> float:
            turns.append(super().take_turn())
            if turns[-1]:
                has_to_wait.set()
            return turns[-1]

    groups = make(NotedPace(BURST, SECONDS_BETWEEN_LOOKS, monotonic=lambda: monotonic[0]))
    notes = DirectoryNotes()
    for number in range(BURST):
        notes = notes.add(SRE, clock.advance(SECOND))
        assert members(groups, SRE, notes=notes)
        assert len(slack.calls) == number + 1
    # The next one has to wait for its turn: longer than this test, unless it is closed.
    notes = notes.add(SRE, clock.advance(SECOND))
    _, look = groups.find([SRE], notes.changed_at)
    assert has_to_wait.wait(SECONDS)
    groups.close()
    assert look is not None
    assert isinstance(look.exception(SECONDS), NotKnown)
    assert len(slack.calls) == BURST


def test_pace_allows_a_burst_and_then_one_at_a_time() -> None:
    monotonic = [100.0]
    pace = Pace(2, 4.0, monotonic=lambda: monotonic[0])
    assert [pace.take_turn() for _ in range(4)] == [0.0, 0.0, 4.0, 8.0]
    monotonic[0] += 60.0
    assert [pace.take_turn() for _ in range(3)] == [0.0, 0.0, 4.0]


def test_restart_finds_what_was_learned(
    make: Callable[..., UserGroups], slack: Slack, shared: Shared, clock: FrozenClock
) -> None:
    shared.answers = {SRE: slack.answer(SRE), DEV: slack.answer(DEV)}
    clock.advance(FRESH_FOR - SECOND)
    assert members(make(), SRE, DEV) == {SRE: {ANN}, DEV: {ANN, BEN}}
    assert slack.calls == []


def test_what_was_learned_long_ago_is_for_no_decision(
    make: Callable[..., UserGroups], slack: Slack, shared: Shared, clock: FrozenClock
) -> None:
    shared.answers = {SRE: slack.answer(SRE), DEV: slack.answer(DEV)}
    slack.is_down = True
    clock.advance(MAX_ANSWER_AGE)
    restarted = make()
    assert members(restarted, SRE, DEV) == {}
    assert set(restarted.get_stale()) == {SRE, DEV}


def test_what_was_learned_before_a_noted_change_does_not_count(
    make: Callable[..., UserGroups], slack: Slack, shared: Shared, clock: FrozenClock
) -> None:
    shared.answers = {SRE: slack.answer(SRE)}
    slack.edit(SRE)
    assert members(make(), SRE, notes=DirectoryNotes().add(SRE, clock.now())) == {SRE: set()}
    assert len(slack.calls) == 1


def test_what_another_instance_heard_needs_no_call(
    groups: UserGroups, slack: Slack, shared: Shared, clock: FrozenClock
) -> None:
    members(groups, SRE)
    heard = slack.edit(SRE, BEN)
    shared.answers = {SRE: heard}
    assert members(groups, SRE, notes=DirectoryNotes().add(SRE, clock.now())) == {SRE: {BEN}}
    assert len(slack.calls) == 1


def test_store_that_is_down_keeps_nobody_from_asking_slack(groups: UserGroups, shared: Shared) -> None:
    shared.is_down = True
    assert members(groups, SRE) == {SRE: {ANN}}


def test_everything_that_slack_says_is_passed_on(groups: UserGroups, learned: list[UserGroupMembers]) -> None:
    members(groups, SRE)
    groups.close()
    assert {answer.group for answer in learned} == {SRE, DEV}


def test_group_about_which_slack_cannot_say_leaves_the_others(groups: UserGroups, slack: Slack) -> None:
    slack.cannot_say = {SRE}
    assert members(groups, SRE, DEV) == {DEV: {ANN, BEN}}


def test_failure_reaches_all_who_wait_and_is_not_kept(groups: UserGroups, slack: Slack) -> None:
    slack.is_down = True
    _, look = groups.find([SRE])
    assert look is not None
    assert isinstance(look.exception(SECONDS), NotKnown)
    slack.is_down = False
    assert members(groups, SRE) == {SRE: {ANN}}


def test_groups_that_were_closed_are_not_known(groups: UserGroups) -> None:
    groups.close()
    _, look = groups.find([SRE])
    assert look is not None
    assert isinstance(look.exception(SECONDS), NotKnown)
