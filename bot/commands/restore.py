"""`countersign restore`: put a backup of the SQLite store in place.

Invariant: the backup isn't changed, and nothing takes the store's place before all of it was verified with the audit
key, and has it in its trail that it was restored. A store that a process has open is never replaced, and one that is
replaced is kept beside it.

Exit codes: 0 done, 1 the backup has findings and nothing was restored, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click

from bot.commands.audit_verify import showing
from bot.commands.copied_trail import CopiedTrail, read_copied_trail
from bot.commands.opening import require_file, store_option
from bot.commands.progress_line import ProgressLine
from bot.commands.terminal import FILE, Ink, count_of
from bot.settings import Settings, read_settings
from core.access.device import DeviceStatus
from core.audit.comparison import PinnedCheckpoint, check_pinned
from core.audit.findings import Tally
from core.audit.restores import RestoredBackup
from core.audit.trail import STORE, AuditEntry
from core.audit.verification import TrailVerification
from core.break_glass import EventStatus
from core.clock import SystemClock
from core.errors import InvalidInput
from core.request_status import RequestStatus
from core.stores.base import Stores
from core.stores.opening import open_stores
from core.stores.record_store import iterate_newest_first
from core.stores.sqlite.copying import (
    check_integrity,
    copy_database,
    files_beside,
    find_triggers,
    place,
    replace_content,
    unfinished_file,
)
from core.stores.sqlite.last_backup import forget_last_backup
from core.text import quoted

_FOUND: Final = 1
_MAX_COUNTED: Final = 100_000
_ROOT: Final = 0


@click.command()
@click.argument("backup", type=FILE)
@store_option
@click.option("--check", is_flag=True, help="Verify the backup, and restore nothing.")
@click.option("--replace", is_flag=True, help="Move a store that is there aside, unless a process uses it.")
@click.option("--despite-findings", is_flag=True, help="Restore it whatever the verification finds.")
@click.option("--checkpoint", "pinned", multiple=True, metavar="NUMBER:DIGEST", help="A checkpoint that must be in it.")
def restore(
    backup: str, store: str | None, pinned: tuple[str, ...], *, check: bool, replace: bool, despite_findings: bool
) -> None:
    """Restore the SQLite store from BACKUP. Stop every instance first.

    It needs the audit key: a backup is verified before it takes the store's place.
    """
    settings = read_settings(store=store)
    if settings.audit_key is None:
        problem = "it is not set, so the backup can't be verified"
        raise InvalidInput("COUNTERSIGN_AUDIT_KEY", problem, "Set it to the key that the bot used.")
    source, target, known = Path(backup), require_file(settings), [PinnedCheckpoint.from_text(each) for each in pinned]
    if not source.is_file():
        raise InvalidInput("backup", f"there is no file {source}", "Check its name.")
    if not (check or replace):
        _require_free(target)
    # A check needs no place beside the store, which may be on another host.
    with unfinished_file(Path(tempfile.gettempdir()) / target.name if check else target) as copy:
        copy_database(source, copy, is_live=False)
        check_integrity(copy, source)
        ends = read_copied_trail(copy, settings.keyring)
        findings = _verify(settings, copy, known, ends)
        if check:
            click.echo("nothing was restored")
        elif not findings or despite_findings:
            _write_down(settings, source, copy, ends, findings)
            _put_in_place(copy, target, is_replacing=replace)
        else:
            click.echo("nothing was restored. To restore it as it is, use --despite-findings")
        if findings and not (despite_findings and not check):
            click.get_current_context().exit(_FOUND)


def _verify(settings: Settings, copy: Path, known: Sequence[PinnedCheckpoint], ends: CopiedTrail) -> int:
    """Print what is in the copy and what is wrong with it. Returns how many findings there are."""
    ink, tally, found = Ink.of_stdout(), Tally(), 0
    for name in find_triggers(copy):
        found += 1
        ink.say(ink.paint(f"trigger {quoted(name)}: the database would run it at a write", "bad"))
    with closing(_open(settings, copy)) as stores, ProgressLine() as progress:
        run = TrailVerification.prepare(stores, settings.keyring, SystemClock().now(), tally, showing(stores, progress))
        pinned = chain.from_iterable(check_pinned(stores.audit, each) for each in known)
        for finding in chain(pinned, run.verify_all()):
            found += 1
            progress.clear()
            ink.say(ink.paint(f"{finding.chain}: {finding.kind}: {finding.text}", "bad"))
        lines = list(_describe_live(stores))
    outcome = f"{count_of(found, 'finding')}, listed above" if found else "no tampering found"
    checked = f"checked {count_of(tally.records, 'record')} and {count_of(tally.entries, 'entry')}: {outcome}"
    ink.say(ink.paint(checked, "bad" if found else "good"))
    for line in (*ends.describe(), *lines):
        ink.say(line)
    return found


def _open(settings: Settings, copy: Path) -> Stores:
    return open_stores(f"sqlite:///{quote(str(copy))}", keyring=settings.keyring)


def _write_down(settings: Settings, source: Path, copy: Path, ends: CopiedTrail, findings: int) -> None:
    """Have it in the trail before anybody uses the store; the first instance that runs announces it."""
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    restored = RestoredBackup(
        source.name, sha256, ends.entries, ends.newest if isinstance(ends.newest, AuditEntry) else None, findings,
        _find_login(), platform.node(),
    )  # fmt: skip
    with closing(_open(settings, copy)) as stores:
        stores.audit.append(STORE, restored.as_draft())


def _find_login() -> str:
    """Who is logged in, whatever user they became since."""
    try:
        return os.getlogin()
    except OSError:
        # There is no terminal.
        with suppress(KeyError):
            return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())


def _describe_live(stores: Stores) -> Iterator[str]:
    """What is not over in this moment of the past, and so goes on from there."""
    pending = sum(1 for _ in iterate_newest_first(stores.requests, "status", RequestStatus.PENDING, None))
    active = sum(1 for _ in iterate_newest_first(stores.break_glass, "status", EventStatus.ACTIVE, None))
    devices = sum(1 for _ in iterate_newest_first(stores.devices, "status", DeviceStatus.ACTIVE, None))
    backlog = stores.outbox.measure_backlog(_MAX_COUNTED)
    yield (
        f"as of then: {count_of(pending, 'pending request')}, {count_of(active, 'active event')}, "
        f"{count_of(devices, 'paired device')}, {count_of(backlog.waiting, 'notification')} to deliver"
    )


def _put_in_place(copy: Path, target: Path, *, is_replacing: bool) -> None:
    is_root = os.geteuid() == _ROOT
    if is_replacing and target.is_file():
        away, owner = target.with_name(f"{target.name}.replaced-{SystemClock().now():%Y%m%dT%H%M%SZ}"), target.stat()
        replace_content(target, copy, away)
        if is_root:
            os.chown(away, owner.st_uid, owner.st_gid)
        click.echo(f"the store that was there is now {away}")
    else:
        _require_free(target)
        folder = target.parent.stat()
        if is_root:
            # The service runs as the owner of the folder, and couldn't write a file of root.
            os.chown(copy, folder.st_uid, folder.st_gid)
        place(copy, target)
    forget_last_backup(target)
    click.echo(f"restored {target}")
    click.echo('What came later is lost. Before you start it, read docs/disaster-recovery.md, "After a restore".')


def _require_free(target: Path) -> None:
    for each in (target, *files_beside(target)):
        if os.path.lexists(each):
            raise InvalidInput(
                "store", f"{each} exists", "Stop every instance, then use --replace, or move the file away."
            )
