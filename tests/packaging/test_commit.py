"""setup.py puts the commit into what is built, and never one that isn't true."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.wheel import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COMMIT: Final = "0123456789abcdef" * 2 + "01234567"


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build a project of one module with our setup.py."""
    (folder / "bot").mkdir(exist_ok=True)
    (folder / "bot" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "countersign"\nversion = "1"\n[tool.setuptools]\npackages = ["bot"]\n'
    )
    (folder / "setup.py").write_bytes((ROOT / "setup.py").read_bytes())
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py"],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def test_sources_name_the_commit_to_a_build(tmp_path: Path) -> None:
    built = tmp_path / "build/lib/bot/commit.txt"

    assert build(tmp_path).returncode == 0
    assert not built.exists()
    assert build(tmp_path, SOURCE_COMMIT=COMMIT).returncode == 0
    assert built.read_text() == f"{COMMIT}\n"
    # What an earlier build left is not this build's.
    assert build(tmp_path, SOURCE_COMMIT="unknown").returncode == 0
    assert not built.exists()


@pytest.mark.parametrize("given", ["main", "abc1234", "0.2.0"])
def test_commit_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is built: only what is said before a build.
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    monkeypatch.setenv("SOURCE_COMMIT", given)
    with pytest.raises(SystemExit, match=re.escape(f"SOURCE_COMMIT is {given!r}")):
        runpy.run_path(str(ROOT / "setup.py"))["find_commit"]()
