from __future__ import annotations

from enum import StrEnum

import pytest

from core.break_glass import EVENT_MACHINE, EventStatus
from core.errors import InvalidStateTransition
from core.request import REQUEST_MACHINE, RequestStatus
from core.state_machine import StateMachine
from tests.harness.clock import A_MOMENT


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


LIGHTS = StateMachine[Light](
    {
        Light.RED: frozenset({Light.RED, Light.GREEN, Light.OFF}),
        Light.GREEN: frozenset({Light.RED, Light.OFF}),
        Light.OFF: frozenset({Light.OFF}),
    }
)
LISTED = {
    (Light.RED, Light.RED),
    (Light.RED, Light.GREEN),
    (Light.RED, Light.OFF),
    (Light.GREEN, Light.RED),
    (Light.GREEN, Light.OFF),
    (Light.OFF, Light.OFF),
}


@pytest.mark.parametrize("source", Light)
@pytest.mark.parametrize("target", Light)
def test_move_is_legal_if_and_only_if_the_table_lists_it(source: Light, target: Light) -> None:
    assert LIGHTS.may_move(source, target) == ((source, target) in LISTED)
    assert (source in LIGHTS.sources(target)) == ((source, target) in LISTED)


def test_check_passes_listed_moves_only_and_names_both_statuses() -> None:
    LIGHTS.check("LAMP#1", Light.RED, Light.GREEN)
    with pytest.raises(InvalidStateTransition) as refusal:
        LIGHTS.check("LAMP#1", Light.OFF, Light.RED, decided_by="U0ANN", decided_at=A_MOMENT)
    assert (refusal.value.record, refusal.value.status, refusal.value.wanted) == ("LAMP#1", "off", "red")
    assert (refusal.value.decided_by, refusal.value.decided_at) == ("U0ANN", A_MOMENT)
    assert str(refusal.value) == "LAMP#1 is off by U0ANN and cannot become red"


def test_status_that_leads_to_no_other_is_final() -> None:
    assert [light for light in Light if LIGHTS.is_final(light)] == [Light.OFF]


def test_table_that_is_changed_later_does_not_change_the_machine() -> None:
    moves = {Light.RED: frozenset({Light.OFF}), Light.OFF: frozenset[Light]()}
    machine = StateMachine[Light](moves)
    moves[Light.OFF] = frozenset({Light.RED})
    assert not machine.may_move(Light.OFF, Light.RED)


def test_request_leaves_pending_once_and_its_four_ends_are_final() -> None:
    legal = {
        (source, target)
        for source in RequestStatus
        for target in RequestStatus
        if REQUEST_MACHINE.may_move(source, target)
    }
    assert legal == {(RequestStatus.PENDING, target) for target in RequestStatus}
    assert [status for status in RequestStatus if not REQUEST_MACHINE.is_final(status)] == [RequestStatus.PENDING]


def test_event_leaves_active_once_and_keeps_its_end() -> None:
    legal = {
        (source, target) for source in EventStatus for target in EventStatus if EVENT_MACHINE.may_move(source, target)
    }
    assert legal == {
        (EventStatus.ACTIVE, EventStatus.ACTIVE),
        (EventStatus.ACTIVE, EventStatus.CLOSED),
        (EventStatus.ACTIVE, EventStatus.EXPIRED),
        (EventStatus.CLOSED, EventStatus.CLOSED),
        (EventStatus.EXPIRED, EventStatus.EXPIRED),
    }
    assert [status for status in EventStatus if not EVENT_MACHINE.is_final(status)] == [EventStatus.ACTIVE]
