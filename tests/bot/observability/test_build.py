"""Which commit runs: that of the build, that of the clone, or unknown."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from bot.observability.build import COMMIT_FILE, UNKNOWN, find_build

COMMIT: Final = "0123456789abcdef" * 2 + "01234567"
OTHER: Final = "f" * 40
SHORT: Final = COMMIT[:12]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of `bot` in a clone that has nothing of git's yet."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "countersign"\n')
    (tmp_path / "bot").mkdir()
    return tmp_path / "bot"


def write_git(package: Path, head: str, **files: str) -> Path:
    """Git's own files, as far as they name commits."""
    git = package.parent / ".git"
    for name, text in {"HEAD": head, **files}.items():
        (git / name).parent.mkdir(parents=True, exist_ok=True)
        (git / name).write_text(text)
    return git


def test_build_names_the_commit_that_it_was_given(package: Path) -> None:
    (package / COMMIT_FILE).write_text(f"{COMMIT}\n")
    write_git(package, OTHER)

    assert str(find_build(package)) == f"{version('countersign')} (commit {SHORT})"


@pytest.mark.parametrize(
    "files",
    [
        {"head": f"{COMMIT}\n"},
        {"head": "ref: refs/heads/main\n", "refs/heads/main": f"{COMMIT}\n"},
        {
            "head": "ref: refs/heads/a/b\n",
            "packed-refs": f"# pack-refs\n{OTHER} refs/heads/a\n{COMMIT} refs/heads/a/b\n",
        },
    ],
    ids=["detached", "branch", "packed branch"],
)
def test_clone_names_what_is_checked_out(package: Path, files: dict[str, str]) -> None:
    write_git(package, **files)

    assert str(find_build(package)) == f"{version('countersign')} (clone at commit {SHORT})"


def test_worktree_names_what_is_checked_out_in_it(package: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone" / ".git"
    tree = clone / "worktrees" / "tree"
    for path, text in {
        package.parent / ".git": f"gitdir: {tree}\n",
        tree / "HEAD": "ref: refs/heads/side\n",
        tree / "commondir": "../..\n",
        clone / "refs/heads/side": f"{COMMIT}\n",
        clone / "HEAD": f"{OTHER}\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert find_build(package).commit == SHORT


def test_git_names_what_it_checked_out_in_the_same_way(package: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git isn't here")
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]

    def git(*arguments: str) -> str:
        asked = ["git", "-C", str(package.parent), *identity, *arguments]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - fixed

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "First")
    git("pack-refs", "--all")

    assert find_build(package).commit == git("rev-parse", "HEAD")[:12]


@pytest.mark.parametrize(
    ("head", "project"),
    [
        (COMMIT, "somebody-elses"),
        ("ref: refs/heads/unborn", "countersign"),
        ("ref: ../../secret", "countersign"),
        ("not a commit", "countersign"),
        (COMMIT[:39], "countersign"),
    ],
)
def test_what_is_not_known_is_not_guessed(package: Path, head: str, project: str) -> None:
    (package.parent / "pyproject.toml").write_text(f'[project]\nname = "{project}"\n')
    write_git(package, head)
    (package.parents[1] / "secret").write_text(COMMIT)

    assert find_build(package).commit == UNKNOWN


def test_pipe_in_the_place_of_a_file_keeps_nobody_waiting(package: Path) -> None:
    head = write_git(package, COMMIT) / "HEAD"
    head.unlink()
    os.mkfifo(head)

    assert find_build(package).commit == UNKNOWN


@pytest.mark.parametrize("content", ["", "unknown", f"{COMMIT}{COMMIT}", "\udcff", "a" * 9999])
def test_odd_file_in_the_build_is_no_commit(package: Path, content: str) -> None:
    (package / COMMIT_FILE).write_bytes(content.encode("utf-8", "surrogateescape"))

    assert find_build(package).commit == UNKNOWN
