"""The page for operators names every metric that there is, with its labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bot.serving import wire
from bot.settings import read_settings, read_slack_settings
from tests.bot.running import environment, new_slack

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
ROW = re.compile(r"^\| `(countersign_\w+)` \|([^|]*)\|", re.MULTILINE)


def described() -> dict[str, set[str]]:
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in ROW.findall(PAGE.read_text())}


def test_every_metric_is_described_with_its_labels_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_slack() as slack:
        for name, value in environment(slack, tmp_path).items():
            monkeypatch.setenv(name, value)
        wired = wire(read_settings(), read_slack_settings())
        wired.instance.start()
        shown: dict[str, set[str]] = {}
        for family in wired.metrics.registry.collect():
            if family.name.startswith("countersign_"):
                name = f"{family.name}_total" if family.type == "counter" else family.name
                shown[name] = {label for each in family.samples for label in each.labels} - {"le"}
        wired.instance.stop()

    # A histogram of acknowledgements shows its labels with the first one.
    shown["countersign_acknowledgement_seconds"] = {"transport", "payload"}
    assert shown == described()
