"""What the stores say about an action: the records it touched, each with its history, and the refused attempts.

Invariant: everything here is read from the stores on request; nothing comes from the bot's messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.access.grant import Grant, grant_id_for
from core.audit.trail import REFUSED, AuditEntry
from core.break_glass import BreakGlassEvent, EventStatus
from core.record import Record
from core.request import Request, RequestStatus
from core.stores.base import Stores
from localslack.records import Json
from playground.action_log import PageAction

_RECORD_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_MAX_RECORDS: Final = 4
"""A sweep may touch many; the first few are enough to show."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Reads the stores of the playground."""

    stores: Stores

    def of(self, action: PageAction, until: datetime | None) -> Json:
        """The audit entries written since the action began, and the records it was about."""
        entries = self.entries_since(action.at, until)
        chains = [entry.record or "" if entry.outcome == REFUSED else entry.chain for entry in entries]
        ids = [
            *_ids_in(chains),
            *_ids_in(_referenced_text(interaction["payload"]) for interaction in action.interactions),
        ]
        records = [found for record_id in dict.fromkeys(ids) if (found := self._find(record_id)) is not None]
        return {
            "entries": [entry.to_item() for entry in entries],
            "records": [self._record_json(record) for record in records[:_MAX_RECORDS]],
        }

    def entries_since(self, since: datetime, until: datetime | None = None) -> list[AuditEntry]:
        """The audit entries of a period, oldest first, including refused attempts."""
        self.stores.refusals.flush()
        return list(self.stores.audit.export(since=since, until=until))

    def deadlines(self, now: datetime) -> list[Json]:
        """What starts, expires or ends next, the soonest first."""
        pending = self.stores.requests.list_by_status(RequestStatus.PENDING).items
        approved = self.stores.requests.list_by_status(RequestStatus.APPROVED).items
        active = self.stores.break_glass.list_by_status(EventStatus.ACTIVE).items
        ends = [
            *((request.expires_at, "request", request) for request in pending),
            *(
                (request.access_ends_at, "access", request)
                for request in approved
                if self._is_open(request) and request.access_ends_at
            ),
            *((request.starts_at, "start", request) for request in approved if request.starts_at is not None),
            *((event.expires_at, "break_glass", event) for event in active),
        ]
        return [
            {"at": at.isoformat(), "kind": kind, "profile": record.profile, "person": record.person}
            for at, kind, record in sorted(ends, key=lambda end: end[0])
            if at > now
        ]

    def _is_open(self, request: Request) -> bool:
        """Whether its access can still end: a profile without rights has only its window."""
        if not request.rights:
            return True
        ids = [grant_id_for(request.chain, right) for right in request.rights]
        return any(grant.is_live for grant in self.stores.access.get_each(ids))

    def _find(self, record_id: str) -> Record | None:
        """A record as it is stored, even if somebody tampered with it: looking at it raises no alarm."""
        stores = self.stores
        for store in (stores.requests, stores.break_glass, stores.access):
            found = store.find_many([record_id]).get(record_id)
            if isinstance(found, Record):
                return found
        return None

    def _record_json(self, record: Record) -> Json:
        history = self.stores.audit.get_chain(record.chain)
        kind = {Request: "request", BreakGlassEvent: "break_glass", Grant: "grant"}.get(type(record), "record")
        return {"kind": kind, "record": record.to_item(), "history": [entry.to_item() for entry in history]}


def _referenced_text(payload: Json) -> str:
    """The parts of an interaction that may carry the id of a record."""
    values = [str(action.get("value") or action.get("selected_option")) for action in payload.get("actions", [])]
    return " ".join([*values, str(payload.get("view", {}).get("private_metadata", "")), str(payload.get("text", ""))])


def _ids_in(texts: Iterable[str]) -> list[str]:
    return [found for text in texts for found in _RECORD_ID.findall(text)]
