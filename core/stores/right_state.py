"""A right as it was read, and as it is after a commit: what the engines share.

Invariant: a grant counts for the right that its sealed content names, wherever it was found. One whose seal is broken
counts as not there, and is named.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from core.access.grant import Grant
from core.access.holding import Holding
from core.access.right import Right, right_key
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction, AuditEntry
from core.errors import BrokenSeal, ConcurrentModification
from core.stores.access import MAX_TOGETHER, GrantWrite, RightState
from core.stores.commit import StoreSettings
from core.stores.seals import SealAlarm, SealedLedger, seal_ledger

ROLLED_BACK: Final = "its audit chain goes on after it, so this is an older version that was put back"
Raw = TypeVar("Raw")
_log = logging.getLogger("countersign.store")


@dataclass(frozen=True, slots=True)
class FoundRight:
    """What an engine found of a right. `holding` is None when none is stored; `damaged` is what can't be trusted.

    `is_known`: something stands beside the holding, as it does since the first grant was made.
    """

    right: Right
    holding: Holding | None
    nudge: int
    damaged: object | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class FoundGrants:
    """The grants that an engine found, and the ids of those whose seal is broken."""

    readable: tuple[Grant, ...]
    unreadable: tuple[str, ...]

    @classmethod
    def read(cls, raws: Iterable[Raw], read: Callable[[Raw], Grant]) -> FoundGrants:
        """Read each. Raises MalformedRecord for what a newer version may have sealed."""
        readable: dict[str, Grant] = {}
        unreadable: list[str] = []
        for raw in raws:
            try:
                grant = read(raw)
            except BrokenSeal as broken:
                _log.warning("counts as not there: %s", broken)
                unreadable.append(broken.record.removeprefix(f"{Grant.KIND}#"))
            else:
                readable[grant.id] = grant
        return cls(tuple(readable.values()), tuple(sorted(set(unreadable))))


def to_state(found: FoundRight, of_right: FoundGrants, was_given: Callable[[str], bool]) -> RightState:
    """The state of a right: of the grants found, those that are live, and the one that the holding names.

    `was_given` says whether the chain of a grant tells that this right was given; it is asked only of a lost holding.
    """
    holding = found.holding or Holding.empty(found.right)
    grants = []
    for grant in of_right.readable:
        if grant.right != found.right:
            _log.warning("%s is no grant of %s, under which it was found", grant.chain, found.right)
        elif grant.is_live or grant.id == holding.last_grant:
            grants.append(grant)
    in_order = tuple(sorted(grants, key=lambda grant: (grant.created_at, grant.id)))
    is_lost = found.holding is None and _has_history(found, in_order, of_right.unreadable)
    known = [*(grant.id for grant in in_order), *of_right.unreadable] if is_lost else ()
    given = tuple(each for each in known if was_given(each))
    return RightState(holding, in_order, found.nudge, of_right.unreadable, is_lost, given, found.damaged)


def _has_history(found: FoundRight, grants: Sequence[Grant], unreadable: Sequence[str]) -> bool:
    """True when there must have been a holding: a grant opens, and a right is known, only together with one."""
    was_there = bool(unreadable) or any(grant.opened_at is not None for grant in grants)
    return found.damaged is not None or was_there or (bool(grants) and not found.is_known)


def tells_of_giving(entries: Iterable[AuditEntry], right: Right, keyring: AuditKeyring) -> bool:
    """True when the genuine ones of a grant's entries say that it was of this right, and that it was given."""
    genuine = [entry for entry in entries if keyring.is_genuine(entry) and entry.key_id not in keyring.retired]
    is_of_right = any(entry.details.get("right") == right_key(right) for entry in genuine)
    return is_of_right and any(entry.event is AuditAction.GRANT_GIVEN for entry in genuine)


def after_commit(state: RightState, holding: Holding, written: Grant | None) -> RightState:
    """The state with this holding and the new version of this grant."""
    after = replace(state, holding=holding, is_lost=False, given=(), damaged=None)
    if written is None:
        return after
    grants = tuple(written if each.id == written.id else each for each in state.grants)
    return replace(after, grants=grants)


def seal_holding(as_read: Holding, holding: Holding, settings: StoreSettings) -> SealedLedger:
    """The holding as it will be stored, in place of the one that was read."""
    over = holding.model_copy(update={"updated_at": as_read.updated_at, "as_read": as_read.as_read})
    return seal_ledger(over, settings.clock.now(), settings.keyring)


def explain_longer_chain(grant: Grant, stored: Grant | None, alarm: SealAlarm) -> None:
    """Raise the alarm for a grant whose chain goes on. Raises ConcurrentModification if it only changed since then."""
    if stored is None or stored.audit_length != grant.audit_length:
        raise ConcurrentModification(grant.chain)
    tell_rolled_back(grant, alarm)


def tell_rolled_back(grant: Grant, alarm: SealAlarm) -> BrokenSeal:
    """Raise the alarm for a grant that is an older version. Returns what is wrong with it."""
    _log.error("%s counts as not there: %s", grant.chain, ROLLED_BACK)
    problem = BrokenSeal(grant.chain, ROLLED_BACK)
    with suppress(BrokenSeal), alarm.watch():
        raise problem
    return problem


def find_kept_until(state: RightState) -> datetime | None:
    """Until when the state's holding is kept; None while anything of the right is live or due."""
    is_live = any(grant.is_live for grant in state.grants) or bool(state.unreadable)
    is_dormant = state.holding.next_look_at is None and not is_live
    return state.holding.kept_until() if is_dormant else None


def check_count(writes: Sequence[GrantWrite]) -> None:
    """Raises ValueError when these are too many for one transaction."""
    if len(writes) > MAX_TOGETHER:
        raise ValueError(f"{len(writes)} grants are too many for one transaction; {MAX_TOGETHER} fit")
