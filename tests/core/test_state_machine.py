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
def test_a_move_is_legal_if_and_only_if_the_table_lists_it(source: Light, target: Light) -> None:
    assert LIGHTS.may_move(source, target) == ((source, target) in LISTED)
    assert (source in LIGHTS.sources(target)) == ((source, target) in LISTED)


def test_check_lets_a_listed_move_pass_and_refuses_another_with_both_statuses() -> None:
    LIGHTS.check("LAMP#1", Light.RED, Light.GREEN)
    with pytest.raises(InvalidStateTransition) as refusal:
        LIGHTS.check("LAMP#1", Light.OFF, Light.RED, decided_by="U0ANN", decided_at=A_MOMENT)
    assert (refusal.value.record, refusal.value.status, refusal.value.wanted) == ("LAMP#1", "off", "red")
    assert (refusal.value.decided_by, refusal.value.decided_at) == ("U0ANN", A_MOMENT)
    assert str(refusal.value) == "LAMP#1 is off by U0ANN and cannot become red"


def test_a_status_that_leads_to_no_other_one_is_final_even_if_it_may_follow_itself() -> None:
    assert [light for light in Light if LIGHTS.is_final(light)] == [Light.OFF]


def test_a_table_that_is_changed_later_does_not_change_the_machine() -> None:
    moves = {Light.RED: frozenset({Light.OFF}), Light.OFF: frozenset[Light]()}
    machine = StateMachine[Light](moves)
    moves[Light.OFF] = frozenset({Light.RED})
    assert not machine.may_move(Light.OFF, Light.RED)


def test_a_request_leaves_pending_once_and_nothing_follows_the_four_ends() -> None:
    legal = {
        (source, target)
        for source in RequestStatus
        for target in RequestStatus
        if REQUEST_MACHINE.may_move(source, target)
    }
    assert legal == {(RequestStatus.PENDING, target) for target in RequestStatus}
    assert [status for status in RequestStatus if not REQUEST_MACHINE.is_final(status)] == [RequestStatus.PENDING]


def test_an_event_leaves_active_once_and_an_ended_one_may_only_become_what_it_is() -> None:
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
