"""What pyproject.toml can't say: a build contains the commit that it was made from.

The commit is SOURCE_COMMIT, or else that of the source distribution, or else the one that is checked out, if nothing
was changed since. Without any, and with SOURCE_COMMIT=unknown, the build says that its commit is unknown.
"""

import os
import re
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
FILE = Path("bot") / "commit.txt"
UNKNOWN = "unknown"


def find_commit() -> str:
    """The commit as 40 hex digits, with nothing of the environment but SOURCE_COMMIT, or `unknown`."""
    if given := os.environ.get("SOURCE_COMMIT"):
        if given != UNKNOWN and not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", given):
            raise SystemExit(f"SOURCE_COMMIT is {given!r}; it must be a whole commit in hex digits, or 'unknown'.")
        return given
    if (ROOT / FILE).is_file():
        return (ROOT / FILE).read_text(encoding="utf-8").strip()
    if not (ROOT / ".git").exists():
        # An archive that was unpacked within the clone of something else.
        return UNKNOWN
    return _ask_git("rev-parse", "HEAD") if _ask_git("status", "--porcelain") == "" else UNKNOWN


def _ask_git(*arguments: str) -> str:
    try:
        asked = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - fixed
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN


def _write(folder: Path) -> None:
    path, commit = folder / FILE, find_commit()
    # An earlier build may have left one.
    path.unlink(missing_ok=True)
    if commit != UNKNOWN:
        path.write_text(f"{commit}\n", encoding="utf-8")


class BuildWithCommit(build_py):
    """Writes the commit beside the modules. An editable installation reads it from the clone instead."""

    def run(self) -> None:
        """Build, then write."""
        super().run()
        if not self.editable_mode:
            _write(Path(self.build_lib))


class SourcesWithCommit(sdist):
    """Writes the commit into the source distribution, which has no history."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the sources, then write."""
        super().make_release_tree(base_dir, files)
        _write(Path(base_dir))


setup(cmdclass={"build_py": BuildWithCommit, "sdist": SourcesWithCommit})
