"""Traces of clicks: exactly the documented spans, linked where the work goes on, and nothing that people typed."""

from __future__ import annotations

import re
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.observability import open_telemetry
from bot.observability.metrics import Transport
from bot.observability.tracing import (
    ACTION,
    ALLOWED,
    ANSWER,
    DATABASE,
    ERROR,
    INTERACTION,
    PAYLOAD,
    PROFILE,
    RECORD,
    RULE,
    SLACK_ID,
    TRANSPORT,
)
from bot.views.request.card import APPROVE
from core.audit.keyring import AuditKeyring
from core.request import RequestStatus
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.end_to_end.harness import JON, MIRA, SAM, WHY, Harness
from tests.harness.otlp_receiver import OtlpReceiver
from tests.harness.spans import SpanRecorder, linked_traces, trace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock


@pytest.fixture
def recorder() -> Iterator[SpanRecorder]:
    recorder = SpanRecorder()
    yield recorder
    assert recorder.problems == []


@pytest.fixture
def traced(stores: Stores, clock: FrozenClock, recorder: SpanRecorder) -> Iterator[Harness]:
    with Harness(stores, clock, tracer=recorder.tracer) as harness:
        yield harness


def test_click_is_one_trace_of_the_documented_spans(traced: Harness, recorder: SpanRecorder) -> None:
    request = traced.ask()
    traced.slack.press(JON, traced.card(request), APPROVE)
    recorder.wait_for("slack response_url")
    _, click = recorder.wait_for("slack payload", 2)

    assert recorder.tree(click) == (
        "slack payload",
        (
            (
                "decision",
                (
                    ("directory memberships", ()),
                    ("directory person", ()),
                    ("directory person", ()),
                    ("store requests get_with_notes", ()),
                    ("store requests update", ()),
                ),
            ),
            ("slack response_url", ()),
        ),
    )
    decision = recorder.spans("decision")[-1]
    assert click.attributes == {TRANSPORT: "http", PAYLOAD: "button", ANSWER: "outcome"}
    assert decision.attributes == {
        INTERACTION: APPROVE,
        RECORD: request.chain,
        PROFILE: "prod",
        RULE: "prod",
        ACTION: "request_approved",
        ALLOWED: True,
    }
    assert recorder.spans("store requests update")[0].attributes == {DATABASE: "sqlite"}


def test_delivery_is_a_trace_linked_to_the_click(traced: Harness, recorder: SpanRecorder) -> None:
    request = traced.ask()
    traced.slack.press(JON, traced.card(request), APPROVE)
    _, delivery = recorder.wait_for("deliver", 2)
    _, click = recorder.wait_for("slack payload", 2)

    assert linked_traces(delivery) == [trace_of(click)]
    assert trace_of(delivery) != trace_of(click)
    assert (delivery.attributes or {})[RECORD] == request.chain
    name, below = recorder.tree(delivery)
    assert name == "deliver"
    assert [each for each, _ in below] == ["sink pager deliver", "sink slack deliver", "store outbox finish"]
    calls = [each for each, _ in below[1][1] if each.startswith("slack ")]
    assert set(calls) >= {"slack chat.update", "slack chat.postMessage"}


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_click_is_answered_whatever_the_collector_does(
    trouble: str, stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_telemetry, "FLUSH_SECONDS", 0.05)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
    with OtlpReceiver(status=500 if trouble == "fails" else 200, hangs=trouble == "hangs") as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with Harness(stores, clock, tracer=open_telemetry.open_tracer("1.2.3", "i-1")) as harness:
            request = harness.ask()
            collector.wait_for_call()
            assert harness.slack.press(JON, harness.card(request), APPROVE).failure is None
            assert harness.next_reply(JON).startswith("Approved.")
            assert harness.status(request) is RequestStatus.APPROVED
        # The bot has stopped, although the collector still holds the call.
        assert collector.held == (trouble == "hangs")


@pytest.mark.parametrize("transport", list(Transport))
def test_span_has_slack_s_id_where_there_is_one(
    transport: Transport, stores: Stores, clock: FrozenClock, recorder: SpanRecorder
) -> None:
    with Harness(stores, clock, tracer=recorder.tracer, transport=transport) as harness:
        harness.home(MIRA)
        harness.ask()
        event, command = (span.attributes or {} for span in recorder.wait_for("slack payload", 2))
    assert re.fullmatch(r"Ev\d+", str(event[SLACK_ID]))
    of_the_envelope = [str(uuid.UUID(str(command[SLACK_ID])))] if transport is Transport.SOCKET_MODE else []
    assert [value for name, value in command.items() if name == SLACK_ID] == of_the_envelope


class Nothing:
    """Background work of an instance that is too busy for any."""

    def nudge(self) -> None:
        """Not now."""

    def outbox_state(self) -> None:
        return None

    def sweep(self) -> None:
        """Not now."""

    def start(self) -> None:
        """Nothing starts."""

    def stop(self) -> None:
        """Nothing runs."""


def test_another_instance_links_its_delivery_too(
    stores: Stores, clock: FrozenClock, recorder: SpanRecorder, tmp_path: Path
) -> None:
    there = SpanRecorder()
    with (
        closing(SqliteStores(str(tmp_path / "countersign.db"), StoreSettings(AuditKeyring(), clock=clock))) as others,
        Harness(stores, clock, tracer=recorder.tracer, build_background=lambda *_: Nothing()) as first,
        Harness(others, clock, tracer=there.tracer, slack=first.slack) as second,
    ):
        first.get_clicks()
        first.ask()
        (asked,) = recorder.wait_for("slack payload")
        second.deliver()
        (delivery,) = there.wait_for("deliver")
    assert linked_traces(delivery) == [trace_of(asked)]


def test_refusal_names_its_kind_and_no_words(traced: Harness, recorder: SpanRecorder) -> None:
    request = traced.ask()
    traced.slack.press(SAM, traced.card(request), APPROVE)
    traced.next_reply(SAM)
    decision = recorder.wait_for("decision", 2)[-1]

    assert (decision.attributes or {})[ERROR] == "NotAllowed"
    assert (decision.attributes or {})[ALLOWED] is False
    assert (decision.attributes or {})[ACTION] == "approve_refused"
    assert decision.status.is_unset


def test_nothing_typed_and_no_secret_leaves_in_a_span(traced: Harness, recorder: SpanRecorder) -> None:
    typed = "zanzibar-invoice-4711"
    traced.access(MIRA, f"prod 2h {typed} {WHY}")
    (request,) = traced.stores.requests.iterate()
    traced.slack.press(JON, traced.card(request), APPROVE)
    traced.break_glass(SAM, f"prod incident 1h {typed} the checkout is down for everybody")
    traced.home(MIRA)
    recorder.wait_for("deliver", 3)
    exported = recorder.everything()

    slack = traced.slack
    hidden = [
        typed,
        "checkout",
        MIRA,
        JON,
        SAM,
        slack.bot_token,
        slack.app_token,
        slack.signing_secret,
        "hooks",
        "http:",
    ]
    assert [each for each in hidden if each in exported] == []
    assert not re.search(r"trigger|@|U0[A-Z]|xox", exported)
