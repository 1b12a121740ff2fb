"""Traces beside clicks: calls of the API, visits of the reconciler, and stores that stay what they were."""

from __future__ import annotations

import inspect
import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from bot.background.access import AccessWork
from bot.observability.logs import configure_logging
from bot.observability.traced_ports import TracedPort, trace_issuer, trace_sinks, trace_stores
from bot.observability.tracing import (
    ACTION,
    ALLOWED,
    CONFLICTS,
    NO_TRACER,
    OUTCOME,
    PROFILE,
    RECORD,
    STATUS,
    TARGET,
    SpanKind,
)
from bot.settings import LogForm
from core.errors import ConcurrentModification, StoreUnavailable
from core.stores.base import PurgedStores
from tests.bot.access_grants import HOUR, StallingTarget, make_grant
from tests.bot.api.served_api import WHY, ServedApi
from tests.core.sinks import RecordingSink
from tests.harness.spans import SpanRecorder, trace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock


@pytest.fixture
def recorder() -> Iterator[SpanRecorder]:
    recorder = SpanRecorder()
    yield recorder
    assert recorder.problems == []


def test_call_is_a_trace_that_its_caller_does_not_choose(
    stores: Stores, clock: FrozenClock, recorder: SpanRecorder
) -> None:
    theirs = "a" * 32
    with ServedApi(stores, clock, tracer=recorder.tracer) as api:
        token = api.paper.pair()
        headers = {"traceparent": f"00-{theirs}-{'b' * 16}-01", "tracestate": "x=y"}
        api.ask("POST", "/v1/requests", token, {"profile": "prod", "justification": WHY}, headers=headers)
    (root,) = recorder.wait_for("api submit_request")

    assert root.parent is None
    assert root.links == ()
    assert f"{trace_of(root):032x}" != theirs
    assert (root.attributes or {})[STATUS] == 201
    assert (root.attributes or {})[ACTION] == "request_submitted"
    assert recorder.tree(root)[1] == (("store requests create", ()), ("store requests get_open", ()))
    assert WHY not in recorder.everything()
    assert token not in recorder.everything()


def test_log_lines_of_a_call_name_its_trace(
    stores: Stores, clock: FrozenClock, recorder: SpanRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(logging.root, "handlers", [])
    configure_logging(LogForm.JSON, stream)
    with ServedApi(stores, clock, tracer=recorder.tracer) as api:
        token = api.paper.pair()
        for error in (StoreUnavailable("away"), RuntimeError("a bug")):
            api.paper.refusals = [error]
            api.ask("GET", "/v1/me", token)
    logged = [json.loads(line) for line in stream.getvalue().splitlines()]
    traced = [each["trace_id"] for each in logged if each["logger"] == "countersign.api"]
    assert traced == [f"{trace_of(span):032x}" for span in recorder.wait_for("api get_me", 2)]


def test_visit_of_a_right_is_a_trace_and_an_idle_pass_is_none(
    stores: Stores, clock: FrozenClock, recorder: SpanRecorder
) -> None:
    target = StallingTarget()
    work = AccessWork(trace_stores(stores, recorder.tracer).access, {"aws": target}, clock, tracer=recorder.tracer)
    work.sweep()
    assert recorder.spans() == []

    grant = make_grant(stores, clock.now())
    work.sweep()
    (root,) = recorder.spans("reconcile")
    decided = {RECORD: grant.source, PROFILE: grant.profile, ACTION: "grant_opened", ALLOWED: True}
    assert root.attributes == {TARGET: "aws", **decided}
    (given,) = recorder.spans("target give")
    assert given.attributes == {TARGET: "aws", OUTCOME: "held"}
    assert given.kind.name == "CLIENT"
    assert grant.right.principal not in recorder.everything()
    clock.advance(HOUR)
    work.sweep()
    assert recorder.spans("target take")


def test_conflict_is_counted_where_the_decision_is(recorder: SpanRecorder) -> None:
    class Store:
        def update(self) -> None:
            raise ConcurrentModification("REQUEST#0123456789abcdef")

    store: Any = TracedPort(Store(), recorder.tracer, "store requests", {})
    with recorder.tracer.trace("slack payload", SpanKind.SERVER, {}):
        for _ in range(2):
            with pytest.raises(ConcurrentModification):
                store.update()
    (root,) = recorder.spans("slack payload")
    assert root.attributes == {CONFLICTS: 2}


def test_stores_that_purge_still_do_and_others_still_do_not(stores: Stores, recorder: SpanRecorder) -> None:
    class Others:
        def __getattr__(self, name: str) -> object:
            if name == "purge":
                raise AttributeError(name)
            return object()

    assert isinstance(trace_stores(stores, recorder.tracer), PurgedStores)
    # From Python 3.12 on, `isinstance` looks no further than this.
    assert inspect.getattr_static(trace_stores(stores, recorder.tracer), "purge")
    others: Any = Others()
    assert not isinstance(trace_stores(others, recorder.tracer), PurgedStores)


def test_nothing_is_wrapped_while_traces_are_off(stores: Stores) -> None:
    sinks, issuer = [RecordingSink("list")], object()
    assert trace_stores(stores, NO_TRACER) is stores
    assert trace_sinks(sinks, NO_TRACER) is sinks
    assert trace_issuer(issuer, NO_TRACER) is issuer  # type: ignore[arg-type]
