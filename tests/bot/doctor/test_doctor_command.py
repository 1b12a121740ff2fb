"""`countersign doctor`: what is wrong and how to fix it, one line each."""

from __future__ import annotations

import socket
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from bot.doctor.slack_checks import SlackChecks
from bot.doctor.store_checks import OVERDUE_AFTER
from bot.slack import app_surface
from core.clock import SystemClock
from localslack.faults import HangUp, RateLimited, Refuse, ServerError
from localslack.records import Channel, UserGroup
from tests.builders import DAY
from tests.harness.clock import FrozenClock

if TYPE_CHECKING:
    from tests.bot.doctor.conftest import Installation

ACCESS, VAULT = "C0ACCESS1", "C0VAULT1"
SECOND = timedelta(seconds=1)


def _lines(installation: Installation, *, code: int) -> list[str]:
    result = installation.run("doctor")
    assert result.exit_code == code, result.output
    # Whatever is wrong, no secret is shown.
    for secret in (installation.slack.bot_token, installation.slack.app_token, "a-key-that-has", "xoxb-", "xapp-w"):
        assert secret not in result.output
    return result.output.splitlines()


def _wrong(installation: Installation) -> list[str]:
    lines = _lines(installation, code=1)
    found = [line.removeprefix("✗ ") for line in lines if line.startswith("✗ ")]
    assert lines[-1] == (
        f"{len(found)} problems found, listed above" if len(found) > 1 else "1 problem found, listed above"
    )
    return found


def _notes(installation: Installation, *, code: int = 0) -> list[str]:
    """What is worth knowing, except that the policy's user group decides, which always is."""
    notes = [line.removeprefix("· ") for line in _lines(installation, code=code) if line.startswith("· ")]
    return [line for line in notes if not line.startswith("user group S0SRE: anyone who may edit it")]


def test_every_check_has_its_line_where_all_is_well(installation: Installation) -> None:
    lines = _lines(installation, code=0)
    assert [line[: line.index(":")] for line in lines[:-1]] == [
        "✓ audit key",
        "✓ policy",
        "✓ bot token",
        "✓ scopes",
        "✓ clock",
        "✓ app token",
        "✓ user groups",
        "· user group S0SRE",
        f"✓ channel {ACCESS} (prod, staging) #access",
        f"✓ channel {VAULT} (vault) #vault",
        "✓ store",
        "✓ backup",
        "✓ outbox",
        "✓ access",
    ]
    assert lines[2] == "✓ bot token: countersign in workspace Local, T0LOCAL01"
    assert lines[3] == f"✓ scopes: {', '.join(sorted(app_surface.SCOPES))}"
    assert lines[-1] == "no problems found"


def test_it_posts_nothing_and_opens_no_websocket(installation: Installation) -> None:
    installation.submit()
    _lines(installation, code=0)
    assert {call.method for call in installation.slack.calls} == {
        "auth.test", "apps.connections.open", "usergroups.list", "conversations.info",
    }  # fmt: skip
    assert installation.slack.messages(ACCESS) == []


class TestSettings:
    def test_bad_setting_keeps_nothing_else_from_being_checked(self, installation: Installation) -> None:
        installation.set("SLACK_APP_TOKEN", "xoxb-swapped")
        (only,) = _wrong(installation)
        assert only.startswith("SLACK_APP_TOKEN: it is not an app-level token. Copy the one that starts with xapp-")
        installation.set("SLACK_APP_TOKEN", installation.slack.app_token)
        installation.set("COUNTERSIGN_RETENTION", "soon")
        lines = _lines(installation, code=1)
        assert lines[0].startswith("✗ COUNTERSIGN_RETENTION: ")
        assert any(line.startswith("✓ scopes") for line in lines)

    def test_missing_audit_key_is_reported(self, installation: Installation) -> None:
        installation.set("COUNTERSIGN_AUDIT_KEY", None)
        (only,) = _wrong(installation)
        assert only.startswith(
            "COUNTERSIGN_AUDIT_KEY: it is not set, and without it anyone could forge the audit trail."
        )
        assert "countersign audit key new" in only

    def test_http_needs_the_signing_secret_and_no_app_token(self, installation: Installation) -> None:
        installation.set("COUNTERSIGN_LISTEN", "0.0.0.0:3000")
        installation.set("SLACK_APP_TOKEN", None)
        (only,) = _wrong(installation)
        assert only == "SLACK_SIGNING_SECRET: it is not set. Over HTTP, it verifies that requests come from Slack."
        installation.set("SLACK_SIGNING_SECRET", "0123456789abcdef0123456789abcdef")
        assert not any("app token" in line for line in _lines(installation, code=0))

    def test_missing_bot_token_keeps_no_other_check_from_running(self, installation: Installation) -> None:
        installation.set("SLACK_BOT_TOKEN", None)
        (only,) = _wrong(installation)
        assert (
            only
            == "SLACK_BOT_TOKEN: it is not set. Copy it from OAuth & Permissions, or let `countersign init` ask for it."
        )


class TestTokens:
    @pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "token_revoked", "token_expired"])
    def test_refused_bot_token_is_the_only_slack_finding(self, installation: Installation, code: str) -> None:
        installation.slack.faults.next(Refuse(code), "auth.test")
        (only,) = _wrong(installation)
        assert only.startswith(f"bot token: Slack answered {code}. Set SLACK_BOT_TOKEN to the token under OAuth")

    def test_wrong_bot_token_is_not_shown(self, installation: Installation) -> None:
        installation.set("SLACK_BOT_TOKEN", "xoxb-wrong-one")
        (only,) = _wrong(installation)
        assert only.startswith("bot token: Slack answered invalid_auth.")

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (ServerError(503), "bot token: Slack answered HTTP 503. Slack is down, or a proxy answers in its place."),
            (HangUp(), "bot token: no usable answer from Slack ("),
            (
                Refuse("internal_error"),
                "bot token: Slack answered internal_error. Slack has a problem; it usually passes",
            ),
            (Refuse("<script>"), "bot token: Slack answered HTTP 200."),
        ],
    )
    def test_unreachable_slack_is_reported(self, installation: Installation, fault: Any, said: str) -> None:  # noqa: ANN401
        installation.slack.faults.next(fault, "auth.test")
        (only,) = _wrong(installation)
        assert only.startswith(said)

    def test_address_where_nobody_answers_is_named(self, installation: Installation) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}/api/"
        installation.set("SLACK_API_URL", url)
        (only,) = _wrong(installation)
        assert f"Check that this machine can reach {url}" in only

    @pytest.mark.parametrize("token", ["xapp-wrong", "xapp-1-A1-2-3"])
    def test_refused_app_token_is_reported_with_where_to_get_one(self, installation: Installation, token: str) -> None:
        installation.set("SLACK_APP_TOKEN", token)
        (only,) = _wrong(installation)
        assert only.startswith(
            "app token: Slack answered invalid_auth. Generate a token with the scope connections:write"
        )

    def test_slack_that_asks_for_a_pause_gets_it(self, installation: Installation) -> None:
        installation.slack.faults.next(RateLimited(retry_after=0), "conversations.info", times=2)
        assert _lines(installation, code=0)[-1] == "no problems found"


def test_group_that_decides_is_named_with_where_to_look(installation: Installation) -> None:
    (line,) = [line for line in _lines(installation, code=0) if line.startswith("· user group")]
    assert line.startswith("· user group S0SRE: anyone who may edit it in Slack decides (approvers of staging).")
    assert '"Create and edit user groups"' in line


class TestScopes:
    def test_missing_scopes_are_named_with_what_fails_without_them(self, installation: Installation) -> None:
        installation.grant(*app_surface.SCOPES - {"usergroups:read", "chat:write"})
        scopes, groups = _wrong(installation)
        assert scopes.startswith("scopes: the bot token is missing chat:write, usergroups:read. Add them under OAuth")
        assert groups.startswith("user groups: Slack answered missing_scope (usergroups:read).")

    def test_installation_without_channel_scopes_has_to_be_renewed(self, installation: Installation) -> None:
        installation.grant(*app_surface.SCOPES - {"channels:read", "groups:read"})
        scopes, *channels = _wrong(installation)
        assert scopes.startswith("scopes: the bot token is missing channels:read, groups:read.")
        assert len(channels) == 2
        assert all("missing_scope" in each for each in channels)

    def test_more_than_needed_is_worth_knowing_and_not_wrong(self, installation: Installation) -> None:
        installation.grant(*app_surface.SCOPES, "channels:history", "users:read.email")
        (only,) = _notes(installation)
        assert only == "scopes: the bot token also has channels:history, which Countersign doesn't use"

    def test_summary_without_its_scope_has_no_picture(self, installation: Installation) -> None:
        policy = (installation.folder / "policy.yml").read_text(encoding="utf-8")
        installation.write_policy(f"{policy}\nsecurity_channel: C0ACCESS1\nsummary: {{monthly: true}}\n")
        (only,) = _notes(installation)
        assert only.startswith(
            "scopes: the monthly summary has no picture, because the bot token is missing files:write."
        )

    def test_policy_that_names_people_by_e_mail_asks_for_one_more(self, installation: Installation) -> None:
        policy = (installation.folder / "policy.yml").read_text(encoding="utf-8")
        installation.write_policy(f"{policy}\nidentity: {{trust_email: true}}\n")
        (only,) = _wrong(installation)
        assert only.startswith("scopes: the bot token is missing users:read.email.")


class TestPolicy:
    def test_each_mistake_has_its_line_and_its_fix(self, installation: Installation) -> None:
        installation.write_policy("version: 1\nprofiles: {prod: {channel: access}}\ngroup: {}\n")
        first, second = _wrong(installation)
        path = installation.folder / "policy.yml"
        assert first.startswith(f"policy: {path}:2: profiles.prod.channel: 'access' is not a Slack channel id. Copy")
        assert second == f"policy: {path}:3: group: there is no key 'group' here. Did you mean groups?"

    def test_file_that_others_may_write_is_named(self, installation: Installation) -> None:
        path = installation.folder / "policy.yml"
        path.chmod(0o666)
        (only,) = _wrong(installation)
        assert only.startswith(f"policy: everyone on this host may write {path}, and so decide who gets access. Run:")

    def test_user_group_that_slack_does_not_have_is_named(self, installation: Installation) -> None:
        policy = (installation.folder / "policy.yml").read_text(encoding="utf-8")
        installation.write_policy(policy.replace("S0SRE", "S0GONE"))
        (only,) = _wrong(installation)
        assert only.startswith("user group S0GONE: it does not exist in Slack. Correct the policy")

    @pytest.mark.parametrize(
        ("group", "said"),
        [
            (UserGroup(id="S0SRE", handle="sre"), "user group S0SRE (@sre): it has no members."),
            (UserGroup(id="S0SRE", handle="sre", users=("U0BOB",), is_disabled=True), "(@sre): it is disabled"),
        ],
    )
    def test_user_group_of_which_nobody_can_act_is_named(
        self, installation: Installation, group: UserGroup, said: str
    ) -> None:
        installation.slack.workspace.add(group)
        (only,) = _wrong(installation)
        assert said in only

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"is_archived": True}, f"channel {ACCESS} (prod, staging) #access: it is archived. Unarchive the channel"),
            ({"members": ()}, f"channel {ACCESS} (prod, staging) #access: the bot is not in it. Type /invite"),
            (
                {"members": (), "is_private": True},
                f"channel {ACCESS} (prod, staging): Slack answered channel_not_found.",
            ),
        ],
    )
    def test_channel_in_which_the_bot_cannot_post_is_named(
        self, installation: Installation, change: dict[str, Any], said: str
    ) -> None:
        channel = installation.slack.workspace.channel(ACCESS)
        installation.slack.workspace.add(channel.model_copy(update=change))
        (only,) = _wrong(installation)
        assert only.startswith(said)

    def test_channel_that_another_company_reads_is_worth_knowing(self, installation: Installation) -> None:
        bot = installation.slack.backend.app.bot_user
        installation.slack.workspace.add(Channel(id=ACCESS, name="access", members=(bot,), is_ext_shared=True))
        (only,) = _notes(installation)
        assert only.startswith(f"channel {ACCESS} (prod, staging) #access: it is shared with another company")


class TestClock:
    @pytest.mark.parametrize(("skew", "way"), [(31, "31 s ahead of"), (-600, "600 s behind")])
    def test_clock_that_differs_from_slacks_is_reported(self, installation: Installation, skew: int, way: str) -> None:
        now = installation.slack.backend.clock.now()
        installation.slack.backend.clock = FrozenClock(now)
        (found,) = self._check(installation, FrozenClock(now.replace(microsecond=0) + skew * SECOND))
        assert str(found).startswith(f"clock: this machine is {way} Slack. Deadlines depend on it")

    def test_some_seconds_on_the_way_are_no_difference(self, installation: Installation) -> None:
        now = installation.slack.backend.clock.now()
        installation.slack.backend.clock = FrozenClock(now)
        (found,) = self._check(installation, FrozenClock(now + 29 * SECOND))
        assert str(found) == "clock: in sync with Slack"

    @staticmethod
    def _check(installation: Installation, clock: FrozenClock) -> list[object]:
        checks = SlackChecks(SecretStr(installation.slack.bot_token), installation.slack.api_url, clock)
        list(checks.check_token())
        return list(checks.check_clock())


class TestStore:
    def test_file_that_is_missing_stays_missing(self, installation: Installation) -> None:
        path = installation.folder / "other.db"
        installation.set("COUNTERSIGN_STORE", f"sqlite:///{path}")
        (only,) = _wrong(installation)
        assert only.startswith(f"store: {path}: there is no database. Run `countersign tables create`.")
        assert not path.exists()

    def test_file_of_something_else_is_named(self, installation: Installation) -> None:
        (installation.folder / "countersign.db").write_text("not a database, but long enough to look like one" * 9)
        (only,) = _wrong(installation)
        assert "cannot be used" in only

    def test_dynamodb_tables_are_checked_too(
        self, installation: Installation, moto_url: str, table_prefix: str, aws_environment: None
    ) -> None:
        assert aws_environment is None
        installation.set("COUNTERSIGN_STORE", f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={moto_url}")
        wrong = _wrong(installation)
        assert wrong == [
            f"store: {table_prefix}-{table}: this table is missing. Run `countersign tables create`."
            for table in ("requests", "break-glass", "access", "audit", "outbox")
        ]
        installation.run("tables", "create")
        assert f"✓ store: the tables {table_prefix}-… in eu-west-1" in _lines(installation, code=0)

    def test_overdue_entries_are_reported_with_the_problem(self, installation: Installation) -> None:
        long_ago = FrozenClock(SystemClock().now() - OVERDUE_AFTER - 61 * SECOND)
        installation.submit(clock=long_ago)
        (only,) = _wrong(installation)
        assert only.startswith("outbox: 1 notification pending, the oldest for 11m. Start `countersign serve` or")
        installation.slack.faults.next(Refuse("is_archived"), times=None)
        installation.run("sweep")
        installation.slack.faults.clear()
        (problem,) = _notes(installation, code=1)
        assert problem.startswith("still retrying: slack: REQUEST#")
        assert "is_archived. Unarchive the channel" in problem

    def test_entries_waiting_briefly_are_no_problem(self, installation: Installation) -> None:
        installation.submit()
        assert "✓ outbox: 1 notification on the way" in _lines(installation, code=0)

    def test_parked_entries_are_shown_with_problem_and_next_step(self, installation: Installation) -> None:
        for _ in range(2):
            installation.submit()
        installation.slack.faults.next(Refuse("invalid_blocks"), "chat.postMessage", times=2)
        installation.run("sweep")
        lines = _lines(installation, code=1)
        (only,) = [line for line in lines if line.startswith("✗")]
        assert only == (
            "✗ outbox: 2 notifications could not be delivered and won't be retried. "
            "Fix the problems below, then run `countersign sweep --retry-parked`."
        )
        assert sum("not delivered: slack: REQUEST#" in line and "invalid_blocks" in line for line in lines) == 2

    def test_many_different_problems_are_cut_short(self, installation: Installation) -> None:
        with closing(installation.open()) as stores:
            for number in range(7):
                installation.submit()
                (due,) = stores.outbox.iterate_due(SystemClock().now() + DAY)
                now = SystemClock().now()
                leased = stores.outbox.lease(due, "test", now, now + SECOND)
                assert leased is not None
                stores.outbox.park(leased.model_copy(update={"problem": f"webhook: {number}"}))
        notes = _notes(installation, code=1)
        assert len(notes) == 6
        assert notes[-1] == "not delivered: 2 more"
