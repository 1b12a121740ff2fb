"""`countersign init`: from two tokens to an installation in which doctor finds nothing wrong."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from bot.cli import countersign
from bot.commands.first_policy import FirstPolicy
from bot.commands.init_answers import InitOptions, Questions, ask_for_policy
from bot.commands.terminal import Ink
from bot.doctor.slack_calls import PatientSlack
from bot.doctor.slack_names import Named, Place, SlackNames
from bot.settings.env_file import read_env_file
from core.clock import SystemClock
from core.errors import InvalidInput
from core.policy import load_policy
from localslack.faults import Refuse
from localslack.records import Channel, Person, UserGroup
from tests.end_to_end.harness import AIKO, JON, MIRA
from tests.harness.served_bot import new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localslack.server import LocalSlack

FILES = ("countersign.env", "countersign-audit.key", "policy.yml", "countersign.db")


@dataclass
class Operator:
    slack: LocalSlack
    folder: Path

    def run(self, *arguments: str, **environment: str) -> Result:
        """In a process's own environment: what the command sets there ends with it."""
        kept = dict(os.environ)
        unset = {name: None for name in kept if name.startswith(("COUNTERSIGN_", "SLACK_"))}
        known = {"SLACK_API_URL": self.slack.api_url, **environment}
        try:
            return CliRunner().invoke(
                countersign, ["init", "--folder", str(self.folder), *arguments], env={**unset, **known}
            )
        finally:
            os.environ.clear()
            os.environ.update(kept)

    def set_up(self, *arguments: str, **environment: str) -> Result:
        tokens = {"SLACK_BOT_TOKEN": self.slack.bot_token, "SLACK_APP_TOKEN": self.slack.app_token}
        return self.run("--me", "@mira", "--approver", "@eng", "--approver", JON, *arguments, **tokens, **environment)

    def contents(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in FILES[:3]}


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with new_slack() as slack:
        yield Operator(slack, tmp_path)


def test_tokens_are_all_that_it_needs_beside_names(operator: Operator) -> None:
    ended = operator.set_up()

    assert ended.exit_code == 0, ended.output
    assert "no problems found" in ended.output
    assert "countersign serve --env-file" in ended.output.splitlines()[-1]
    for secret in (operator.slack.bot_token, operator.slack.app_token):
        assert secret not in ended.output
    policy = load_policy(operator.folder / "policy.yml").document
    assert [each.value for each in policy.admins or ()] == [MIRA]
    assert policy.profiles["prod"].channel == "C0ACCESS"
    for name in ("countersign.env", "countersign-audit.key", "countersign.db"):
        assert stat.S_IMODE((operator.folder / name).stat().st_mode) == 0o600


def test_places_that_the_environment_names_are_kept(operator: Operator) -> None:
    """As for a service, which has its store in one folder and its settings in another."""
    places = {
        "COUNTERSIGN_STORE": f"sqlite:///{operator.folder}/state.db",
        "COUNTERSIGN_MFA_SECRETS": f"{operator.folder}/mfa.json",
        "COUNTERSIGN_METRICS": "127.0.0.1:9464",
    }
    tokens = {"SLACK_BOT_TOKEN": operator.slack.bot_token, "SLACK_APP_TOKEN": operator.slack.app_token}
    ended = operator.run("--me", "@mira", "--approver", JON, **tokens, **places)

    assert ended.exit_code == 0, ended.output
    kept = read_env_file(str(operator.folder / "countersign.env"))
    assert places.items() <= kept.items()
    assert (operator.folder / "state.db").exists()


def test_second_run_asks_and_changes_nothing(operator: Operator) -> None:
    operator.set_up()
    before = operator.contents()
    again = operator.run()

    assert again.exit_code == 0, again.output
    assert operator.contents() == before
    assert [line for line in again.output.splitlines() if "wrote" in line] == []


def test_other_token_replaces_none_without_asking(operator: Operator) -> None:
    operator.set_up()
    before = operator.contents()
    (operator.folder / "countersign.env").write_text(
        before["countersign.env"].decode().replace(operator.slack.bot_token, "xoxb-older")
    )
    refused = operator.run(SLACK_BOT_TOKEN=operator.slack.bot_token)

    assert refused.exit_code == 2
    assert "SLACK_BOT_TOKEN" in refused.stderr
    assert "has another value" in refused.stderr
    assert "xoxb-older" in (operator.folder / "countersign.env").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "2 settings have to be fixed first:"),
        (("--folder", "/no/such/folder"), "there is no folder"),
        (("--bot-token-file", "/no/such/file"), "SLACK_BOT_TOKEN_FILE: the file that it names can't be read"),
    ],
)
def test_what_is_missing_is_said_and_nothing_written(operator: Operator, arguments: tuple[str, ...], said: str) -> None:
    ended = operator.run(*arguments)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert list(operator.folder.iterdir()) == []


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
def test_token_that_slack_refuses_ends_it_before_anything(operator: Operator, method: str) -> None:
    operator.slack.faults.next(Refuse("invalid_auth"), method)
    ended = operator.set_up()

    assert ended.exit_code == 2
    assert "Slack answered invalid_auth" in ended.stderr
    assert list(operator.folder.iterdir()) == []


def test_folder_that_no_line_can_hold_ends_it_early(operator: Operator) -> None:
    operator.folder /= "it's here"
    operator.folder.mkdir()
    ended = operator.set_up()

    assert ended.exit_code == 2
    assert "its value has a quote" in ended.stderr
    assert list(operator.folder.iterdir()) == []


def test_kept_key_that_is_none_ends_it_early(operator: Operator) -> None:
    (operator.folder / "countersign-audit.key").touch()
    ended = operator.set_up()

    assert ended.exit_code == 2
    assert "COUNTERSIGN_AUDIT_KEY: a key has fewer than 32 characters" in ended.stderr
    assert len(list(operator.folder.iterdir())) == 1


def test_key_is_made_where_the_environment_says(operator: Operator) -> None:
    elsewhere = operator.folder / "elsewhere.key"
    assert operator.set_up(COUNTERSIGN_AUDIT_KEY_FILE=str(elsewhere)).exit_code == 0
    assert elsewhere.exists()

    # A new one in its place couldn't verify the trail.
    elsewhere.unlink()
    again = operator.run()
    assert again.exit_code == 2
    assert "elsewhere.key' can't be read" in again.stderr


def test_own_lines_of_a_settings_file_are_kept(operator: Operator) -> None:
    (operator.folder / "countersign.env").write_text("# Ours, since 2024")
    operator.set_up()
    assert (operator.folder / "countersign.env").read_text().startswith("# Ours, since 2024\nSLACK_BOT_TOKEN=")


def test_unknown_name_ends_it_before_anything(operator: Operator) -> None:
    ended = operator.set_up("--channel", "#nowhere")

    assert ended.exit_code == 2
    assert "channel: Slack shows the bot no channel '#nowhere'" in ended.stderr
    assert list(operator.folder.iterdir()) == []


class TestNames:
    @pytest.fixture
    def workspace(self, operator: Operator) -> SlackNames:
        slack = operator.slack
        slack.workspace.add(
            Person(id="U0TWIN1", name="sam.a", real_name="Sam Lee"),
            Person(id="U0TWIN2", name="sam.b", real_name="Sam Lee"),
            Person(id="U0GONE", name="gone", deleted=True),
            UserGroup(id="S0NOBODY", handle="ops", users=()),
            Channel(id="C0OTHER", name="other", members=()),
            Channel(id="C0HIDDEN", name="hidden", members=(), is_private=True),
        )
        return SlackNames(PatientSlack(SecretStr(slack.bot_token), slack.api_url, SystemClock()))

    def test_are_found_as_slack_shows_them(self, workspace: SlackNames) -> None:
        assert workspace.find_channel("#other", "channel") == Place("C0OTHER", "other", is_member=False)
        assert workspace.find_person("@Aiko", "me").id == AIKO
        assert workspace.find_approver("eng", "approver").id == "S0ENG"
        assert workspace.find_approver("U0ELSEWHERE", "approver") == Named("U0ELSEWHERE", ("U0ELSEWHERE",))
        assert [each.name for each in workspace.channels if each.is_member] == ["access-prod", "pairs"]

    @pytest.mark.parametrize("name", ["Sam Lee", "gone", "@ops", ""])
    def test_that_fit_several_or_nobody_are_refused(self, workspace: SlackNames, name: str) -> None:
        with pytest.raises(InvalidInput):
            workspace.find_approver(name, "approver")
        with pytest.raises(InvalidInput):
            workspace.find_channel("hidden", "channel")

    def test_lists_that_slack_refuses_are_said(self, operator: Operator, workspace: SlackNames) -> None:
        operator.slack.faults.next(Refuse("missing_scope"), "conversations.list")
        assert list(workspace.channels) == []
        (said,) = workspace.refused
        assert said.startswith("channels: Slack answered missing_scope")

    def test_defaults_are_what_the_bot_is_in(self, workspace: SlackNames) -> None:
        silent = Questions(is_asking=False, ink=Ink(is_colored=False, met="+", unmet="-"))
        chosen = ask_for_policy(silent, workspace, InitOptions(operator=MIRA, approvers=("@eng",)))
        assert (chosen.channel.id, chosen.profile, chosen.security) == ("C0ACCESS", "prod", None)


@pytest.mark.parametrize("name", ["ann", "x\n evil: true", "# : [", "\u202eann", "'" * 300, "@", "{}"])
@pytest.mark.parametrize("security", [None, Place("C0SEC", "sec: [", is_member=True)])
def test_first_policy_is_valid_whatever_the_names(tmp_path: Path, name: str, security: Place | None) -> None:
    people = (Named("U0ANN", (name,)), Named("S0SRE", (name, name)))
    chosen = FirstPolicy("prod-1/db", Place("C0ACCESS", name, is_member=True), people, people[0], security)
    (tmp_path / "policy.yml").write_text(chosen.write(), encoding="utf-8")

    document = load_policy(tmp_path / "policy.yml").document
    assert list(document.profiles) == ["prod-1/db"]
    assert document.security_channel == (security.id if security is not None else None)
