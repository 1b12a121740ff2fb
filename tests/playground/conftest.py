"""What tests of the playground share: a bot and a local Slack that a busy machine may hold up."""

from __future__ import annotations

import pytest

from tests.harness.patience import be_patient


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)
