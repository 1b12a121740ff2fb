"""Who may act: a full member according to Slack, and nobody whom Slack cannot confirm."""

from __future__ import annotations

import json
import logging
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk import WebClient

from bot.slack import directory as slack_directory
from bot.slack import membership
from bot.slack.coalescing_cache import FRESH_FOR, SERVED_FOR
from bot.slack.directory import SlackDirectory
from bot.slack.errors import ERRORS
from core.actor import Actor, UserGroupId, UserId
from core.errors import NotAllowed
from localslack.app_settings import AppSettings
from localslack.faults import Fault, HangUp, RateLimited, Refuse, ServerError, Stall
from localslack.records import Person, Team, UserGroup
from localslack.server import LocalSlack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clock import FrozenClock

ANN, BEN, SRE, DEV = UserId("U0ANN"), UserId("U0BEN"), UserGroupId("S0SRE"), UserGroupId("S0DEV")
TEAM, ELSEWHERE, ORGANISATION = Team().id, "T0ELSEWHERE", "E0ORG"
USERS, GROUPS = "users.info", "usergroups.users.list"


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
    directory = SlackDirectory(client, TEAM, clock, lambda: frozenset(named))
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


def why_not(directory: SlackDirectory, user: str, team: str | None = TEAM) -> str:
    with pytest.raises(NotAllowed) as caught:
        directory.actor(user, team)
    assert caught.value.action == "act"
    (reason,) = caught.value.reasons
    return reason


def groups_of(person: Actor) -> set[UserGroupId]:
    """The user groups in which Slack says the person is."""
    return {group for group, is_in in person.memberships.items() if is_in}


# Who may -------------------------------------------------------------------------------------------------------------


def test_member_becomes_an_actor_with_the_groups_of_the_policy(directory: SlackDirectory) -> None:
    ann, ben = directory.actor(ANN, TEAM), directory.actor(BEN, None)

    assert ann == Actor(id=ANN, name="ann", memberships={SRE: True, DEV: True})
    assert ben == Actor(id=BEN, name="ben", memberships={SRE: False, DEV: True})


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
    assert why_not(directory, user) == slack_directory.UNKNOWN
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


@pytest.mark.parametrize("method", [USERS, GROUPS])
@pytest.mark.parametrize("fault", [Refuse("internal_error"), ServerError(503), ServerError(200), HangUp()])
def test_slack_that_fails_means_no_and_is_asked_again(
    slack: LocalSlack, directory: SlackDirectory, named: set[UserGroupId], method: str, fault: Fault
) -> None:
    named.remove(DEV)
    slack.faults.next(fault, method)

    assert why_not(directory, ANN) == slack_directory.UNREACHABLE
    assert groups_of(directory.actor(ANN, TEAM)) == {SRE}


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


@pytest.mark.parametrize("method", [USERS, GROUPS])
@pytest.mark.usefixtures("_impatient")
def test_late_answer_of_slack_means_no_and_is_used_afterwards(
    slack: LocalSlack, directory: SlackDirectory, method: str
) -> None:
    stall = Stall()
    slack.faults.next(stall, method, times=None)

    assert why_not(directory, ANN) == slack_directory.TOO_SLOW
    asked = len(slack.calls)
    stall.release()

    slack.wait_until(lambda: directory.known(ANN))
    assert groups_of(directory.actor(ANN, TEAM)) == {SRE, DEV}
    assert len(slack.calls_of(USERS)) == 1
    assert asked <= len(slack.calls) <= 3


@pytest.mark.parametrize("method", [USERS, GROUPS])
def test_slack_is_left_alone_for_as_long_as_it_wants(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock, named: set[UserGroupId], method: str
) -> None:
    named.remove(DEV)
    slack.faults.next(RateLimited(30), method)

    assert "try again in 30 seconds" in why_not(directory, ANN)
    clock.advance(timedelta(seconds=29))
    assert "try again in 1 seconds" in why_not(directory, ANN)
    assert len(slack.calls_of(method)) == 1
    clock.advance(timedelta(seconds=1))
    assert groups_of(directory.actor(ANN, TEAM)) == {SRE}


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
        assert why_not(directory, ANN) == slack_directory.UNREACHABLE
        directory.close()


@pytest.mark.parametrize("members", [None, "U0ANN", {"U0ANN": 1}, [1], ["U0ANN", None]])
def test_group_that_cannot_be_read_means_no(clock: FrozenClock, members: object) -> None:
    def answer(method: str) -> bytes:
        return json.dumps(
            {"ok": True, "user": a_user()} if method == USERS else {"ok": True, "users": members}
        ).encode()

    with odd_slack(answer) as url:
        directory = SlackDirectory(WebClient("xoxb-1", base_url=url), TEAM, clock, lambda: frozenset({SRE}))
        assert why_not(directory, ANN) == slack_directory.UNREACHABLE
        directory.close()


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

    assert why_not(directory, ANN) == slack_directory.UNREACHABLE
    directory.close()


# Groups --------------------------------------------------------------------------------------------------------------


def test_group_that_slack_does_not_have_has_no_members(
    slack: LocalSlack, directory: SlackDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    slack.workspace.add(UserGroup(id=SRE, handle="sre", users=(ANN,), is_disabled=True))

    assert groups_of(directory.actor(ANN, TEAM)) == {DEV}
    assert f"the policy names the user group {SRE}, which Slack does not have" in caplog.text


def test_group_that_the_policy_names_from_now_on_is_looked_up(
    directory: SlackDirectory, named: set[UserGroupId]
) -> None:
    named.clear()
    assert groups_of(directory.actor(ANN, TEAM)) == set()
    named.add(SRE)

    assert groups_of(directory.actor(ANN, TEAM)) == {SRE}


def test_one_look_at_a_group_serves_everybody(slack: LocalSlack, directory: SlackDirectory) -> None:
    for user in (ANN, BEN, ANN):
        directory.actor(user, TEAM)

    assert len(slack.calls_of(GROUPS)) == 2


def test_groups_can_be_looked_up_before_any_interaction(slack: LocalSlack, directory: SlackDirectory) -> None:
    directory.refresh_groups()
    slack.wait_until(lambda: len(slack.calls_of(GROUPS)) == 2)
    directory.actor(ANN, TEAM)
    directory.refresh_groups()

    assert len(slack.calls_of(GROUPS)) == 2


@pytest.mark.parametrize(("enterprise_id", "sent"), [(None, None), (ORGANISATION, TEAM)])
def test_organisation_wide_token_names_its_workspace(
    slack: LocalSlack, clock: FrozenClock, enterprise_id: str | None, sent: str | None
) -> None:
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    directory = SlackDirectory(client, TEAM, clock, lambda: frozenset({SRE}), enterprise_id)
    directory.actor(ANN, TEAM)

    (call,) = slack.calls_of(GROUPS)
    assert call.arguments.get("team_id") == sent
    directory.close()


# While time passes ---------------------------------------------------------------------------------------------------


def test_lookup_of_a_known_person_does_not_wait_for_slack(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    directory.actor(ANN, TEAM)
    stall = Stall()
    slack.faults.next(stall, times=None)
    clock.advance(SERVED_FOR - timedelta(seconds=1))

    assert groups_of(directory.actor(ANN, TEAM)) == {SRE, DEV}
    assert stall.reached.wait(10)


def test_rights_are_not_kept_because_slack_is_down(
    slack: LocalSlack, directory: SlackDirectory, clock: FrozenClock
) -> None:
    directory.actor(ANN, TEAM)
    slack.faults.next(Refuse("internal_error"), times=None)
    clock.advance(SERVED_FOR)

    assert why_not(directory, ANN) == slack_directory.UNREACHABLE


def test_deactivated_person_loses_their_rights_with_the_event(slack: LocalSlack, directory: SlackDirectory) -> None:
    directory.actor(ANN, TEAM)
    slack.workspace.add(Person(id=ANN, name="ann", deleted=True))
    assert directory.actor(ANN, TEAM).id == ANN

    directory.forget(ANN)

    assert why_not(directory, ANN) == membership.DEACTIVATED


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
    directory.actor(ANN, TEAM)
    slack.workspace.add(UserGroup(id=SRE, handle="sre"))

    directory.forget_group(SRE)

    assert groups_of(directory.actor(ANN, TEAM)) == {DEV}


def test_form_is_opened_from_cached_lookups(slack: LocalSlack, directory: SlackDirectory) -> None:
    stall = Stall()
    slack.faults.next(stall, times=None)

    assert directory.known(ANN) is None
    stall.release()

    known = slack.wait_until(lambda: directory.known(ANN))
    assert known == directory.actor(ANN, TEAM)


def test_directory_that_was_closed_says_no(directory: SlackDirectory) -> None:
    directory.actor(ANN, TEAM)
    directory.close()

    assert directory.actor(ANN, TEAM).id == ANN
    assert why_not(directory, BEN) == slack_directory.BUSY


def test_clients_own_retries_and_time_limit_are_not_used(slack: LocalSlack, clock: FrozenClock) -> None:
    """Bolt's client sleeps through Retry-After and waits for half a minute, on a thread that others need."""
    client = WebClient(slack.bot_token, base_url=slack.api_url, timeout=30)
    directory = SlackDirectory(client, TEAM, clock, frozenset)
    slack.faults.next(HangUp(), USERS)

    assert why_not(directory, ANN) == slack_directory.UNREACHABLE
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
