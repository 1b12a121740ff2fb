"""One wheel and one environment with it, for every test of what is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.wheel import COMMIT, Installation, build_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working tree; its source distribution lies beside it."""
    return build_wheel(tmp_path_factory.mktemp("build"), COMMIT)


@pytest.fixture(scope="session")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """That wheel where nothing else is but what it needs to run."""
    return Installation(wheel, tmp_path_factory.mktemp("installed") / "environment")
