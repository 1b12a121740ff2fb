"""`countersign backup`: copy the SQLite store to a file, while the bot goes on.

Invariant: the store isn't changed, and no click waits; only a note of when it was backed up is put beside it. A backup
has its name only once it's complete, on disk and sound; it has no audit key and no token in it.

Exit codes: 0 done, 1 the backup was written, and its newest entry isn't genuine, 2 the input can't be used, 3 the store
failed.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

import click

from bot.commands.copied_trail import read_copied_trail
from bot.commands.opening import require_file, store_option
from bot.commands.terminal import FILE
from bot.settings import read_settings
from core.clock import SystemClock
from core.errors import InvalidInput
from core.stores.sqlite.copying import check_integrity, copy_database, place, require_free, unfinished_file
from core.stores.sqlite.last_backup import LastBackup, write_last_backup

_NOT_GENUINE: Final = 1
_TIME: Final = r"\d{8}T\d{6}Z"
_UNFINISHED_SECONDS: Final = 86_400.0
"""No backup takes that long."""


@click.command()
@click.argument("to", type=FILE)
@click.option("--keep", type=click.IntRange(min=1), help="In a folder, delete older backups beyond this many.")
@store_option
def backup(to: str, keep: int | None, store: str | None) -> None:
    """Back up the SQLite store, at any time.

    TO is a new file, or a folder, where it gets a name with the time.
    """
    settings, target, begun_at = read_settings(store=store), Path(to), SystemClock().now()
    source = require_file(settings)
    if not source.is_file():
        raise InvalidInput("store", f"there is no file {source}", "Check COUNTERSIGN_STORE, or --store.")
    folder = target if target.is_dir() else None
    if keep is not None and folder is None:
        raise InvalidInput("keep", f"{target} isn't a folder", "Name a folder that exists, or leave --keep out.")
    prefix = re.escape(f"{source.stem}-")
    if folder is not None:
        target = folder / f"{source.stem}-{begun_at:%Y%m%dT%H%M%SZ}.db"
        _delete_unfinished(folder, prefix)
    require_free(target)
    with unfinished_file(target) as copy:
        copy_database(source, copy)
        check_integrity(copy, source)
        found = read_copied_trail(copy, settings.keyring)
        place(copy, target)
    click.echo(f"wrote {target}")
    for line in found.describe():
        click.echo(line)
    if not found.is_genuine:
        click.echo("the newest entry isn't genuine, so no older backup was deleted. Run: countersign audit verify")
        click.get_current_context().exit(_NOT_GENUINE)
    try:
        write_last_backup(source, LastBackup(begun_at, target.absolute()))
    except (InvalidInput, OSError) as error:
        click.echo(f"countersign doctor won't know of it, because that can't be noted: {error}")
    if folder is not None and keep is not None:
        _delete_older(target, prefix, keep)


def _delete_older(made: Path, prefix: str, keep: int) -> None:
    # The names begin with the time, so their order is that of the backups. A clock that was set back makes names that
    # are older than those that are there: what was made now is kept, whatever it is called.
    older = sorted(each for each in _find(made.parent, rf"{prefix}{_TIME}\.db") if each.name < made.name)
    for each in older[: max(0, len(older) - keep + 1)]:
        each.unlink()
        click.echo(f"deleted {each}")


def _delete_unfinished(folder: Path, prefix: str) -> None:
    """What backups left that were killed: on a full disk, it would keep each later one from being made."""
    before = time.time() - _UNFINISHED_SECONDS
    for each in _find(folder, rf"\.{prefix}{_TIME}\.db\.[0-9a-f]{{12}}(-wal|-shm|-journal)?"):
        if each.lstat().st_mtime < before:
            each.unlink()
            click.echo(f"deleted {each}, which was never finished")


def _find(folder: Path, pattern: str) -> list[Path]:
    return [each for each in folder.iterdir() if re.fullmatch(pattern, each.name) and each.is_file()]
