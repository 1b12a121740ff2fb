"""What an event about people and user groups does: it is noted for every instance, and nobody waits for that."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk import WebClient

from bot.interactions.directory_events import DirectoryEvents
from bot.slack.installation import Installation
from bot.slack.opening import open_directory
from bot.slack.user_group_answers import Asking, read_subteam
from core.actor import UserGroupId, UserId
from core.directory import DirectoryNotes
from core.policy import parse_policy
from localslack.directory_methods import group_json, person_json
from localslack.records import Person, Team, UserGroup
from localslack.server import LocalSlack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.slack.change_writer import ChangeWriter
    from bot.slack.directory import SlackDirectory
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

ANN, BEN, SRE = UserId("U0ANN"), UserId("U0BEN"), UserGroupId("S0SRE")
POLICY = """
version: 1
identity: {trust_email: %s}
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: prod, profiles: [prod], approvers: [S0SRE], max_duration: 4h}]
"""


@dataclass
class Hearing:
    """One instance that hears events."""

    events: DirectoryEvents
    directory: SlackDirectory
    changes: ChangeWriter
    slack: LocalSlack
    stores: Stores
    acknowledged: int = 0

    def ack(self) -> None:
        self.acknowledged += 1

    def user_change(self, user: Any) -> None:  # noqa: ANN401  As Slack sends it, or not.
        self.events.on_user_change(self.ack, {"type": "user_change", "user": user})  # type: ignore[arg-type]

    def group_updated(self, subteam: Any) -> None:  # noqa: ANN401  As Slack sends it, or not.
        self.events.on_group_updated(self.ack, {"subteam": subteam})  # type: ignore[arg-type]

    def members_changed(self, **event: Any) -> None:  # noqa: ANN401  As Slack sends it, or not.
        self.events.on_group_members_changed(self.ack, event)  # type: ignore[arg-type]

    def edit(self, *users: str) -> dict[str, Any]:
        """Edit the group SRE; the event's `subteam`."""
        self.slack.workspace.add(UserGroup(id=SRE, handle="sre", users=users))
        return group_json(self.slack.backend, self.slack.workspace.groups[0])

    def notes(self) -> DirectoryNotes:
        """What is noted for every instance."""
        self.changes.flush()
        return self.stores.directory.notes()

    def is_member(self) -> bool | None:
        """What this instance says about Ann; None if it isn't known."""
        return self.directory.memberships(ANN, [SRE], self.notes()).get(SRE)


@pytest.fixture(params=["false"])
def hearing(request: pytest.FixtureRequest, stores: Stores, clock: FrozenClock) -> Iterator[Hearing]:
    with LocalSlack(clock) as slack:
        slack.workspace.add(
            Person(id=ANN, name="ann", email="ann@example.com"), UserGroup(id=SRE, handle="sre", users=(ANN,))
        )
        client = WebClient(slack.bot_token, base_url=slack.api_url)
        policy = parse_policy((POLICY % request.param).encode())
        installation = Installation(Team().id, "B0", "U0BOT")
        directory, changes = open_directory(client, installation, stores, policy, clock)
        with closing(changes), closing(directory):
            yield Hearing(DirectoryEvents(directory, changes, policy, clock), directory, changes, slack, stores)


@pytest.mark.parametrize(
    "change",
    [{"deleted": True}, {"is_restricted": True}, {"is_ultra_restricted": True}, {"is_bot": True}, {"team_id": "T0X"}],
)
def test_person_who_may_not_act_any_more_is_noted(hearing: Hearing, clock: FrozenClock, change: dict[str, Any]) -> None:
    person = Person(id=ANN, name="ann", **change)
    hearing.user_change(person_json(hearing.slack.backend, person))
    assert hearing.notes().changed_at(ANN) == clock.now()


def test_new_status_picture_is_not_noted(hearing: Hearing) -> None:
    """A large workspace sends several of these a second, and each decision reads the notes."""
    for number in range(100):
        person = person_json(hearing.slack.backend, Person(id=ANN, name=f"ann{number}"))
        hearing.user_change(person | {"profile": {"status_emoji": ":palm_tree:"}})
    assert hearing.notes() == DirectoryNotes()
    assert hearing.acknowledged == 100


@pytest.mark.parametrize("hearing", ["true"], indirect=True)
def test_new_address_is_noted_where_addresses_are_trusted(hearing: Hearing, clock: FrozenClock) -> None:
    hearing.directory.actor(ANN, None)
    same = person_json(hearing.slack.backend, Person(id=ANN, name="ann", email="ann@example.com"))
    hearing.user_change(same)
    assert hearing.notes().changed_at(ANN) is None
    hearing.directory.actor(ANN, None)
    hearing.user_change(same | {"profile": {"email": "other@example.com"}})
    assert hearing.notes().changed_at(ANN) == clock.now()


@pytest.mark.parametrize("user", [None, [], "U0ANN", {}, {"id": 7}, {"id": "ann"}, {"id": "U0ANN\n"}])
def test_event_about_nobody_is_acknowledged_and_ignored(hearing: Hearing, user: object) -> None:
    hearing.user_change(user)
    hearing.group_updated(user)
    assert (hearing.notes(), hearing.acknowledged) == (DirectoryNotes(), 2)


@pytest.mark.parametrize("user", [{"id": ANN}, {"id": ANN, "deleted": "no"}, {"id": ANN, "deleted": False}])
def test_event_that_leaves_open_who_it_is_about_is_noted(
    hearing: Hearing, clock: FrozenClock, user: dict[str, Any]
) -> None:
    hearing.user_change(user)
    assert hearing.notes().changed_at(ANN) == clock.now()


def test_group_event_is_noted_and_answers(hearing: Hearing, clock: FrozenClock) -> None:
    assert hearing.is_member()
    hearing.group_updated(hearing.edit())
    assert hearing.notes().changed_at(SRE) == clock.now()
    assert hearing.is_member() is False
    assert len(hearing.slack.calls_of("usergroups.list")) == 1


def test_group_that_the_policy_does_not_name_is_not_noted(hearing: Hearing) -> None:
    hearing.group_updated(hearing.edit() | {"id": "S0OTHER"})
    assert hearing.notes() == DirectoryNotes()


@pytest.mark.parametrize("junk", [{"users": "U0ANN"}, {"users": None}, {"user_count": 9}, {"date_update": "x"}])
def test_group_event_that_is_not_whole_makes_the_bot_ask(hearing: Hearing, junk: dict[str, Any]) -> None:
    assert hearing.is_member()
    hearing.group_updated(hearing.edit() | junk)
    assert hearing.is_member() is False
    assert len(hearing.slack.calls_of("usergroups.list")) == 2


def test_difference_alone_makes_the_bot_ask(hearing: Hearing, clock: FrozenClock) -> None:
    assert hearing.is_member()
    edited = hearing.edit()
    hearing.members_changed(subteam_id=SRE, date_update=edited["date_update"], removed_users=[ANN])
    assert hearing.notes().changed_at(SRE) == clock.now()
    assert hearing.is_member() is False


def test_difference_that_is_known_already_costs_nothing(hearing: Hearing, clock: FrozenClock) -> None:
    assert hearing.is_member()
    edited = hearing.edit()
    hearing.group_updated(edited)
    noted = hearing.notes().changed_at(SRE)
    clock.advance(timedelta(seconds=1))
    hearing.members_changed(subteam_id=SRE, date_update=edited["date_update"], removed_users=[ANN])
    assert hearing.notes().changed_at(SRE) == noted
    # Another change in the same second is not known yet.
    hearing.members_changed(subteam_id=SRE, date_update=edited["date_update"], added_users=[ANN])
    assert hearing.notes().changed_at(SRE) == clock.now()


def test_event_that_is_delivered_again_is_no_answer(hearing: Hearing, clock: FrozenClock) -> None:
    """Ann was added, and removed a minute later: the other instance heard that. Now Slack repeats the first event."""
    added = hearing.edit(ANN)
    clock.advance(timedelta(minutes=1))
    hearing.edit()
    hearing.group_updated(added)
    assert hearing.is_member() is False


def test_event_that_another_instance_overtook_is_no_answer(hearing: Hearing, clock: FrozenClock) -> None:
    added, removed = hearing.edit(ANN), hearing.edit()
    answer = read_subteam(removed, Asking(clock.now(), {SRE: clock.now()}))
    assert answer is not None
    hearing.stores.directory.put_group(answer)
    clock.advance(timedelta(seconds=1))
    hearing.group_updated(added)
    hearing.changes.flush()
    assert hearing.is_member() is False
