"""What `policy check` says of a calendar feed where the libraries that read calendars aren't installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bot.commands.policy_schedules import AskedSchedules
from core.policy.rules import PolicyDocument

if TYPE_CHECKING:
    import pytest


def test_missing_libraries_are_a_note_and_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icalendar", None)
    stated = {"version": 1, "profiles": {"prod": {"channel": "C0ACCESS1"}}, "approval": [], "break_glass": []}
    document = PolicyDocument.model_validate(
        {**stated, "on_call": {"night": {"ical": {"url": "https://calendar.example.com/a.ics"}}}}
    )

    found = AskedSchedules()(document)

    assert found.mistakes == ()
    (note,) = found.notes
    assert note.fix == "Install them with `pip install 'countersign[ical]'`, and restart Countersign."
