"""Requests in DynamoDB, with the ledgers that move with them and the grants that they make.

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
from core.stores.commit import (
    StoreSettings,
    prepare_create,
    prepare_update,
)
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.directory import find_notes, notes_key
from core.stores.dynamodb.grants import DynamoGrants
from core.stores.dynamodb.ledgers import ledger_key, put_ledgers
from core.stores.dynamodb.records import DynamoRecords
from core.stores.listing import read_each
from core.stores.schema import REQUESTS
from core.stores.seals import SealAlarm


class DynamoRequests(DynamoRecords[Request], RequestStore):
    """The RequestStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(connection, prefix, settings, alarm, table=REQUESTS, kind=Request)
        self._grants = DynamoGrants(connection, prefix, settings, alarm)

    def create(
        self,
        request: Request,
        *entries: EntryDraft,
        ledger: OpenRequests | None = None,
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        """Store a new request with its first audit entries, the ledger that lists it, and the grants it makes."""
        commit = prepare_create(request, entries, self._settings, () if ledger is None else (ledger,))
        ledgers = put_ledgers(self._ledger_table, commit.ledgers)
        return self._commit(commit, ledgers, *self._grants.make(grants), is_beside_first=True)

    def get(self, request_id: RequestId) -> Request:
        """Read one request, consistently."""
        return self._get(request_id)

    def get_with_notes(self, request_id: RequestId) -> tuple[Request, DirectoryNotes]:
        """Read one request and the notes of changes in the directory, in one round trip."""
        return self._get_with_notes(request_id)

    def get_open(self, person: str, profile: ProfileName) -> tuple[OpenRequests, DirectoryNotes]:
        """The ledger and the notes, in one round trip."""
        empty = OpenRequests.of(person, profile)
        items = self._connection.get_many(self._ledger_table, [ledger_key(empty), notes_key()])
        found = {item["pk"]["S"]: item for item in items}
        return self._read_ledger(empty, found), find_notes(items, self._settings)

    def get_each(self, request_ids: Sequence[str]) -> tuple[Request, ...]:
        """Read these requests, consistently, in one read."""
        keys = [self._key(each) for each in request_ids]
        return tuple(read_each(self._connection.get_many(self._table, keys), self._read)) if keys else ()

    def get_with_codes(self, request_id: RequestId, person: UserId) -> tuple[Request, DirectoryNotes, CodeLedger]:
        """The same, with the ledger of the person's codes."""
        codes = CodeLedger.of(person)
        request, items = self._get_beside(request_id, notes_key(), ledger_key(codes))
        found = {item["pk"]["S"]: item for item in items}
        return request, find_notes(items, self._settings), self._read_ledger(codes, found)

    def update(
        self,
        request: Request,
        entry: EntryDraft,
        ledgers: Sequence[Ledger] = (),
        grants: Sequence[GrantWrite] = (),
    ) -> Request:
        """Replace the request that was read with `request.updated_at`, and make the grants that it decides."""
        commit = prepare_update(self.prove(request), (entry,), self._settings, ledgers)
        return self._commit(commit, put_ledgers(self._ledger_table, commit.ledgers), *self._grants.make(grants))
