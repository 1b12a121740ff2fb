"""Whatever goes wrong on the command line: one line that names the place and the fix, and the exit code that fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner, Result

from bot.cli import Commands, countersign
from bot.commands.terminal import Ink, color_option, has_color

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in tuple(os.environ):
        if name.startswith(("COUNTERSIGN_", "SLACK_")) or name in {"NO_COLOR", "FORCE_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    return tmp_path


def run(line: str) -> Result:
    return CliRunner().invoke(countersign, line.split())


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("nope", 2, "No such command 'nope'. Run: countersign --help"),
        ("policy check --nope", 2, "No such option '--nope'. Run: countersign policy check --help"),
        ("policy explain", 2, "Missing option '--profile'. Run: countersign policy explain --help"),
        ("completion tcsh", 2, "Run: countersign completion --help"),
        ("--env-file folder tables check", 2, "env-file: folder can't be read: Is a directory."),
        ("--env-file binary tables check", 2, "env-file: binary can't be read: it is not text."),
        ("serve --env-file nowhere", 2, "env-file: nowhere can't be read: No such file or directory."),
        ("tables create --store sqlite:///folder", 3, "folder cannot be opened: it is not a file."),
        ("audit export --store sqlite:///binary", 3, "binary cannot be used: file is not a database."),
        (f"audit export --store sqlite:///{'x' * 300}", 2, "File name too long. Check the path and its mode."),
        ("tables check --store nonsense", 2, "store: it doesn't begin with a kind of store. Write sqlite:///"),
        ("audit verify --checkpoint binary", 2, "file: binary can't be read: it is not text."),
        ("request prod 1h why --wait --timeout 90", 2, "timeout: 90 has no unit. Did you mean 90s or 90m?"),
    ],
)
def test_bad_input_is_one_line_with_place_and_fix(line: str, code: int, said: str) -> None:
    result = run(line)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("countersign: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def _raise(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "countersign: stopped; nothing more was done.\n"),
        (click.Abort(), 130, "countersign: stopped; nothing more was done.\n"),
        (PermissionError(13, "Permission denied", "/srv/x"), 2, "countersign: /srv/x: Permission denied. Check the"),
        (OSError(28, "No space left on device"), 2, "countersign: the output can't be written: No space left on"),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
)
def test_what_the_system_says_is_one_line(error: BaseException, code: int, said: str) -> None:
    group = Commands("countersign")
    group.command("x")(_raise(error))
    result = CliRunner().invoke(group, ["x"])
    assert result.exit_code == code
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == bool(said)


def test_closed_and_full_outputs_bring_no_traceback() -> None:
    """In a process of its own, where warnings are errors."""
    command = f"{sys.executable} -W error -m bot.terminal.start"
    script = f"{command} policy example >&- 2>&-; echo $?; {command} policy example >/dev/full; echo $?"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env=environment)  # noqa: S603  Ours.
    assert done.stdout.split() == ["0", "2"]
    assert done.stderr == "countersign: the output can't be written: No space left on device. Check where it goes.\n"


class TestColors:
    @pytest.mark.parametrize(
        ("variables", "is_terminal", "is_colored"),
        [
            ({}, True, True),
            ({}, False, False),
            ({"NO_COLOR": "1"}, True, False),
            ({"NO_COLOR": ""}, True, True),
            ({"FORCE_COLOR": "1"}, False, True),
            ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
            ({"TERM": "dumb"}, True, False),
        ],
    )
    def test_are_those_that_the_variables_ask_for(
        self, variables: dict[str, str], *, is_terminal: bool, is_colored: bool
    ) -> None:
        class Stream:
            def isatty(self) -> bool:
                return is_terminal

        with patch.dict(os.environ, {"TERM": "xterm", **variables}):
            assert has_color(Stream()) is is_colored

    @pytest.mark.parametrize(("options", "is_colored"), [(["--color"], True), (["--no-color"], False), ([], False)])
    @pytest.mark.parametrize("where", ["group", "command"])
    def test_option_wins_before_or_after_the_command(self, options: list[str], where: str, *, is_colored: bool) -> None:
        @click.command("x")
        @color_option
        def command() -> None:
            click.echo(json.dumps(Ink.of_stdout().is_colored))

        group = color_option(Commands("countersign"))
        group.add_command(command)
        with patch.dict(os.environ, {"FORCE_COLOR": "1"} if options == ["--no-color"] else {}):
            line = [*options, "x"] if where == "group" else ["x", *options]
            assert json.loads(CliRunner().invoke(group, line).output) is is_colored


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_what_the_shell_loads(shell: str) -> None:
    assert "_COUNTERSIGN_COMPLETE" in run(f"completion {shell}").output


def test_completion_knows_commands_and_their_options() -> None:
    words = {"_COUNTERSIGN_COMPLETE": "bash_complete", "COMP_WORDS": "countersign audit ver", "COMP_CWORD": "2"}
    with patch.dict(os.environ, words):
        found = CliRunner().invoke(countersign, [], prog_name="countersign").output
    assert found == "plain,verify\n"


@pytest.mark.parametrize("words", ["report --out re", "policy check po", "policy diff a.yml b", "--env-file a"])
def test_completion_leaves_names_of_files_to_the_shell(words: str) -> None:
    typed = f"countersign {words}"
    environment = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    with patch.dict(os.environ, {"_COUNTERSIGN_COMPLETE": "bash_complete", **environment}):
        found = CliRunner().invoke(countersign, [], prog_name="countersign").output
    assert found == f"file,{typed.rsplit(maxsplit=1)[-1]}\n"
