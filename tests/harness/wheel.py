"""The wheel as somebody gets it, installed where nothing else is: built from the source distribution, and offline.

Invariant: the environment it is installed into has the runtime's packages and no others, so that an import of what only
developers have fails there. Its packages are links to the ones in the environment that runs the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from tools.build_wheel import build

ROOT: Final = Path(__file__).parents[2]
VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
"""What this version is called: the one place where it stands."""
COMMIT: Final = "0123456789abcdef" * 2 + "01234567"
EPOCH: Final = 1_760_000_000
PACKAGES: Final = ("bot", "core", "localslack", "playground")
_BUILD_TOOL: Final = "setuptools"
_NOT_LINKED: Final = {"..", "__pycache__"}


def copy_source(into: Path) -> None:
    """Copy what a wheel is made of, as it is in this working tree."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, into / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, into)


def build_wheel(folder: Path, commit: str = "unknown") -> Path:
    """Build a source distribution of this commit in `folder`, and from nothing but that the wheel."""
    copy_source(folder / "source")
    _, wheel = build(folder / "source", folder, EPOCH, commit)
    return wheel


def pinned(lock: str) -> dict[str, str]:
    """The version of each package that a lock at the root names."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))


class Installation:
    """An environment in `folder` with the wheel and what it needs to run."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)  # noqa: S603
        self._folder, self._python = folder, folder / "bin" / "python"
        (packages,) = (folder / "lib").glob("python*/site-packages")
        for name in pinned("requirements-runtime.lock").keys() - {_BUILD_TOOL}:
            _link(name, packages)
        pip = [sys.executable, "-m", "pip", "--python", str(self._python), "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)  # noqa: S603

    @property
    def python(self) -> Path:
        """The path of its Python."""
        return self._python

    @property
    def command(self) -> str:
        """The path of the installed command."""
        return str(self._folder / "bin" / "countersign")

    def run_python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script there, with nothing of this repository on its path."""
        return self._run(str(self._python), "-c", code, *arguments)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `countersign`, with no variables set but these."""
        return self._run(self.command, *arguments, **environment)

    def _run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        told = {"PATH": os.environ["PATH"], **environment}
        return subprocess.run(  # noqa: S603  Ours.
            command, check=False, capture_output=True, encoding="utf-8", cwd=self._folder, env=told
        )


def _link(name: str, packages: Path) -> None:
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        # A lock is for all systems; on this one the package is not needed. If it were, the commands would fail.
        return
    for top in {file.parts[0] for file in installed.files or ()} - _NOT_LINKED:
        (packages / top).symlink_to(Path(str(installed.locate_file(top))).resolve())
