"""Records spans with OpenTelemetry, and exports them over OTLP. Loaded only when traces are on.

Invariant: an export that fails or hangs holds up nobody: spans wait in a bounded queue, and what doesn't fit is lost.
No exception's text is recorded, and no attribute that the table of spans doesn't have.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from types import MappingProxyType
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, TraceFlags

from bot.observability.tracing import ERROR, Attributes, SpanKind, Task, Value, is_allowed
from core.errors import ConcurrentModification, CountersignError, DeliveryFailed, StoreError
from core.trace import in_trace, read_trace, span_id_of, trace_id_of

FLUSH_SECONDS: Final = 3.0
"""How long a stop waits for the last spans to be exported."""
_NONE: Final[Attributes] = MappingProxyType({})
_KINDS: Final[Mapping[SpanKind, trace.SpanKind]] = MappingProxyType(
    {each: trace.SpanKind[each.name] for each in SpanKind}
)


class OpenTelemetryTracer:
    """A `Tracer` on a provider of its own: the process-wide one stays as it is."""

    is_on = True

    def __init__(
        self, processor: SpanProcessor, version: str, instance: str, give_up: Callable[[], object] = lambda: None
    ) -> None:
        """`give_up` ends an export that a stop has no more time for."""
        self._give_up = give_up
        resource = Resource.create({SERVICE_VERSION: version, SERVICE_INSTANCE_ID: instance})
        if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            # What the SDK writes where OTEL_SERVICE_NAME says nothing.
            resource = resource.merge(Resource({SERVICE_NAME: "countersign"}))
        self._processor = processor
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("countersign", version)

    @contextmanager
    def trace(
        self, name: str, kind: SpanKind, attributes: Attributes, *, caused_by: str | None = None
    ) -> Iterator[None]:
        """A span that begins a trace of its own, whatever is open on this thread."""
        links = [Link(_context_of(caused_by))] if read_trace(caused_by) is not None and caused_by else []
        span = self._tracer.start_span(
            name,
            context=Context(),
            kind=_KINDS[kind],
            attributes=_allowed(name, attributes),
            links=links,
        )
        with in_trace(_traceparent_of(span)), _current(span):
            yield

    @contextmanager
    def span(self, name: str, attributes: Attributes = _NONE, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[None]:
        """A span inside the trace of this thread; nothing where there is none, or it isn't sampled."""
        if not trace.get_current_span().get_span_context().trace_flags.sampled:
            yield
            return
        span = self._tracer.start_span(
            name,
            kind=_KINDS[kind],
            attributes=_allowed(name, attributes),
        )
        with _current(span):
            yield

    def note(self, attributes: Attributes) -> None:
        """Add to the innermost span of this thread that has not ended."""
        span = trace.get_current_span()
        if span.is_recording() and isinstance(span, ReadableSpan):
            span.set_attributes(_allowed(span.name, attributes))

    def count(self, attribute: str) -> None:
        """Add one to a number of the innermost span."""
        span = trace.get_current_span()
        if span.is_recording() and isinstance(span, ReadableSpan):
            before = (span.attributes or {}).get(attribute, 0)
            self.note({attribute: (before if isinstance(before, int) else 0) + 1})

    def bind(self, task: Task) -> Task:
        """The task in a copy of this thread's context; outside a trace, the task itself."""
        if not trace.get_current_span().get_span_context().is_valid:
            return task
        context = copy_context()
        return lambda: context.run(task)

    def stop(self) -> None:
        """Export what is left, for at most FLUSH_SECONDS. Idempotent."""
        # The processor's own bound is 30 seconds, and more than the process has left.
        flushing = threading.Thread(target=self._processor.shutdown, name="traces", daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        if flushing.is_alive():
            self._give_up()


def open_tracer(version: str, instance: str) -> OpenTelemetryTracer:
    """A tracer that exports as the OTEL_* variables say. Raises ValueError for one that can't be used."""
    exporter = _Exporter()
    return OpenTelemetryTracer(BatchSpanProcessor(exporter), version, instance, exporter.shutdown)


class _Exporter(OTLPSpanExporter):
    """Ends its pause between two attempts when it is shut down, by whom and however often."""

    _has_ended = False

    def shutdown(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            super().shutdown()  # type: ignore[no-untyped-call]


def try_export(seconds: float) -> tuple[str, bool]:
    """Where traces are exported to, and whether an export without spans arrives there in time.

    Raises ValueError for an OTEL_ variable that can't be used.
    """
    # What these would say, the caller says in words for an operator. The second quotes headers that it can't read.
    logs = [logging.getLogger(name) for name in (OTLPSpanExporter.__module__, "opentelemetry.util.re")]
    before = [log.disabled for log in logs]
    for log in logs:
        log.disabled = True
    try:
        exporter = OTLPSpanExporter(timeout=seconds)
        has_arrived = exporter.export(()) is SpanExportResult.SUCCESS
        exporter.shutdown()  # type: ignore[no-untyped-call]
    finally:
        for log, was_disabled in zip(logs, before, strict=True):
            log.disabled = was_disabled
    return exporter._endpoint, has_arrived  # noqa: SLF001 - nothing else says what the variables come to


@contextmanager
def _current(span: Span) -> Iterator[None]:
    token = attach(trace.set_span_in_context(span))
    try:
        yield
    except BaseException as error:
        span.set_attribute(ERROR, type(error).__name__)
        if _is_failure(error):
            span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        detach(token)
        span.end()


def _is_failure(error: BaseException) -> bool:
    """Whether something is broken. A refusal isn't, nor is a change that came first."""
    if isinstance(error, StoreError):
        return not isinstance(error, ConcurrentModification)
    return isinstance(error, DeliveryFailed) or not isinstance(error, CountersignError)


def _allowed(name: str, attributes: Attributes) -> dict[str, Value]:
    return {key: value for key, value in attributes.items() if is_allowed(name, key, value)}


def _traceparent_of(span: Span) -> str | None:
    context = span.get_span_context()
    if not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _context_of(traceparent: str) -> SpanContext:
    trace_id, span_id = int(trace_id_of(traceparent), 16), int(span_id_of(traceparent), 16)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
