"""The votes of approvers: which count, which lapsed and why, and that none is ever lost.

Invariant: votes are only ever added. A vote may lapse, once, and changes in nothing else. Of the votes that count, the
one that gave the least time decides how long the access is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final, Self

from pydantic import JsonValue, model_validator

from core.actor import UserId, ValidUserId
from core.clock import UtcTime
from core.duration import Duration
from core.duty import OnCallName
from core.stored import StoredModel
from core.text import text_rule

COMMENT_LENGTH: Final = (1, 500)
Comment = Annotated[str, text_rule("comment", at_least=COMMENT_LENGTH[0], at_most=COMMENT_LENGTH[1])]
LapsedReason = Annotated[str, text_rule("reason", at_least=1, at_most=COMMENT_LENGTH[1])]


class Approval(StoredModel):
    """One approver's vote. `duration` is how much time it gives, if less than was asked; None gives all of it.

    `on_call` is the schedule in which they were on call, where that let them vote. `lapsed_at` and `lapsed_reason` say
    since when it no longer counts, and why.
    """

    approver: ValidUserId
    at: UtcTime
    comment: Comment | None = None
    duration: Duration | None = None
    on_call: OnCallName | None = None
    lapsed_at: UtcTime | None = None
    lapsed_reason: LapsedReason | None = None

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"duration", "on_call", "lapsed_at", "lapsed_reason"})

    @property
    def counts(self) -> bool:
        """True until it lapses."""
        return self.lapsed_at is None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.lapsed_at is None) != (self.lapsed_reason is None):
            raise ValueError("a vote that lapsed says when and why")
        return self


def counting(approvals: tuple[Approval, ...]) -> tuple[Approval, ...]:
    """The votes that have not lapsed, in their order."""
    return tuple(approval for approval in approvals if approval.counts)


def shortest(approvals: tuple[Approval, ...], asked: timedelta) -> timedelta:
    """How much time the votes that count give together: the least that one of them gave."""
    return min((vote.duration for vote in counting(approvals) if vote.duration is not None), default=asked)


def lapse(approvals: tuple[Approval, ...], lapsed: Mapping[UserId, str], now: datetime) -> tuple[Approval, ...]:
    """The same votes, of which those of these approvers no longer count, each for the reason given."""
    return tuple(
        vote.model_copy(update={"lapsed_at": now, "lapsed_reason": lapsed[vote.approver]})
        if vote.counts and vote.approver in lapsed
        else vote
        for vote in approvals
    )


def keeps_votes(stored: JsonValue, approvals: tuple[Approval, ...]) -> bool:
    """True when each stored vote is still there, unchanged, but for a lapse."""
    if stored is None:
        return True
    if not isinstance(stored, list) or len(stored) > len(approvals):
        return False
    kept = [vote.model_dump(mode="json") for vote in approvals[: len(stored)]]
    return all(_is_same_vote(before, after) for before, after in zip(stored, kept, strict=True))


def _is_same_vote(before: JsonValue, after: dict[str, JsonValue]) -> bool:
    if not isinstance(before, dict):
        return False
    has_lapsed = before.get("lapsed_at") is not None
    may_change = set() if has_lapsed else {"lapsed_at", "lapsed_reason"}
    names = (before.keys() | after.keys()) - may_change
    return all(before.get(name) == after.get(name) for name in names)
