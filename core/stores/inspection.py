"""Read what is stored for verification: with a broken seal as it stands, and compared with what stands beside it.

Invariant: what is read here leads to no decision. Everything that contradicts a record or a ledger in its own place is
among `as_read.problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from pydantic import JsonValue, ValidationError

from core.access.holding import Holding
from core.access.right import parse_right_key
from core.access.role_door import DOOR_LEDGER, RoleDoor
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.clock import format_time
from core.errors import BrokenSeal, InvalidInput, MalformedRecord
from core.ledger import Ledger
from core.mfa import CODES_LEDGER, CodeLedger
from core.open_requests import OPEN_REQUESTS_LEDGER, OpenRequests
from core.record import Record
from core.stored import AsRead, StoredValue
from core.stores.seals import SEAL, read_record, read_sealed_ledger, read_sealed_record
from core.usage import INVOKER_LEDGER, PROFILE_LEDGER, UsageLedger

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=StoredValue)


def inspect_record(kind: type[R], record_id: str, stored: Mapping[str, JsonValue], keyring: AuditKeyring) -> R:
    """The record stored under a key, for verification: a broken seal is among `as_read.problems`.

    Whether a record without a seal is what its chain says is for the caller to check. Raises MalformedRecord.
    """
    try:
        return read_sealed_record(kind, record_id, stored, keyring, lambda _chain, _seq: None)
    except BrokenSeal as broken:
        item = {name: value for name, value in stored.items() if name != SEAL}
        problems = (broken.problem,) if SEAL in stored else ()
        return read_record(kind, record_id, item, AsRead(item=item, problems=problems))


def compare_beside(
    read: S, found: Mapping[str, JsonValue], expected: Mapping[str, JsonValue], ttl: JsonValue = None
) -> S:
    """The same, with what differs beside it among `as_read.problems`. `ttl` is when its table may forget it."""
    problems = tuple(
        f"beside it, {name} is {found.get(name)!r:.60} instead of {value!r:.60}"
        for name, value in expected.items()
        if found.get(name) != value
    )
    as_read = replace(read.as_read, problems=read.as_read.problems + problems, ttl=ttl)
    return read.model_copy(update={"as_read": as_read})


def check_filed(entry: AuditEntry, filed: str | None, keyring: AuditKeyring, digits: int | None = None) -> AuditEntry:
    """The entry, if it's filed under these digits of its time, by which lists find it.

    One that isn't genuine either is passed on: that is found with it, and says more. Raises MalformedRecord.
    """
    at = format_time(entry.at)
    if filed == at[:digits] or (keyring.knows(entry.key_id) and not keyring.is_genuine(entry)):
        return entry
    raise MalformedRecord(f"audit entry {entry.chain}/{entry.seq}", f"it is of {at}, and filed under {filed}")


def inspect_ledger(owner: str, stored: Mapping[str, JsonValue], keyring: AuditKeyring) -> Ledger:
    """The ledger stored under a key, for verification. Raises BrokenSeal, MalformedRecord."""
    kind = owner.partition("#")[0]
    try:
        empty = _KINDS.get(kind, _OtherLedger)(owner=owner)
    except (InvalidInput, ValidationError) as error:
        raise MalformedRecord.from_error(f"{Ledger.KIND}#{owner}", error) from error
    return read_sealed_ledger(empty, stored, keyring)


def inspect_holding(key: str, stored: Mapping[str, JsonValue], keyring: AuditKeyring) -> Holding:
    """The holding stored under the key of a right, for verification. Raises BrokenSeal, MalformedRecord."""
    try:
        empty = Holding.empty(parse_right_key(key))
    except InvalidInput as error:
        raise MalformedRecord(f"{Holding.KIND}#{key}", str(error)) from error
    return read_sealed_ledger(empty, stored, keyring)


class _OtherLedger(Ledger):
    """A ledger of a kind that is nothing but sealed here: what is in it is for others to read."""

    def kept_until(self) -> datetime:
        return datetime.max.replace(tzinfo=UTC)


_KINDS: Final[Mapping[str, type[Ledger]]] = {
    INVOKER_LEDGER: UsageLedger,
    PROFILE_LEDGER: UsageLedger,
    CODES_LEDGER: CodeLedger,
    OPEN_REQUESTS_LEDGER: OpenRequests,
    DOOR_LEDGER: RoleDoor,
}
