"""Which keys of the audit trail were retired, and until when each was in use.

Invariant: only a newer key retires an older one, so somebody who has a retired key can't retire the good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from core.audit.keyring import AuditKeyring
from core.audit.places import find_length, read_places
from core.audit.trail import KEYS, AuditAction, AuditEntry
from core.clock import UtcTime
from core.stores.audit import AuditStore

RETIRED: Final = "retired"


class Retirement(BaseModel):
    """What the entry says that retires a key: the key's name, and until when what it sealed is genuine.

    `checkpoint` is the number of the checkpoint that pins everything up to then.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    key_id: str
    until: UtcTime
    checkpoint: int

    @classmethod
    def find(cls, entry: AuditEntry) -> Self | None:
        """What this entry says; None when it retires no key."""
        if entry.event is not AuditAction.AUDIT_KEY_RETIRED:
            return None
        try:
            return cls.model_validate(entry.details)
        except ValidationError:
            return None


def find_retirements(audit: AuditStore, keyring: AuditKeyring) -> Mapping[str, datetime]:
    """Until when each retired key was in use, by its name, as the chain of keys says. Raises StoreUnavailable."""
    found: dict[str, datetime] = {}
    for _, entry in read_places(audit, KEYS, 1, find_length(audit, KEYS)):
        if not isinstance(entry, AuditEntry) or not keyring.is_genuine(entry):
            continue
        retirement = Retirement.find(entry)
        if retirement is not None and keyring.is_newer(entry.key_id, retirement.key_id):
            # The first one counts: a later one could only stretch what the first one ended.
            found.setdefault(retirement.key_id, retirement.until)
    return found
