"""Sessions in DynamoDB, in the table of the grants; and the doors of roles, which are ledgers.

Invariant: a session is stored in one step with the check of its grant, and with its id in two sets: that of its grant's
sessions, and that of the right's sessions that still await something. Both are read consistently, as no index is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from pydantic import JsonValue

from core.access.grant import Grant, GrantId
from core.access.right import Right, right_key
from core.access.role_door import RoleDoor
from core.access.session import Session, SessionId
from core.audit.trail import EntryDraft
from core.clock import format_time
from core.errors import BrokenSeal, ConcurrentModification
from core.record import check_record_id
from core.request import MAX_DURATION
from core.stores.commit import StoreSettings, missing, prepare_create, prepare_update
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.directory import find_notes, notes_key
from core.stores.dynamodb.grants import DynamoGrants
from core.stores.dynamodb.items import Item
from core.stores.dynamodb.layout import SESSION_BODY
from core.stores.dynamodb.ledgers import LEDGER_PREFIX, ledger_key, put_ledger, read_ledger
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.parts import Part
from core.stores.dynamodb.records import DynamoRecords
from core.stores.listing import read_each
from core.stores.record_store import Page
from core.stores.schema import ACCESS, AWAITS_ATTRIBUTE, TTL_ATTRIBUTE
from core.stores.seals import SEAL, SealAlarm, as_damaged, as_written, find_damage, seal_ledger, unsealed_if_unreadable
from core.stores.sessions import FoundSessions, IssueState, SessionStore

SET_PREFIX: Final = "SESSIONS#"
"""Before the id of a grant or the key of a right: the item that lists its sessions."""
_MAX_KEYS: Final = 100
"""The limit of BatchGetItem."""
_PERSON_INDEX: Final = "grantee"
_LONGEST: Final = MAX_DURATION + timedelta(days=1)
"""No session that is stored now awaits anything for longer."""


class DynamoSessions(DynamoRecords[Session], SessionStore):
    """The SessionStore in DynamoDB."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(connection, prefix, settings, alarm, table=ACCESS, kind=Session, body=SESSION_BODY)
        self._grants = DynamoGrants(connection, prefix, settings, alarm)

    def get(self, session_id: SessionId) -> Session:
        """Read one session, consistently."""
        return self._get(session_id)

    def get_each(self, session_ids: Sequence[str]) -> tuple[Session, ...]:
        """Read these sessions, consistently, in one read."""
        return tuple(read_each(self._find_items(session_ids), self._read))

    def get_for_issue(self, session_id: SessionId, grant_id: GrantId) -> IssueState:
        """All that issuing is judged on, in one round trip."""
        check_record_id(session_id)
        grant_key = self._grants.key_of(grant_id)
        found = self._connection.get_batch(
            {self._table: [self._key(session_id), grant_key], self._ledger_table: [notes_key()]}
        )
        items = {str(item["pk"]["S"]): item for item in found[self._table]}
        grant, session = items.get(grant_key["pk"]["S"]), items.get(self._key(session_id)["pk"]["S"])
        if grant is None:
            raise missing(Grant, grant_id)
        return IssueState(
            self._grants.read(grant),
            self._read(session) if session is not None else None,
            find_notes(found[self._ledger_table], self._settings),
        )

    def create(self, session: Session, entry: EntryDraft, *, grant: Grant) -> Session:
        """Store a new session, if its grant is still the version that was read."""
        commit = prepare_create(session, (entry,), self._settings)
        listed = Part([self._list_in(name, session) for name in (session.grant, right_key(session.right))])
        return self._commit(commit, self._grants.unchanged(grant), listed, is_beside_first=True)

    def touch(self, session: Session, entry: EntryDraft, *, grant: Grant) -> Session:
        """Replace the session that was read, if its grant is still the version that was read."""
        commit = prepare_update(self.prove(session), (entry,), self._settings)
        return self._commit(commit, self._grants.unchanged(grant), is_beside_first=True)

    def update(self, session: Session, entry: EntryDraft) -> Session:
        """Replace the session that was read."""
        commit = prepare_update(self.prove(session), (entry,), self._settings)
        is_over = session.awaits is None
        listed = [self._list_in(right_key(session.right), session, is_over=True)] if is_over else []
        return self._commit(commit, Part(listed))

    def delete(self, record: Session, entry: EntryDraft) -> None:
        """Remove the session as it was read, from both lists too."""
        names = (record.grant, right_key(record.right))
        self._remove(record, entry, Part([self._list_in(name, record, is_over=True) for name in names]))

    def list_of_right(self, right: Right) -> FoundSessions:
        """The sessions of a right that still await something: those that its item lists."""
        found, listed = self._list_from(right_key(right))
        sessions = tuple(each for each in found.sessions if each.awaits is not None)
        # One that is listed here is never forgotten: somebody removed it.
        removed = listed - {each.id for each in found.sessions}
        return FoundSessions(sessions, tuple(sorted(removed | set(found.unreadable))))

    def list_of_grant(self, grant_id: GrantId) -> FoundSessions:
        """Every session of a grant: those that its item lists."""
        found, _ = self._list_from(grant_id)
        return found

    def get_door(self, right: Right) -> RoleDoor:
        """The door of a right, read consistently."""
        empty = RoleDoor.shut_for(right)
        item = self._connection.get(self._ledger_table, ledger_key(empty))
        if item is None:
            return empty
        with suppress(BrokenSeal), self._alarm.watch(), unsealed_if_unreadable():
            return read_ledger(empty, {item["pk"]["S"]: item}, self._settings.keyring)
        return as_damaged(empty, {name: item[name] for name in ("updated_at", SEAL, "pk") if name in item})

    def move_door(self, door: RoleDoor) -> RoleDoor:
        """Replace the door that was read."""
        sealed = seal_ledger(door, self._settings.clock.now(), self._settings.keyring)
        put, damaged = put_ledger(self._ledger_table, sealed), find_damage(door)
        if damaged is not None:
            put |= _unchanged(damaged)
        try:
            self._connection.write("put_item", **put)
        except ConditionFailed as failure:
            stored = self._connection.get(self._ledger_table, ledger_key(door)) if failure.is_retry else None
            # Written by an earlier attempt, whose answer was lost: nobody else writes this seal.
            if stored is None or stored.get(SEAL) != {"S": sealed.item[SEAL]}:
                raise ConcurrentModification(f"{LEDGER_PREFIX}{door.owner}") from failure
        return as_written(door, sealed)

    def list_page(
        self, attribute: str, value: str, *, limit: int, cursor: str | None, since: datetime | None
    ) -> Page[Session]:
        """The sessions whose attribute has this value, newest first, from an index that they share with the grants."""
        index = _PERSON_INDEX if attribute == "user" else attribute
        return super().list_page(index, value, limit=limit, cursor=cursor, since=since)

    def _list_in(self, name: str, session: Session, *, is_over: bool = False) -> dict[str, Any]:
        kept_until = self._settings.clock.now() + _LONGEST + self._settings.retention
        return {
            "Update": {
                "TableName": self._table,
                "Key": _set_key(name),
                "UpdateExpression": f"{'DELETE' if is_over else 'ADD'} #ids :ids SET #forgotten = :forgotten",
                "ExpressionAttributeNames": {"#ids": "ids", "#forgotten": TTL_ATTRIBUTE},
                "ExpressionAttributeValues": {
                    ":ids": {"SS": [session.id]},
                    ":forgotten": {"N": str(int(kept_until.timestamp()))},
                },
            }
        }

    def _list_from(self, name: str) -> tuple[FoundSessions, frozenset[str]]:
        """The sessions that an item lists, and the ids that it lists."""
        item = self._connection.get(self._table, _set_key(name)) or {}
        listed = frozenset(item.get("ids", {}).get("SS", ()))
        items = self._find_items(sorted(listed))
        return FoundSessions.read(((self._id_of(each), each) for each in items), self._read_alarmed), listed

    def _find_items(self, session_ids: Sequence[str]) -> Iterable[Item]:
        keys = [self._key(each) for each in dict.fromkeys(session_ids)]
        pages = (keys[at : at + _MAX_KEYS] for at in range(0, len(keys), _MAX_KEYS))
        return chain.from_iterable(self._connection.get_many(self._table, page) for page in pages)

    def _read_alarmed(self, raw: Item) -> Session:
        with self._alarm.watch(), unsealed_if_unreadable():
            self._layout.plain(raw)
        return self._read(raw)

    def _beside(self, record: Session) -> dict[str, JsonValue]:
        beside = {_PERSON_INDEX: record.user, "status": record.status, "profile": record.profile}
        found: dict[str, JsonValue] = {name: self._layout.value(value) for name, value in beside.items()}
        awaits = self._layout.value(record.awaits) if record.awaits is not None else None
        return {**found, AWAITS_ATTRIBUTE: awaits, "created_at": format_time(record.created_at)}


def _unchanged(damaged: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that what can't be trusted still has these attributes, of whatever type."""
    names = {f"#{at}": name for at, name in enumerate(("updated_at", SEAL))}
    parts = [
        f"{each} = :{each[1:]}" if name in damaged else f"attribute_not_exists({each})" for each, name in names.items()
    ]
    values = {f":{each[1:]}": damaged[name] for each, name in names.items() if name in damaged}
    condition = {"ConditionExpression": " AND ".join(parts), "ExpressionAttributeNames": names}
    return condition | {"ExpressionAttributeValues": values} if values else condition


def _set_key(name: str) -> Item:
    return {"pk": {"S": f"{SET_PREFIX}{name}"}}
