"""Ask Slack what the people of a report are called.

Invariant: a name is for display. Without Slack the report has the ids, and says why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bot.settings import read_slack_settings
from core.actor import is_person
from core.errors import InvalidInput
from core.report.report import AccessReport, Names
from core.report.tables import CellKind

_IDS: Final = "people are shown by their Slack ids"
_CALL_SECONDS: Final = 10


def find_names(report: AccessReport, *, is_wanted: bool) -> AccessReport:
    """The report with the names that Slack gave."""
    return replace(report, names=_ask(report) if is_wanted else Names(problem=f"{_IDS}, as --no-names asked for."))


def _ask(report: AccessReport) -> Names:
    try:
        settings = read_slack_settings().require_bot_token()
    except InvalidInput as error:
        return Names(problem=f"{_IDS}, because Slack couldn't be asked: {error.field}: {error.problem}.")
    people = _people(report)
    if not people:
        return Names()
    # Slack's SDK is slow to load, and the other commands don't need it.
    from bot.slack.client import open_client  # noqa: PLC0415 - see above
    from bot.slack.people_list import list_names  # noqa: PLC0415 - as above

    listed = list_names(open_client(settings.bot_token, settings.api_url, _CALL_SECONDS), people)
    missing = len(people - listed.known.keys())
    if not missing:
        return Names(listed.known)
    why = f"because of Slack's answer: {listed.problem}" if listed.problem else "because Slack doesn't list them"
    whom = _IDS if not listed.known else f"{missing:,} of {len(people):,} people are shown by their Slack ids"
    return Names(listed.known, f"{whom}, {why}.")


def _people(report: AccessReport) -> frozenset[str]:
    """Everybody whom a table names."""
    found: set[str] = set()
    for table in report.tables:
        positions = [number for number, column in enumerate(table.columns) if column.kind is CellKind.PEOPLE]
        for row in table.rows(-1):
            found.update(each for position in positions for each in str(row[position]).split() if is_person(each))
    return frozenset(found)
