"""The monthly summary in the security channel: a few numbers, what needs somebody, and the picture if there is one.

Invariant: pure, and made of the entry alone. A number that the entry doesn't have isn't shown, and without a picture
nothing speaks of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.views.block_kit import Block, Message, context, heading, label, mrkdwn
from core.audit.trail import AuditEntry
from core.duration import format_duration
from core.report.chart import Chart, Series, Tone
from core.report.figures import OUTCOMES

_NO_NUMBERS: Mapping[str, Any] = {}


def monthly_summary(entry: AuditEntry, picture: str | None = None) -> Message:
    """The summary; `picture` is the id of its file in Slack."""
    said = entry.details
    title = f"{_month(entry)}: {_count(said, 'requests', 'request')}, {_count(said, 'events', 'break-glass event')}"
    lines = [f"*Requests:* {_number(said, 'requests'):,}{_outcomes(said)}"]
    median = said.get("median_seconds")
    if isinstance(median, int):
        lines.append(f"*Median time to decision:* {format_duration(timedelta(seconds=median))}")
    lines += [
        f"*Break-glass events:* {_number(said, 'events'):,}",
        f"*Refused attempts:* {_number(said, 'refusals'):,}",
        f"*Access open when this was made:* {_number(said, 'access_open'):,}",
    ]
    blocks: list[Block] = [heading(title), mrkdwn("\n".join(lines)), *_needs_somebody(said)]
    if picture is not None:
        blocks.append(
            {
                "type": "image",
                "slack_file": {"id": picture},
                "alt_text": chart_of_summary(entry).describe()[:2000],
                "title": label("Requests and their outcomes by week"),
            }
        )
    blocks.append(context(f"Times in {said.get('timezone', 'UTC')}. For an access review, make the whole report:"))
    blocks.append(mrkdwn(f"`{_command(said)}`"))
    return Message(text=title, blocks=tuple(blocks))


def chart_of_summary(entry: AuditEntry) -> Chart:
    """The month's requests by week, as the entry has them."""
    weeks, series = entry.details.get("weeks"), entry.details.get("series")
    names = tuple(map(str, weeks)) if isinstance(weeks, list) else ()
    known = series if isinstance(series, Mapping) else {}
    shown = []
    for name, tone in OUTCOMES:
        values = known.get(name)
        if isinstance(values, list) and len(values) == len(names):
            shown.append(Series(name, Tone(tone), tuple(each if isinstance(each, int) else 0 for each in values)))
    return Chart("requests", "Requests and their outcomes by week", "week", names, tuple(shown))


def _needs_somebody(said: Mapping[str, Any]) -> list[Block]:
    found = []
    if overdue := _number(said, "reviews_overdue"):
        found.append(f":warning: {_plural(overdue, 'review is', 'reviews are')} overdue. They are listed by:")
        found.append("`/breakglass reviews`")
    if unusable := _number(said, "unusable"):
        entries = _plural(unusable, "entry", "entries")
        found.append(
            f":warning: {entries} of the audit trail can't be used, and {'is' if unusable == 1 else 'are'} not counted."
        )
        found.append("`countersign audit verify`")
    return [mrkdwn(each) for each in found]


def _month(entry: AuditEntry) -> str:
    year, _, month = str(entry.details.get("month", "")).partition("-")
    names = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
             "November", "December")  # fmt: skip
    known = month.isdecimal() and 1 <= int(month) <= len(names)
    return f"{names[int(month) - 1]} {year}" if known else "The month"


def _command(said: Mapping[str, Any]) -> str:
    """What makes a report with the same numbers: of that month, by the same clocks."""
    year, _, month = str(said.get("month", "")).partition("-")
    words = ["countersign report"]
    if year.isdecimal() and month.isdecimal():
        later, following = divmod(int(month), 12)
        words.append(f"--since {year}-{month}-01 --until {int(year) + later}-{following + 1:02}-01")
    if said.get("timezone", "UTC") != "UTC":
        words.append(f"--timezone {said['timezone']}")
    return " ".join([*words, "--out report.html"])


def _outcomes(said: Mapping[str, Any]) -> str:
    found = said.get("outcomes")
    numbers = found if isinstance(found, Mapping) else _NO_NUMBERS
    shown = [f"{_number(numbers, name):,} {name}" for name, _ in OUTCOMES if _number(numbers, name)]
    return f" ({', '.join(shown)})" if shown else ""


def _count(said: Mapping[str, Any], name: str, noun: str) -> str:
    return _plural(_number(said, name), noun, f"{noun}s")


def _plural(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _number(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    return value if isinstance(value, int) else 0
