"""Traces: whether they would arrive, where they are on.

Invariant: the collector gets an export without any span. Nothing here keeps an instance from starting.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.doctor.finding import CheckResult, fine, wrong
from bot.settings import Settings
from core.text import without_password

TIMEOUT_SECONDS = 3.0
_NOT_STOPPED = "Countersign works without them."


def check_tracing(settings: Settings) -> Iterator[CheckResult]:
    """What is missing, or whether the collector takes an export."""
    if settings.tracing is None:
        return
    try:
        from bot.observability import open_telemetry  # noqa: PLC0415 - an extra, and only needed here
    except ImportError:
        yield wrong("traces: OpenTelemetry isn't installed", "Run: pip install 'countersign[tracing]'")
        return
    try:
        endpoint, has_arrived = open_telemetry.try_export(TIMEOUT_SECONDS)
    except ValueError as error:
        yield wrong(f"traces: an OTEL_ variable can't be used: {error}", f"Correct it. {_NOT_STOPPED}")
        return
    address = without_password(endpoint)
    if has_arrived:
        yield fine(f"traces: {address} takes them")
        return
    fix = "Check OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, and that the network lets it through."
    yield wrong(f"traces: {address} didn't take an export within {TIMEOUT_SECONDS:.0f} s", f"{fix} {_NOT_STOPPED}")
