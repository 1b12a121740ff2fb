"""Every error that Countersign raises, in one tree.

A caller that catches a class here acts in one way; where two causes need two ways to act, they are two classes.
Facts travel in fields, so that Slack, the command line and a log can each say them in their own words.

    CountersignError
    ├── InvalidInput                 what was given cannot be used; names the field and the fix
    │   └── InvalidPolicy            the policy file has mistakes, each with line, path and fix
    ├── ApprovalFormNeeded           the rule wants more than a press: open the form; nothing was refused
    ├── Refused                      understood, and the answer is no
    │   ├── NotAllowed               no rule of the policy allows it
    │   │   └── NotKnown             Slack couldn't say who somebody is or where they belong: try again
    │   │       └── TicketNotKnown   the ticket couldn't be checked now: try again
    │   ├── PrincipalUnknown         a target has no one user for the person: a policy owner has to say who they are
    │   ├── PrincipalUnavailable     a target couldn't say now which user the person is: try again
    │   ├── CodeRefused              the code of a second factor is wrong, or was used already
    │   ├── LimitReached             a live event, a cooldown, a quota or a lock prevents it
    │   ├── TokenRefused             this is the token of no device: pair the terminal anew
    │   ├── DeviceEnded              the token was right, and the device was revoked or has expired
    │   ├── PairingUnknown           no terminal shows this code; it was counted as wrong
    │   ├── PairingExpired           the code's five minutes are over, or it was used
    │   ├── PairingRefused           its person refused it in Slack, or may not pair
    │   ├── PairingWaiting           nobody has confirmed it yet: ask again after the interval
    │   ├── PairingTooFast           the machine asked again too early
    │   ├── NothingOpen              there is no access to get credentials for, or not yet
    │   ├── AccessEnded              the access has ended: ask for it again
    │   ├── NewerRecord              a newer version made it: this one only ends it
    │   └── InvalidStateTransition   the record's status does not lead there (any more)
    ├── NotFound
    │   ├── RequestNotFound
    │   ├── EventNotFound
    │   ├── GrantNotFound
    │   ├── DeviceNotFound
    │   └── SessionNotFound
    ├── AlreadyExists
    │   ├── RequestExists
    │   ├── EventExists
    │   ├── GrantExists
    │   ├── DeviceExists
    │   └── SessionExists
    ├── StoreError
    │   ├── BrokenChain              a record's audit chain is not the record's own: run `countersign audit verify`
    │   ├── ConcurrentModification   the record changed since it was read: read it again and decide again
    │   ├── FixedFactChanged         a bug in the caller: a change would rewrite what can never change
    │   ├── MalformedRecord          an item in the table cannot be read as a record
    │   │   └── BrokenSeal           it can be read, and is not what Countersign wrote: run `countersign audit verify`
    │   ├── StoreMisconfigured       a table is missing or has the wrong keys: run `countersign tables check`
    │   └── StoreUnavailable         no answer in time; `is_outcome_unknown` says whether it may have taken effect
    ├── IssuerUnavailable            AWS gave no credentials; `is_final`: trying again doesn't help
    ├── ScheduleUnavailable          a schedule can't be asked now; `retry_after` says when it can
    ├── ScheduleRefused              no such schedule, or not with this key: somebody has to act first
    └── DeliveryFailed               an entry could not be delivered; the outbox tries again

Invariant: after any of these, the store is as it was, but for StoreUnavailable with `is_outcome_unknown`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import ValidationError


class CountersignError(Exception):
    """The base class: catch it to catch everything that Countersign raises on purpose.

    Its text is one sentence or two; where `is_list`, it is a list with one mistake on each line.
    """

    is_list: ClassVar[bool] = False


class InvalidInput(CountersignError):
    """Something given cannot be used. Nothing was changed."""

    def __init__(self, field: str, problem: str, fix: str) -> None:
        super().__init__(f"{field}: {problem}. {fix}")
        self.field = field
        self.problem = problem
        self.fix = fix


class Refused(CountersignError):
    """The answer is no. Nothing was changed."""


class NotAllowed(Refused):
    """No rule of the policy allows this person to do this. `unmet` names the conditions that `reasons` spell out."""

    def __init__(
        self, action: str, reasons: tuple[str, ...], rule: str | None = None, unmet: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{action} is not allowed: {'; '.join(reasons)}")
        self.action = action
        self.reasons = reasons
        self.rule = rule
        self.unmet = unmet


class NotKnown(NotAllowed):
    """Nobody could say who somebody is, or whether they are in one of `groups`: user groups, schedules. Try again."""

    def __init__(
        self, action: str, reasons: tuple[str, ...], rule: str | None = None, groups: tuple[str, ...] = ()
    ) -> None:
        super().__init__(action, reasons, rule)
        self.groups = groups


class TicketNotKnown(NotKnown):
    """The ticket of a request couldn't be checked now, and the rule refuses what isn't. Nothing was changed."""

    def __init__(self, action: str, reasons: tuple[str, ...], rule: str | None = None) -> None:
        super().__init__(action, reasons, rule)
        self.unmet = ("ticket",)


class LimitReached(Refused):
    """A limit prevents this. `ends_at` is when the limit ends, in UTC."""

    def __init__(self, limit: str, value: str, ends_at: datetime) -> None:
        super().__init__(f"{limit} ({value}) until {ends_at.isoformat()}")
        self.limit = limit
        self.value = value
        self.ends_at = ends_at


class CodeRefused(Refused):
    """The MFA code was refused: it is `wrong`, was `used` before, or the person is `blocked` until an operator acts.

    Only the count of wrong codes changed.
    """

    def __init__(self, problem: Literal["wrong", "used", "blocked"], tries_left: int) -> None:
        left = "1 attempt" if tries_left == 1 else f"{tries_left} attempts"
        sentences = {
            "wrong": f"Wrong code; {left} left",
            "used": f"This code was already used; {left} left",
            "blocked": "Too many wrong codes within a week; an operator has to unlock this person",
        }
        super().__init__(sentences[problem])
        self.problem = problem
        self.tries_left = tries_left


class InvalidStateTransition(Refused):
    """The record is `status`; that does not lead to `wanted`. Says who decided and when, where somebody did."""

    def __init__(
        self, record: str, status: str, wanted: str, *,
        decided_by: str | None = None, decided_at: datetime | None = None, reason: str | None = None,
    ) -> None:  # fmt: skip
        by = f" by {decided_by}" if decided_by else ""
        why = f": {reason}" if reason else ""
        super().__init__(f"{record} is {status}{by} and cannot become {wanted}{why}")
        self.record = record
        self.status = status
        self.wanted = wanted
        self.decided_by = decided_by
        self.decided_at = decided_at
        self.reason = reason


class NotFound(CountersignError):
    """There is no such record."""

    def __init__(self, record_id: str) -> None:
        super().__init__(f"There is no record {record_id!r}. Nothing was changed.")
        self.record_id = record_id


class RequestNotFound(NotFound):
    """There is no request with this id."""


class EventNotFound(NotFound):
    """There is no break-glass event with this id."""


class GrantNotFound(NotFound):
    """There is no grant with this id."""


class AlreadyExists(CountersignError):
    """A record with this id is already in the table; it was left as it is."""

    def __init__(self, record_id: str) -> None:
        super().__init__(f"A record with the id {record_id!r} exists already. It was left as it is.")
        self.record_id = record_id


class RequestExists(AlreadyExists):
    """A request with this id exists already."""


class EventExists(AlreadyExists):
    """A break-glass event with this id exists already."""


class GrantExists(AlreadyExists):
    """A grant with this id exists already: the same decision made it."""


class StoreError(CountersignError):
    """The store could not do what was asked."""


class ConcurrentModification(StoreError):
    """The record, or a ledger that moves with it, changed since it was read. Read it again and decide again."""

    def __init__(self, record: str) -> None:
        super().__init__(f"{record} was changed by somebody else in the meantime. Nothing was changed by this call.")
        self.record = record


class BrokenChain(StoreError):
    """The place of the record's next audit entry is taken by an entry that no change of this record wrote."""

    def __init__(self, record: str) -> None:
        super().__init__(
            f"{record} has an audit entry that no change of it wrote. Nothing was changed. "
            "Run `countersign audit verify`."
        )
        self.record = record


class FixedFactChanged(StoreError):
    """A change would rewrite facts that were fixed earlier, such as who decided. This is a bug in the caller."""

    def __init__(self, record: str, fields: tuple[str, ...]) -> None:
        super().__init__(f"{record}: {', '.join(fields)} can no longer change. Nothing was changed.")
        self.record = record
        self.fields = fields


class MalformedRecord(StoreError):
    """An item in the table cannot be read as a record."""

    def __init__(self, record: str, problem: str) -> None:
        super().__init__(f"{record} cannot be read: {problem}")
        self.record = record
        self.problem = problem

    @classmethod
    def from_error(cls, record: str, error: Exception) -> Self:
        """The same in one line: of what validation found, the first fault, and never the value that was found."""
        if not isinstance(error, ValidationError):
            return cls(record, str(error))
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
        problem = first["msg"].removeprefix("Value error, ")
        return cls(record, f"{where}: {problem}" if where else problem)


class BrokenSeal(MalformedRecord):
    """A record or a ledger is not what Countersign wrote: somebody changed it in the store, past Countersign."""

    def __init__(self, record: str, problem: str) -> None:
        super().__init__(record, problem)
        self.is_ledger = is_ledger(record)
        text = f"{record} was changed in the store without Countersign: {problem}. Nothing was changed by this call."
        self.args = (f"{text} Tell your security team, and run `countersign audit verify`.",)


def is_ledger(name: str) -> bool:
    """True when this is the name of a ledger, not of a record."""
    return name.startswith("LEDGER#")


class StoreMisconfigured(StoreError):
    """A table is missing, has the wrong keys, or may not be used with these credentials."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}. {fix}")
        self.problem = problem
        self.fix = fix


class StoreUnavailable(StoreError):
    """The store did not answer in time.

    `is_outcome_unknown` is true when the change may have taken effect, because its reply was lost.
    """

    def __init__(self, problem: str, *, is_outcome_unknown: bool = False) -> None:
        outcome = "It is not known whether the change was recorded." if is_outcome_unknown else "Nothing was changed."
        super().__init__(f"The store did not answer: {problem}. {outcome}")
        self.problem = problem
        self.is_outcome_unknown = is_outcome_unknown


class DeliveryFailed(CountersignError):
    """A sink couldn't take an entry. `is_final`: trying again can't help. `retry_after`: ask again only then."""

    def __init__(self, problem: str, *, is_final: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_final = is_final
        self.retry_after = retry_after
