"""`countersign serve` as people run it: a process of its own, on both transports, from its start to its end."""

from __future__ import annotations

import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from bot.cli import countersign
from bot.views.request.card import APPROVE
from core.request import RequestStatus
from localslack.faults import Refuse, Stall
from localslack.records import Person, UserGroup
from tests.end_to_end.harness import ACCESS, JON, MIRA, WHY
from tests.harness.policy_files import write_settled
from tests.harness.served_bot import AUDIT_KEY, PATIENCE, Serving, environment, free_port, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localslack.server import LocalSlack

FILES: Final = 200
"""Enough to start with, and fewer than the flood takes."""
ASK = f"prod 2h {WHY}"
PIA: Final = "U0PIA"


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with new_slack() as slack:
        yield slack


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def over_http(slack: LocalSlack, tmp_path: Path, port: int) -> Iterator[Serving]:
    slack.use_http(f"http://127.0.0.1:{port}/slack/events")
    # A platform that gives one port only: metrics and readiness are served there too.
    only = f"127.0.0.1:{port}"
    with Serving(environment(slack, tmp_path, COUNTERSIGN_LISTEN=only, COUNTERSIGN_METRICS=only), tmp_path) as serving:
        serving.wait_until_up(slack)
        yield serving


@pytest.fixture
def over_socket_mode(slack: LocalSlack, tmp_path: Path, port: int) -> Iterator[Serving]:
    with Serving(environment(slack, tmp_path, COUNTERSIGN_METRICS=f"127.0.0.1:{port}"), tmp_path) as serving:
        serving.wait_until_up(slack)
        yield serving


def get(port: int, page: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}/{page}", timeout=PATIENCE) as response:
        return str(response.read().decode())


@pytest.mark.parametrize("transport", ["over_http", "over_socket_mode"])
def test_serve_runs_a_request_to_approval_and_stops_on_a_signal(
    transport: str, request: pytest.FixtureRequest, slack: LocalSlack, port: int
) -> None:
    serving: Serving = request.getfixturevalue(transport)

    assert slack.run_command(MIRA, ACCESS, "/access", ASK).failure is None
    (card,) = slack.wait_until(lambda: slack.messages(ACCESS), PATIENCE)
    assert slack.press(JON, card, APPROVE).failure is None
    slack.wait_until(lambda: "pproved" in slack.messages(ACCESS)[0].text and slack.dm(MIRA), PATIENCE)
    assert get(port, "healthz") == "ok\n"
    assert '"ready":true' in get(port, "readyz")
    shown = get(port, "metrics")
    assert 'countersign_decisions_total{kind="request",outcome="approved"} 1.0' in shown
    assert "countersign_outbox_parked 0.0" in shown
    assert "process_resident_memory_bytes" in shown
    serving.tell_to_stop()
    assert serving.wait() == 0, serving.log

    with closing(serving.open_stores()) as stores:
        (stored,) = stores.requests.iterate()
    assert (stored.requester, stored.status) == (MIRA, RequestStatus.APPROVED)
    assert serving.lines[-1]["message"] == "stopped"
    asked, approved = [line for line in serving.lines if line["logger"] == "countersign.decisions"]
    assert (asked["message"], asked["record"]) == ("request_submitted on prod", stored.chain)
    assert (approved["message"], approved["record"]) == ("request_approved on prod", stored.chain)
    assert [line for line in serving.lines if line["level"] != "INFO"] == []
    for secret in (slack.bot_token, slack.app_token, slack.signing_secret, AUDIT_KEY, "INC-12"):
        assert secret not in serving.log


@pytest.mark.parametrize("transport", ["over_http", "over_socket_mode"])
def test_interaction_in_flight_is_finished_when_the_signal_comes(
    transport: str, request: pytest.FixtureRequest, slack: LocalSlack
) -> None:
    # The policy doesn't name this person by id, so nobody looked them up at the start.
    slack.workspace.add(Person(id=PIA, name="pia"), UserGroup(id="S0ENG", handle="eng", users=(PIA,)))
    serving: Serving = request.getfixturevalue(transport)
    stall = Stall()
    slack.faults.next(stall, "users.info")
    with ThreadPoolExecutor(1) as people:
        asked = people.submit(slack.run_command, PIA, ACCESS, "/access", ASK)
        assert stall.reached.wait(PATIENCE)
        serving.tell_to_stop(signal.SIGINT)
        slack.wait_until(lambda: "stopping" in serving.log, PATIENCE)
        stall.release()
        answer = asked.result(PATIENCE)
    assert serving.wait() == 0, serving.log

    # Slack or the disk may have been too slow for the seconds that a click waits; there is one answer, and it is true.
    assert answer.failure is None
    assert answer.message is not None
    said = str(answer.message.blocks)
    with closing(serving.open_stores()) as stores:
        found = len(list(stores.requests.iterate()))
    # An answer that nothing is known yet is true of both.
    assert "isn't recorded yet" in said or found == int("You requested" in said)


def test_second_signal_ends_it_at_once(over_http: Serving, slack: LocalSlack) -> None:
    stall = Stall()
    slack.faults.next(stall, "views.open", times=None)
    assert slack.run_command(JON, ACCESS, "/access").failure is None
    assert stall.reached.wait(PATIENCE)
    over_http.tell_to_stop()
    slack.wait_until(lambda: "stopping" in over_http.log, PATIENCE)
    over_http.tell_to_stop()

    assert over_http.wait() == 128 + signal.SIGTERM


def test_flood_beyond_its_files_stops_neither_clicks_nor_health(slack: LocalSlack, tmp_path: Path, port: int) -> None:
    slack.use_http(f"http://127.0.0.1:{port}/slack/events")
    health_port = free_port()
    listen = {"COUNTERSIGN_LISTEN": f"127.0.0.1:{port}", "COUNTERSIGN_METRICS": f"127.0.0.1:{health_port}"}
    with_few_files = ("sh", "-c", f'ulimit -n {FILES} && exec "$0" -m bot.cli "$@"', sys.executable)
    with ExitStack() as stack, Serving(environment(slack, tmp_path, **listen), tmp_path, with_few_files) as serving:
        serving.wait_until_up(slack)
        for _ in range(2 * FILES):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            with suppress(OSError):
                client.sendall(b"POST /slack/events HTTP/1.1\r\n")

        assert slack.run_command(MIRA, ACCESS, "/access", ASK).failure is None
        assert '"ready":true' in get(health_port, "readyz")
        assert get(port, "healthz") == "ok\n"
        serving.tell_to_stop()
        assert serving.wait() == 0, serving.log
    assert "Too many open files" not in serving.log


class TestRefusals:
    """What keeps it from starting, each in one line."""

    @pytest.fixture
    def variables(
        self, slack: LocalSlack, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, str]:
        variables = environment(slack, tmp_path, COUNTERSIGN_LISTEN=f"127.0.0.1:{port}")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return variables

    def run(self, folder: Path, variables: dict[str, str]) -> tuple[int, list[str]]:
        with Serving(variables, folder) as serving:
            code = serving.wait()
            return code, [line for line in serving.log.splitlines() if not line.startswith("{")]

    @pytest.mark.parametrize(
        ("name", "value", "fix"),
        [
            ("COUNTERSIGN_AUDIT_KEY", None, "countersign audit key new"),
            ("SLACK_BOT_TOKEN", None, "Copy it from OAuth & Permissions"),
            ("SLACK_SIGNING_SECRET", None, "it verifies that requests come from Slack"),
            ("COUNTERSIGN_STORE", "postgres://x", "Write sqlite:///countersign.db"),
        ],
    )
    def test_name_the_setting_and_the_fix(
        self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, fix: str
    ) -> None:
        del variables
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
        result: Result = CliRunner().invoke(countersign, ["serve"])

        assert result.exit_code == 2
        assert result.stderr.startswith(f"countersign: {name}: ")
        assert fix in result.stderr
        assert result.stderr.count("\n") == 1

    def test_name_all_settings_at_once(self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        for name in (*variables.keys() - {"PATH"}, "COUNTERSIGN_LISTEN"):
            monkeypatch.delenv(name, raising=False)
        result: Result = CliRunner().invoke(countersign, ["serve"])

        first, *each = result.stderr.splitlines()
        assert (result.exit_code, first) == (2, "countersign: 3 settings have to be fixed first:")
        assert [line.split(":")[0] for line in each] == [
            "  COUNTERSIGN_AUDIT_KEY", "  SLACK_BOT_TOKEN", "  SLACK_APP_TOKEN",
        ]  # fmt: skip

    @pytest.mark.parametrize("error", ["invalid_auth", "two_factor_setup_required"])
    def test_of_a_token_say_what_slack_said(
        self, slack: LocalSlack, tmp_path: Path, variables: dict[str, str], error: str
    ) -> None:
        slack.faults.next(Refuse(error), "auth.test")
        code, (line,) = self.run(tmp_path, variables)

        assert code == 2
        assert line.startswith(f"countersign: SLACK_BOT_TOKEN: Slack refuses it ({error}).")
        assert slack.bot_token not in line

    @pytest.mark.parametrize(
        ("error", "fix"),
        [
            ("not_allowed_token_type", "Generate a token with the scope connections:write"),
            ("access_denied", "Ask an admin of the Slack workspace to allow this app."),
            ("team_access_not_granted", "Ask an admin of the Slack organization to add this app to the workspace."),
            ("org_login_required", "wait for the end of the migration."),
        ],
    )
    def test_of_an_app_token_say_what_slack_said_and_the_fix(
        self, slack: LocalSlack, tmp_path: Path, variables: dict[str, str], error: str, fix: str
    ) -> None:
        slack.faults.next(Refuse(error), "apps.connections.open", times=None)
        del variables["COUNTERSIGN_LISTEN"]
        code, (line,) = self.run(tmp_path, variables)

        assert code == 2
        assert line.startswith(f"countersign: SLACK_APP_TOKEN: Slack refuses it ({error}).")
        assert fix in line

    def test_of_a_slack_that_does_not_answer_say_so(self, tmp_path: Path, variables: dict[str, str]) -> None:
        variables["SLACK_API_URL"] = f"http://127.0.0.1:{free_port()}/api/"
        code, (line,) = self.run(tmp_path, variables)

        assert code == 1
        assert line.startswith("countersign: Slack did not answer: ")

    def test_of_a_policy_list_its_mistakes(self, tmp_path: Path, variables: dict[str, str]) -> None:
        write_settled(tmp_path / "policy.yml", "version: 2\n")
        code, lines = self.run(tmp_path, variables)

        assert code == 2
        assert "2 mistakes" in lines[0]

    def test_of_an_address_name_the_setting(self, tmp_path: Path, variables: dict[str, str], port: int) -> None:
        with socket.create_server(("127.0.0.1", port)):
            code, (line,) = self.run(tmp_path, variables)

        assert code == 2
        assert line.startswith("countersign: COUNTERSIGN_LISTEN: nothing can listen on 127.0.0.1:")
