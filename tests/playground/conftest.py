"""What tests of the playground share: a bot and a local Slack that a busy machine may hold up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.patience import be_patient

if TYPE_CHECKING:
    from collections.abc import Iterator


# Of a module, so that a bot that serves a whole module has it too.
@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        be_patient(patch)
        yield
