"""Retire an old key of the audit trail.

Invariant: a key is retired only when nothing was sealed with it for a while, and behind a checkpoint, sealed with the
new key, that pins everything the old one sealed.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from core.actor import OPERATOR
from core.audit.checkpoint import SETTLE_TIME, Checkpointer, find_last_checkpoint
from core.audit.keyring import AuditKeyring
from core.audit.retirement import RETIRED, Retirement, find_retirements
from core.audit.trail import KEYS, AuditAction, AuditEntry, EntryDraft
from core.audit.verification import verify_trail
from core.clock import Clock
from core.errors import InvalidInput
from core.stores.audit import AuditStore
from core.stores.base import Stores

QUIET_TIME: Final = timedelta(minutes=10)
"""For how long no instance may have sealed with the key."""
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


def check_retirable(audit: AuditStore, keyring: AuditKeyring, clock: Clock, key_id: str) -> None:
    """Raises InvalidInput when this key can't be retired, and says what to do first; StoreUnavailable."""
    if not _KEY_ID.fullmatch(key_id) or not keyring.knows(key_id):
        raise InvalidInput(
            "key",
            f"{key_id!r:.20} is not the name of a key in COUNTERSIGN_AUDIT_KEY",
            "See: countersign audit key list",
        )
    if key_id == keyring.key_id:
        raise InvalidInput(
            "key",
            f"{key_id} is the key that seals",
            "Put a new key before it, as newest,older; restart every instance; then retire it.",
        )
    if key_id in find_retirements(audit, keyring):
        raise InvalidInput("key", f"{key_id} is retired already", "Nothing was changed.")
    recent = audit.export(since=clock.now() - QUIET_TIME)
    if any(entry.key_id == key_id for entry in recent):
        minutes = int(QUIET_TIME.total_seconds() // 60)
        raise InvalidInput(
            "key",
            f"{key_id} sealed an entry in the last {minutes} minutes",
            f"Restart the instances that still use it, and try again {minutes} minutes later.",
        )


def retire_key(stores: Stores, clock: Clock, key_id: str) -> AuditEntry:
    """Retire this key, and return the entry that does.

    First everything is verified: what somebody forged with the key must not be sealed anew. Then each record and ledger
    gets a seal of the new key. Raises InvalidInput, as `check_retirable`, and for a finding; StoreError.
    """
    audit, keyring = stores.audit, stores.audit.keyring
    check_retirable(audit, keyring, clock, key_id)
    for finding in verify_trail(stores, keyring, clock.now()):
        problem = f"the trail has findings, the first in {finding.chain}: {finding.kind}"
        raise InvalidInput("key", problem, "Look at all of them with `countersign audit verify`. No key was retired.")
    stores.reseal()
    Checkpointer(audit, clock).seal_due(is_forced=True)
    _, last = find_last_checkpoint(audit, keyring)
    if last is None:
        raise InvalidInput(
            "key", "there is nothing that a checkpoint could cover", f"Wait {SETTLE_TIME} and try again."
        )
    entry, checkpoint = last
    retirement = Retirement(key_id=key_id, until=checkpoint.until, checkpoint=entry.seq)
    return audit.append(
        KEYS,
        EntryDraft(
            event=AuditAction.AUDIT_KEY_RETIRED,
            actor=OPERATOR,
            outcome=RETIRED,
            details=retirement.model_dump(mode="json"),
        ),
    )
