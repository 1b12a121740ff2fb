"""Checkpoints: from time to time, one entry that pins every entry of an interval, whatever its chain.

Invariant: the intervals follow one another without a gap, and an interval is sealed only when it is over and what was
being committed in it has arrived. So a chain that is rolled back or deleted as a whole, and an entry that is added to
the past, change what a checkpoint sealed. Sealing one costs what is new, at any length of the trail.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.actor import CLOCK
from core.audit.canonical import canonical_json
from core.audit.chain_check import SealCheck
from core.audit.keyring import AuditKeyring
from core.audit.merkle import merkle_root
from core.audit.places import BATCH, find_length, read_places
from core.audit.retirement import find_retirements
from core.audit.trail import CHECKPOINTS, AuditAction, AuditEntry, EntryDraft, EntryId
from core.clock import Clock, UtcTime, parse_time
from core.errors import MalformedRecord
from core.stores.audit import AuditStore, PlacedDigest

SETTLE_TIME: Final = timedelta(minutes=2)
"""How old an entry is before a checkpoint covers it: far longer than a commit may take."""
INTERVAL: Final = timedelta(minutes=5)
MAX_INTERVAL: Final = timedelta(hours=1)
"""A checkpoint comes at least this often, so that its absence shows."""
MAX_ENTRIES: Final = 10_000
"""What one checkpoint covers at most: a finding names an interval, which should be narrow."""
SEALED: Final = "sealed"
_LOOKED_BACK: Final = 10

_log = logging.getLogger("countersign.audit")


class Checkpoint(BaseModel):
    """What a checkpoint says: the details of its entry.

    It covers the entries with `since <= at < until`, `entries` in number; `since` is None for the first one. The totals
    count from the beginning of the trail. `retired_keys` says until when each retired key was in use.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    since: UtcTime | None = None
    until: UtcTime
    entries: Annotated[int, Field(ge=0)]
    root: str
    total_entries: int
    total_chains: int
    policy: str = ""
    retired_keys: dict[str, UtcTime] = Field(default_factory=dict)

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """What this entry says. Raises MalformedRecord when it is no checkpoint."""
        try:
            return cls.model_validate(entry.details)
        except ValidationError as error:
            raise MalformedRecord.from_error(f"audit entry {entry.chain}/{entry.seq}", error) from error


@dataclass(frozen=True, slots=True)
class Covered:
    """What a checkpoint seals of the entries in its interval."""

    entries: int
    root: str
    chains_begun: int


def cover(digests: Sequence[PlacedDigest]) -> Covered:
    """Seal these entries: their number, the root of the Merkle tree over them, and how many chains begin with them."""
    leaves = (canonical_json([each.chain, each.seq, each.digest]) for each in sorted(digests))
    return Covered(len(digests), merkle_root(leaves), sum(each.seq == 1 for each in digests))


class Checkpointer:
    """Seals the checkpoints that are due. Any number of instances may: the place in the chain decides.

    `policy_digest` gives the digest of the policy in force.
    """

    def __init__(self, audit: AuditStore, clock: Clock, policy_digest: Callable[[], str] = lambda: "") -> None:
        self._audit = audit
        self._keyring = audit.keyring
        self._clock = clock
        self._policy_digest = policy_digest

    def refresh_keys(self) -> None:
        """Let the keyring know which of its keys are retired. Raises StoreUnavailable."""
        _, last = find_last_checkpoint(self._audit, self._keyring)
        self._keyring.retire(known_retirements(self._audit, self._keyring, last))
        if self._keyring.key_id in self._keyring.retired:
            _log.error("COUNTERSIGN_AUDIT_KEY begins with a retired key: what this instance seals is not accepted")

    def seal_due(self, rest: Callable[[], object] = lambda: None, *, is_forced: bool = False) -> tuple[AuditEntry, ...]:
        """Seal what is due, and return it; pause with `rest` after each. With `is_forced`, whatever is old enough.

        Raises StoreError; what was sealed stays sealed.
        """
        until, sealed = self._clock.now() - SETTLE_TIME, list[AuditEntry]()
        while (entry := self._seal_next(until, is_forced=is_forced)) is not None:
            sealed.append(entry)
            rest()
        return tuple(sealed)

    def _seal_next(self, until: datetime, *, is_forced: bool) -> AuditEntry | None:
        length, found = find_last_checkpoint(self._audit, self._keyring)
        last = found[1] if found is not None else None
        since = last.until if last is not None else None
        if since is not None and (until <= since or (until - since < INTERVAL and not is_forced)):
            return None
        digests, end = self._read(since, until)
        is_new = any(each.chain != CHECKPOINTS for each in digests)
        if not (is_new or is_forced) and (since is None or until - since < MAX_INTERVAL):
            return None
        covered = cover(digests)
        checkpoint = Checkpoint(
            since=since,
            until=end,
            entries=covered.entries,
            root=covered.root,
            total_entries=covered.entries + (last.total_entries if last is not None else 0),
            total_chains=covered.chains_begun + (last.total_chains if last is not None else 0),
            policy=self._policy_digest(),
            retired_keys=known_retirements(self._audit, self._keyring, found),
        )
        return self._append(length + 1, checkpoint)

    def _append(self, number: int, checkpoint: Checkpoint) -> AuditEntry:
        # Instances that seal at the same place make the same id, so the second one's entry is taken for written.
        start = checkpoint.since.isoformat() if checkpoint.since is not None else ""
        entry_id = EntryId(hashlib.sha256(f"checkpoint\0{number}\0{start}".encode()).hexdigest()[:16])
        details = checkpoint.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        draft = EntryDraft(
            id=entry_id, event=AuditAction.CHECKPOINT_SEALED, actor=CLOCK, outcome=SEALED, details=details
        )
        return self._audit.append(CHECKPOINTS, draft)

    def _read(self, since: datetime | None, until: datetime) -> tuple[list[PlacedDigest], datetime]:
        """The entries that the next checkpoint covers, and where it ends."""
        digests: list[PlacedDigest] = []
        for each in self._audit.list_digests(since=since, until=until):
            if len(digests) >= MAX_ENTRIES and each.at != digests[-1].at:
                try:
                    return digests, parse_time(each.at)
                except ValueError:
                    # Somebody changed the time of this entry. It can't be an end; it is covered like the others.
                    pass
            digests.append(each)
        return digests, until


def find_last_checkpoint(audit: AuditStore, keyring: AuditKeyring) -> tuple[int, tuple[AuditEntry, Checkpoint] | None]:
    """The length of the chain of checkpoints, and its last genuine checkpoint with its entry; None if there is none.

    What somebody forged or damaged at the end of the chain is passed over: it can't keep later checkpoints away.
    """
    length = find_length(audit, CHECKPOINTS)
    for end in range(length, 0, -_LOOKED_BACK):
        for _, entry in reversed(list(read_places(audit, CHECKPOINTS, max(1, end - _LOOKED_BACK + 1), end))):
            if isinstance(entry, AuditEntry) and keyring.is_genuine(entry):
                try:
                    return length, (entry, Checkpoint.of(entry))
                except MalformedRecord:
                    continue
    return length, None


def find_checkpoint_before(audit: AuditStore, keyring: AuditKeyring, moment: datetime) -> AuditEntry | None:
    """The last genuine checkpoint that ends at this moment or earlier; None if there is none."""
    for end in range(find_length(audit, CHECKPOINTS), 0, -BATCH):
        for _, entry in reversed(list(read_places(audit, CHECKPOINTS, max(1, end - BATCH + 1), end))):
            if isinstance(entry, AuditEntry) and keyring.is_genuine(entry) and _ends_by(entry, moment):
                return entry
    return None


def _ends_by(entry: AuditEntry, moment: datetime) -> bool:
    try:
        return Checkpoint.of(entry).until <= moment
    except MalformedRecord:
        return False


def known_retirements(
    audit: AuditStore, keyring: AuditKeyring, last: tuple[AuditEntry, Checkpoint] | None
) -> dict[str, datetime]:
    """Until when each retired key was in use, by its name.

    Every checkpoint repeats it, so removing the entry that retires a key doesn't bring the key back.
    """
    retired = dict(find_retirements(audit, keyring))
    if last is not None:
        entry, checkpoint = last
        for key_id, until in checkpoint.retired_keys.items():
            if keyring.is_newer(entry.key_id, key_id):
                retired[key_id] = min(until, retired.get(key_id, until))
    return retired


def read_seal_check(audit: AuditStore, keyring: AuditKeyring) -> SealCheck:
    """What the seals of this trail must fulfil. Raises StoreUnavailable."""
    _, last = find_last_checkpoint(audit, keyring)
    signed_since = None
    if keyring.signature_check is not None:
        signed_since = _find_first_signed(audit, keyring)
    return SealCheck(keyring, known_retirements(audit, keyring, last), signed_since)


def _find_first_signed(audit: AuditStore, keyring: AuditKeyring) -> datetime | None:
    for _, entry in read_places(audit, CHECKPOINTS, 1, find_length(audit, CHECKPOINTS)):
        if isinstance(entry, AuditEntry) and keyring.has_genuine_signature(entry):
            return entry.at
    return None
