"""Change people's MFA factors, and write down that it was done.

Invariant: the audit trail knows of a change before it happens. A factor that changed without an entry would be one that
nobody hears of.
"""

from __future__ import annotations

from pydantic import SecretStr

from bot.mfa.secret_store import Secrets, already_enrolled
from core.actor import OPERATOR, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.errors import ConcurrentModification
from core.stores.base import Stores

CHAIN = "MFA"
DONE = "done"


class Enrolment:
    """Enrols, removes and unlocks people. For one operator at a terminal."""

    def __init__(self, secrets: Secrets, stores: Stores) -> None:
        self._secrets = secrets
        self._stores = stores

    def enrol(self, person: UserId, secret: SecretStr, *, is_replacing: bool) -> None:
        """Keep a person's secret. Raises InvalidInput for somebody who has one, unless it is replaced; StoreError.

        After an error, the trail may have an entry for a change that didn't happen; doing it again completes it.
        """
        is_enrolled = self._secrets.find(person) is not None
        if is_enrolled and not is_replacing:
            raise already_enrolled(person)
        self._write(AuditAction.MFA_REPLACED if is_enrolled else AuditAction.MFA_ENROLLED, person)
        self._secrets.put(person, secret, is_replacing=is_replacing)

    def remove(self, person: UserId) -> bool:
        """Forget a person's secret; False when there is none. Raises StoreError."""
        if self._secrets.find(person) is None:
            return False
        self._write(AuditAction.MFA_REMOVED, person)
        return self._secrets.remove(person)

    def unlock(self, person: UserId) -> bool:
        """Let a person try codes again; False when nothing keeps them from it. Raises StoreError."""
        is_written = False
        while True:
            codes = self._stores.break_glass.get_codes(person)
            if not codes.wrong_in_window and not codes.wrong_at:
                return is_written
            if not is_written:
                self._write(AuditAction.MFA_UNLOCKED, person)
                is_written = True
            try:
                self._stores.break_glass.put_codes(codes.unlock())
            except ConcurrentModification:
                # A code was tried just now.
                continue
            return True

    def _write(self, event: AuditAction, person: UserId) -> None:
        self._stores.audit.append(CHAIN, EntryDraft(event=event, actor=OPERATOR, outcome=DONE, subject=person))
