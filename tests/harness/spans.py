"""Spans as they would be exported, held in memory, each checked against the table of spans."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from bot.observability.open_telemetry import OpenTelemetryTracer
from bot.observability.tracing import ERROR, SPANS, family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

Tree: TypeAlias = tuple[str, tuple["Tree", ...]]
PATIENCE_SECONDS = 60.0


class SpanRecorder(SpanExporter):
    """Takes every span at its end. One that the table doesn't have is refused, as is one of its attributes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._spans: list[ReadableSpan] = []
        self.problems: list[str] = []
        self.tracer = OpenTelemetryTracer(SimpleSpanProcessor(self), "1.2.3", "test")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._changed:
            for span in spans:
                self._check(span)
                self._spans.append(span)
            self._changed.notify_all()
        return SpanExportResult.SUCCESS

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """Those that have ended so far, in the order of their start; with a name, only those."""
        with self._changed:
            found = [span for span in self._spans if not name or span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)

    def wait_for(self, name: str, number: int = 1) -> list[ReadableSpan]:
        """So many spans of this name, as soon as they have ended."""
        self.wait_until(lambda: len([span for span in self._spans if span.name == name]) >= number)
        return self.spans(name)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until this holds, which is looked at after each span."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_SECONDS), sorted(span.name for span in self._spans)

    def tree(self, root: ReadableSpan) -> Tree:
        """A span, and below it all that it caused, by name."""
        children = [span for span in self.spans() if span.parent and root.context and _is_below(span, root)]
        return root.name, tuple(sorted(self.tree(each) for each in children))

    def trace_of(self, root: ReadableSpan) -> list[ReadableSpan]:
        """Every span of a trace."""
        trace_id = root.get_span_context().trace_id
        return [span for span in self.spans() if span.get_span_context().trace_id == trace_id]

    def everything(self) -> str:
        """All that would leave the process."""
        return "\n".join(span.to_json() for span in self.spans())

    def _check(self, span: ReadableSpan) -> None:
        known = SPANS.get(family_of(span.name))
        if known is None:
            self.problems.append(f"{span.name} is in no table")
        unknown = set(span.attributes or {}) - (known or frozenset()) - {ERROR}
        if unknown or span.events or span.status.description:
            self.problems.append(f"{span.name}: {unknown} {span.events} {span.status.description}")


def _is_below(span: ReadableSpan, root: ReadableSpan) -> bool:
    context = root.get_span_context()
    return span.parent is not None and (span.parent.trace_id, span.parent.span_id) == (
        context.trace_id,
        context.span_id,
    )


def linked_traces(span: ReadableSpan) -> list[int]:
    """The ids of the traces that a span is linked to."""
    return [link.context.trace_id for link in span.links]
