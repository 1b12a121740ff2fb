"""Break-glass events in SQLite, with the ledgers that move with them.

Invariant: an event, its ledgers, its grants and the request that it replaces are one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeVar

from core.actor import ProfileName, UserId
from core.audit.trail import EntryDraft
from core.break_glass import BreakGlassEvent, EventId
from core.directory import DirectoryNotes
from core.errors import MalformedRecord
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.stores.access import GrantWrite
from core.stores.base import BreakGlassStore, Replaced
from core.stores.commit import StoreSettings
from core.stores.ledgers import InvokerLedgers
from core.stores.listing import read_or_explain
from core.stores.schema import AWAITS_ATTRIBUTE
from core.stores.seals import SealAlarm, seal_ledger
from core.stores.sqlite.database import Database
from core.stores.sqlite.directory import notes_among
from core.stores.sqlite.grants import SqliteGrants
from core.stores.sqlite.ledgers import find_ledgers, inspect_stored_ledger, replace_raw, write_ledgers
from core.stores.sqlite.reading import iterate_rows
from core.stores.sqlite.records import SqliteRecords
from core.stores.sqlite.requests import SqliteRequests
from core.usage import UsageLedger

L = TypeVar("L", bound=Ledger)


class SqliteBreakGlass(SqliteRecords[BreakGlassEvent], BreakGlassStore):
    """The BreakGlassStore in SQLite."""

    _further_columns = (AWAITS_ATTRIBUTE,)

    def __init__(self, database: Database, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(database, settings, alarm, "break_glass", BreakGlassEvent)
        self._requests = SqliteRequests(database, settings, alarm)
        self._grants = SqliteGrants(database, settings, alarm)

    def create(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        replacing: Replaced | None = None,
        grants: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        """Store a new event with its audit entry, its ledgers and grants, and with the request that it replaces."""
        with self._database.write() as connection:
            created = self.insert(connection, event, (entry,), ledgers)
            if replacing is not None:
                self._requests.replace(connection, replacing.request, (replacing.entry,))
            self._grants.make(connection, grants)
            return created

    def get(self, event_id: EventId) -> BreakGlassEvent:
        """Read one event."""
        return self._get(event_id)

    def get_with_notes(self, event_id: EventId) -> tuple[BreakGlassEvent, DirectoryNotes]:
        """Read one event and the notes of changes in the directory, from the same moment."""
        return self._get_with_notes(event_id)

    def get_each(self, event_ids: Sequence[str]) -> tuple[BreakGlassEvent, ...]:
        """Read these events, from one moment."""
        return self._get_each(event_ids)

    def update(
        self,
        event: BreakGlassEvent,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        *,
        ended: Sequence[GrantWrite] = (),
    ) -> BreakGlassEvent:
        """Replace the event that was read with `event.updated_at`, and end its grants."""
        with self._database.write() as connection:
            updated = self.replace(connection, event, (entry,), ledgers)
            self._grants.end_early(connection, ended)
            return updated

    def _further(self, record: BreakGlassEvent) -> dict[str, str | None]:
        return {AWAITS_ATTRIBUTE: record.awaits}

    def get_ledgers(self, invoker: UserId, profile: ProfileName) -> tuple[UsageLedger, UsageLedger]:
        """The invoker's and the profile's ledger, from the same moment."""
        by_invoker, by_profile, _ = self.get_ledgers_and_codes(invoker, profile)
        return by_invoker, by_profile

    def get_ledgers_and_codes(
        self, invoker: UserId, profile: ProfileName
    ) -> tuple[UsageLedger, UsageLedger, CodeLedger]:
        """The same, with the ledger of the invoker's codes."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        codes = CodeLedger.of(invoker)
        with self._database.read() as connection:
            found = find_ledgers(connection, by_invoker, by_profile, codes)
        usages = (self._read_ledger(by_invoker, found), self._read_ledger(by_profile, found))
        return *usages, self._read_ledger(codes, found)

    def get_codes(self, person: UserId) -> CodeLedger:
        """The ledger of one person's codes."""
        codes = CodeLedger.of(person)
        with self._database.read() as connection:
            return self._read_ledger(codes, find_ledgers(connection, codes))

    def read_ledgers(self, invoker: UserId, profile: ProfileName, *, codes_of: UserId | None) -> InvokerLedgers:
        """All that a declaration is judged on, from the same moment."""
        by_invoker, by_profile = UsageLedger.of_invoker(invoker), UsageLedger.of_profile(profile)
        codes = CodeLedger.of(codes_of) if codes_of is not None else None
        wanted: list[Ledger] = [by_invoker, by_profile, DirectoryNotes(), *([codes] if codes is not None else [])]
        with self._database.read() as connection:
            found = find_ledgers(connection, *wanted)
        return InvokerLedgers(
            self._read_ledger(by_invoker, found),
            self._read_ledger(by_profile, found),
            self._read_ledger(codes, found) if codes is not None else None,
            notes_among(found, self._settings),
        )

    def scan_ledgers(self) -> Iterator[tuple[str, Ledger | MalformedRecord]]:
        """Every stored ledger by its owner, or what is wrong with it."""
        rows = iterate_rows(self._database, "ledgers", ("owner",), "updated_at, body", start=("",))
        inspect = partial(inspect_stored_ledger, keyring=self._settings.keyring)
        return ((row[0], read_or_explain(row, inspect)) for row in rows)

    def get_ledger(self, empty: L) -> L:
        """The stored ledger with this owner, or the empty one."""
        with self._database.read() as connection:
            return self._read_ledger(empty, find_ledgers(connection, empty))

    def get_replaceable(self, empty: L) -> L:
        """The empty ledger, which may replace whatever is stored for its owner now."""
        with self._database.read() as connection:
            return replace_raw(connection, empty)

    def iterate_ledger_owners(self) -> Iterator[str]:
        """The owner of every stored ledger."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT owner FROM ledgers ORDER BY owner").fetchall()
        return (str(owner) for (owner,) in rows)

    def put_ledger(self, ledger: Ledger) -> None:
        """Replace only this ledger, if it still has the version that was read."""
        with self._database.write() as connection:
            write_ledgers(connection, (seal_ledger(ledger, self._settings.clock.now(), self._settings.keyring),))

    def put_codes(self, codes: CodeLedger) -> None:
        """Replace the ledger of codes, if it still has the version `codes.updated_at`."""
        self.put_ledger(codes)
