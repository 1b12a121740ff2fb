"""`countersign playground --story`: prints the story in the terminal.

Invariant: it uses only a temporary folder, which it deletes, and reads no settings, so it runs anywhere. The records
and the audit trail that it prints are read back from the store.
"""

from __future__ import annotations

import itertools
import tempfile
import textwrap
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from bot.commands.terminal import Cell, Ink
from core.audit.findings import Tally
from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSED, AuditEntry
from core.audit.verification import verify_trail
from core.clock import new_id
from core.record import Record
from core.stores.base import Stores
from core.stores.opening import open_stores
from playground.demo_target import DemoTarget
from playground.story import MovableClock, Story, StoryLine, name_of
from playground.story_proofs import RACES, changed_behind_its_back, race_again

_FOUND: Final = 1
_SEAL_SHOWN: Final = 8
_ANSWER_INDENT: Final = 14
_WIDTH: Final = 92


def print_story() -> None:
    """Play the story, then print its records and its audit trail, and verify them."""
    ink, clock = Ink.of_stdout(), MovableClock()
    keyring = AuditKeyring.from_text(new_id() + new_id())
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        database = Path(folder) / "playground.db"
        with closing(open_stores(f"sqlite:///{database}", keyring=keyring, clock=clock)) as stores:
            ink.say()
            ink.say(ink.paint("Countersign, played on a database in a temporary folder", "strong"))
            ink.say(
                ink.paint(
                    "Each answer below came from the store. Only the clock is moved by hand, and AWS is pretended.",
                    "quiet",
                )
            )
            aws = DemoTarget(Path(folder) / "aws.json", clock)
            for line in Story(stores, aws, clock).play():
                _print_line(ink, line)
            stores.refusals.flush()
            _head(ink, f"The same race, {RACES} times more")
            ink.say(ink.paint(f"   {ink.met} {race_again(Path(folder))}", "good"))
            _show_records(ink, stores)
            _show_trail(ink, stores)
            _head(ink, "The trail, verified")
            is_sound = _show_verification(ink, stores, keyring, clock.now())
            _head(ink, "Somebody changes a record in the database")
            with changed_behind_its_back(database) as change:
                ink.say(f"   {change}")
                is_found = not _show_verification(ink, stores, keyring, clock.now())
            ink.say()
    if not is_sound or not is_found:
        click.get_current_context().exit(_FOUND)


def _print_line(ink: Ink, line: StoryLine) -> None:
    if line.is_title:
        _head(ink, line.text)
    elif line.is_yes is None:
        ink.say(f"   {ink.paint(_time(line.at), 'quiet')}  {line.text}")
    else:
        outcome = (
            ink.paint(f"{ink.met} {line.text}", "good") if line.is_yes else ink.paint(f"{ink.unmet} {line.text}", "bad")
        )
        ink.say(f"{' ' * _ANSWER_INDENT}{outcome}")


def _show_records(ink: Ink, stores: Stores) -> None:
    _head(ink, "The records")
    records = sorted(
        itertools.chain[Record](stores.requests.iterate(), stores.break_glass.iterate(), stores.access.iterate()),
        key=lambda each: each.created_at,
    )
    rows: list[list[Cell]] = [_heading("record", "profile", "person", "status", "ended by", "version")]
    for record in records:
        by, _ = record.ended_by
        rows.append(
            [
                record.chain,
                record.profile or "",
                name_of(record.person),
                record.state,
                name_of(by or "clock"),
                (_time(record.updated_at), "quiet"),
            ]
        )
    for line in ink.columns(rows):
        ink.say(line)


def _show_trail(ink: Ink, stores: Stores) -> None:
    _head(ink, "The audit trail")
    rows: list[list[Cell]] = [_heading("time", "who", "what", "outcome", "whose", "entry", "seal")]
    rows.extend(_trail_row(entry) for entry in stores.audit.export())
    for line in ink.columns(rows):
        ink.say(line)


def _trail_row(entry: AuditEntry) -> list[Cell]:
    kind, _, record = entry.chain.partition("#")
    return [
        (_time(entry.at), "quiet"),
        name_of(entry.actor),
        entry.event.replace("_", " "),
        (entry.outcome, "bad" if entry.outcome == REFUSED else "good"),
        name_of(entry.subject or ""),
        (f"{kind.lower()} {record[:4]}/{entry.seq}", "quiet"),
        (entry.digest[:_SEAL_SHOWN], "quiet"),
    ]


def _show_verification(ink: Ink, stores: Stores, keyring: AuditKeyring, now: datetime) -> bool:
    tally = Tally()
    findings = tuple(verify_trail(stores, keyring, now, tally))
    for finding in findings:
        first, *more = textwrap.wrap(f"{finding.kind}: {finding.text}", _WIDTH)
        for line in (f"   {ink.unmet} {first}", *(f"     {each}" for each in more)):
            ink.say(ink.paint(line, "bad"))
    if not findings:
        summary = f"{tally.records} records and {tally.entries} entries: no tampering found"
        ink.say(ink.paint(f"   {ink.met} verified {summary}", "good"))
    return not findings


def _head(ink: Ink, title: str) -> None:
    ink.say()
    ink.say(ink.paint(title, "strong"))
    ink.say()


def _heading(*names: str) -> list[Cell]:
    return [(name, "quiet") for name in names]


def _time(moment: datetime) -> str:
    return f"{moment:%a %H:%M}"
