from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import core
from core import errors
from core.errors import CountersignError

ROOT: Final = Path(core.__path__[0])
MODULES: Final = ["core", *sorted(module.name for module in pkgutil.walk_packages(core.__path__, "core."))]

IMPORT_UNDER_GUARD: Final = '''
import importlib, os, sys

class Trap(dict):
    """An environment that nobody may look at once the guard is up."""

ours = os.path.join(sys.argv[1], "")

def is_ours():
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(ours) and frame.f_code.co_name == "<module>":
            return True
        if frame.f_code.co_filename.startswith("<frozen importlib") or "site-packages" in frame.f_code.co_filename:
            # What the import system and a library do while they are loaded is theirs.
            return False
        frame = frame.f_back
    return False

def guard(event, arguments):
    forbidden = event.startswith(("socket.", "subprocess.", "sqlite3.", "shutil.", "os.")) or event == "open"
    if forbidden and is_ours():
        sys.exit(f"{event} {arguments!r}")

def refuse(*arguments):
    if is_ours():
        sys.exit(f"the environment was read: {arguments[1:]!r}")
    return original(*arguments)

original = type(os.environ).__getitem__
type(os.environ).__getitem__ = refuse
sys.addaudithook(guard)
for name in sys.argv[2:]:
    importlib.import_module(name)
'''


def _import_under_guard(folder: Path, *names: str) -> str:
    command = [sys.executable, "-c", IMPORT_UNDER_GUARD, str(folder), *names]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder.parent)  # noqa: S603  Ours.
    return done.stderr


def test_importing_core_does_no_io_and_reads_no_environment() -> None:
    assert _import_under_guard(ROOT, *MODULES) == ""


@pytest.mark.parametrize(
    "sin",
    [
        "import os; HOME = os.environ['HOME']",
        "import os; HOME = os.getenv('HOME')",
        "from pathlib import Path; TEXT = Path('/etc/hostname').read_text()",
        "import socket; HERE = socket.socket()",
        "import sqlite3; DATABASE = sqlite3.connect(':memory:')",
        "import os; FILES = os.listdir('/')",
    ],
)
def test_guard_notices_a_module_that_does(tmp_path: Path, sin: str) -> None:
    package = tmp_path / "sinful"
    package.mkdir()
    (package / "__init__.py").write_text(f"{sin}\n")
    assert _import_under_guard(package, "sinful") != ""


def _drawn_tree() -> dict[str, str | None]:
    """Each class that the docstring of core.errors draws, with the class it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.fullmatch(r"    ((?:[│ ] {3})*(?:[├└]── )?)(\w+)(?: {2,}.*)?", line)
        if drawn is not None:
            depth = len(drawn[1]) // 4
            path = [*path[:depth], drawn[2]]
            parents[drawn[2]] = path[depth - 1] if depth else None
    return parents


def _subclasses(kind: type[CountersignError]) -> set[type[CountersignError]]:
    return {kind}.union(*(_subclasses(each) for each in kind.__subclasses__()))


def test_tree_of_errors_that_is_drawn_is_the_tree_there_is() -> None:
    for name in MODULES:
        importlib.import_module(name)
    real: dict[str, str | None] = {}
    for kind in _subclasses(CountersignError):
        if kind.__module__.partition(".")[0] == "core":
            (parent,) = kind.__bases__
            real[kind.__name__] = parent.__name__ if parent is not Exception else None
    assert _drawn_tree() == real
