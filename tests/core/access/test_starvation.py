"""Rights that always fail keep no other waiting, and a target that is down is still called seldom."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantStatus
from core.access.right import Right
from core.errors import StoreUnavailable
from tests.core.access.harness import HOUR, MINUTE, AccessHarness, ScriptedTarget
from tests.harness.access_store import MemoryAccessStore
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.access.grant import Grant
    from core.stores.access import RightState
    from core.targets.base import Given, OperationKey, Seen, Taken

PASS = timedelta(seconds=5)
MAX_PASSES = 12
"""As many as there are in a minute."""


class PoisonedTarget(ScriptedTarget):
    """Answers nothing for some rights."""

    poisoned: frozenset[Right] = frozenset()

    def inspect(self, right: Right) -> Seen:
        self._fail(right)
        return super().inspect(right)

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        self._fail(right)
        return super().give(right, until, key)

    def take(self, right: Right, key: OperationKey) -> Taken:
        self._fail(right)
        return super().take(right, key)

    def _fail(self, right: Right) -> None:
        if right in self.poisoned:
            self.calls.append(("failed", self._clock.now()))
            raise ConnectionError("the account is suspended")


class StoreThatFailsForOne(MemoryAccessStore):
    """Can't be reached for one right: its item is the one that everybody writes, say."""

    failing: Right | None = None

    def get_right(self, right: Right, also: Sequence[str] = ()) -> RightState:
        if right == self.failing:
            raise StoreUnavailable("ThrottlingException")
        return super().get_right(right, also)


def a_right(number: int, resource: str = "111122223333") -> Right:
    return Right(target="aws", resource=resource, level="admin", principal=f"p{number}")


def with_poisoned(
    number: int, *more: tuple[Right, timedelta], is_one_account: bool
) -> tuple[AccessHarness, PoisonedTarget]:
    """So many grants whose windows end after an hour, now, and whose rights can't be taken; and more, as long as said.

    They are of one account, or have nothing in common.
    """
    access = AccessHarness()
    access.target = target = PoisonedTarget(access.clock)
    access.targets["aws"] = target
    rights = [a_right(each, "444455556666" if is_one_account else f"{each:012}") for each in range(number)]
    for each, right in enumerate(rights, start=1):
        access.grant(each, right=right)
    for each, (right, length) in enumerate(more, start=number + 1):
        access.grant(each, length=length, right=right)
    access.visit()
    target.poisoned = frozenset(rights)
    access.clock.set(A_MOMENT + HOUR)
    return access, target


def pass_by(access: AccessHarness, number: int) -> None:
    for _ in range(number):
        access.visit()
        access.clock.advance(PASS)


def count_passes(access: AccessHarness, grants: list[Grant], status: GrantStatus) -> int:
    """How many passes it takes until all of these have come that far."""
    for number in range(1, 2 * MAX_PASSES):
        access.visit()
        if all(access.status(grant) is status for grant in grants):
            return number
        access.clock.advance(PASS)
    return 2 * MAX_PASSES


@pytest.mark.parametrize("passed", [0, 1, 5, 20])
@pytest.mark.parametrize(("poisoned", "is_one_account"), [(10, True), (10, False), (40, False)])
def test_rights_that_always_fail_keep_no_grant_waiting(poisoned: int, passed: int, *, is_one_account: bool) -> None:
    access, target = with_poisoned(poisoned, is_one_account=is_one_account)
    pass_by(access, passed)
    start = access.clock.now() - A_MOMENT
    good = [access.grant(1000 + each, start=start, right=a_right(1000 + each)) for each in range(5)]
    assert count_passes(access, good, GrantStatus.ACTIVE) <= MAX_PASSES
    assert target.poisoned <= target.held, "nobody could take them"


@pytest.mark.parametrize("passed", [0, 5, 20])
@pytest.mark.parametrize(("poisoned", "is_one_account"), [(10, True), (10, False), (40, False)])
def test_rights_that_always_fail_keep_no_revoke_waiting(poisoned: int, passed: int, *, is_one_account: bool) -> None:
    ends_at = HOUR + passed * PASS
    more = [(a_right(1000 + each), ends_at) for each in range(5)]
    access, target = with_poisoned(poisoned, *more, is_one_account=is_one_account)
    pass_by(access, passed)
    good = [grant for grant in access.store.grants.values() if grant.right not in target.poisoned]
    assert count_passes(access, good, GrantStatus.ENDED) <= MAX_PASSES
    assert target.held == target.poisoned


def test_target_that_is_down_is_called_a_few_times_a_minute() -> None:
    access = AccessHarness()
    for number, kind in enumerate(("revoke", "look", "grant") * 20, start=1):
        start = timedelta(0) if kind != "grant" else HOUR
        access.grant(number, start=start, length=HOUR if kind == "revoke" else 3 * HOUR, right=a_right(number))
    access.pass_time(HOUR - MINUTE)
    access.clock.set(A_MOMENT + HOUR)
    target, began = access.target, len(access.target.calls)
    for name in ("inspect", "give", "take"):
        target.always[name] = ConnectionError("down")
    for _ in range(600):
        access.visit()
        access.clock.advance(timedelta(seconds=1))
    minutes = Counter((at - A_MOMENT - HOUR) // MINUTE for _, at in target.calls[began:])
    assert minutes[0] == 2 * 5, "pauses of 2, 4, 8, 16 and 30 seconds: one call and a probe in each"
    assert {minutes[each] for each in range(1, 10)} <= {2 * 2}
    target.always.clear()
    access.pass_time(MINUTE)
    assert len(target.held) == 40, "all are back at work"


def test_right_that_the_store_fails_for_holds_up_no_other() -> None:
    access = AccessHarness(make_store=StoreThatFailsForOne)
    assert isinstance(access.store, StoreThatFailsForOne)
    rights = [a_right(number) for number in range(4)]
    for number, right in enumerate(rights, start=1):
        access.grant(number, right=right)
    access.store.failing = rights[0]
    with pytest.raises(StoreUnavailable):
        access.visit()
    access.visit()
    assert access.target.held == frozenset(rights[1:])
    access.store.failing = None
    access.clock.advance(PASS)
    access.visit()
    assert access.target.held == frozenset(rights)
