"""The age of the newest backup of a SQLite store, as `countersign backup` noted it beside the store.

Invariant: a copy that something else makes, such as a snapshot of the disk, isn't known here, so no backup at all is
worth knowing, and not a problem. A schedule that made backups and has stopped is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from bot.doctor.finding import CheckResult, fine, note, wrong
from core.clock import Clock
from core.duration import format_duration
from core.stores.sqlite.last_backup import find_last_backup

MAX_AGE: Final = timedelta(hours=26)
"""A schedule that runs each day is late by then."""


def check_backup(store: Path, clock: Clock) -> Iterator[CheckResult]:
    """When was this file backed up last, and is the backup where it was put?"""
    last = find_last_backup(store)
    if last is None:
        yield note(
            "backup: `countersign backup` has made none of this store",
            "If nothing else copies it, have one made each hour: docs/disaster-recovery.md.",
        )
        return
    age = max(clock.now() - last.at, timedelta())
    ago = format_duration(age - age % timedelta(minutes=1)) if age >= timedelta(minutes=1) else "less than a minute"
    if age > MAX_AGE:
        yield wrong(
            f"backup: the newest is {ago} old, {last.path}",
            "Find out why no newer one was made, such as with `systemctl status countersign-backup`.",
        )
    elif _is_gone(last.path):
        yield note(
            f"backup: the newest is {ago} old, and isn't at {last.path} any more", "That is right if you moved it."
        )
    else:
        yield fine(f"backup: the newest is {ago} old, {last.path}")


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        # It may be there: this user can't look.
        return False
    return False
