"""A right as it was read, and as it is after a commit: what the engines share.

Invariant: a grant counts for the right that its sealed content names, wherever it was found.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from core.access.grant import Grant
from core.access.holding import Holding
from core.access.right import Right
from core.errors import BrokenSeal, ConcurrentModification
from core.stores.access import MAX_TOGETHER, GrantWrite, RightState
from core.stores.commit import StoreSettings
from core.stores.seals import SealAlarm, SealedLedger, seal_ledger

ROLLED_BACK: Final = "its audit chain goes on after it, so this is an older version that was put back"
_log = logging.getLogger("countersign.store")


def to_state(right: Right, holding: Holding, found: Iterable[Grant], nudge: int) -> RightState:
    """The state of a right: of the grants found, those that are live, and the one that the holding names."""
    grants = []
    for grant in {each.id: each for each in found}.values():
        if grant.right != right:
            _log.warning("%s is no grant of %s, under which it was found", grant.chain, right)
        elif grant.is_live or grant.id == holding.last_grant:
            grants.append(grant)
    return RightState(holding, tuple(sorted(grants, key=lambda grant: (grant.created_at, grant.id))), nudge)


def after_commit(state: RightState, holding: Holding, written: Grant | None) -> RightState:
    """The state with this holding and the new version of this grant."""
    if written is None:
        return replace(state, holding=holding)
    grants = tuple(written if each.id == written.id else each for each in state.grants)
    return replace(state, holding=holding, grants=grants)


def seal_holding(as_read: Holding, holding: Holding, settings: StoreSettings) -> SealedLedger:
    """The holding as it will be stored, in place of the one that was read."""
    over = holding.model_copy(update={"updated_at": as_read.updated_at, "as_read": as_read.as_read})
    return seal_ledger(over, settings.clock.now(), settings.keyring)


def explain_longer_chain(grant: Grant, stored: Grant | None, alarm: SealAlarm) -> None:
    """Raise the alarm for a grant whose chain goes on. Raises ConcurrentModification if it only changed since then."""
    if stored is None or stored.audit_length != grant.audit_length:
        raise ConcurrentModification(grant.chain)
    _log.error("%s counts as not there: %s", grant.chain, ROLLED_BACK)
    with suppress(BrokenSeal), alarm.watch():
        raise BrokenSeal(grant.chain, ROLLED_BACK)


def find_kept_until(state: RightState) -> datetime | None:
    """Until when the state's holding is kept; None while anything of the right is live or due."""
    is_dormant = state.holding.next_look_at is None and not any(grant.is_live for grant in state.grants)
    return state.holding.kept_until() if is_dormant else None


def check_count(writes: Sequence[GrantWrite]) -> None:
    """Raises ValueError when these are too many for one transaction."""
    if len(writes) > MAX_TOGETHER:
        raise ValueError(f"{len(writes)} grants are too many for one transaction; {MAX_TOGETHER} fit")
