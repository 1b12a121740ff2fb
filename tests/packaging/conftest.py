"""The previous release and this version, running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.wheel import ROOT, VERSION
from tests.packaging.side_by_side import Release, Versions, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
