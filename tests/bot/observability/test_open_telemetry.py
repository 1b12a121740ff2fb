"""Traces over OpenTelemetry: what leaves the process, where it goes, and that nobody waits for it."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.doctor.tracing_checks import check_tracing
from bot.observability import open_telemetry
from bot.observability.logs import configure_logging
from bot.observability.open_telemetry import open_tracer
from bot.observability.tracing import ACTION, ERROR, RECORD, RULE, SpanKind
from bot.settings import LogForm, Settings, SlackSettings, read_settings, secrets_of
from bot.wiring.tracing import open_tracer as open_by_settings
from core.errors import InvalidInput, NotAllowed, StoreUnavailable
from core.trace import current_trace, trace_id_of
from tests.harness.otlp_receiver import OtlpReceiver
from tests.harness.spans import SpanRecorder, linked_traces, trace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
PAYLOAD = "slack payload"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver
    assert receiver.problems == []


def test_spans_arrive_at_a_collector_as_otlp(collector: OtlpReceiver) -> None:
    tracer = open_tracer("1.2.3", "i-1")
    with tracer.trace("deliver", SpanKind.CONSUMER, {RECORD: "REQUEST#0123456789abcdef"}, caused_by=TRACEPARENT):
        pass
    tracer.stop()

    (span,) = collector.spans
    assert (span.name, span.kind, span.parent_span_id) == ("deliver", span.SPAN_KIND_CONSUMER, b"")
    assert {each.key: each.value.string_value for each in span.attributes} == {RECORD: "REQUEST#0123456789abcdef"}
    assert [link.trace_id.hex() for link in span.links] == ["a" * 32]
    resource = {each.key: each.value.string_value for each in collector.resources[0].attributes}
    assert resource["service.name"] == "countersign"
    assert (resource["service.version"], resource["service.instance.id"]) == ("1.2.3", "i-1")


def test_service_has_the_name_that_the_environment_gives(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "four-eyes")
    tracer = open_tracer("1.2.3", "i-1")
    with tracer.trace("deliver", SpanKind.CONSUMER, {}):
        pass
    tracer.stop()
    assert "four-eyes" in {each.value.string_value for each in collector.resources[0].attributes}


@pytest.mark.parametrize("trouble", ["hangs", "fails", "is away"])
def test_nobody_waits_for_a_collector(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_telemetry, "FLUSH_SECONDS", 0.05)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    with OtlpReceiver(status=500 if trouble == "fails" else 200, hangs=trouble == "hangs") as receiver:
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9" if trouble == "is away" else receiver.url
        )
        tracer = open_tracer("1.2.3", "i-1")
        done = []
        for number in range(3):
            with tracer.trace(PAYLOAD, SpanKind.SERVER, {}):
                done.append(number)
            if trouble != "is away":
                receiver.wait_for_call()
        # It returns although the collector still holds the call.
        tracer.stop()
    assert done == [0, 1, 2]


def test_only_what_the_table_has_is_in_a_span() -> None:
    recorder = SpanRecorder()

    def fail() -> None:
        with recorder.tracer.trace(PAYLOAD, SpanKind.SERVER, {RULE: "prod", "reason": "because"}):
            recorder.tracer.note({ACTION: "two words, and a comma", RECORD: "REQUEST#0123456789abcdef"})
            raise StoreUnavailable("password=hunter22")

    with pytest.raises(StoreUnavailable):
        fail()
    (span,) = recorder.spans()
    assert span.attributes == {RULE: "prod", RECORD: "REQUEST#0123456789abcdef", ERROR: "StoreUnavailable"}
    assert not span.status.is_ok
    assert span.events == ()
    assert "hunter22" not in recorder.everything()


def test_refusal_is_no_failure() -> None:
    recorder = SpanRecorder()
    with pytest.raises(NotAllowed), recorder.tracer.trace(PAYLOAD, SpanKind.SERVER, {}):
        raise NotAllowed("approve", ("not an approver",))
    (span,) = recorder.spans()
    assert span.status.is_unset
    assert span.attributes == {ERROR: "NotAllowed"}


def test_task_belongs_to_the_trace_that_bound_it() -> None:
    recorder = SpanRecorder()
    tracer = recorder.tracer

    def task() -> None:
        with tracer.span("slack response_url"):
            pass

    with tracer.trace(PAYLOAD, SpanKind.SERVER, {}):
        bound = tracer.bind(task)
    for work in (bound, task):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    # The second is in no trace, and so is no span.
    (child,), (root,) = recorder.spans("slack response_url"), recorder.spans(PAYLOAD)
    assert trace_of(child) == trace_of(root)
    assert tracer.bind(task) is task


def test_trace_inside_another_is_one_of_its_own() -> None:
    recorder = SpanRecorder()
    with (
        recorder.tracer.trace(PAYLOAD, SpanKind.SERVER, {}),
        recorder.tracer.trace("deliver", SpanKind.CONSUMER, {}, caused_by="not a traceparent"),
    ):
        pass
    (outer,), (inner,) = recorder.spans(PAYLOAD), recorder.spans("deliver")
    assert inner.parent is None
    assert trace_of(inner) != trace_of(outer)
    assert linked_traces(inner) == []


def test_what_is_not_sampled_leaves_nothing(collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    tracer = open_tracer("1.2.3", "i-1")
    with tracer.trace(PAYLOAD, SpanKind.SERVER, {}):
        with tracer.span("decision"):
            tracer.note({RULE: "prod"})
        assert current_trace() is None
    tracer.stop()
    assert collector.calls == 0


def test_log_line_names_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(logging.root, "handlers", [])
    configure_logging(LogForm.JSON, stream)
    log = logging.getLogger("countersign.test")
    with SpanRecorder().tracer.trace(PAYLOAD, SpanKind.SERVER, {}):
        traceparent = current_trace() or ""
        log.warning("inside")
    log.warning("outside")
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert inside["trace_id"] == trace_id_of(traceparent)
    assert "trace_id" not in outside


def test_nothing_of_it_is_loaded_at_a_start_without_traces() -> None:
    loads_it = re.compile(r"^(from|import) (opentelemetry|bot\.observability\.open_telemetry)\b", re.MULTILINE)
    sources = [path for package in ("core", "bot", "playground") for path in (ROOT / package).rglob("*.py")]
    assert len(sources) > 300
    loading = [path.name for path in sources if loads_it.search(path.read_text(encoding="utf-8"))]
    assert loading == ["open_telemetry.py"]


class TestSwitchingOn:
    def test_without_the_extra_it_runs_without_traces(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("COUNTERSIGN_TRACING", "otlp")
        monkeypatch.delitem(sys.modules, "bot.observability.open_telemetry")
        monkeypatch.delattr("bot.observability.open_telemetry")
        monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
        assert not open_by_settings(read_settings()).is_on
        assert "pip install 'countersign[tracing]'" in caplog.text
        (found,) = check_tracing(read_settings())
        assert "pip install 'countersign[tracing]'" in found.fix

    def test_bad_otel_variable_keeps_nothing_from_starting(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("COUNTERSIGN_TRACING", "otlp")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-5")
        assert not open_by_settings(read_settings()).is_on
        assert "an OTEL_ variable can't be used" in caplog.text

    def test_other_words_are_refused_with_the_fix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COUNTERSIGN_TRACING", "jaeger")
        with pytest.raises(InvalidInput, match="COUNTERSIGN_TRACING: 'jaeger' is not a way to export traces"):
            read_settings()
        monkeypatch.setenv("COUNTERSIGN_TRACING", "off")
        assert list(check_tracing(read_settings())) == []
        assert not open_by_settings(read_settings()).is_on

    def test_doctor_asks_the_collector(self, collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COUNTERSIGN_TRACING", "otlp")
        (found,) = check_tracing(read_settings())
        assert found.what == f"traces: {collector.url}/v1/traces takes them"
        assert collector.spans == []

        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:secret-word@127.0.0.1:9")
        monkeypatch.setattr("bot.doctor.tracing_checks.TIMEOUT_SECONDS", 0.2)
        (found,) = check_tracing(read_settings())
        assert "didn't take an export" in found.what
        assert "secret-word" not in str(found)

    def test_token_for_the_collector_is_a_secret_of_the_log(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20c2VjcmV0LXdvcmQ,x-scope=team")
        known = set(secrets_of(Settings(), SlackSettings()))
        assert {"Basic%20c2VjcmV0LXdvcmQ", "Basic c2VjcmV0LXdvcmQ"} <= known

    def test_header_without_a_name_is_not_quoted(
        self, collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Bearer secret-word")
        open_telemetry.try_export(5.0)
        assert "secret-word" not in caplog.text
        assert "Bearer secret-word" in secrets_of(Settings(), SlackSettings())
