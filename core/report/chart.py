"""A chart as a value: what it shows, in words and numbers, before anybody draws it.

Invariant: every series has a value for every category, and the sentence that describes the chart is made of the same
numbers as the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class ChartLayout(StrEnum):
    """Columns along time, or bars with long names."""

    COLUMNS = "columns"
    BARS = "bars"


class Tone(StrEnum):
    """What a series means: its colour says the same in every chart."""

    GOOD = "good"
    CALM = "calm"
    BAD = "bad"
    WARN = "warn"
    NEUTRAL = "neutral"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of thing that is counted, with a number for each category."""

    name: str
    tone: Tone
    values: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Chart:
    """What is counted in each category. `noun` is what the categories are: week, profile, time to decision."""

    key: str
    title: str
    noun: str
    categories: tuple[str, ...]
    series: tuple[Series, ...]
    layout: ChartLayout = ChartLayout.COLUMNS
    note: str = ""

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to draw."""
        return not any(each.total for each in self.series)

    def total_of(self, position: int) -> int:
        """The sum of one category."""
        return sum(each.values[position] for each in self.series)

    @property
    def highest(self) -> int:
        """The largest sum of a category."""
        return max((self.total_of(each) for each in range(len(self.categories))), default=0)

    def describe(self) -> str:
        """The chart in a sentence or two, for those who can't see it."""
        if self.is_empty:
            return f"{self.title}: nothing to show."
        said = ", ".join(f"{each.total:,} {each.name}" for each in self.series if each.total)
        position = max(range(len(self.categories)), key=self.total_of)
        top = f"The most, {self.highest:,}, in the {self.noun} “{self.categories[position]}”."
        return f"{self.title}: {said}. {top if len(self.categories) > 1 else ''}".strip()


def chart_of(
    key: str,
    title: str,
    noun: str,
    categories: Sequence[str],
    counts: Mapping[str, Mapping[str, int]],
    tones: Iterable[tuple[str, Tone]],
    *,
    layout: ChartLayout = ChartLayout.COLUMNS,
    note: str = "",
) -> Chart:
    """A chart of `counts[category][series]`; series without any count are left out."""
    series = tuple(
        Series(name, tone, tuple(counts.get(each, {}).get(name, 0) for each in categories)) for name, tone in tones
    )
    return Chart(key, title, noun, tuple(categories), tuple(each for each in series if each.total), layout, note)
