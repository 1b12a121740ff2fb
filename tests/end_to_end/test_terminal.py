"""A terminal beside Slack: paired, asked, approved in Slack, ended; through `serve` as it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from bot.cli import countersign
from bot.settings.terminal import is_token
from bot.views.devices.pairing import OWN, WHOSE
from bot.views.inputs import ANSWER
from bot.views.request.card import APPROVE
from tests.end_to_end.harness import ACCESS, JON, MIRA, ROOT
from tests.harness.served_bot import PATIENCE, Serving, environment, free_port, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localslack.server import LocalSlack


class Terminal:
    """A shell with a home of its own, in which `countersign` runs as it is installed."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self._environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COUNTERSIGN_HOME": str(home)}
        self._environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
        self.url = url

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "bot.cli", *arguments],
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command in this process, which is quicker: its exit code, and what it wrote."""
        environ: dict[str, str | None] = {**dict.fromkeys(os.environ), **self._environ}
        done = CliRunner().invoke(countersign, arguments, env=environ)
        return done.exit_code, done.stdout if done.exit_code == 0 else done.output

    def finish(self, command: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for a command: its exit code, and what it wrote."""
        out, err = command.communicate(timeout=PATIENCE)
        return command.returncode, out if command.returncode == 0 else out + err

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON enters here
        """Run a command that has to work, and read what it wrote."""
        code, written = self.run(*arguments, "--json")
        assert code == 0, written
        return json.loads(written)


class Office:
    """Slack, the bot as a process of its own, and a terminal."""

    def __init__(self, slack: LocalSlack, serving: Serving, terminal: Terminal) -> None:
        self.slack = slack
        self.serving = serving
        self.terminal = terminal

    def pair(self) -> None:
        """Mira pairs the terminal."""
        login = self.terminal.start("login", self.terminal.url, "--name", "build-7", "--json")
        assert login.stdout is not None
        typed = json.loads(login.stdout.readline())["confirm_with"]
        command, _, text = typed.partition(" ")
        assert self.slack.run_command(MIRA, ACCESS, command, text).failure is None
        form = self.slack.wait_until(lambda: self.slack.modal(MIRA), PATIENCE)
        assert form is not None
        assert "build-7" in str(form.json)
        assert self.slack.submit(MIRA, form, {WHOSE: {ANSWER: OWN}}).failure is None
        assert self.terminal.finish(login)[0] == 0


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with new_slack() as slack:
        listen = f"127.0.0.1:{free_port()}"
        more = {"COUNTERSIGN_API_LISTEN": listen, "COUNTERSIGN_API_URL": f"http://{listen}"}
        with Serving(environment(slack, tmp_path, **more), tmp_path) as serving:
            serving.wait_until_up(slack)
            yield Office(slack, serving, Terminal(tmp_path / "home", f"http://{listen}"))


def test_a_terminal_is_paired_asks_and_is_approved(office: Office) -> None:
    office.pair()
    (kept,) = office.terminal.home.glob("token-*")
    assert is_token(kept.read_text().strip())
    asked = office.terminal.start("request", "prod", "30m", "deploy the fix for INC-12", "--wait", "--json")
    (card,) = office.slack.wait_until(lambda: office.slack.messages(ACCESS), PATIENCE)
    assert office.slack.press(JON, card, APPROVE).failure is None
    code, written = office.terminal.finish(asked)
    assert code == 0, written
    found = json.loads(written)
    assert (found["outcome"], found["request"]["requester"]) == ("granted", MIRA)
    assert found["request"]["device"] == "build-7"
    assert found["request"]["approvals"][0]["approver"]["id"] == JON

    refused, written = office.terminal.run("request", "prod", "9h", "deploy the fix for INC-12", "--wait")
    assert (refused, len(written.splitlines()), "4h" in written) == (1, 1, True)

    made = office.terminal.json("request", "vault", "1h", "look at the audit log")["request"]["id"]
    assert office.terminal.json("request", "cancel", made)["outcome"] == "cancelled"
    assert office.terminal.run("request", "show", made, "--wait")[0] == 3

    assert office.terminal.run("logout")[0] == 0
    assert office.terminal.run("request", "list")[0] == 7
    assert kept.name not in {path.name for path in office.terminal.home.iterdir()}
