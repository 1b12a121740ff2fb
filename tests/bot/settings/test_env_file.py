"""Files of settings: what every reader takes alike is read, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bot.settings.env_file import add_missing, is_private, read_env_file, write_lines
from core.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {"PLAIN": "xoxb-1-2", "URL": "sqlite:////srv/a.db", "SPACED": "/srv/my files/p.yml", "SIGNS": "a$HOME`b`#c\\"}


def test_shell_and_countersign_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.write_text(f"# a comment\n\nexport FIRST=1\n{write_lines(VALUES)}")
    sh = shutil.which("sh") or "sh"
    shown = " ".join(f'"${name}"' for name in VALUES)
    script = f"set -a; . {path}; printf '%s\\n' {shown}"
    shell = subprocess.run([sh, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603  Ours.
    assert read_env_file(str(path)) == {"FIRST": "1", **VALUES}
    assert shell.stdout.splitlines() == list(VALUES.values())


@pytest.mark.parametrize(
    "line",
    [
        "A=$B",
        'A="b"',
        "A=b c",
        "just words",
        "A=`id`",
        "A=b;c",
        "A='b''c'",
        "A='b",
        "A=~/b",
        "A=b\u2028C=d",
        "A=b\x0cC=d",
        "A=b\u00a0",
        "\u00a0A=b",
        "export\u00a0A=b",
    ],
)
def test_what_a_shell_would_change_is_refused_unquoted(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.env"
    path.write_text(f"FINE=1\n{line}\n")
    with pytest.raises(InvalidInput, match=r"a\.env, line 2: it is not a variable") as error:
        read_env_file(str(path))
    assert line not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"A=b\r\n", "saved as on Windows"), (b"\xef\xbb\xbfA=b\n", "saved as on Windows"), (b"#" * 70_000, "more than")],
)
def test_what_would_be_read_differently_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.env").write_bytes(content)
    with pytest.raises(InvalidInput, match=rf"a\.env.*{said}"):
        read_env_file(str(tmp_path / "a.env"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.env").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"a\.env can't be read"):
        read_env_file(str(tmp_path / "a.env"))


@pytest.mark.parametrize("value", ["it's", "two\nlines", "\x1b[2J"])
def test_value_that_no_line_can_hold_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="NAME: its value"):
        write_lines({"NAME": value})


def test_what_is_set_already_wins_in_either_form() -> None:
    environ = {"A": "1", "B_FILE": "/b"}
    add_missing({"A": "2", "A_FILE": "/a", "B": "3", "C": "4"}, environ)
    assert environ == {"A": "1", "B_FILE": "/b", "C": "4"}


def test_file_that_everybody_can_read_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.touch(0o600)
    assert is_private(str(path))
    path.chmod(0o644)
    assert not is_private(str(path))
