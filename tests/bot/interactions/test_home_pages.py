"""The Home tab's pages: all lists of a part as one, never beyond the last page, counted as far as a person can act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest

from bot.interactions.home import cut_home
from bot.interactions.list_pages import HomeList
from bot.views.home import MAX_ROWS, ROWS_PER_PAGE, HomeRow
from bot.views.home_state import HomeFilter, HomeState, SectionKey

SIZES: Final = {SectionKey.REQUESTS: 10, SectionKey.ACCESS: 5, SectionKey.OWN_EVENTS: 3, SectionKey.REVIEW: 2}


def a_list(key: SectionKey, size: int) -> HomeList[str]:
    def draw(rows: Sequence[str]) -> list[HomeRow]:
        return [HomeRow(row, []) for row in rows]

    return HomeList(key, [f"{key}{number}" for number in range(size)], draw)


LISTS: Final = tuple(a_list(key, size) for key, size in SIZES.items())


def shown(state: HomeState) -> list[str]:
    return [row.record_id for section in cut_home(LISTS, state).sections for row in section.rows]


def test_pages_show_each_row_of_a_part_once() -> None:
    pages = [shown(HomeState(HomeFilter.MINE, number)) for number in (1, 2, 3)]
    assert [len(each) for each in pages] == [ROWS_PER_PAGE, ROWS_PER_PAGE, 2]
    expected = [f"{key}{number}" for key in SectionKey if key in SIZES for number in range(SIZES[key])]
    assert [row for page in pages for row in page] == [each for each in expected if "review" not in each]


@pytest.mark.parametrize(("page", "last"), [(4, 3), (99, 3), (3, 3)])
def test_page_that_is_gone_is_the_last_one(page: int, last: int) -> None:
    found = cut_home(LISTS, HomeState(HomeFilter.MINE, page))
    assert (found.state, found.pages) == (HomeState(HomeFilter.MINE, last), 3)
    assert shown(HomeState(HomeFilter.MINE, page))
    assert cut_home(LISTS, HomeState(HomeFilter.DECIDE, page)).state == HomeState(HomeFilter.DECIDE, 1)


def test_counts_are_what_a_person_can_turn_to() -> None:
    counts = cut_home(LISTS, HomeState()).counts
    assert counts == {HomeFilter.MINE: 18, HomeFilter.DECIDE: 0, HomeFilter.LIVE: 5, HomeFilter.REVIEW: 2}


def test_overview_draws_a_few_of_each_and_counts_all() -> None:
    found = cut_home(LISTS, HomeState()).sections
    assert [(each.key, len(each.rows), each.count) for each in found] == [
        (SectionKey.REVIEW, 2, 2),
        (SectionKey.ACCESS, MAX_ROWS, 5),
        (SectionKey.OWN_EVENTS, MAX_ROWS, 3),
        (SectionKey.REQUESTS, MAX_ROWS, 10),
    ]
