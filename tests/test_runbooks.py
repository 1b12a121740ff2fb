"""Every alarm has a runbook: what the security channel reads, and every metric that operators should watch."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
OPERATORS = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
TEXTS = (ROOT / "tests" / "texts" / "texts.txt").read_text(encoding="utf-8")
NO_ALARM = re.compile(r"monthly summary|the first|to the person|in the thread|removed at last")
"""What else is posted in the security channel, by its title on the page of texts."""
QUOTED = re.compile(r'"([^"]+)"')
METRIC = re.compile(r"countersign_\w+")


def _alarms() -> dict[str, str]:
    """The first line of each post in the security channel, by its title."""
    channel = "".join(_section(f"Slack: {which}in the security channel") for which in ("", "access, "))
    posts = [
        *re.findall(r"^--- (.+)\n(.*)", channel, re.MULTILINE),
        *re.findall(r"^--- (.+, to the security channel)\n(.*)", TEXTS, re.MULTILINE),
    ]
    return {title: text for title, text in posts if not NO_ALARM.search(title)}


def _section(heading: str) -> str:
    """What the page of texts has below a heading, up to the next one."""
    return TEXTS.partition(f"\n{heading}\n")[2].partition("=\n\n")[2].partition("\n====")[0]


def _phrases() -> list[list[str]]:
    """What the list at the top quotes of each alarm: its parts, between dots that leave something out."""
    listed = RUNBOOKS.partition("| you see |")[2].partition("\n\n")[0]
    return [[part.strip() for part in each.split("…") if part.strip()] for each in QUOTED.findall(listed)]


def test_every_alarm_in_slack_is_listed_in_its_own_words() -> None:
    alarms, phrases = _alarms(), _phrases()

    assert len(alarms) > 20
    assert {
        title: text
        for title, text in alarms.items()
        if not any(all(part in text for part in phrase) for phrase in phrases)
    } == {}
    assert [
        phrase for phrase in phrases if not any(all(part in text for part in phrase) for text in alarms.values())
    ] == []


def test_every_metric_with_an_alarm_has_a_runbook() -> None:
    watched = OPERATORS.partition("One alert should wake somebody")[2].partition("### Logs")[0]
    watched += OPERATORS.partition("### What to watch")[2].partition("\nThe trail has")[0]
    watched += OPERATORS.partition("### The alarm that matters")[2].partition("### `countersign access`")[0]

    named = set(METRIC.findall(watched))
    assert len(named) > 10
    assert named - set(METRIC.findall(RUNBOOKS)) == set()
