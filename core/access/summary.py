"""What people are told of the access that one decision gave: all its grants, as one answer.

Invariant: pure, and never better than the truth. Access is open only while every right that was not refused is known to
be there, and closed only when each is known to be gone, or to stay for another cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

from core.access.grant import EarlyEnd, Grant
from core.access.grant_status import AccessPhase, GrantStatus
from core.access.right import Right
from core.actor import DeciderId, ProfileName, UserId

OVERDUE_AFTER: Final = timedelta(seconds=60)
"""Access ends within this time while its target answers; later than that, it is overdue."""


@dataclass(frozen=True, slots=True)
class RightSummary:
    """One right of it. `problem` says why the target refused it; `is_kept`: it stays although this access is over."""

    right: Right
    phase: AccessPhase
    was_open: bool = False
    problem: str | None = None
    stood_before: bool = False
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class AccessSummary:
    """The access of one source: the request or the break-glass event that `source` names, by its chain.

    `service` is whose access it is, where it isn't the grantee's own. `until` is when the access ends or ended.
    `opened_at` is since when all of it is open, `closed_at` since when all of it is gone. `is_delayed`: opening takes
    long, and people were told. `is_overdue`: it should be gone by now.
    """

    source: str
    grantee: UserId
    profile: ProfileName
    decided_by: DeciderId
    phase: AccessPhase
    starts_at: datetime
    until: datetime
    rights: tuple[RightSummary, ...]
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    residual_until: datetime | None = None
    ended_early: EarlyEnd | None = None
    is_emergency: bool = False
    is_delayed: bool = False
    is_overdue: bool = False
    service: str | None = None

    @property
    def source_id(self) -> str:
        """The id of the request or the event."""
        return self.source.rpartition("#")[2]

    @property
    def is_live(self) -> bool:
        """True until nothing is left to do for it."""
        return self.phase not in {AccessPhase.CLOSED, AccessPhase.FAILED}

    @property
    def may_end(self) -> bool:
        """True while ending it would change anything."""
        return self.phase in {AccessPhase.SCHEDULED, AccessPhase.OPENING, AccessPhase.OPEN}

    @property
    def may_extend(self) -> bool:
        """True while a new request could follow without a gap. Break-glass access isn't extended."""
        return self.phase in {AccessPhase.OPENING, AccessPhase.OPEN} and not self.is_emergency

    @property
    def is_ended_by_grantee(self) -> bool:
        """True when the person who had it ended it early."""
        return self.ended_early is not None and str(self.ended_early.by) == self.grantee

    @property
    def is_cancelled(self) -> bool:
        """True when somebody ended it before its start: it never opened, and won't."""
        return self.ended_early is not None and self.ended_early.at < self.starts_at and not self.was_open

    @property
    def refused(self) -> tuple[RightSummary, ...]:
        """The rights that could not be given."""
        return tuple(each for each in self.rights if each.phase is AccessPhase.FAILED)

    @property
    def open_rights(self) -> tuple[RightSummary, ...]:
        """The rights that are there now."""
        return tuple(each for each in self.rights if each.phase is AccessPhase.OPEN)

    @property
    def standing(self) -> tuple[RightSummary, ...]:
        """The rights that the person had before, from elsewhere; they stay."""
        return tuple(each for each in self.rights if each.stood_before)

    @property
    def kept(self) -> tuple[RightSummary, ...]:
        """The rights that stay although this access is over: they stood before, or other access needs them."""
        return tuple(each for each in self.rights if each.is_kept)

    @property
    def is_all_kept(self) -> bool:
        """True when it is over and nothing of it went."""
        return bool(self.kept) and len(self.kept) == len(self.rights)

    @property
    def is_partial(self) -> bool:
        """True when some of the rights are refused and others are not."""
        return 0 < len(self.refused) < len(self.rights)

    @property
    def was_open(self) -> bool:
        """True when any of it was open."""
        return any(each.was_open for each in self.rights)

    @property
    def problem(self) -> str | None:
        """Why it could not be opened, or not all of it: the first reason, in the target's words."""
        return next((each.problem for each in self.rights if each.problem is not None), None)

    def has_residue(self, now: datetime) -> bool:
        """True while a session that was open at the end can still live on."""
        return self.residual_until is not None and self.residual_until > now


def summarize(grants: Sequence[Grant], now: datetime) -> AccessSummary | None:
    """All grants of one source as people are told of them; None if there are none: a decision without access."""
    if not grants:
        return None
    ordered = sorted(grants, key=lambda grant: str(grant.right))
    first = ordered[0]
    phase = _phase(ordered, now)
    early = next((grant.ended_early for grant in ordered if grant.ended_early is not None), None)
    until = early.at if early is not None else first.ends_at
    is_live = any(grant.is_live for grant in ordered)
    return AccessSummary(
        source=first.source,
        grantee=first.grantee,
        profile=first.profile,
        decided_by=first.decided_by,
        phase=phase,
        starts_at=first.starts_at,
        until=until,
        rights=tuple(_right(grant, now) for grant in ordered),
        opened_at=_last(grant.opened_at for grant in ordered) if phase is AccessPhase.OPEN else None,
        closed_at=None if is_live else _last(grant.closed_at for grant in ordered),
        residual_until=_last(grant.residual_until for grant in ordered),
        ended_early=early,
        is_emergency=first.is_emergency,
        is_delayed=phase is AccessPhase.OPENING and any(_is_delayed(grant) for grant in ordered),
        is_overdue=is_live and now >= until + OVERDUE_AFTER,
        service=first.service,
    )


def summarize_each(grants: Iterable[Grant], now: datetime) -> tuple[AccessSummary, ...]:
    """The access of each source among these grants: overdue first, the longest overdue first, then by its end."""
    by_source = sorted(grants, key=attrgetter("source"))
    found = (summarize(tuple(of_source), now) for _, of_source in groupby(by_source, key=attrgetter("source")))
    return tuple(
        sorted((each for each in found if each is not None), key=lambda each: (not each.is_overdue, each.until))
    )


def _phase(grants: Sequence[Grant], now: datetime) -> AccessPhase:
    """One phase for all: closing before opening, opening before open, and what was refused counts only alone."""
    phases = {grant.describe(now).phase for grant in grants}
    for phase in _PRECEDENCE:
        if phase in phases:
            return phase
    return AccessPhase.FAILED


_PRECEDENCE: Final = (
    AccessPhase.CLOSING,
    AccessPhase.SCHEDULED,
    AccessPhase.OPENING,
    AccessPhase.OPEN,
    AccessPhase.CLOSED,
)


def _right(grant: Grant, now: datetime) -> RightSummary:
    return RightSummary(
        right=grant.right,
        phase=grant.describe(now).phase,
        was_open=grant.was_open,
        problem=grant.failure,
        stood_before=grant.stood_before,
        is_kept=grant.is_kept,
    )


def _is_delayed(grant: Grant) -> bool:
    return grant.status is GrantStatus.PENDING and grant.delay_told_at is not None


def _last(moments: Iterable[datetime | None]) -> datetime | None:
    return max((each for each in moments if each is not None), default=None)
