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
import tarfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("bot", "core", "localslack", "playground")
_BUILD_TOOL: Final = "setuptools"
_NOT_LINKED: Final = {"..", "__pycache__"}


def build_wheel(folder: Path, commit: str = "unknown") -> Path:
    """Build a source distribution of this commit in `folder`, and from nothing but that the wheel."""
    # In a copy, because setuptools builds in place and takes along what an earlier build left there.
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _build("sdist", source, folder, SOURCE_COMMIT=commit)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        # Set like this because the argument `filter` is missing before Python 3.11.4. The archive is our own.
        archive.extraction_filter = lambda member, _: member
        archive.extractall(folder / "unpacked")  # noqa: S202
    _build("wheel", next((folder / "unpacked").iterdir()), folder)
    return next(folder.glob("*.whl"))


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


def _build(kind: str, source: Path, into: Path, **environment: str) -> None:
    code = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    told = {name: value for name, value in os.environ.items() if name != "SOURCE_COMMIT"} | environment
    done = subprocess.run(  # noqa: S603  Ours.
        [sys.executable, "-c", code, into], check=False, capture_output=True, text=True, cwd=source, env=told
    )
    assert done.returncode == 0, done.stderr


def _link(name: str, packages: Path) -> None:
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        # A lock is for all systems; on this one the package is not needed. If it were, the commands would fail.
        return
    for top in {file.parts[0] for file in installed.files or ()} - _NOT_LINKED:
        (packages / top).symlink_to(Path(str(installed.locate_file(top))).resolve())
