"""Who may act: a full member according to Slack, and nobody whom Slack cannot confirm."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import Future, wait
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk import WebClient

from bot.slack import directory as slack_directory
from bot.slack import membership, questions, user_groups
from bot.slack.coalescing_cache import FRESH_FOR, SERVED_FOR
from bot.slack.directory import MAX_REFRESHED, NamedSchedules, SlackDirectory
from bot.slack.errors import ERRORS
from bot.slack.pace import Pace
from core.actor import Actor, UserGroupId, UserId
from core.directory import DirectoryNotes
from core.duty import on_call_name
from core.errors import NotAllowed, NotKnown
from localslack.app_settings import AppSettings
from localslack.faults import Fault, HangUp, RateLimited, Refuse, ServerError, Stall
from localslack.records import Person, Team, UserGroup
from localslack.server import LocalSlack
from tests.builders import HOUR
from tests.harness.rota import WrittenRota

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clock import FrozenClock

ANN, BEN, SRE, DEV = UserId("U0ANN"), UserId("U0BEN"), UserGroupId("S0SRE"), UserGroupId("S0DEV")
TEAM, ELSEWHERE, ORGANISATION = Team().id, "T0ELSEWHERE", "E0ORG"
USERS, GROUPS, GROUP = "users.info", "usergroups.list", "usergroups.users.list"
SECOND = timedelta(seconds=1)


@pytest.fixture
def slack(clock: FrozenClock) -> Iterator[LocalSlack]:
    with LocalSlack(clock) as slack:
        slack.workspace.add(
            Person(id=ANN, name="ann", real_name="Ann A"),
            Person(id=BEN, name="ben"),
            UserGroup(id=SRE, handle="sre", users=(ANN,)),
            UserGroup(id=DEV, handle="dev", users=(ANN, BEN)),
        )
        yield slack


@pytest.fixture
def named() -> set[UserGroupId]:
    """The user groups that the policy names; a test may change it."""
    return {SRE, DEV}


@pytest.fixture
def directory(slack: LocalSlack, clock: FrozenClock, named: set[UserGroupId]) -> Iterator[SlackDirectory]:
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    directory = SlackDirectory(client, TEAM, clock, lambda: frozenset(named), pace=Pace(1_000, 0))
    yield directory
    slack.faults.release_all()
    directory.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time."""
    monkeypatch.setattr(slack_directory, "ANSWER_TIMEOUT_SECONDS", 10.0)


@pytest.fixture
def _impatient(_patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a Slack that does not answer, so that the test does not wait for long."""
    monkeypatch.setattr(slack_directory, "ANSWER_TIMEOUT_SECONDS", 0.1)


def groups_of(directory: SlackDirectory, user: UserId, notes: DirectoryNotes | None = None) -> dict[UserGroupId, bool]:
    """In which of the two groups the person is; one that isn't known is left out."""
    directory.actor(user, TEAM)
    return dict(directory.memberships(user, [SRE, DEV], notes or DirectoryNotes()))


def why_not(directory: SlackDirectory, user: str, team: str | None = TEAM) -> str:
    with pytest.raises(NotAllowed) as caught:
        directory.actor(user, team)
    assert caught.value.action == "act"
    (reason,) = caught.value.reasons
    return reason


# Who may -------------------------------------------------------------------------------------------------------------


def test_member_becomes_an_actor(directory: SlackDirectory) -> None:
    assert directory.actor(ANN, TEAM) == Actor(id=ANN, name="ann")
    assert directory.actor(BEN, None) == Actor(id=BEN, name="ben")


def test_groups_and_people_have_names_once_they_are_known(directory: SlackDirectory) -> None:
    assert groups_of(directory, ANN) == {SRE: True, DEV: True}
    assert directory.name_of(SRE) == "@sre"
    assert (directory.name_of("S0OTHER"), directory.name_of("policy:prod")) == (None, None)
    directory.actor(ANN, None)
    assert directory.name_of(ANN) == "ann"


def test_membership_is_answered_for_each_group_asked_for(directory: SlackDirectory) -> None:
    assert groups_of(directory, ANN) == {SRE: True, DEV: True}
    assert groups_of(directory, BEN) == {SRE: False, DEV: True}
    assert directory.memberships(BEN, [SRE], DirectoryNotes()) == {SRE: False}


def test_person_without_notes_is_the_same_as_of_a_payload(directory: SlackDirectory) -> None:
    assert directory.person(ANN, DirectoryNotes()) == directory.actor(ANN, TEAM)


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ({"deleted": True}, membership.DEACTIVATED),
        ({"is_bot": True}, membership.BOT),
        ({"is_restricted": True}, membership.GUEST),
        ({"is_ultra_restricted": True}, membership.GUEST),
        ({"is_stranger": True}, membership.STRANGER),
        ({"team_id": ELSEWHERE}, membership.STRANGER),
        ({"team_id": ELSEWHERE, "enterprise_id": ORGANISATION}, membership.STRANGER),
    ],
)
def test_outsider_is_refused_with_a_reason(
    slack: LocalSlack, directory: SlackDirectory, person: dict[str, Any], reason: str
) -> None:
    slack.workspace.add(Person(id="U0OUT", name="out", **person))

    assert why_not(directory, "U0OUT") == reason
    assert directory.known("U0OUT") is None


def test_slackbot_is_a_bot_although_slack_does_not_say_so(slack: LocalSlack, directory: SlackDirectory) -> None:
    slack.workspace.add(Person(id="USLACKBOT", name="slackbot"))

    assert why_not(directory, "USLACKBOT") == membership.BOT


@pytest.mark.parametrize("user", ["U0NOBODY", "", "ann", "C0CHANNEL", "U0ANN\n"])
def test_nobody_is_refused(directory: SlackDirectory, user: str) -> None:
    assert why_not(directory, user) == questions.UNKNOWN
    assert directory.known(user) is None


def test_payload_from_elsewhere_is_refused_without_a_question(slack: LocalSlack, directory: SlackDirectory) -> None:
    assert why_not(directory, ANN, ELSEWHERE) == slack_directory.ELSEWHERE
    assert slack.calls == []


def test_known_person_is_refused_when_coming_from_elsewhere(directory: SlackDirectory) -> None:
    directory.actor(ANN, TEAM)

    assert why_not(directory, ANN, ELSEWHERE) == slack_directory.ELSEWHERE


@pytest.mark.parametrize("scopes", [None, {"users:read", "usergroups:read"}])
def test_address_is_display_data_that_slack_may_keep(clock: FrozenClock, scopes: set[str] | None) -> None:
    app = AppSettings() if scopes is None else AppSettings(scopes=frozenset(scopes))
    with LocalSlack(clock, app=app) as slack:
        slack.workspace.add(Person(id=ANN, name="ann", email="ann@example.com"))
        directory = SlackDirectory(WebClient(slack.bot_token, base_url=slack.api_url), TEAM, clock, frozenset)
        assert directory.actor(ANN, TEAM).email in {None, "ann@example.com"}
        directory.close()


# What Slack's answer must say ----------------------------------------------------------------------------------------


def a_user(**changes: object) -> dict[str, object]:
    """A person as users.info gives them, changed; a change to `...` leaves the key out."""
    user: dict[str, object] = {
        "id": ANN,
        "team_id": TEAM,
        "name": "ann",
        "deleted": False,
        "is_bot": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_email_confirmed": True,
        "profile": {"display_name": "Ann", "email": "Ann@example.com"},
    }
    return {key: value for key, value in (user | changes).items() if value is not ...}


def read(user: object, enterprise_id: str | None = None) -> membership.Member | membership.Outsider:
    return membership.read_membership(user, ANN, TEAM, enterprise_id)


def test_member_has_a_name_and_a_confirmed_address() -> None:
    member = read(a_user())

    assert isinstance(member, membership.Member)
    assert (member.actor.name, member.actor.email) == ("Ann", "Ann@example.com")


@pytest.mark.parametrize("confirmed", [False, ...])
def test_address_that_nobody_confirmed_is_none(confirmed: object) -> None:
    """A policy may trust addresses, and then one that was only typed would be a key to somebody else's rights."""
    member = read(a_user(is_email_confirmed=confirmed))

    assert isinstance(member, membership.Member)
    assert member.actor.email is None


def test_person_who_has_authorised_the_app_is_no_bot() -> None:
    assert isinstance(read(a_user(is_app_user=True)), membership.Member)


def test_workflow_is_a_bot() -> None:
    assert read(a_user(is_workflow_bot=True)) == membership.Outsider(membership.BOT)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "U0ANN",
        {},
        *(
            a_user(**{key: ...})
            for key in ("id", "team_id", "deleted", "is_bot", "is_restricted", "is_ultra_restricted")
        ),
        *(a_user(**{key: "false"}) for key in ("deleted", "is_bot", "is_restricted", "is_stranger")),
        a_user(deleted=0),
        a_user(is_bot=None),
        a_user(id=BEN),
        a_user(team_id=None),
        a_user(profile=None),
        a_user(enterprise_user={"enterprise_id": 1}),
    ],
)
def test_answer_that_leaves_something_open_makes_no_member(answer: object) -> None:
    with pytest.raises(ValueError, match=r"the answer|validation error"):
        read(answer)


def test_on_grid_a_person_counts_who_belongs_to_this_workspace() -> None:
    grid = {"id": ANN, "enterprise_id": ORGANISATION, "teams": [ELSEWHERE, TEAM]}

    member = read(a_user(team_id=ELSEWHERE, enterprise_user=grid), ORGANISATION)

    assert isinstance(member, membership.Member)
    assert member.teams == {ELSEWHERE, TEAM, ORGANISATION}


@pytest.mark.parametrize(
    "user",
    [
        a_user(team_id=ELSEWHERE, enterprise_user={"enterprise_id": ORGANISATION, "teams": [ELSEWHERE]}),
        a_user(enterprise_user={"enterprise_id": "E0OTHER", "teams": [TEAM]}),
        a_user(team_id=ELSEWHERE),
    ],
)
def test_on_grid_others_are_strangers(user: object) -> None:
    assert read(user, ORGANISATION) == membership.Outsider(membership.STRANGER)


def test_payload_on_grid_may_name_only_the_persons_workspaces(slack: LocalSlack, clock: FrozenClock) -> None:
    slack.workspace.add(Person(id=ANN, name="ann", enterprise_id=ORGANISATION))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    directory = SlackDirectory(client, TEAM, clock, frozenset, enterprise_id=ORGANISATION)

    assert directory.actor(ANN, ORGANISATION).id == ANN
    assert why_not(directory, ANN, ELSEWHERE) == slack_directory.ELSEWHERE
    directory.close()


# When Slack cannot say -----------------------------------------------------------------------------------------------


FAULTS = [Refuse("internal_error"), ServerError(503), ServerError(200), HangUp()]


@pytest.mark.parametrize("fault", FAULTS)
def test_slack_that_fails_means_not_known_and_is_asked_again(
    slack: LocalSlack, directory: SlackDirectory, fault: Fault
) -> None:
    slack.faults.next(fault, USERS)

    assert why_not(directory, ANN) == questions.UNREACHABLE
    assert directory.actor(ANN, TEAM).id == ANN


@pytest.mark.parametrize("fault", FAULTS)
def test_group_that_slack_cannot_list_is_asked_for_again(
    slack: LocalSlack, directory: SlackDirectory, fault: Fault
) -> None:
    directory.actor(ANN, TEAM)
    slack.wait_until(lambda: directory.memberships(ANN, [SRE], DirectoryNotes()))
    slack.workspace.add(UserGroup(id=SRE, handle="sre"))
    notes = DirectoryNotes().add(SRE, slack.backend.clock.now())
    slack.faults.next(fault, GROUPS)

    assert directory.memberships(ANN, [SRE, DEV], notes) == {DEV: True}
    assert directory.memberships(ANN, [SRE, DEV], notes) == {SRE: False, DEV: True}


@pytest.mark.parametrize("error", ["missing_scope", "token_revoked", "account_inactive", "accesslimited"])
def test_token_that_is_not_good_enough_is_the_operators_task(
    slack: LocalSlack, directory: SlackDirectory, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    slack.faults.next(Refuse(error), USERS)

    reason = why_not(directory, ANN)

    assert f"({error})" in reason
    assert "countersign doctor" in reason
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage() == f"Slack refuses users.info: {error}. {ERRORS[error].fix}"


@pytest.mark.usefixtures("_impatient")
def test_late_answer_about_a_person_is_used_afterwards(slack: LocalSlack, directory: SlackDirectory) -> None:
    stall = Stall()
    slack.faults.next(stall, USERS, times=None)

    assert why_not(directory, ANN) == slack_directory.TOO_SLOW
    stall.release()

    slack.wait_until(lambda: directory.known(ANN))
    assert directory.actor(ANN, TEAM).id == ANN
    assert len(slack.calls_of(USERS)) == 1


@pytest.mark.usefixtures("_impatient")
def test_late_groups_are_left_out_and_used_afterwards(slack: LocalSlack, directory: SlackDirectory) -> None:
    stall = Stall()
    slack.faults.next(stall, GROUPS, times=None)

    assert slack.wait_until(lambda: directory.known(ANN)) == Actor(id=ANN, name="ann")
    assert groups_of(directory, ANN) == {}
    stall.release()

    assert slack.wait_until(lambda: directory.memberships(ANN, [SRE, DEV], DirectoryNotes())) == {SRE: True, DEV: True}
    assert len(slack.calls_of(GROUPS)) == 1


def test_click_waits_for_slack_only_once(
    slack: LocalSlack, directory: SlackDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.actor(ANN, TEAM)
    monkeypatch.setattr(slack_directory, "ANSWER_TIMEOUT_SECONDS", 0.1)
    slack.faults.next(Stall(), times=None)
    waits: list[float | None] = []

    def noting_wait(lookups: list[Future[object]], timeout: float | None = None) -> object:
        waits.append(timeout)
        return wait(lookups, timeout)

    monkeypatch.setattr("bot.slack.directory.wait", noting_wait)
    directory.actor(ANN, TEAM)
    notes = DirectoryNotes(forgotten_at=slack.backend.clock.now())

    with pytest.raises(NotKnown):
        directory.person(ANN, notes)
    assert directory.memberships(ANN, [SRE, DEV], notes) == {}

    # The first one found its answer. The second one used up what the click may wait, and nothing is left for others.
    assert waits[-1] == 0.0


def test_slack_is_left_alone_for_as_long_as_it_wants(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    slack.faults.next(RateLimited(30), USERS)

    assert "try again in 30 seconds" in why_not(directory, ANN)
    clock.advance(timedelta(seconds=29))
    assert "try again in 1 seconds" in why_not(directory, ANN)
    assert len(slack.calls_of(USERS)) == 1
    clock.advance(SECOND)
    assert directory.actor(ANN, TEAM).id == ANN


def test_groups_are_left_alone_for_as_long_as_slack_wants(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    slack.faults.next(RateLimited(30), GROUPS)

    assert groups_of(directory, ANN) == {}
    clock.advance(timedelta(seconds=29))
    assert groups_of(directory, ANN) == {}
    assert len(slack.calls_of(GROUPS)) == 1
    clock.advance(SECOND)
    assert groups_of(directory, ANN) == {SRE: True, DEV: True}


def test_pause_that_cannot_be_meant_is_not_believed(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    slack.faults.next(RateLimited(10**8), USERS)
    assert "try again in 300 seconds" in why_not(directory, ANN)
    clock.advance(timedelta(days=-30))

    assert directory.actor(ANN, TEAM).id == ANN


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"7", b"{", b"\xff", b'{"ok":true}', b'{"ok":true,"user":[]}', b'{"ok":"yes","user":null}'],
)
def test_answer_that_cannot_be_read_means_no(clock: FrozenClock, body: bytes) -> None:
    with odd_slack(lambda _: body) as url:
        directory = SlackDirectory(WebClient("xoxb-1", base_url=url), TEAM, clock, frozenset)
        assert why_not(directory, ANN) == questions.UNREACHABLE
        directory.close()


def a_group(**changes: object) -> dict[str, object]:
    """The group SRE as usergroups.list gives it, changed; a change to `...` leaves the key out."""
    group: dict[str, object] = {"id": SRE, "users": [ANN], "user_count": "1", "date_update": 7, "date_delete": 0}
    return {key: value for key, value in (group | changes).items() if value is not ...}


def memberships_from(clock: FrozenClock, listed: object, members: object = None) -> dict[UserGroupId, bool]:
    """In which groups Ann is, with a Slack that lists this."""

    def answer(method: str) -> bytes:
        answers: dict[str, dict[str, object]] = {
            USERS: {"user": a_user()},
            GROUPS: {"usergroups": listed},
            GROUP: {"users": members},
        }
        return json.dumps({"ok": True, **answers[method]}).encode()

    with odd_slack(answer) as url:
        directory = SlackDirectory(
            WebClient("xoxb-1", base_url=url), TEAM, clock, lambda: frozenset({SRE, DEV}), pace=Pace(1_000, 0)
        )
        known = groups_of(directory, ANN)
        directory.close()
    return known


@pytest.mark.parametrize(
    "listed", [None, "S0SRE", {"S0SRE": 1}, [None], [a_group(id=...)], [a_group(id=1)], [a_group(), a_group()]]
)
def test_list_of_groups_that_cannot_be_read_says_nothing(clock: FrozenClock, listed: object) -> None:
    if isinstance(listed, list) and listed and listed[0] == a_group(id=1):
        # It is about another group, whose id this is; the two that are asked for aren't there.
        assert memberships_from(clock, listed) == {SRE: False, DEV: False}
    else:
        assert memberships_from(clock, listed) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"users": ...},
        {"users": "U0ANN"},
        {"users": [1]},
        {"users": [ANN, None]},
        {"user_count": "2"},
        {"user_count": 2},
        {"user_count": [1]},
        {"date_update": "7"},
        {"date_delete": "0"},
    ],
)
def test_group_that_is_not_listed_whole_is_asked_for_alone(clock: FrozenClock, change: dict[str, object]) -> None:
    assert memberships_from(clock, [a_group(**change)], members=[ANN, BEN]) == {SRE: True, DEV: False}
    assert memberships_from(clock, [a_group(**change)], members="U0ANN") == {DEV: False}


@pytest.mark.parametrize(
    "change", [{}, {"user_count": 1}, {"user_count": ...}, {"date_update": ...}, {"date_delete": ...}]
)
def test_group_is_read_as_slack_writes_it(clock: FrozenClock, change: dict[str, object]) -> None:
    assert memberships_from(clock, [a_group(**change)]) == {SRE: True, DEV: False}


def test_profile_of_a_person_is_not_logged(clock: FrozenClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    body = json.dumps({"ok": True, "user": a_user(deleted="secret-1", profile={"email": ["secret-2"]})}).encode()
    with odd_slack(lambda _: body) as url:
        directory = SlackDirectory(WebClient("xoxb-secret-3", base_url=url), TEAM, clock, frozenset)
        why_not(directory, ANN)
        directory.close()

    assert "users.info failed: ValidationError" in caplog.text
    assert "secret" not in caplog.text


def test_slack_that_is_not_there_means_no(clock: FrozenClock) -> None:
    with odd_slack(lambda _: b"") as url:
        pass
    directory = SlackDirectory(WebClient("xoxb-1", base_url=url), TEAM, clock, frozenset)

    assert why_not(directory, ANN) == questions.UNREACHABLE
    directory.close()


# Groups --------------------------------------------------------------------------------------------------------------


def test_group_that_slack_does_not_have_has_no_members(
    slack: LocalSlack, directory: SlackDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    slack.workspace.add(UserGroup(id=SRE, handle="sre", users=(ANN,), is_disabled=True))

    assert groups_of(directory, ANN) == {SRE: False, DEV: True}
    assert f"the policy names the user group {SRE}, which Slack does not have" in caplog.text


def test_group_that_the_policy_names_from_now_on_is_looked_up(
    slack: LocalSlack, directory: SlackDirectory, named: set[UserGroupId]
) -> None:
    named.clear()
    directory.refresh_groups()
    named.add(SRE)
    directory.refresh_groups()
    slack.wait_until(lambda: slack.calls_of(GROUPS))

    assert groups_of(directory, ANN)[SRE]


def test_one_call_answers_for_all_groups_and_everybody(slack: LocalSlack, directory: SlackDirectory) -> None:
    for user in (ANN, BEN, ANN):
        groups_of(directory, user)

    (call,) = slack.calls_of(GROUPS)
    assert call.arguments["include_users"] in {True, "1", "true"}
    assert slack.calls_of(GROUP) == []


def test_groups_can_be_looked_up_before_any_interaction(slack: LocalSlack, directory: SlackDirectory) -> None:
    directory.refresh_groups()
    slack.wait_until(lambda: directory.memberships(ANN, [SRE], DirectoryNotes()))
    directory.actor(ANN, TEAM)
    directory.refresh_groups()

    assert len(slack.calls_of(GROUPS)) == 1


def test_people_can_be_looked_up_before_any_interaction(slack: LocalSlack, directory: SlackDirectory) -> None:
    directory.refresh_people([ANN, BEN])
    slack.wait_until(lambda: directory.known(ANN) and directory.known(BEN))
    directory.actor(ANN, TEAM)

    assert len(slack.calls_of("users.info")) == 2


def test_people_are_looked_up_only_until_the_bound(directory: SlackDirectory) -> None:
    directory.refresh_people([ANN, *(UserId(f"U0X{number}") for number in range(MAX_REFRESHED - 1)), BEN])
    directory.actor(ANN, TEAM)

    assert directory.known(BEN) is None


def test_person_does_not_wait_for_groups(slack: LocalSlack, directory: SlackDirectory) -> None:
    stall = Stall()
    slack.faults.next(stall, GROUPS, times=None)

    assert directory.actor(ANN, TEAM).id == ANN
    assert directory.person(ANN, DirectoryNotes()).id == ANN
    stall.release()


@pytest.mark.parametrize(("enterprise_id", "sent"), [(None, None), (ORGANISATION, TEAM)])
def test_organisation_wide_token_names_its_workspace(
    slack: LocalSlack, clock: FrozenClock, enterprise_id: str | None, sent: str | None
) -> None:
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    directory = SlackDirectory(client, TEAM, clock, lambda: frozenset({SRE}), enterprise_id)
    directory.memberships(ANN, [SRE], DirectoryNotes())

    (call,) = slack.calls_of(GROUPS)
    assert call.arguments.get("team_id") == sent
    directory.close()


# While time passes ---------------------------------------------------------------------------------------------------


def test_lookup_of_a_known_person_does_not_wait_for_slack(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    groups_of(directory, ANN)
    stall = Stall()
    slack.faults.next(stall, times=None)
    clock.advance(SERVED_FOR - SECOND)

    assert groups_of(directory, ANN) == {SRE: True, DEV: True}
    assert stall.reached.wait(10)


def test_rights_are_not_kept_because_slack_is_down(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    groups_of(directory, ANN)
    slack.faults.next(Refuse("internal_error"), times=None)
    clock.advance(SERVED_FOR)

    assert why_not(directory, ANN) == questions.UNREACHABLE
    assert directory.memberships(ANN, [SRE, DEV], DirectoryNotes()) == {}


def test_deactivated_person_loses_their_rights_with_the_event(slack: LocalSlack, directory: SlackDirectory) -> None:
    directory.actor(ANN, TEAM)
    slack.workspace.add(Person(id=ANN, name="ann", deleted=True))
    assert directory.actor(ANN, TEAM).id == ANN

    directory.forget(ANN)

    assert why_not(directory, ANN) == membership.DEACTIVATED


def test_answer_from_before_a_noted_change_does_not_count(slack: LocalSlack, directory: SlackDirectory) -> None:
    """Another instance heard the event, and this one reads its note with the record."""
    groups_of(directory, ANN)
    slack.workspace.add(Person(id=ANN, name="ann", deleted=True), UserGroup(id=SRE, handle="sre"))
    notes = DirectoryNotes().add(ANN, slack.backend.clock.now()).add(SRE, slack.backend.clock.now())

    assert directory.person(ANN, DirectoryNotes()).id == ANN
    with pytest.raises(NotAllowed) as caught:
        directory.person(ANN, notes)
    assert caught.value.reasons == (membership.DEACTIVATED,)
    assert directory.memberships(ANN, [SRE, DEV], notes) == {SRE: False, DEV: True}


def test_answer_from_after_a_noted_change_is_not_asked_for_again(slack: LocalSlack, directory: SlackDirectory) -> None:
    notes = DirectoryNotes().add(ANN, slack.backend.clock.now()).add(SRE, slack.backend.clock.now())
    for _ in range(3):
        directory.person(ANN, notes)
        directory.memberships(ANN, [SRE, DEV], notes)

    assert (len(slack.calls_of(USERS)), len(slack.calls_of(GROUPS))) == (1, 1)


def test_lookup_from_before_a_noted_change_does_not_count(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    stall = Stall()
    slack.faults.next(stall, USERS)
    directory.known(ANN)
    assert stall.reached.wait(10)
    slack.workspace.add(Person(id=ANN, name="ann", is_restricted=True))

    with pytest.raises(NotAllowed) as caught:
        directory.person(ANN, DirectoryNotes().add(ANN, clock.now()))
    stall.release()

    assert caught.value.reasons == (membership.GUEST,)
    assert why_not(directory, ANN) == membership.GUEST


def test_clock_that_is_behind_keeps_nobodys_rights(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    groups_of(directory, ANN)
    slack.workspace.add(UserGroup(id=SRE, handle="sre"))
    # The instance that heard the event has a clock that is half a minute behind.
    notes = DirectoryNotes().add(SRE, clock.now() - timedelta(seconds=30))

    assert directory.memberships(ANN, [SRE], notes) == {SRE: False}


def test_unreadable_notes_are_repaired_and_all_are_asked_for(slack: LocalSlack, clock: FrozenClock) -> None:
    repairs: list[bool] = []
    directory = SlackDirectory(
        WebClient(slack.bot_token, base_url=slack.api_url),
        TEAM,
        clock,
        frozenset,
        repair=lambda: repairs.append(True),
        pace=Pace(1_000, 0),
    )
    directory.actor(ANN, TEAM)
    slack.workspace.add(Person(id=ANN, name="ann", deleted=True))

    with pytest.raises(NotAllowed):
        directory.person(ANN, DirectoryNotes.everything_changed(clock.now()))
    assert repairs == [True]
    directory.close()


def test_rights_are_lost_with_the_second_action_without_an_event(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    directory.actor(ANN, TEAM)
    slack.workspace.add(Person(id=ANN, name="ann", is_restricted=True))
    clock.advance(FRESH_FOR)
    directory.actor(ANN, TEAM)

    slack.wait_until(lambda: directory.known(ANN) is None)
    assert why_not(directory, ANN) == membership.GUEST


def test_person_removed_from_a_group_loses_rights_with_the_event(slack: LocalSlack, directory: SlackDirectory) -> None:
    groups_of(directory, ANN)
    slack.workspace.add(UserGroup(id=SRE, handle="sre"))

    assert directory.hear_group(SRE, slack.backend.clock.now(), None)

    assert groups_of(directory, ANN) == {SRE: False, DEV: True}


def test_form_is_opened_from_cached_lookups(slack: LocalSlack, directory: SlackDirectory) -> None:
    stall = Stall()
    slack.faults.next(stall, times=None)

    assert directory.known(ANN) is None
    stall.release()

    expected = directory.actor(ANN, TEAM).with_memberships(groups_of(directory, ANN))
    assert slack.wait_until(lambda: directory.known(ANN)) == expected


def test_form_is_opened_with_the_groups_that_are_known(slack: LocalSlack, directory: SlackDirectory) -> None:
    stall = Stall()
    slack.faults.next(stall, GROUPS, times=None)
    directory.actor(ANN, TEAM)

    assert directory.known(ANN) == Actor(id=ANN, name="ann")
    stall.release()


def test_directory_that_was_closed_says_no(directory: SlackDirectory) -> None:
    directory.actor(ANN, TEAM)
    directory.close()

    assert directory.actor(ANN, TEAM).id == ANN
    assert why_not(directory, BEN) == user_groups.BUSY


def test_clients_own_retries_and_time_limit_are_not_used(slack: LocalSlack, clock: FrozenClock) -> None:
    """Bolt's client sleeps through Retry-After and waits for half a minute, on a thread that others need."""
    client = WebClient(slack.bot_token, base_url=slack.api_url, timeout=30)
    directory = SlackDirectory(client, TEAM, clock, frozenset)
    slack.faults.next(HangUp(), USERS)

    assert why_not(directory, ANN) == questions.UNREACHABLE
    assert len(slack.calls_of(USERS)) == 1
    assert client.timeout == 30
    directory.close()


class odd_slack:  # noqa: N801  It is used like a function.
    """A Slack that answers each method with the bytes it is given, where the local Slack answers only properly."""

    def __init__(self, answer: Callable[[str], bytes]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                body = answer(self.path.rpartition("/")[2])
                self.send_response(200)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: pytest shows what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_person_on_call_is_known_without_waiting(slack: LocalSlack, clock: FrozenClock) -> None:
    rota, primary = WrittenRota(clock), on_call_name("primary")
    rota.put("primary", ANN, HOUR)
    on_call = NamedSchedules(rota, lambda: frozenset({primary}))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    directory = SlackDirectory(client, TEAM, clock, frozenset, on_call=on_call)
    try:
        directory.actor(ANN, TEAM)
        known = directory.known(ANN)
        assert known is not None
        held = known.on_call(primary)
        assert held is not None
        assert held.is_on_call
        # A decision waits for a schedule as long as it would for Slack, and no longer than the click has left.
        assert directory.duties(ANN, {primary}) == {primary: held}
        assert rota.waits[0] == 0
        assert 0 < rota.waits[1] <= slack_directory.ANSWER_TIMEOUT_SECONDS
    finally:
        directory.close()


def test_directory_without_a_roster_knows_no_schedule(directory: SlackDirectory) -> None:
    assert directory.duties(ANN, {on_call_name("primary")}) == {}
