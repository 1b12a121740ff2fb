"""Seal records and ledgers, and check the seal of what was read: nothing unsealed leads to a decision.

Invariant: a seal covers all that is stored of a record or a ledger, together with its name and, for a record, its place
in its chain. A record of an older version has no seal; then the last entry of its chain has to prove it, so that taking
a seal away gains nothing. A ledger has no chain: without a seal it counts as broken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pydantic import JsonValue

from core.actor import CLOCK
from core.audit.canonical import canonical_json
from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSED, AuditAction, AuditEntry, EntryDraft
from core.clock import TICK, format_time
from core.errors import BrokenSeal, MalformedRecord
from core.ledger import Ledger
from core.record import Record, digest_content
from core.stored import AsRead
from core.stores.audit import RefusalLog

R = TypeVar("R", bound=Record)
L = TypeVar("L", bound=Ledger)
SEAL: Final = "seal"
"""The attribute that holds the seal: the name of its key, a colon, and the seal in hex."""
_RECORD: Final = b"record"
_LEDGER: Final = b"ledger"
FindEntry = Callable[[str, int], AuditEntry | None]
"""Reads the entry at a place of a chain, consistently; None if there is none. Raises MalformedRecord."""


@dataclass(frozen=True, slots=True)
class SealedLedger:
    """A ledger, ready to be written. `as_read` and `seal_as_read` are what the stored one must still have."""

    ledger: Ledger
    item: dict[str, JsonValue]
    digest: str
    as_read: datetime | None
    seal_as_read: str | None
    version: str | None = None

    def must_be_stored(self) -> dict[str, JsonValue]:
        """The attributes that the stored ledger must have for this one to replace it; None means absent."""
        return {
            "updated_at": format_time(self.as_read) if self.as_read is not None else self.version,
            SEAL: self.seal_as_read,
        }


def seal_record(chain: str, length: int, head: str, digest: str, keyring: AuditKeyring) -> str:
    """The seal of a record: of its name, its place in its chain, and the digest of its content."""
    return _write_seal(_RECORD, [chain, length, head, digest], keyring)


def seal_ledger(ledger: Ledger, at: datetime, keyring: AuditKeyring) -> SealedLedger:
    """The ledger as it will be stored: its version moves strictly forward, together with its change."""
    later = at if ledger.updated_at is None else max(at, ledger.updated_at + TICK)
    stamped = ledger.model_copy(update={"updated_at": later})
    item = stamped.to_item()
    digest = _digest(item)
    seal = _write_seal(_LEDGER, [ledger.owner, digest], keyring)
    as_read = ledger.as_read
    return SealedLedger(stamped, {**item, SEAL: seal}, digest, ledger.updated_at, as_read.seal, as_read.version)


def as_written(ledger: L, sealed: SealedLedger) -> L:
    """The ledger as it is stored now, so that it can be changed again."""
    as_read = AsRead(str(sealed.item[SEAL]), sealed.digest, sealed.item)
    return ledger.model_copy(update={"updated_at": sealed.ledger.updated_at, "as_read": as_read})


def read_sealed_record(
    kind: type[R], record_id: str, stored: Mapping[str, JsonValue], keyring: AuditKeyring, find_entry: FindEntry
) -> R:
    """The record stored under a key, with its seal checked.

    Raises BrokenSeal, and MalformedRecord, naming the key, unless it is that record, complete.
    """
    chain = f"{kind.KIND}#{record_id}"
    seal = stored.get(SEAL)
    item = {name: value for name, value in stored.items() if name != SEAL}
    digest = digest_content(item)
    if seal is None:
        _check_by_chain(chain, item, digest, keyring, find_entry)
    else:
        claimed = [chain, item.get("audit_length"), item.get("audit_head"), digest]
        _check_seal(chain, seal, _RECORD, claimed, keyring)
    return read_record(kind, record_id, item, AsRead(None if seal is None else str(seal), digest, item))


def read_record(kind: type[R], record_id: str, item: Mapping[str, JsonValue], as_read: AsRead) -> R:
    """The record stored under a key. Raises MalformedRecord, naming the key, unless it is that record, complete."""
    name = f"{kind.KIND}#{record_id}"
    try:
        record = kind.from_item(item)
    except MalformedRecord as error:
        raise MalformedRecord(name, error.problem) from error
    if record.id != record_id:
        raise MalformedRecord(name, f"it says that its id is {record.id}")
    return record.model_copy(update={"as_read": as_read})


def read_sealed_ledger(empty: L, stored: Mapping[str, JsonValue], keyring: AuditKeyring) -> L:
    """The ledger of this owner, with its seal checked. Raises BrokenSeal, MalformedRecord."""
    name, seal = empty.key, stored.get(SEAL)
    item = {name: value for name, value in stored.items() if name != SEAL}
    digest = _digest(item)
    if seal is None:
        raise BrokenSeal(name, "it has no seal")
    _check_seal(name, seal, _LEDGER, [empty.owner, digest], keyring)
    ledger = type(empty).from_item(item)
    return ledger.model_copy(update={"as_read": AsRead(str(seal), digest, item)})


def replace_unread(empty: L, version: JsonValue, seal: JsonValue) -> L:
    """The empty ledger, which may replace the stored one that has this version and this seal, whatever it says.

    Raises MalformedRecord when these are no text: a write can't be made to depend on them.
    """
    if not isinstance(version, str | None) or not isinstance(seal, str | None):
        raise MalformedRecord(f"LEDGER#{empty.owner}", "its version or its seal is not text")
    return empty.model_copy(update={"as_read": AsRead(seal=seal, version=version)})


def as_damaged(empty: L, stored: Mapping[str, JsonValue]) -> L:
    """The empty ledger, which may replace a stored one that can't be trusted, as long as it stands like this."""
    return empty.model_copy(update={"as_read": AsRead(item=stored)})


def find_damage(ledger: Ledger) -> Mapping[str, JsonValue] | None:
    """What `as_damaged` kept of what this ledger replaces; None if that was trusted, or isn't there."""
    as_read = ledger.as_read
    return as_read.item if as_read.item and not as_read.digest else None


@contextmanager
def unsealed_if_unreadable() -> Iterator[None]:
    """What can't be read far enough to check its seal has none: raises BrokenSeal in place of MalformedRecord."""
    try:
        yield
    except BrokenSeal:
        raise
    except MalformedRecord as error:
        raise BrokenSeal(error.record, error.problem) from error


def has_current_seal(stored: Mapping[str, JsonValue], keyring: AuditKeyring) -> bool:
    """True when what is stored carries a seal of the key that seals now."""
    return str(stored.get(SEAL, "")).startswith(f"{keyring.key_id}:")


def reseal_record(
    kind: type[Record], record_id: str, stored: Mapping[str, JsonValue], keyring: AuditKeyring, find_entry: FindEntry
) -> str:
    """The seal of the key that seals now, for a record whose older seal, or whose chain, proves it.

    Raises BrokenSeal, MalformedRecord.
    """
    record = read_sealed_record(kind, record_id, stored, keyring, find_entry)
    digest = digest_content({name: value for name, value in stored.items() if name != SEAL})
    return seal_record(record.chain, record.audit_length, record.audit_head, digest, keyring)


def reseal_ledger(
    owner: str, stored: Mapping[str, JsonValue], keyring: AuditKeyring, kind: type[Ledger] = Ledger
) -> str:
    """The seal of the key that seals now, for a ledger whose older seal proves it. Raises BrokenSeal."""
    content: list[JsonValue] = [owner, _digest({name: value for name, value in stored.items() if name != SEAL})]
    _check_seal(f"{kind.KIND}#{owner}", stored.get(SEAL), _LEDGER, content, keyring)
    return _write_seal(_LEDGER, content, keyring)


class SealAlarm:
    """Raises the alarm for each broken seal that is met: wherever it is met, the security team hears of it."""

    def __init__(self, refusals: RefusalLog) -> None:
        self._refusals = refusals

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Notes a BrokenSeal that ends the block, and raises it again. Neither waits nor adds a failure of its own."""
        try:
            yield
        except BrokenSeal as broken:
            self._refusals.note(
                EntryDraft(
                    event=AuditAction.SEAL_BROKEN,
                    actor=CLOCK,
                    outcome=REFUSED,
                    record=broken.record,
                    details={"problem": broken.problem},
                )
            )
            raise


def _check_by_chain(
    chain: str, item: Mapping[str, JsonValue], digest: str, keyring: AuditKeyring, find_entry: FindEntry
) -> None:
    length, head = item.get("audit_length"), item.get("audit_head")
    try:
        entry = find_entry(chain, length) if isinstance(length, int) and length > 0 else None
    except MalformedRecord:
        # An entry that can't be read proves nothing.
        entry = None
    is_proved = (
        entry is not None
        and entry.chain == chain
        and entry.digest == head
        and entry.record_digest == digest
        and keyring.is_genuine(entry)
        and entry.key_id not in keyring.retired
    )
    if not is_proved:
        raise BrokenSeal(chain, "it has no seal, and the last entry of its audit chain doesn't match its content")


def _check_seal(name: str, seal: JsonValue, purpose: bytes, content: list[JsonValue], keyring: AuditKeyring) -> None:
    key_id, _, mac = str(seal).partition(":")
    if keyring.judges_by_signature_only:
        # An auditor has no secret key, and verifies by the signatures of the trail.
        return
    if key_id in keyring.retired:
        raise BrokenSeal(name, f"it was sealed with the key {key_id!r:.12}, which is retired")
    if not keyring.knows(key_id):
        # The name of a key comes from the store: it is cut, like everything that a message repeats.
        raise BrokenSeal(name, f"it was sealed with the key {key_id!r:.12}, which COUNTERSIGN_AUDIT_KEY does not hold")
    if not keyring.is_genuine_mac(key_id, purpose, canonical_json(content), mac):
        raise BrokenSeal(name, "its seal doesn't match its content")


def _write_seal(purpose: bytes, content: list[JsonValue], keyring: AuditKeyring) -> str:
    return f"{keyring.key_id}:{keyring.mac(purpose, canonical_json(content))}"


def _digest(item: Mapping[str, JsonValue]) -> str:
    # DynamoDB leaves out what is None, so here it counts as left out everywhere.
    return hashlib.sha256(
        canonical_json({name: value for name, value in item.items() if value is not None})
    ).hexdigest()
