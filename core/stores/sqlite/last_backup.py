"""When a SQLite store was backed up last: a small file beside it.

Invariant: it says so only of a backup that is complete, and whose end was genuine. It's a note for operators: nothing
is decided on it, and a store without one is as good.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from core.clock import format_time, parse_time
from core.stores.sqlite.copying import unfinished_file

_MODE: Final = 0o644
"""Root may write it, and the bot's user read it. It has no secret in it."""


@dataclass(frozen=True, slots=True)
class LastBackup:
    """When the newest backup was made, and where it was put. It may have been moved since."""

    at: datetime
    path: Path


def write_last_backup(store: Path, backup: LastBackup) -> None:
    """Replace what was written before. Raises InvalidInput, OSError if it can't be written."""
    target = _place_of(store)
    with unfinished_file(target) as unfinished:
        text = json.dumps({"at": format_time(backup.at), "path": str(backup.path)})
        unfinished.write_text(f"{text}\n", encoding="utf-8")
        unfinished.chmod(_MODE)
        unfinished.replace(target)


def find_last_backup(store: Path) -> LastBackup | None:
    """What was written; None if nothing was, or if it can't be read."""
    with suppress(OSError, ValueError, KeyError):
        said = json.loads(_place_of(store).read_text(encoding="utf-8"))
        if isinstance(said, Mapping):
            return LastBackup(parse_time(str(said["at"])), Path(str(said["path"])))
    return None


def forget_last_backup(store: Path) -> None:
    """Of a store that has just been restored, there is no backup yet. Raises OSError."""
    _place_of(store).unlink(missing_ok=True)


def _place_of(store: Path) -> Path:
    return store.with_name(f"{store.name}.last-backup")
