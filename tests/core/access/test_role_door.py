"""The door of a role: it follows the newest step, and is not forgotten while it is open."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from pydantic import ValidationError

from core.access.holding import DORMANT_FOR
from core.access.role_door import RoleDoor
from core.audit.keyring import AuditKeyring
from core.errors import InvalidInput, MalformedRecord
from core.stores.inspection import inspect_ledger
from tests.core.access.world import RIGHT
from tests.harness.clock import A_MOMENT

GRANT: Final = "00000000000000a1"
SHUT: Final = RoleDoor.shut_for(RIGHT)


def test_older_step_moves_nothing() -> None:
    opened = SHUT.open(GRANT, 3, A_MOMENT)
    assert (opened.is_open, opened.right, opened.grant) == (True, RIGHT, GRANT)
    for move in (opened.open, opened.shut):
        with pytest.raises(ValueError, match="older"):
            move(GRANT, 2, A_MOMENT)
    # The same step once more, after a lost answer.
    assert opened.open(GRANT, 3, A_MOMENT) == opened
    assert opened.shut(GRANT, 4, A_MOMENT).has_seen_newer(3, A_MOMENT)


def test_shut_door_forgets_with_its_holding_and_open_one_never() -> None:
    """A holding that was forgotten begins again with step 1."""
    shut = SHUT.open(GRANT, 6, A_MOMENT).shut(GRANT, 7, A_MOMENT)
    assert shut.has_seen_newer(1, A_MOMENT + DORMANT_FOR - timedelta(seconds=1))
    assert not shut.has_seen_newer(1, A_MOMENT + DORMANT_FOR)
    opened = SHUT.open(GRANT, 7, A_MOMENT)
    assert opened.has_seen_newer(6, A_MOMENT + timedelta(days=4000))
    assert opened.kept_until() > A_MOMENT + timedelta(days=3000)


@pytest.mark.parametrize("owner", ["DOOR#no right", "CODES#aws|1|admin|ann", "DOOR"])
def test_door_of_no_right_is_refused(owner: str) -> None:
    with pytest.raises((ValidationError, InvalidInput)):
        RoleDoor(owner=owner)
    # What is in the store hides no other ledger.
    with pytest.raises(MalformedRecord, match="LEDGER#"):
        inspect_ledger(owner if owner.startswith("DOOR") else "DOOR#", {}, AuditKeyring())
