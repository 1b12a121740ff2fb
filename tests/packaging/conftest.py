"""One wheel and one environment with it; and the previous release beside this version, both running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.wheel import COMMIT, ROOT, VERSION, Installation, build_wheel
from tests.packaging.side_by_side import Release, Versions, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working tree; its source distribution lies beside it."""
    return build_wheel(tmp_path_factory.mktemp("build"), COMMIT)


@pytest.fixture(scope="session")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """That wheel where nothing else is but what it needs to run."""
    return Installation(wheel, tmp_path_factory.mktemp("installed") / "environment")


@pytest.fixture(scope="session")
def old_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the previous release, for PYTHONPATH."""
    release = Release.previous()
    return release.unpack(tmp_path_factory.mktemp(f"release-{release.version}-"))


@pytest.fixture(scope="module")
def versions(old_packages: Path) -> Iterator[Versions]:
    """Both, each as a process."""
    with running(old_packages) as old, running(ROOT) as new:
        assert old.receive() == {"version": Release.previous().version, "packages": str(old_packages)}
        assert new.receive() == {"version": VERSION, "packages": str(ROOT)}
        yield Versions(old, new)
