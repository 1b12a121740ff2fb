"""Kustomize, as `kubectl` brings it: what `kubectl apply --kustomize FOLDER` would send.

Invariant: it asks no cluster. A folder is rendered once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

_OLDEST = (1, 21)
"""Debian 12 has 1.20, whose Kustomize, 2.0, knows neither folders as resources nor `patches`."""


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """The objects that the folder renders to. Skips the test where there is no kubectl."""
    return list(YAML(typ="safe").load_all(StringIO(_rendered(folder))))


def require_recent_kubectl() -> None:
    """Skip the test where kubectl is too old to put one folder on another."""
    said = _kubectl("version", "--client", "--output=json")
    found = re.search(r'"gitVersion":\s*"v(\d+)\.(\d+)', said)
    if found is None or tuple(map(int, found.groups())) < _OLDEST:
        pytest.skip("kubectl is older than 1.21")


@cache
def _rendered(folder: Path) -> str:
    return _kubectl("kustomize", str(folder))


def _kubectl(*arguments: str) -> str:
    if shutil.which("kubectl") is None:
        if os.environ.get("COUNTERSIGN_REQUIRE_ENGINES"):
            pytest.fail("kubectl isn't here; on Debian: apt-get install kubernetes-client")
        pytest.skip("kubectl isn't here")
    return subprocess.run(  # noqa: S603 - fixed commands
        ["kubectl", *arguments],  # noqa: S607 - found on the PATH, as people do
        capture_output=True,
        text=True,
        check=True,
    ).stdout
