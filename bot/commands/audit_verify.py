"""`countersign audit verify`: find what was done to the audit trail or the records behind the bot's back.

Invariant: it changes nothing, and a missing store is never reported as a clean one. What it found stands on standard
output, the progress only on a terminal, on standard error.

Exit codes: 0 no findings, 1 findings, 2 the input can't be used, 3 the store failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import click

from bot.commands.opening import opened, store_option
from bot.commands.progress_line import ProgressLine
from bot.commands.terminal import FILE, Ink, color_option, count_of, json_option, read_moment, write_json
from bot.settings import read_settings
from core.audit.checkpoint import find_checkpoint_before, find_last_checkpoint
from core.audit.comparison import PinnedCheckpoint, check_pinned, compare_with_export
from core.audit.findings import Finding, Tally
from core.audit.keyring import AuditKeyring
from core.audit.places import read_places
from core.audit.recent import verify_since
from core.audit.restores import Restore, find_restores
from core.audit.signature import PublicKey
from core.audit.trail import CHECKPOINTS, AuditEntry
from core.audit.verification import TrailVerification
from core.clock import SystemClock, format_time
from core.errors import InvalidInput
from core.stores.base import Stores

_FOUND: Final = 1
_UNKEYED: Final = (
    "COUNTERSIGN_AUDIT_KEY is not set, so this check finds accidental damage but not forgery. "
    "Set it to the key that the bot uses."
)
_NUMBER: Final = re.compile(r"[0-9]{1,12}")


@click.command()
@store_option
@click.option("--since", metavar="CHECKPOINT", help="Only what came after a checkpoint: last, a number, or a time.")
@click.option("--checkpoint", "pinned", multiple=True, metavar="NUMBER:DIGEST", help="A checkpoint that must be there.")
@click.option("--against", metavar="FILE", type=FILE, help="An earlier export, whose entries must all be there.")
@click.option(
    "--public-key", metavar="FILE", type=FILE, help="Verify the signatures with this key, without the secret one."
)
@click.option("--quiet", is_flag=True, help="Print findings only, and no progress.")
@json_option
@color_option
def verify(
    store: str | None, since: str | None, pinned: tuple[str, ...], against: str | None, public_key: str | None,
    *, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Check the records and the audit trail for tampering.

    --checkpoint also takes a file with what a webhook or SNS received.
    """
    settings, tally, ink = read_settings(store=store), Tally(), Ink.of_stdout()
    found: list[Finding] = []
    keyring = _with_public_key(settings.keyring, public_key)
    known = [_read_pinned(text) for text in pinned]
    with opened(settings, keyring) as stores, ProgressLine(is_wanted=not quiet) as progress:
        restores = find_restores(stores.audit, keyring)
        run = TrailVerification.prepare(stores, keyring, SystemClock().now(), tally, showing(stores, progress))
        for finding in _verify(run, since, known, against):
            found.append(finding)
            if not as_json:
                progress.clear()
                ink.say(ink.paint(f"{finding.chain}: {finding.kind}: {finding.text}", "bad"))
        last = None if found else find_last_checkpoint(stores.audit, keyring)[1]
    sealed = last[0] if last is not None else None
    if as_json:
        write_json(_as_json(tally, found, keyring, sealed, restores))
    else:
        outcome, *more = _summarise(tally, len(found), keyring, sealed, restores)
        for line in () if quiet else (ink.paint(outcome, "bad" if found else "good"), *more):
            ink.say(line)
    if found:
        click.get_current_context().exit(_FOUND)


def showing(stores: Stores, progress: ProgressLine) -> Callable[[Tally], None]:
    """Shows how far a verification is: of how many entries, as the last checkpoint counted them."""
    found = find_last_checkpoint(stores.audit, stores.audit.keyring)[1]
    total = found[1].total_entries if found is not None else 0

    def show(tally: Tally) -> None:
        of_all = f" of about {total:,}" if tally.entries <= total else ""
        compared = f", {count_of(tally.records, 'record')}" if tally.records else ""
        progress.show(f"verifying: {tally.entries:,}{of_all} entries in {count_of(tally.chains, 'chain')}{compared}")

    return show


def _verify(
    run: TrailVerification, since: str | None, pinned: list[PinnedCheckpoint], against: str | None
) -> Iterator[Finding]:
    for each in pinned:
        yield from check_pinned(run.stores.audit, each)
    if against is not None:
        with _open(against) as lines:
            yield from compare_with_export(run.stores.audit, lines)
    if since is None:
        yield from run.verify_all()
    else:
        yield from verify_since(run, _find_start(run.stores, run.seals.keyring, since))


def _summarise(
    tally: Tally, found: int, keyring: AuditKeyring, last: AuditEntry | None, restores: Sequence[Restore]
) -> Iterator[str]:
    outcome = f"{count_of(found, 'finding')}, listed above" if found else "no tampering found"
    yield f"checked {count_of(tally.records, 'record')} and {count_of(tally.entries, 'entry')}: {outcome}"
    if tally.grants:
        yield f"access: {count_of(tally.grants, 'grant')}, each compared with the decision that gave it"
    if tally.checkpoints:
        yield f"checkpoints: {tally.checkpoints:,}; {count_of(tally.uncovered, 'entry')} not covered yet"
    for each in restores:
        # Checkpoints from between the two moments say `rolled back`.
        until = f"as of {format_time(each.as_of)}" if each.as_of is not None else "with no entry in it"
        yield f"restored from a backup, {until}, at {format_time(each.at)}"
    if last is not None:
        # Kept elsewhere, it shows later that nobody set the trail back.
        yield f"last checkpoint: {last.seq}:{last.digest}"
    if tally.unsigned:
        yield f"not verified: {count_of(tally.unsigned, 'entry')} from before entries were signed"
    if not keyring.is_keyed and keyring.signature_check is None:
        yield _UNKEYED


def _as_json(
    tally: Tally, found: list[Finding], keyring: AuditKeyring, last: AuditEntry | None, restores: Sequence[Restore]
) -> dict[str, object]:
    return {
        "findings": [{"chain": each.chain, "kind": each.kind, "text": each.text} for each in found],
        "records": tally.records,
        "entries": tally.entries,
        "grants": tally.grants,
        "checkpoints": tally.checkpoints,
        "entries_not_covered": tally.uncovered,
        "entries_not_signed": tally.unsigned,
        "last_checkpoint": f"{last.seq}:{last.digest}" if last is not None else None,
        "restores": [
            {"at": format_time(each.at), "as_of": format_time(each.as_of) if each.as_of is not None else None}
            for each in restores
        ],
        "detects_forgery": keyring.is_keyed or keyring.signature_check is not None,
    }


def _find_start(stores: Stores, keyring: AuditKeyring, since: str) -> AuditEntry:
    audit = stores.audit
    if since == "last":
        _, last = find_last_checkpoint(audit, keyring)
        start = last[0] if last is not None else None
    elif _NUMBER.fullmatch(since):
        ((_, entry),) = read_places(audit, CHECKPOINTS, int(since), int(since))
        start = entry if isinstance(entry, AuditEntry) and keyring.is_genuine(entry) else None
    else:
        moment = read_moment("since", since)
        start = find_checkpoint_before(audit, keyring, moment) if moment is not None else None
    if start is None:
        raise InvalidInput(
            "since", f"there is no genuine checkpoint {since!r:.60}", "Leave --since out to verify everything."
        )
    return start


def _read_pinned(text: str) -> PinnedCheckpoint:
    path = Path(text)
    if ":" in text[:20] or not path.is_file():
        return PinnedCheckpoint.from_text(text)
    with _open(text) as file:
        return PinnedCheckpoint.from_text(file.read())


def _with_public_key(keyring: AuditKeyring, path: str | None) -> AuditKeyring:
    if path is None:
        return keyring
    with _open(path) as file:
        return keyring.model_copy(update={"signature_check": PublicKey.from_text(file.read())})


@contextmanager
def _open(path: str) -> Iterator[TextIO]:
    try:
        with Path(path).open(encoding="utf-8") as file:
            yield file
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInput("file", f"{path} can't be read: {reason}", "Check its name and its permissions.") from error
