"""What is counted, under which labels, and that nothing from people or from Slack becomes one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bot.observability.metrics import AnswerKind, Metrics, PayloadKind, Transport, TurnedAway
from bot.transport.dispatcher import kind_of
from core.audit.trail import AuditAction
from core.directory import FixedDirectory
from core.errors import StoreUnavailable
from core.request import RequestId
from core.services import BreakGlassService, RequestService
from core.stores import Stores
from tests.core.services.harness import ANN, BOB, EVE, RITA, STRANGER, ChangingPolicy

if TYPE_CHECKING:
    pass

import pytest

from core.break_glass import ReasonCode
from core.errors import NotAllowed
from tests.harness.clock import FrozenClock

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class OutboxState:
    depth: int
    oldest_age_seconds: float
    parked: int


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"countersign_{name}", labels)


def shown(metrics: Metrics) -> str:
    return metrics.write("text/plain")[0].decode()


def test_decisions_are_counted_by_outcome_and_timed(stores: Stores, clock: FrozenClock) -> None:
    metrics = Metrics()
    service = RequestService(stores, ChangingPolicy(), clock, metrics, directory=FixedDirectory())
    approved = service.submit(RITA, "prod", HOUR, "Deploy the fix for INC-12")
    clock.advance(timedelta(minutes=3))
    service.approve(RequestId(approved.id), ANN)
    service.approve(RequestId(approved.id), BOB)
    denied = service.submit(RITA, "prod", HOUR, "Deploy the fix for INC-12")
    service.deny(RequestId(denied.id), ANN, "Not today")

    assert value(metrics, "decisions_total", kind="request", outcome="approved") == 1
    assert value(metrics, "decisions_total", kind="request", outcome="denied") == 1
    assert value(metrics, "decisions_total", kind="request", outcome="expired") == 0
    assert value(metrics, "changes_total", event="request_submitted") == 2
    assert value(metrics, "changes_total", event="approval_added") == 1
    assert value(metrics, "time_to_decision_seconds_sum", outcome="approved") == 180
    assert value(metrics, "time_to_decision_seconds_count", outcome="approved") == 1


def test_policy_approval_does_not_count_as_an_approvers_time(stores: Stores, clock: FrozenClock) -> None:
    metrics = Metrics()
    RequestService(stores, ChangingPolicy(), clock, metrics, directory=FixedDirectory()).submit(
        EVE, "staging", HOUR, "Look at the logs"
    )

    assert value(metrics, "decisions_total", kind="request", outcome="approved") == 1
    assert value(metrics, "time_to_decision_seconds_count", outcome="approved") == 0


def test_break_glass_refusals_and_conflicts_are_counted(stores: Stores, clock: FrozenClock) -> None:
    metrics = Metrics()
    service = BreakGlassService(stores, ChangingPolicy(), clock, metrics, directory=FixedDirectory())
    service.invoke(ANN, "prod", ReasonCode.INCIDENT, "The checkout is down, see INC-12", HOUR)
    with pytest.raises(NotAllowed):
        service.invoke(STRANGER, "prod", ReasonCode.INCIDENT, "The checkout is down, see INC-12", HOUR)
    metrics.conflicted("REQUEST#0123456789abcdef")
    metrics.conflicted("USAGE#somebody")

    assert value(metrics, "decisions_total", kind="break_glass", outcome="active") == 1
    assert value(metrics, "refusals_total", event="invoke_refused") == 1
    assert value(metrics, "conflicts_total", kind="request") == 1
    assert value(metrics, "conflicts_total", kind="other") == 1


def test_answers_and_payloads_are_counted() -> None:
    metrics = Metrics()
    metrics.answered(AnswerKind.NOT_RECORDED_YET)
    metrics.turned_away(Transport.HTTP, TurnedAway.SIGNATURE)
    metrics.acknowledged(Transport.SOCKET_MODE, PayloadKind.BUTTON, 0.02)

    assert value(metrics, "answers_total", answer="not_recorded_yet") == 1
    assert value(metrics, "answers_total", answer="too_busy") == 0
    assert value(metrics, "turned_away_total", transport="http", why="signature") == 1
    assert value(metrics, "acknowledgement_seconds_count", transport="socket_mode", payload="button") == 1


def test_outbox_is_read_at_each_scrape_and_absent_if_unreadable() -> None:
    metrics, states = Metrics(), [OutboxState(3, 12.5, 1), OutboxState(0, 0, 1)]

    def read() -> OutboxState:
        if not states:
            raise StoreUnavailable("no answer")
        return states.pop(0)

    metrics.watch_outbox(read)
    assert "countersign_outbox_depth 3.0" in (first := shown(metrics))
    assert "countersign_outbox_oldest_age_seconds 12.5" in first
    assert "countersign_outbox_depth 0.0" in shown(metrics)
    assert "countersign_outbox_readable 0.0" in (last := shown(metrics))
    assert "countersign_outbox_depth " not in last


def test_two_registries_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.refused(AuditAction.SUBMIT_REFUSED)

    assert value(second, "refusals_total", event="submit_refused") == 0


_PAYLOADS = st.dictionaries(
    st.sampled_from(["type", "command", "user", "actions"]),
    st.sampled_from(["block_actions", "view_closed", "__proto__"]) | st.text() | st.integers() | st.lists(st.text()),
)


@given(body=_PAYLOADS)
def test_payload_of_any_shape_has_one_of_a_few_kinds(body: dict[str, object]) -> None:
    assert kind_of(body) in PayloadKind


@given(st.text(), st.floats(0, 1e6))
def test_no_text_from_outside_becomes_a_label(text: str, seconds: float) -> None:
    metrics = Metrics()
    before = set(re.findall(r"^[^#\s]\S*(?=\s)", shown(metrics), re.MULTILINE))
    metrics.conflicted(text)
    metrics.acknowledged(Transport.HTTP, kind_of({"type": text, "command": text}), seconds)
    grown = set(re.findall(r"^[^#\s]\S*(?=\s)", shown(metrics), re.MULTILINE)) - before

    assert all("countersign_acknowledgement_seconds" in name for name in grown)
