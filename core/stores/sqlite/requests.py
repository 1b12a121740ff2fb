"""Requests in SQLite, with the ledgers that move with them and the grants that they make.

Invariant: a request, the ledger of its requester and the grants that it makes are one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.actor import ProfileName, UserId
from core.audit.trail import EntryDraft
from core.directory import DirectoryNotes
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.open_requests import OpenRequests
from core.request import Request, RequestId
from core.stores.access import GrantWrite
from core.stores.base import RequestStore
from core.stores.commit import StoreSettings
from core.stores.seals import SealAlarm
from core.stores.sqlite.database import Database
from core.stores.sqlite.directory import notes_among
from core.stores.sqlite.grants import SqliteGrants
from core.stores.sqlite.ledgers import find_ledgers
from core.stores.sqlite.records import SqliteRecords


class SqliteRequests(SqliteRecords[Request], RequestStore):
    """The RequestStore in SQLite."""

    def __init__(self, database: Database, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(database, settings, alarm, "requests", Request)
        self._grants = SqliteGrants(database, settings, alarm)

    def create(
        self,
        request: Request,
        *entries: EntryDraft,
        ledger: OpenRequests | None = None,
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        """Store a new request with its first audit entries, the ledger that lists it, and the grants it makes."""
        with self._database.write() as connection:
            created = self.insert(connection, request, entries, () if ledger is None else (ledger,))
            self._grants.make(connection, grants)
            return created

    def get(self, request_id: RequestId) -> Request:
        """Read one request."""
        return self._get(request_id)

    def get_with_notes(self, request_id: RequestId) -> tuple[Request, DirectoryNotes]:
        """Read one request and the notes of changes in the directory, from the same moment."""
        return self._get_with_notes(request_id)

    def get_open(self, person: str, profile: ProfileName) -> tuple[OpenRequests, DirectoryNotes]:
        """The ledger and the notes, from the same moment."""
        empty = OpenRequests.of(person, profile)
        with self._database.read() as connection:
            found = find_ledgers(connection, empty, DirectoryNotes())
        return self._read_ledger(empty, found), notes_among(found, self._settings)

    def get_each(self, request_ids: Sequence[str]) -> tuple[Request, ...]:
        """Read these requests, from one moment."""
        return self._get_each(request_ids)

    def get_with_codes(self, request_id: RequestId, person: UserId) -> tuple[Request, DirectoryNotes, CodeLedger]:
        """The same, with the ledger of the person's codes."""
        codes = CodeLedger.of(person)
        request, found = self._get_beside(request_id, codes, DirectoryNotes())
        return request, notes_among(found, self._settings), self._read_ledger(codes, found)

    def update(
        self,
        request: Request,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        """Replace the request that was read with `request.updated_at`, and make the grants that it decides."""
        with self._database.write() as connection:
            updated = self.replace(connection, request, (entry,), ledgers)
            self._grants.make(connection, grants)
            return updated
