"""A folder that changes as the kubelet changes the volume of a ConfigMap or a Secret.

Invariant: each file is a link into `..data`, which is a link to a folder with a time in its name. A new version is a
new folder, and one rename of `..data`; then the old folder goes. So no file is ever written in place, and all change at
once.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_DATA: Final = "..data"
_NEXT: Final = "..data_tmp"


class MountedVolume:
    """A mounted ConfigMap or Secret, with one file for each key."""

    def __init__(self, folder: Path, content: Mapping[str, str]) -> None:
        self._folder = folder
        self._version = 0
        folder.mkdir()
        self.change(content)
        for key in content:
            self.path_of(key).symlink_to(Path(_DATA) / key)

    def path_of(self, key: str) -> Path:
        """Where a process finds the key."""
        return self._folder / key

    def change(self, content: Mapping[str, str]) -> None:
        """Bring a new version, as the kubelet does within two minutes of `kubectl apply`."""
        data = self._folder / _DATA
        old = data.resolve() if data.is_symlink() else None
        self._version += 1
        new = self._folder / f"..2026_11_22_12_00_00.{self._version:010d}"
        new.mkdir()
        for key, text in content.items():
            (new / key).write_text(text, encoding="utf-8")
        (self._folder / _NEXT).symlink_to(new.name)
        (self._folder / _NEXT).rename(data)
        if old is not None:
            shutil.rmtree(old)
