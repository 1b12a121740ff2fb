"""Read the records of many chains at once, and the records that these are compared with.

Invariant: a decision is read before the grants that it made, so that one which is missing then was never made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from core.access.device import Device
from core.access.grant import Grant
from core.access.session import Session
from core.audit.grant_sources import find_related
from core.audit.places import in_batches
from core.break_glass import BreakGlassEvent
from core.errors import MalformedRecord
from core.record import Record
from core.request import Request
from core.stores.base import Stores

KINDS: Final = (Request.KIND, BreakGlassEvent.KIND, Grant.KIND, Session.KIND, Device.KIND)


class FindsRecords(Protocol):
    """What is needed of the store of any kind of record."""

    def find_many(self, record_ids: Sequence[str]) -> Mapping[str, Record | MalformedRecord]:
        """Up to 100 records by their ids; what is wrong with one is in its place."""
        ...

    def iterate_ids(self) -> Iterator[str]:
        """The id of every record."""
        ...


class ChainRecords(NamedTuple):
    """Records by their chains, and those that they are compared with."""

    records: Mapping[str, Record | MalformedRecord]
    related: Mapping[str, Record | MalformedRecord]


def read_records(stores: Stores, chains: Iterable[str]) -> ChainRecords:
    """The records of up to a hundred chains, and then those that they are compared with."""
    records = find_records(stores, chains)
    named = {each for record in records.values() if isinstance(record, Record) for each in find_related(record)}
    related: dict[str, Record | MalformedRecord] = {}
    for batch in in_batches(sorted(named)):
        related |= find_records(stores, batch)
    return ChainRecords(records, related)


def find_records(stores: Stores, chains: Iterable[str]) -> Mapping[str, Record | MalformedRecord]:
    """The records of up to a hundred chains, by chain, in one read of each kind."""
    ids: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for chain in chains:
        kind, _, record_id = chain.partition("#")
        if kind in ids and record_id:
            ids[kind].append(record_id)
    found: dict[str, Record | MalformedRecord] = {}
    for kind, store in stores_by_kind(stores).items():
        if ids[kind]:
            found |= {f"{kind}#{record_id}": record for record_id, record in store.find_many(ids[kind]).items()}
    return found


def stores_by_kind(stores: Stores) -> Mapping[str, FindsRecords]:
    """Where the records of each kind are."""
    return {
        Request.KIND: stores.requests,
        BreakGlassEvent.KIND: stores.break_glass,
        Grant.KIND: stores.access,
        Session.KIND: stores.sessions,
        Device.KIND: stores.devices,
    }
