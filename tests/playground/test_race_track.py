"""Many races in a workspace of their own: counted from the store, verified, and one run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.interactions import decision_queue
from localslack.refusals import NotOnScreen
from playground.people import APPROVERS
from playground.playground import load_manifest
from playground.race_track import MAX_RACES, RaceTrack

if TYPE_CHECKING:
    from localslack.records import Json

RACES = 5


def test_each_race_has_one_decision_and_a_second_who_knows() -> None:
    published: list[Json] = []
    tally = RaceTrack(load_manifest(), published.append).run(RACES)

    assert [each["races"] for each in published] == [*range(1, RACES + 1), RACES]
    assert tally["once"] == tally["learnt"] == sum(tally["wins"].values()) == RACES
    assert tally["twice"] == tally["undecided"] == 0
    assert set(tally["wins"]) == set(APPROVERS)
    assert tally["findings"] == []
    assert tally["entries"] > 2 * RACES


def test_race_on_a_slow_store_is_counted_once_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_queue, "TIMEOUT_SECONDS", 0.0)
    tally = RaceTrack(load_manifest(), lambda _: None).run(RACES)

    assert tally["once"] == tally["learnt"] == RACES
    assert tally["undecided"] == 0


@pytest.mark.parametrize("count", [0, MAX_RACES + 1])
def test_no_other_number_of_races_is_run(count: int) -> None:
    with pytest.raises(NotOnScreen, match="between 1 and 100"):
        RaceTrack({}, lambda _: None).run(count)
