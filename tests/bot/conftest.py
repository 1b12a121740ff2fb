"""A scripted server, a home of its own, and time that passes when a test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bot.terminal.passing_time import PassingTime
from tests.harness.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as found:
        yield found
        found.check()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This person's folder, and nothing else of the environment."""
    for name in ("SERVER", "TOKEN", "TOKEN_FILE", "STORE"):
        monkeypatch.delenv(f"COUNTERSIGN_{name}", raising=False)
    monkeypatch.setenv("COUNTERSIGN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def passing() -> PassingTime:
    return PassingTime()
