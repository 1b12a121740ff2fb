"""What the page may do in the pretend AWS past Countersign, and what it shows of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from core.targets.base import OperationKey
from localslack.refusals import NotOnScreen
from playground.demo_page import PERMISSIONS, carry_out, show_aws
from playground.demo_target import DELAY, DemoTarget

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.clock import FrozenClock

PROD = PERMISSIONS[0]
MIRAS = PROD.of("U0MIRA")
ADD = {"do": "add", "person": "U0MIRA", "account": PROD.account, "permission": PROD.permission}


@pytest.fixture
def aws(tmp_path: Path, clock: FrozenClock) -> DemoTarget:
    return DemoTarget(tmp_path / "aws.json", clock)


def test_somebody_else_gives_and_takes(aws: DemoTarget) -> None:
    (held,) = carry_out(aws, ADD)["held"]
    assert held["principal"] == "U0MIRA"
    assert (held["account_name"], held["permission"]) == ("Production", "AdministratorAccess")
    assert held["is_by_hand"]

    shown = carry_out(aws, {"do": "remove", "right": held["right"]})
    assert shown["held"] == []
    assert [(each["kind"], each["is_by_hand"]) for each in shown["happened"]] == [("removed", True), ("added", True)]


def test_what_is_under_way_is_shown_before_it_is_held(aws: DemoTarget, clock: FrozenClock) -> None:
    key = OperationKey("0123456789abcdef", 1)
    aws.give(MIRAS, clock.now() + timedelta(hours=1), key)
    (coming,) = show_aws(aws.state)["held"]
    assert (coming["change"], coming.get("since")) == ("give", None)

    clock.advance(DELAY)
    aws.take(MIRAS, key)
    (going,) = show_aws(aws.state)["held"]
    assert going["change"] == "take"
    assert going["since"]


def test_outage_is_switched_and_shown(aws: DemoTarget) -> None:
    assert carry_out(aws, {"do": "outage", "is_out": True})["is_out"]
    assert not carry_out(aws, {"do": "outage", "is_out": False})["is_out"]


@pytest.mark.parametrize(
    "asked",
    [
        {**ADD, "person": "U0NOBODY"},
        {**ADD, "account": "999999999999"},
        {**ADD, "permission": "Everything"},
        {"do": "remove", "right": str(MIRAS)},
    ],
    ids=str,
)
def test_what_is_not_on_the_page_is_refused(aws: DemoTarget, asked: object) -> None:
    with pytest.raises(NotOnScreen):
        carry_out(aws, asked)
    assert aws.state.happened == ()


@pytest.mark.parametrize("asked", [{}, {"do": "everything"}, {**ADD, "more": 1}, {"do": "outage"}, []], ids=str)
def test_invalid_request_changes_nothing(aws: DemoTarget, asked: object) -> None:
    with pytest.raises(ValidationError):
        carry_out(aws, asked)
    assert aws.state.happened == ()
