"""The reconciler over every target: access opens, and closes, whatever is lost, late or in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access.grant import GrantStatus
from core.targets.base import Absent, Held
from tests.core.access.harness import HOUR, MINUTE, AccessHarness
from tests.core.targets.benches import NAMES, STRICT, open_bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from core.access.right import Right
    from tests.core.targets.benches import Bench


class Played:
    """A bench with a reconciler before it, at one clock."""

    def __init__(self, harness: AccessHarness, bench: Bench) -> None:
        self.harness = harness
        self.bench = bench
        self.right: Right = bench.new_right()
        harness.targets[self.right.target] = bench.target  # type: ignore[assignment]
        harness.due = harness.start()

    def play(self) -> None:
        """An approval of an hour, and two hours of time."""
        grant = self.harness.grant(right=self.right)
        for _ in range(30):
            if self.harness.status(grant) is not GrantStatus.ACTIVE:
                self.harness.pass_time(MINUTE)
        assert self.harness.status(grant) is GrantStatus.ACTIVE
        assert self.bench.target.inspect(self.right) == Held()
        self.harness.pass_time(3 * HOUR)
        assert self.harness.status(grant) is GrantStatus.ENDED


@pytest.fixture(params=NAMES)
def played(request: pytest.FixtureRequest, aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    del aws_environment
    harness = AccessHarness()
    bench: AbstractContextManager[Bench] = open_bench(
        request.param, harness.clock, lambda: str(request.getfixturevalue("moto_url")), monkeypatch
    )
    with bench as opened:
        yield Played(harness, opened)


only_strict = pytest.mark.parametrize("played", STRICT, indirect=True)


def test_grant_opens_and_closes(played: Played) -> None:
    played.play()

    assert played.bench.target.inspect(played.right) == Absent()


@only_strict
def test_lost_answers_cost_no_more_than_a_look(played: Played) -> None:
    assert played.bench.lose
    played.bench.lose("give")
    played.bench.lose("take")
    played.play()

    assert played.bench.target.inspect(played.right) == Absent()


@only_strict
def test_what_is_put_off_happens_later(played: Played) -> None:
    assert played.bench.put_off
    for _ in range(3):
        played.bench.put_off("give")
        played.bench.put_off("take")
    played.play()

    assert played.bench.target.inspect(played.right) == Absent()


def test_what_stood_before_is_left(played: Played) -> None:
    played.bench.put(played.right)
    played.play()

    assert played.bench.target.inspect(played.right) == Held()
