"""Which version runs, and which commit it was made from.

Invariant: it is never guessed. A build names the commit that it was given; a clone names the commit that is checked
out, and that it is a clone, which may have changes; everything else is unknown. No program is run to find it, and
nothing raises.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from stat import S_ISREG
from typing import Final

UNKNOWN: Final = "unknown"
COMMIT_FILE: Final = "commit.txt"
"""Written into the package `bot` by setup.py when it is built."""

_PROJECT: Final = "countersign"
_SHORT: Final = 12
_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_POINTER_BYTES: Final = 4096
"""More than any file of git's that names a commit or a folder."""


@dataclass(frozen=True)
class Build:
    """A version and its commit, both `unknown` where nobody knows them."""

    version: str = UNKNOWN
    commit: str = UNKNOWN
    is_clone: bool = False
    """Whether it runs from a clone: then there may be changes that no commit has."""

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.version} ({'clone at ' if self.is_clone else ''}commit {self.commit})"


def find_build(package: Path = Path(__file__).parents[1]) -> Build:
    """What runs. `package` is the folder of `bot`."""
    if (commit := _short(_read(package / COMMIT_FILE))) is not None:
        return Build(_find_version(), commit)
    if (commit := _short(_find_checked_out(package.parent))) is not None:
        return Build(_find_version(), commit, is_clone=True)
    return Build(_find_version())


def _find_version() -> str:
    try:
        return version(_PROJECT)
    except PackageNotFoundError:  # pragma: no cover - only if the package was never installed
        return UNKNOWN


def _find_checked_out(root: Path) -> str:
    """The commit in git's files: running git would need it, and it trusts no clone that somebody else owns."""
    if f'name = "{_PROJECT}"' not in _read(root / "pyproject.toml", 100 * _POINTER_BYTES):
        # The packages were copied into a repository of somebody else's.
        return ""
    folder = root / ".git"
    if folder.is_file():
        # A worktree. Its branches are in the folder of the clone that it belongs to.
        folder = root / _read(folder).removeprefix("gitdir:").strip()
    head = _read(folder / "HEAD").strip()
    if not head.startswith("ref:"):
        return head
    branch = head.removeprefix("ref:").strip()
    if ".." in branch:
        return ""
    shared = folder / (_read(folder / "commondir").strip() or ".")
    packed = _read(shared / "packed-refs", 1000 * _POINTER_BYTES)
    found = re.search(rf"^([0-9a-f]+) {re.escape(branch)}$", packed, re.MULTILINE)
    return _read(shared / branch) or (found[1] if found else "")


def _short(commit: str) -> str | None:
    return commit.strip()[:_SHORT] if _COMMIT.fullmatch(commit.strip()) else None


def _read(path: Path, at_most: int = _POINTER_BYTES) -> str:
    try:
        # Without waiting: in the place of a file, somebody may have made a pipe that nobody writes to.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            return file.read(at_most) if S_ISREG(os.fstat(file.fileno()).st_mode) else ""
    except (OSError, ValueError):
        return ""
