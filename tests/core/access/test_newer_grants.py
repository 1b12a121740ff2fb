"""Grants of a newer version, under rules that this one doesn't know: it gives nothing for them, and ends them in time.

`understanding` makes this version the newer one for a while.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core import record
from core.access.grant import Grant, GrantStatus
from core.access.timing import LEFT_TO_NEWER
from tests.core.access.harness import HOUR, MINUTE, AccessHarness
from tests.core.access.world import a_grant
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable

NEWER = record.UNDERSTOOD + 1
MOST_LOOKS = 3


@pytest.fixture
def access() -> AccessHarness:
    return AccessHarness()


@pytest.fixture
def understanding(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda number: monkeypatch.setattr(record, "UNDERSTOOD", number)


def _make(access: AccessHarness, number: int = 7, length: timedelta = HOUR) -> Grant:
    ends_at = A_MOMENT + length
    grant = a_grant(source=f"REQUEST#{number:016x}", starts_at=A_MOMENT, ends_at=ends_at, now=A_MOMENT)
    access.store.create(grant.replace(needs=NEWER))
    return grant


def test_it_is_not_given_and_ends(access: AccessHarness) -> None:
    grant = _make(access)
    access.pass_time(HOUR - MINUTE)
    assert access.status(grant) is GrantStatus.PENDING
    access.pass_time(2 * MINUTE)
    assert access.status(grant) is GrantStatus.ENDED
    assert (access.target.count("give"), access.target.count("inspect") <= MOST_LOOKS) == (0, True)


def test_a_newer_version_gives_it_soon(access: AccessHarness, understanding: Callable[[int], None]) -> None:
    grant = _make(access)
    access.pass_time(10 * MINUTE)
    understanding(NEWER)
    access.pass_time(LEFT_TO_NEWER)
    assert (access.is_held, access.status(grant)) == (True, GrantStatus.ACTIVE)


@pytest.mark.parametrize("is_early", [False, True])
def test_what_it_has_is_left_until_its_end(
    access: AccessHarness, understanding: Callable[[int], None], *, is_early: bool
) -> None:
    understanding(NEWER)
    grant = _make(access)
    access.pass_time(MINUTE)
    understanding(NEWER - 1)
    access.pass_time(40 * MINUTE)
    assert (access.is_held, access.target.count("take")) == (True, 0)
    if is_early:
        access.end_early(grant)
    access.pass_time(30 * MINUTE)
    assert access.target.times("take") == [41 * MINUTE if is_early else HOUR]
    assert (access.is_held, access.status(grant)) == (False, GrantStatus.ENDED)


def test_it_holds_back_no_grant_that_is_understood(access: AccessHarness) -> None:
    longer, plain = _make(access, length=2 * HOUR), access.grant(1)
    access.pass_time(MINUTE)
    assert (access.status(plain), access.status(longer)) == (GrantStatus.ACTIVE, GrantStatus.PENDING)
    assert access.target.untils == [A_MOMENT + HOUR]
    access.pass_time(3 * HOUR)
    assert (access.status(longer), access.is_held) == (GrantStatus.ENDED, False)
    assert access.target.times("take") == [2 * HOUR]
