"""A command that is run for somebody else: its exit codes are those of a shell."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from bot.terminal.child import CommandNotStarted, run_child


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
        (["sh", "-c", 'test "$1" = --env', "sh", "--env"], 0),
    ],
)
def test_exit_code_is_the_command_s_own(command: list[str], code: int) -> None:
    assert run_child(command, os.environ) == code


@pytest.mark.parametrize(
    ("content", "mode", "code", "said"),
    [
        (None, 0, 127, "command not found"),
        ("#!/bin/sh", 0o644, 126, "permission denied"),
        ("not a program", 0o755, 126, "exec format error"),
        ("#!/no/such/interpreter", 0o755, 127, "its interpreter isn't there"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path: Path, content: str | None, mode: int, code: int, said: str) -> None:
    path = tmp_path / "command"
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)

    with pytest.raises(CommandNotStarted, match=said) as raised:
        run_child([str(path)], os.environ)
    assert raised.value.code == code


def test_command_is_looked_for_in_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "only-here").symlink_to("/bin/true")

    assert run_child(["only-here"], {"PATH": str(tmp_path)}) == 0


def test_files_that_the_shell_opened_are_inherited() -> None:
    """As of `countersign exec prod -- diff <(…) <(…)`."""
    given, own = os.pipe()
    os.set_inheritable(given, True)  # noqa: FBT003 - it takes no name
    try:
        command = ["sh", "-c", 'test -e "/dev/fd/$1" && ! test -e "/dev/fd/$2"', "sh", str(given), str(own)]
        assert run_child(command, os.environ) == 0
    finally:
        os.close(given)
        os.close(own)


def test_handlers_of_signals_are_as_before() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    run_child(["true"], os.environ)

    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_signal_that_another_thread_gets_is_passed_on(tmp_path: Path) -> None:
    # Also the one that comes just before the wait begins, which no test can time: nothing interrupts the wait then.
    ready = tmp_path / "ready"
    os.mkfifo(ready)

    def signal_this_thread() -> None:
        ready.read_bytes()
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    thread = threading.Thread(target=signal_this_thread)
    thread.start()
    # It ends anyway, a minute later.
    script = 'trap "exit 3" USR1; echo > "$1"; for _ in $(seq 1200); do sleep 0.05; done'
    assert run_child(["sh", "-c", script, "sh", str(ready)], os.environ) == 3
    thread.join()
