"""How a value of a table is shown: on the page, and in a file.

Invariant: whatever people wrote is escaped on the page, and can't begin a formula in a spreadsheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from core.actor import CLOCK, OPERATOR, SLACK, is_person
from core.clock import parse_time
from core.duration import format_duration
from core.report.tables import CellKind, Column, Value

_FORMULA: Final = re.compile(
    r"^(?=[\t\r\n])|(^|[;\t\r\n])(?=(?:[^\S\t\r\n]|[\u200b-\u200f\u2060-\u2064\ufeff])*[=+\-@\uff1d\uff0b\uff0d\uff20])"
)
"""Where a spreadsheet would read a formula: at the beginning of a cell, or of what another separator makes one. See
https://owasp.org/www-community/attacks/CSV_Injection."""
_NOTHING: Final = "\u2013"
_DECIDERS: Final[Mapping[str, str]] = {CLOCK: "the clock", OPERATOR: "an operator", SLACK: "Slack"}


@dataclass(frozen=True, slots=True)
class Cells:
    """Shows values: moments in `zone`, people by `names` where these are known."""

    zone: ZoneInfo
    names: Mapping[str, str] = field(default_factory=dict)

    def html(self, column: Column, value: Value) -> str:
        """The cell on the page."""
        kind = column.kind
        return f'<td class="{kind}">{self._inner(kind, value)}</td>'

    def _inner(self, kind: CellKind, value: Value) -> str:
        if value == "" or (kind is CellKind.DURATION and not value):
            return _NOTHING
        if kind is CellKind.NUMBER:
            return f"{value:,}"
        text = escape(str(value))
        match kind:
            case CellKind.PEOPLE:
                text = "<br>".join(map(self.person, str(value).split()))
            case CellKind.MOMENT:
                text = self.moment(parse_time(str(value)))
            case CellKind.DURATION:
                text = escape(format_duration(timedelta(seconds=int(value))))
            case CellKind.CODE:
                text = f"<code>{text}</code>"
        return text

    def person(self, decider: str) -> str:
        """A person with their id, or the rule or the clock that decided."""
        name = self.names.get(decider)
        if name is not None:
            return f"{escape(name)}<small>{escape(decider)}</small>"
        return escape(self._decider(decider))

    def moment(self, at: datetime) -> str:
        """A moment by the clocks of the zone, to the minute."""
        return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at.astimezone(self.zone):%Y-%m-%d %H:%M}</time>'

    @staticmethod
    def _decider(decider: str) -> str:
        if is_person(decider):
            return decider
        kind, _, rule = decider.partition(":")
        return f"the rule {rule}" if kind == "policy" else _DECIDERS.get(decider, decider)

    def csv(self, column: Column, value: Value) -> Iterator[str]:
        """The cell in a file: moments in UTC as stored, people by id, and their names in a column of their own."""
        yield neutralise(str(value))
        if column.kind is CellKind.PEOPLE:
            yield neutralise("; ".join(self.names.get(each, "") for each in str(value).split()).strip("; "))


def csv_columns(column: Column) -> Iterator[str]:
    """The names of the columns of a file that one column of the page becomes."""
    yield column.name
    if column.kind is CellKind.PEOPLE:
        yield f"{column.name}_names"


def neutralise(text: str) -> str:
    """The text with an apostrophe in front of what a spreadsheet would read as a formula."""
    return _FORMULA.sub(r"\1'", text)
