"""The pretend pager: a key rings once, the person on call acknowledges, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.actor import UserId
from core.errors import InvalidInput
from core.pagers.base import PageAcknowledgement, PagerAlert, Severity
from localslack.refusals import NotOnScreen
from playground.demo_pager import MAX_PAGES, DemoPager, DemoPageState
from playground.pager_panel import PagerPanel

if TYPE_CHECKING:
    from pathlib import Path

    from localslack.records import Json
    from tests.harness.clock import FrozenClock

SAM = UserId("U0SAM")
KEY = "0123456789abcdef"


@pytest.fixture
def pager(tmp_path: Path, clock: FrozenClock) -> DemoPager:
    return DemoPager(tmp_path / "pager.json", clock, lambda: (SAM,))


def page(clock: FrozenClock, key: str = KEY) -> PagerAlert:
    return PagerAlert(key, "checkout waits for approval", Severity.ERROR, clock.now(), "request")


def test_key_rings_once_until_it_is_resolved(pager: DemoPager, clock: FrozenClock) -> None:
    pager.trigger(page(clock))
    pager.trigger(page(clock))
    assert [(each.paged, each.state) for each in pager.state.pages] == [((SAM,), DemoPageState.TRIGGERED)]
    pager.resolve(KEY)
    pager.resolve(KEY)
    pager.trigger(page(clock))
    assert [each.state for each in pager.state.pages] == [DemoPageState.TRIGGERED, DemoPageState.RESOLVED]


def test_acknowledgement_names_who_is_on_call(pager: DemoPager, clock: FrozenClock, tmp_path: Path) -> None:
    assert not pager.acknowledge(KEY)
    pager.trigger(page(clock))
    assert pager.find_acknowledged([KEY]) == {}
    assert pager.acknowledge(KEY)
    # Somebody else was faster.
    assert not pager.acknowledge(KEY)
    again = DemoPager(tmp_path / "pager.json", clock)
    for each in (pager, again):
        assert each.find_acknowledged([KEY, "other"]) == {KEY: PageAcknowledgement("Sam Osei", clock.now())}


def test_old_pages_go(pager: DemoPager, clock: FrozenClock) -> None:
    for number in range(MAX_PAGES + 2):
        pager.trigger(page(clock, f"{number:016x}"))
    assert len(pager.state.pages) == MAX_PAGES


def test_broken_pages_name_the_way_out(tmp_path: Path, clock: FrozenClock) -> None:
    (tmp_path / "pager.json").write_text("{")
    with pytest.raises(InvalidInput, match="--reset"):
        DemoPager(tmp_path / "pager.json", clock)


def test_panel_acknowledges_and_resolves_what_it_shows(pager: DemoPager, clock: FrozenClock) -> None:
    published: list[Json] = []
    asked_again: list[bool] = []
    panel = PagerPanel(pager, lambda: asked_again.append(True), published.append)
    pager.trigger(page(clock))
    assert panel.carry_out({"do": "acknowledge", "key": KEY})["pages"][0]["person"] == SAM
    assert asked_again
    assert panel.carry_out({"do": "resolve", "key": KEY})["pages"][0]["state"] == "resolved"
    assert [each["pages"][0]["state"] for each in published] == ["triggered", "acknowledged", "resolved"]
    for what in ("acknowledge", "resolve"):
        with pytest.raises(NotOnScreen):
            panel.carry_out({"do": what, "key": KEY})
    assert len(published) == 3
