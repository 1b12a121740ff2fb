"""Access in every state that reads differently, with the longest words that records, targets and policies take.

Invariant: everything is made from grants by the code that people's lists and cards use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from core.access.grant import Grant
from core.access.right import Right
from core.access.summary import AccessSummary, summarize
from core.actor import CLOCK, DeciderId, ProfileName, UserId
from core.policy.profile import MAX_RIGHTS
from core.policy.rule_fields import MAX_FALLBACK_LENGTH
from tests.harness.clock import A_MOMENT

SPITEFUL: Final = "<!channel> <https://evil.example|prod> *bold* `code` :wave: & "
LONGEST: Final = (SPITEFUL * 20)[:499] + "."
FALLBACKS: Final = ((SPITEFUL * 20)[: MAX_FALLBACK_LENGTH - 1] + ".",) * 5
REQUEST: Final = "REQUEST#0123456789abcdef"
EVENT: Final = "BREAKGLASS#0123456789abcdef"
GRANTEE: Final = UserId("U0REQUESTER")
BY: Final = DeciderId("U0APPROVER")
HOUR: Final = timedelta(hours=1)
SOON: Final = A_MOMENT + timedelta(minutes=1)
MID: Final = A_MOMENT + HOUR / 2
END: Final = A_MOMENT + HOUR
LATE: Final = END + timedelta(minutes=10)


def a_right(number: int, *, is_long: bool = True) -> Right:
    """A right of which everything is as long as a key of eight parts lets it be."""
    resource, level = ("r" * 250, f"arn:{'l' * 240}/ps-{number}") if is_long else ("111122223333", f"level-{number}")
    return Right(target="t" * 64 if is_long else "aws", resource=resource, level=level, principal="p" * 200)


def a_grant(number: int = 0, source: str = REQUEST, *, is_long: bool = True) -> Grant:
    """A pending grant of one hour."""
    return Grant.make(
        grantee=GRANTEE,
        profile=ProfileName("p" * 80) if is_long else ProfileName("prod"),
        right=a_right(number, is_long=is_long),
        source=source,
        decided_by=BY,
        justification=LONGEST,
        starts_at=A_MOMENT,
        ends_at=END,
        now=A_MOMENT,
    )


def opened(number: int = 0, source: str = REQUEST, *, stood_before: bool = False) -> Grant:
    return a_grant(number, source).open(SOON, stood_before=stood_before)


def refused(number: int = 0, source: str = REQUEST) -> Grant:
    return a_grant(number, source).fail(SOON, LONGEST)


def revoked(number: int = 0, source: str = REQUEST, by: DeciderId = BY) -> Grant:
    return opened(number, source).end_early(by, MID, LONGEST)


def done(number: int = 0, source: str = REQUEST) -> Grant:
    return revoked(number, source, DeciderId(GRANTEE))


State = tuple[Callable[[str], list[Grant]], datetime]
STATES: Final[Mapping[str, State]] = {
    "opening": (lambda source: [a_grant(0, source)], SOON),
    "opening, delayed": (lambda source: [a_grant(0, source).tell_delay(SOON)], SOON),
    "opening, one is open": (lambda source: [opened(0, source), a_grant(1, source)], SOON),
    "open": (lambda source: [opened(0, source)], SOON),
    "open, all rights": (lambda source: [opened(each, source) for each in range(MAX_RIGHTS)], SOON),
    "open, stood before": (lambda source: [opened(0, source, stood_before=True), opened(1, source)], SOON),
    "partly open": (
        lambda source: [opened(0, source), *(refused(each, source) for each in range(1, MAX_RIGHTS))],
        SOON,
    ),
    "could not be opened": (lambda source: [refused(each, source) for each in range(MAX_RIGHTS)], SOON),
    "closing, ended by another": (lambda source: [revoked(0, source)], MID),
    "closing, done": (lambda source: [done(0, source)], MID),
    "closing, departed": (lambda source: [revoked(0, source, CLOCK)], MID),
    "closing, overdue": (lambda source: [opened(each, source) for each in range(MAX_RIGHTS)], LATE),
    "closed": (lambda source: [opened(0, source).expire(END).close(END)], LATE),
    "closed, residue": (lambda source: [revoked(0, source).close(MID, residual_until=MID + HOUR)], MID),
    "closed, stays": (lambda source: [opened(0, source, stood_before=True).expire(END).close(END, is_kept=True)], LATE),
    "closed, kept": (lambda source: [opened(0, source).expire(END).close(END, is_kept=True)], LATE),
    "closed, never open": (lambda source: [a_grant(0, source).end_early(BY, MID, LONGEST).close(MID)], MID),
}


def access_in(state: str, source: str = REQUEST) -> tuple[AccessSummary, datetime]:
    """Access in one of the states, and the moment of it."""
    make, now = STATES[state]
    access = summarize(make(source), now)
    assert access is not None
    return access, now
