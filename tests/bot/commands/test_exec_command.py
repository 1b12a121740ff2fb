"""`countersign exec`: real commands, real signals, a real terminal, and botocore inside the command."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.api.problems import ProblemCode
from tests.harness.fake_broker import SECRET_KEY, Broker, FakeBroker
from tests.harness.paired_machine import PATIENCE, PairedMachine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

SHOW_CREDENTIALS = """
import botocore.session
found = botocore.session.Session().get_credentials()
print(found.method, found.access_key if found else None, botocore.session.Session().get_config_variable("region"))
"""
SHOW_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"
COUNT_SIGNALS = """
import os, signal, sys
seen = []
# Not with print, which a second signal may find in the middle of its work.
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    name = each.name.encode() + b"\\n"
    signal.signal(each, lambda number, _, name=name: (seen.append(number), os.write(1, name)))
print("ready", flush=True)
for line in sys.stdin:
    break
print("seen", len(seen), flush=True)
sys.exit(7)
"""
PYTHON = sys.executable
ENDED_AT = datetime(2026, 1, 15, 14, 5, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[FakeBroker]:
    with FakeBroker() as serving:
        yield serving


@pytest.fixture
def broker(server: FakeBroker) -> Broker:
    return server.state


@pytest.fixture
def machine(server: FakeBroker, tmp_path: Path) -> PairedMachine:
    machine = PairedMachine(tmp_path)
    machine.pair(server.url)
    return machine


def test_command_gets_credentials_and_its_exit_code_comes_back(machine: PairedMachine, broker: Broker) -> None:
    other = {"AWS_PROFILE": "other", "AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"}
    done = machine.run("exec", "prod", "--", PYTHON, "-c", f"{SHOW_CREDENTIALS}\nraise SystemExit(42)", **other)

    assert done.stdout.split()[:2] == ["container-role", "ASIAEXAMPLE000000001"]
    assert (done.returncode, done.stderr) == (42, "")
    assert broker.asked == ["prod"]


def test_keys_of_the_default_profile_are_not_used_instead(machine: PairedMachine) -> None:
    folder = machine.home / ".aws"
    folder.mkdir()
    config, shared = folder / "config", folder / "credentials"
    config.write_text(
        "[default]\nregion = eu-central-1\nsso_session = x\n"
        "role_arn = arn:aws:iam::1:role/x\ncredential_source = Environment\n"
        "[profile mine]\nregion = us-east-1\naws_secret_access_key = MineSecret\n",
        encoding="utf-8",
    )
    shared.write_text("[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = x\n", encoding="utf-8")
    show = f"{SHOW_CREDENTIALS}\nimport os\npath = os.environ['AWS_CONFIG_FILE']\nprint(open(path).read(), path)"

    done = machine.run("exec", "prod", PYTHON, "-c", show)

    assert done.stdout.split()[:3] == ["container-role", "ASIAEXAMPLE000000001", "eu-central-1"], done.stderr
    assert "[profile mine]\nregion = us-east-1\n" in done.stdout
    assert "MineSecret" not in done.stdout
    assert not Path(done.stdout.split()[-1]).exists()
    assert "AKIAOTHER" in shared.read_text(encoding="utf-8")


def test_static_keys_are_new_and_in_the_environment_only(machine: PairedMachine, broker: Broker) -> None:
    machine.run("credentials", "prod")
    done = machine.run("exec", "--env", "prod", "--", PYTHON, "-c", SHOW_ENVIRONMENT, AWS_SESSION_TOKEN="other")
    found = json.loads(done.stdout)

    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]) == ("ASIAEXAMPLE000000002", SECRET_KEY)
    assert found["AWS_SESSION_TOKEN"] != "other"
    assert [name for name in found if name.startswith("AWS_CONTAINER")] == []
    assert broker.asked == ["prod"] * 2


def test_command_that_is_not_there_is_said(machine: PairedMachine) -> None:
    done = machine.run("exec", "prod", "no-such-command")

    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "countersign exec: no-such-command: command not found\n"


def test_nothing_is_run_without_access(machine: PairedMachine, broker: Broker) -> None:
    broker.refuse(ProblemCode.ENDED, "Your access ended.", ends_at=ENDED_AT)

    done = machine.run("exec", "prod", "--", "touch", str(machine.home / "was-run"))

    assert done.returncode == 125
    assert done.stderr.startswith("countersign exec: Your access to prod ended at 2026-01-15 14:05. Ask again: ")
    assert not (machine.home / "was-run").exists()


def test_signals_reach_the_command_once_without_a_terminal(machine: PairedMachine) -> None:
    process = machine.start("exec", "prod", "--", PYTHON, "-c", COUNT_SIGNALS, has_stdin=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        process.send_signal(each)
        assert process.stdout.readline() == f"{each.name}\n"

    out, err = process.communicate("\n", timeout=60)
    assert (process.returncode, out, err) == (7, "seen 4\n", "")


def test_ctrl_c_reaches_the_command_once(machine: PairedMachine) -> None:
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - it becomes the command
        arguments = ["countersign", "exec", "prod", PYTHON, "-c", COUNT_SIGNALS]
        os.execvpe(machine.command, arguments, machine.environment)  # noqa: S606 - the command is ours
    with os.fdopen(terminal, "rb+", buffering=0) as screen:
        # On a terminal, it says until when access lasts.
        assert b"countersign exec: access for prod until " in read_line(screen)
        assert read_line(screen) == b"ready"
        # Stopped, `exec` can pass nothing on at the same moment: two signals at once would count as one.
        os.kill(child, signal.SIGSTOP)
        screen.write(b"\x03")
        assert read_line(screen).endswith(b"SIGINT")
        os.kill(child, signal.SIGCONT)
        # Had `exec` passed the first one on, it would come before this one.
        os.kill(child, signal.SIGUSR1)
        assert read_line(screen) == b"SIGUSR1"
        screen.write(b"\n")
        assert read_line(screen) == b""
        assert read_line(screen) == b"seen 2"
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_signal_ignored_from_the_start_stays_ignored(machine: PairedMachine) -> None:
    # As nohup does it. Other signals have their defaults, whatever Python makes of them.
    ignore = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    ask = "import signal; print([signal.getsignal(each) for each in (1, 10, 13, 15)])"
    done = machine.run_python(ignore, str(machine.command), "exec", "prod", PYTHON, "-I", "-c", ask)
    handlers = [signal.SIG_IGN, signal.SIG_DFL, signal.SIG_IGN, signal.SIG_DFL]

    # Python itself ignores SIGPIPE.
    assert done.stdout == f"{handlers}\n"


def test_end_of_access_is_what_the_sdk_says(machine: PairedMachine, broker: Broker) -> None:
    # Access ends while the command runs, and its SDK wants new credentials.
    refused = """
import sys, botocore.session, botocore.utils
botocore.utils.ContainerMetadataFetcher.SLEEP_TIME = 0
sys.stdin.readline()
try:
    botocore.session.Session().get_credentials()
except Exception as error:
    print(type(error).__name__, error)
"""
    broker.lease = timedelta(minutes=15, seconds=30)
    process = machine.start("exec", "prod", "--", PYTHON, "-c", refused, has_stdin=True)
    assert broker.waiting.acquire(timeout=60)
    for _ in range(3):
        broker.refuse(ProblemCode.ENDED, "Your access ended.", ends_at=ENDED_AT)
    out, _ = process.communicate("\n", timeout=60)

    assert out.startswith("CredentialRetrievalError")
    assert "Your access to prod ended at 2026-01-15 14:05. Ask again: countersign request prod 1h" in out


def read_line(screen: FileIO) -> bytes:
    """The next line on the terminal, without its end."""
    found = b""
    while not found.endswith(b"\n"):
        assert select.select([screen], [], [], PATIENCE)[0], f"nothing more came after {found!r}"
        found += screen.read(1)
    return found.strip()
