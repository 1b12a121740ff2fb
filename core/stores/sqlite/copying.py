"""Copy a SQLite file that is in use, and put a copy in a place of its own.

Invariant: a copy is one moment of the source, whatever is written meanwhile. It has its name only once it's complete,
on disk and readable by its owner only. No file that exists is replaced; the content of one is, in one transaction.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from core.errors import InvalidInput, StoreMisconfigured, StoreUnavailable

WAIT_SECONDS: Final = 30.0
"""For how long a copy waits for a source that somebody else has locked."""
_PAUSE_SECONDS: Final = 0.1
_BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite writes beside a file while it's used."""
_HOLD: Final = (
    "PRAGMA busy_timeout=0",
    # From the first change on, until it's closed, nobody else can read or write.
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=DELETE",
    "PRAGMA synchronous=EXTRA",
    "BEGIN EXCLUSIVE",
    "COMMIT",
)


@contextmanager
def unfinished_file(target: Path) -> Iterator[Path]:
    """An empty file beside `target`, readable by its owner only, which is gone at the end unless it was placed.

    Raises InvalidInput if it can't be made.
    """
    path = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise InvalidInput("path", f"{target} can't be written: {error.strerror}", "Choose another path.") from error
    try:
        yield path
    finally:
        for each in (path, *files_beside(path)):
            with suppress(OSError):
                each.unlink(missing_ok=True)


def copy_database(source: Path, copy: Path, *, is_live: bool = True, wait_seconds: float = WAIT_SECONDS) -> None:
    """Copy the database into an empty file, all of it as it is at one moment. Writers of the source don't wait.

    With `is_live`, the source may be written by others. Raises StoreMisconfigured, StoreUnavailable.
    """
    deadline = time.monotonic() + wait_seconds

    def check_time(status: int, _left: int, _total: int) -> None:
        # Python tries again for ever, as long as somebody has the file locked.
        if status != sqlite3.SQLITE_DONE and time.monotonic() > deadline:
            raise StoreUnavailable(f"{source} was locked by somebody else for too long")

    with mapped_errors(source), closing(_connect(source, is_live=is_live)) as old, closing(_open(copy)) as new:
        # All pages in one step, which is one read transaction. A copy in several steps begins again after each write.
        try:
            old.backup(new, pages=-1, progress=check_time, sleep=_PAUSE_SECONDS)
        except sqlite3.OperationalError as error:
            # SQLite doesn't say which of the two disks is full.
            raise StoreUnavailable(f"{source} can't be copied into {copy.parent}: {error}") from error


def make_single(path: Path) -> None:
    """Leave everything in this one file, without a log beside it, and on disk.

    Raises StoreUnavailable while anybody else has the file open.
    """
    with mapped_errors(path), closing(_open(path)) as connection:
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    _sync(path)


def check_integrity(copy: Path, source: Path) -> None:
    """Raises StoreMisconfigured, about the source, when SQLite finds the copy of it damaged, or with nothing in it."""
    with mapped_errors(source), closing(_open(copy)) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
        is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if found != ["ok"]:
        problem = f"{source} is damaged: {' '.join('; '.join(found).split()):.200}"
        raise StoreMisconfigured(problem, "Use another backup")
    if is_empty:
        # Such as what is left of a file when its copying failed. As a store, it would pass every check.
        raise StoreMisconfigured(f"{source} is empty", "Use another backup")


def find_triggers(path: Path) -> tuple[str, ...]:
    """The names of what the database would run at a write. No version of Countersign has any."""
    with mapped_errors(path), closing(_open(path)) as connection:
        return tuple(str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"))


def place(copy: Path, target: Path) -> None:
    """Give the copy its name, and have it on disk in one file. Raises InvalidInput if something has the name."""
    make_single(copy)
    try:
        # Unlike a renaming, this never replaces what is there.
        os.link(copy, target)
    except OSError:
        # Something is there, or the file system has no links.
        require_free(target)
        copy.rename(target)
    copy.unlink(missing_ok=True)
    _sync(target.parent)


def require_free(target: Path) -> None:
    """Raises InvalidInput if something has this name."""
    if os.path.lexists(target):
        raise InvalidInput("path", f"{target} exists already", "Choose another path, or move that file away.")


def replace_content(path: Path, copy: Path, away: Path) -> None:
    """Put what is in the copy into the database `path`, in one transaction, and what was there into the file `away`.

    The file stays the same, so a process that is killed in between, or starts in between, finds all of the old content
    or all of the new: never no store, nor a log of another one. Raises InvalidInput while a process has it open, or if
    something is called `away`; StoreMisconfigured when it isn't a database; StoreUnavailable.
    """
    make_single(copy)
    with closing(_open(path)) as held:
        try:
            with mapped_errors(path):
                for statement in _HOLD:
                    held.execute(statement)
        except StoreUnavailable as error:
            problem = f"{path} can't be replaced, because a process has it open ({error.problem})"
            raise InvalidInput("store", problem, "Stop every instance first.") from error
        with unfinished_file(away) as old:
            with mapped_errors(away), closing(_open(old)) as kept:
                held.backup(kept)
            place(old, away)
        with mapped_errors(path), closing(_open(copy)) as new:
            new.backup(held)


def files_beside(path: Path) -> tuple[Path, ...]:
    """What belongs to the database while it's used: its log, the index of that, and the journal."""
    return tuple(path.with_name(f"{path.name}{suffix}") for suffix in _BESIDE)


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """Every error of SQLite as one of `core.errors`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreMisconfigured(f"{path} can't be used: {error}", "Name a database of Countersign") from error


def _connect(path: Path, *, is_live: bool) -> sqlite3.Connection:
    # Neither form creates a file. A live one has to be opened for writing: readers share its log, too.
    mode = "rw" if is_live else "ro"
    # Waiting for a lock is up to `backup`, which has a deadline.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=0)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
