"""What a grant asks for that was decided long before it opens: nothing that happened before counts against it."""

from __future__ import annotations

from datetime import timedelta

from core.access.holding import Holding, Observation, Refusal
from core.access.plan import Give, choose_move
from core.access.progress import find_change
from core.access.wanted import find_next_edge, find_wanting, wanted_since
from tests.builders import HOUR
from tests.core.access.world import RIGHT, a_grant
from tests.harness.clock import A_MOMENT

START = A_MOMENT + 4 * HOUR
AHEAD = a_grant(source=f"REQUEST#{1:016x}", starts_at=START, ends_at=START + HOUR, now=A_MOMENT)


def test_grant_is_wanted_from_its_start_on() -> None:
    before = START - timedelta(microseconds=1)
    assert (find_wanting([AHEAD], before), find_wanting([AHEAD], START)) == ((), (AHEAD,))
    assert find_next_edge([AHEAD], A_MOMENT) == START == wanted_since(AHEAD)


def test_refusal_of_before_its_start_does_not_fail_it() -> None:
    """Another grant of the right was refused, and what the target had was looked at since."""
    seen = Holding.empty(RIGHT).change(observed=Observation.ABSENT, seen_at=START, is_seen=True)
    refused = seen.change(refused=Refusal(at=START - HOUR, reason="the account is frozen"))
    assert find_change(refused, [AHEAD], START, timedelta()) is None
    assert isinstance(choose_move(refused, [AHEAD], START), Give)
    again = seen.change(refused=Refusal(at=START, reason="the account is frozen"))
    failed = find_change(again, [AHEAD], START, timedelta())
    assert failed is not None
    assert failed.grant.failure == "the account is frozen"
