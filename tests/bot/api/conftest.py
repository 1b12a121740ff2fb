"""An API of the test's own, and a device of Ann's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bot.api.served_api import ServedApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock


@pytest.fixture
def api(stores: Stores, clock: FrozenClock) -> Iterator[ServedApi]:
    with ServedApi(stores, clock) as api:
        yield api


@pytest.fixture
def token(api: ServedApi) -> str:
    return api.paper.pair()
