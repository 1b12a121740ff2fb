"""The record of a grant that says other things than its chain: who ended it, when, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from core.access.grant import EarlyEnd, Grant, GrantStatus
from core.access.right import Right
from core.actor import DeciderId, UserId
from core.audit.replay import find_contradictions
from core.audit.trail import AuditAction, EntryDraft
from core.targets.base import TargetRefused
from tests.core.access.harness import HOUR, MINUTE, AccessHarness
from tests.core.access.world import RIGHT
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.audit.trail import AuditEntry


@pytest.fixture
def access() -> AccessHarness:
    return AccessHarness()


def _told(grant: Grant, entries: list[AuditEntry]) -> str:
    return "; ".join(find_contradictions(grant, entries))


def _ended_early(access: AccessHarness) -> Grant:
    grant = access.grant()
    access.pass_time(10 * MINUTE)
    access.end_early(grant)
    access.pass_time(2 * HOUR)
    return access.now(grant)


def _failed(access: AccessHarness) -> Grant:
    grant = access.grant()
    access.target.always["give"] = TargetRefused("no such account")
    access.pass_time(HOUR)
    return access.now(grant)


def _opened(access: AccessHarness) -> Grant:
    grant = access.grant()
    access.pass_time(10 * MINUTE)
    return access.now(grant)


CHANGES: Final[dict[str, tuple[Callable[[AccessHarness], Grant], Callable[[Grant], dict[str, object]], str]]] = {
    "another person": (_opened, lambda _: {"grantee": UserId("U0MALLORY")}, "its person is not what was decided"),
    "another profile": (_opened, lambda _: {"profile": "staging"}, "its profile is not what was decided"),
    "never opened": (
        _opened,
        lambda _: {"status": GrantStatus.PENDING, "opened_at": None},
        "it is pending, and its last entry says active; its opening is not that of its entries",
    ),
    "opened earlier": (
        _opened,
        lambda grant: {"opened_at": grant.starts_at - HOUR},
        "it opened at another time than its entries say",
    ),
    "stood before": (_opened, lambda _: {"stood_before": True}, "whether the right stood before is not what its"),
    "not ended early": (_ended_early, lambda _: {"ended_early": None}, "its early end is not that of its entries"),
    "ended by another": (
        _ended_early,
        lambda grant: {"ended_early": _early(grant, by=DeciderId("U0MALLORY"))},
        "its early end is not by the person whom its entries name",
    ),
    "ended later": (
        _ended_early,
        lambda grant: {"ended_early": _early(grant, at=grant.ends_at - MINUTE)},
        "its early end is later than its entries say",
    ),
    "not closed": (
        _ended_early,
        lambda _: {"status": GrantStatus.ENDING, "closed_at": None, "residual_until": None},
        "it is ending, and its last entry says ended; its close is not that of its entries",
    ),
    "closed earlier": (
        _ended_early,
        lambda grant: {"closed_at": grant.starts_at},
        "it closed at another time than its entries say",
    ),
    "kept": (_ended_early, lambda _: {"is_kept": True}, "whether the right was kept is not what its close says"),
    "no residue": (_ended_early, lambda _: {"residual_until": None}, "how long a session can live on is not what"),
    "failed otherwise": (_failed, lambda _: {"failure": "because"}, "it failed for another reason than its entries"),
}


def _early(grant: Grant, **changes: object) -> EarlyEnd:
    assert grant.ended_early is not None
    return grant.ended_early.model_copy(update=changes)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_grant_contradicts_its_chain(access: AccessHarness, change: str) -> None:
    make, change_it, told = CHANGES[change]
    grant = make(access)
    entries = access.store.read_chain(grant)
    assert _told(grant, entries) == ""
    assert told in _told(grant.replace(**change_it(grant)), entries)


def test_window_is_the_one_that_was_decided(access: AccessHarness) -> None:
    grant = access.grant()
    first = EntryDraft.of(grant, AuditAction.GRANT_CREATED, grant.decided_by, grant.to_item())
    access.store.entries[grant.chain][0] = first
    entries = access.store.read_chain(grant)
    assert _told(grant, entries) == ""
    longer = grant.replace(duration=2 * HOUR, expires_at=grant.starts_at + 2 * HOUR)
    told = "its duration is not what was decided; its expires at is not what was decided"
    assert _told(longer, entries) == told
    assert _told(grant.replace(decided_by="U0MALLORY"), entries) == "its decided by is not what was decided"


def test_grant_that_ends_before_its_window_says_why(access: AccessHarness) -> None:
    grant = access.grant()
    ending = grant.replace(status=GrantStatus.ENDING)
    access.store.entries[grant.chain].append(EntryDraft.of(ending, AuditAction.GRANT_ENDING, "clock"))
    access.store.told_at[grant.chain].append(A_MOMENT + 10 * MINUTE)
    assert _told(ending, access.store.read_chain(grant)) == "it was ended as over before its window was"


def test_opening_twice_is_named(access: AccessHarness) -> None:
    grant = _opened(access)
    entries = access.store.read_chain(grant)
    assert "its entries say grant_opened more than once" in _told(grant, [*entries, entries[-1]])


def test_grant_of_another_right_has_another_id(access: AccessHarness) -> None:
    grant = access.grant()
    with pytest.raises(ValueError, match="one decision makes one grant of a right"):
        grant.replace(right=Right(**{**RIGHT.model_dump(), "level": "owner"}))
