"""Opens the tracer that the settings name, and puts it between the services and what they call.

Invariant: no trouble with traces keeps a process from starting: it runs without them, and its log says why.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Final

from bot.lifecycle import Component
from bot.observability.traced_ports import trace_stores
from bot.observability.tracing import NO_TRACER, Tracer
from bot.settings import Settings
from bot.wiring.ports import Ports
from core.clock import new_id

_EXTRA: Final = "opentelemetry"
_log = logging.getLogger("countersign.tracing")


def open_tracer(settings: Settings) -> Tracer:
    """The tracer that COUNTERSIGN_TRACING asks for."""
    if settings.tracing is None:
        return NO_TRACER
    try:
        # Loaded only here: it is an extra, and takes a moment.
        from bot.observability import open_telemetry  # noqa: PLC0415

        return open_telemetry.open_tracer(version("countersign"), new_id())
    except ImportError as error:
        if (error.name or "").partition(".")[0] != _EXTRA:
            raise
        _log.error("there are no traces: OpenTelemetry is not installed. Run: pip install 'countersign[tracing]'")
    except ValueError as error:
        _log.error("there are no traces: an OTEL_ variable can't be used: %s", error)
    return NO_TRACER


def trace_ports(ports: Ports) -> Ports:
    """The same ports, whose stores are traced."""
    return replace(ports, stores=trace_stores(ports.stores, ports.tracer)) if ports.tracer.is_on else ports


@contextmanager
def traced(ports: Ports) -> Iterator[Ports]:
    """The same ports, whose stores are traced. At the end of the block, what is left is exported."""
    try:
        yield trace_ports(ports)
    finally:
        ports.tracer.stop()


def tracing_components(tracer: Tracer) -> list[Component]:
    """What is stopped last, so that the end of everything else is exported."""
    return [Component("the traces", stop=tracer.stop)] if tracer.is_on else []
