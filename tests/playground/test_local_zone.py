"""The zone of this machine, by which people in the playground mean times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from localslack.journal import Journal
from localslack.workspace import Workspace
from playground.local_zone import LOCALTIME, UTC_NAME, find_local_zone
from playground.people import live_in, populate

if TYPE_CHECKING:
    import pytest

NOWHERE: Final = Path("/nowhere/zoneinfo")


def test_zone_is_the_one_that_the_system_links_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    assert find_local_zone(NOWHERE / "Europe/Berlin") == "Europe/Berlin"
    assert find_local_zone(NOWHERE / "Mars/Base") == find_local_zone(Path("/nowhere")) == UTC_NAME
    assert find_local_zone(LOCALTIME)
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert find_local_zone(NOWHERE / "Europe/Berlin") == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "../../etc/passwd")
    assert find_local_zone(NOWHERE / "Europe/Berlin") == "Europe/Berlin"


def test_everybody_lives_in_the_zone_of_the_page() -> None:
    workspace = Workspace(Journal(SystemClock()), "U0BOT")
    populate(workspace)
    live_in(workspace, "Asia/Tokyo")
    assert {each.tz for each in workspace.people} == {"Asia/Tokyo"}
