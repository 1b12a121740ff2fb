"""The six ways in which a store changes something, each made once and looked at afterwards.

Invariant: whether a change has happened is read past the network that the test breaks, and is a whole truth: record,
audit chain and ledgers agree, or the reading fails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Final

from core.actor import UserId
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, EntryDraft
from core.audit.verification import verify_chain
from core.break_glass import BreakGlassEvent, EventId, EventStatus
from core.errors import NotFound
from core.record import Record
from core.request import Request, RequestId, RequestStatus
from core.review import Verdict
from core.stores import Stores
from core.stores.base import Replaced
from core.usage import Usage, UsageLedger
from tests.builders import (
    APPROVER,
    REQUESTER,
    REVIEWER,
    SECOND_APPROVER,
    a_draft,
    a_profile,
    a_request,
    a_user,
    an_event,
)

NOW: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""In the future, for DynamoDB Local deletes what its TTL calls old by the machine's clock."""


class Change(ABC):
    """One change of one record of its own. `direct` are stores whose network is well."""

    record: Record
    event: AuditAction
    actor: UserId = REQUESTER

    def __init__(self, direct: Stores) -> None:
        self._direct = direct
        # The outcome is unknown to the state machine, which then judges nothing: the record is not made yet.
        self.draft: EntryDraft = a_draft(self.event, actor=self.actor, outcome="changed")

    @abstractmethod
    def make(self, stores: Stores) -> Record | None:
        """Make the change, once; the record as it was stored."""

    @abstractmethod
    def change_later(self) -> Record | None:
        """What somebody else does next, on top of this change; None when nothing can follow."""

    def has_happened(self) -> bool:
        """True when the change is in the table, and False when no trace of it is."""
        ids = [entry.id for entry in self._direct.audit.get_chain(self.record.chain)]
        is_committed = self.draft.id in ids
        assert ids.count(self.draft.id) == is_committed
        assert self._is_in_record() == is_committed
        assert list(verify_chain(self._direct, self.record.chain, AuditKeyring(), NOW)) == []
        return is_committed

    @abstractmethod
    def _is_in_record(self) -> bool: ...

    def read(self) -> Record | None:
        """The record as it is stored."""
        try:
            if isinstance(self.record, Request):
                return self._direct.requests.get(RequestId(self.record.id))
            return self._direct.break_glass.get(EventId(self.record.id))
        except NotFound:
            return None


class Create(Change):
    """A request is made."""

    event = AuditAction.REQUEST_SUBMITTED

    def __init__(self, direct: Stores) -> None:
        super().__init__(direct)
        self.record: Request = a_request(now=NOW)

    def make(self, stores: Stores) -> Request:
        return stores.requests.create(self.record, self.draft)

    def change_later(self) -> Request:
        request = self._direct.requests.get(RequestId(self.record.id))
        approved = request.approve(SECOND_APPROVER, NOW)
        action = AuditAction.REQUEST_APPROVED if approved.approver else AuditAction.APPROVAL_ADDED
        return self._direct.requests.update(approved, EntryDraft.of(approved, action, SECOND_APPROVER))

    def _is_in_record(self) -> bool:
        return self.read() is not None


class Update(Change):
    """The first of two votes is given."""

    event = AuditAction.APPROVAL_ADDED
    actor = APPROVER

    def __init__(self, direct: Stores) -> None:
        super().__init__(direct)
        self.record: Request = direct.requests.create(a_request(now=NOW, required_approvals=2), a_draft())

    def make(self, stores: Stores) -> Request:
        return stores.requests.update(self.record.approve(APPROVER, NOW), self.draft)

    def change_later(self) -> Request:
        request = self._direct.requests.get(RequestId(self.record.id))
        approved = request.approve(SECOND_APPROVER, NOW)
        action = AuditAction.REQUEST_APPROVED if approved.approver else AuditAction.APPROVAL_ADDED
        return self._direct.requests.update(approved, EntryDraft.of(approved, action, SECOND_APPROVER))

    def decide_instead(self) -> Request:
        """Somebody else says no in the meantime."""
        denied = self.record.deny(SECOND_APPROVER, NOW, "not on a Friday")
        return self._direct.requests.update(denied, EntryDraft.of(denied, AuditAction.REQUEST_DENIED, SECOND_APPROVER))

    def _is_in_record(self) -> bool:
        request = self._direct.requests.get(RequestId(self.record.id))
        assert request.status in {RequestStatus.PENDING, RequestStatus.APPROVED, RequestStatus.DENIED}
        return request.has_approval_by(APPROVER)


class Remind(Change):
    """The approvers are reminded of a request that waits."""

    event = AuditAction.REQUEST_REMINDED

    def __init__(self, direct: Stores) -> None:
        super().__init__(direct)
        self.record: Request = direct.requests.create(a_request(now=NOW), a_draft())

    def make(self, stores: Stores) -> Request:
        return stores.requests.update(self.record.remind(NOW), self.draft)

    def change_later(self) -> Request:
        request = self._direct.requests.get(RequestId(self.record.id))
        approved = request.approve(SECOND_APPROVER, NOW)
        action = AuditAction.REQUEST_APPROVED if approved.approver else AuditAction.APPROVAL_ADDED
        return self._direct.requests.update(approved, EntryDraft.of(approved, action, SECOND_APPROVER))

    def _is_in_record(self) -> bool:
        return self._direct.requests.get(RequestId(self.record.id)).reminded_at is not None


class Delete(Change):
    """A request is removed."""

    event = AuditAction.RECORD_DELETED

    def __init__(self, direct: Stores) -> None:
        super().__init__(direct)
        self.record: Request = direct.requests.create(a_request(now=NOW), a_draft())

    def make(self, stores: Stores) -> None:
        stores.requests.delete(self.record, self.draft)

    def change_later(self) -> None:
        """A chain that has ended is not begun again."""
        return

    def _is_in_record(self) -> bool:
        return self.read() is None


class Invoke(Change):
    """The glass is broken, and both ledgers remember it."""

    event = AuditAction.BREAK_GLASS_INVOKED

    def __init__(self, direct: Stores) -> None:
        super().__init__(direct)
        self.record: BreakGlassEvent = an_event(invoker=a_user(), profile=a_profile(), now=NOW)
        self._ledgers = direct.break_glass.get_ledgers(self.record.invoker, self.record.profile)

    def make(self, stores: Stores) -> BreakGlassEvent:
        ledgers = [ledger.add(self.record) for ledger in self._ledgers]
        return stores.break_glass.create(self.record, self.draft, ledgers)

    def change_later(self) -> BreakGlassEvent:
        event = self._direct.break_glass.get(EventId(self.record.id))
        return close_event(
            self._direct, event, a_draft(AuditAction.BREAK_GLASS_CLOSED, actor=event.invoker, outcome="closed")
        )

    def _is_in_record(self) -> bool:
        ledgers = self._direct.break_glass.get_ledgers(self.record.invoker, self.record.profile)
        is_remembered = [ledger.has(self.record.id) for ledger in ledgers]
        is_there = self.read() is not None
        assert is_remembered == [is_there, is_there]
        return is_there


class Close(Change):
    """A live event is ended, and the invoker's ledger remembers when."""

    event = AuditAction.BREAK_GLASS_CLOSED

    def __init__(self, direct: Stores) -> None:
        super().__init__(direct)
        invoked = Invoke(direct)
        self.record: BreakGlassEvent = invoked.make(direct)
        self.draft = a_draft(self.event, actor=self.record.invoker, outcome="changed")

    def make(self, stores: Stores) -> BreakGlassEvent:
        return close_event(stores, self.record, self.draft, self._ledger())

    def change_later(self) -> BreakGlassEvent:
        event = self._direct.break_glass.get(EventId(self.record.id))
        reviewed = event.add_review(REVIEWER, NOW, verdict=Verdict.JUSTIFIED, notes="the runbook left no other way")
        return self._direct.break_glass.update(
            reviewed, EntryDraft.of(reviewed, AuditAction.BREAK_GLASS_REVIEWED, REVIEWER)
        )

    def _is_in_record(self) -> bool:
        event = self._direct.break_glass.get(EventId(self.record.id))
        assert self._ledger().usages == (Usage.of(event),)
        return event.status is EventStatus.CLOSED

    def _ledger(self) -> UsageLedger:
        return self._direct.break_glass.get_ledgers(self.record.invoker, self.record.profile)[0]


def close_event(
    stores: Stores, event: BreakGlassEvent, draft: EntryDraft, ledger: UsageLedger | None = None
) -> BreakGlassEvent:
    """Close it, with the invoker's ledger as it was read, or as it is."""
    closed = event.close(event.invoker, NOW, "all is well again")
    ledger = ledger or stores.break_glass.get_ledgers(event.invoker, event.profile)[0]
    return stores.break_glass.update(closed, draft, (ledger.settle(closed),))


class Replace(Change):
    """The glass is broken with a code, instead of a request that waits."""

    event = AuditAction.BREAK_GLASS_INVOKED

    def __init__(self, direct: Stores) -> None:
        super().__init__(direct)
        invoker, profile = a_user(), a_profile()
        request = direct.requests.create(a_request(requester=invoker, profile=profile, now=NOW), a_draft())
        self.record: BreakGlassEvent = an_event(
            invoker=invoker, profile=profile, now=NOW, mfa_method="totp", instead_of=request.id
        )
        cancelled = request.cancel(invoker, NOW, replaced_by=self.record.id)
        self._replacing = Replaced(cancelled, a_draft(AuditAction.REQUEST_CANCELLED, outcome="cancelled"))
        self._ledgers = direct.break_glass.get_ledgers_and_codes(invoker, profile)

    def make(self, stores: Stores) -> BreakGlassEvent:
        by_invoker, by_profile, codes = self._ledgers
        ledgers = (by_invoker.add(self.record), by_profile.add(self.record), codes.accept(1))
        return stores.break_glass.create(self.record, self.draft, ledgers, replacing=self._replacing)

    def change_later(self) -> BreakGlassEvent:
        event = self._direct.break_glass.get(EventId(self.record.id))
        return close_event(
            self._direct, event, a_draft(AuditAction.BREAK_GLASS_CLOSED, actor=event.invoker, outcome="closed")
        )

    def _is_in_record(self) -> bool:
        is_there = self.read() is not None
        request = self._direct.requests.get(RequestId(self._replacing.request.id))
        codes = self._direct.break_glass.get_ledgers_and_codes(self.record.invoker, self.record.profile)[2]
        assert (request.replaced_by == self.record.id, codes.last_step == 1) == (is_there, is_there)
        assert list(verify_chain(self._direct, request.chain, AuditKeyring(), NOW)) == []
        return is_there


CHANGES: Final[tuple[type[Change], ...]] = (Create, Update, Remind, Delete, Invoke, Close, Replace)
