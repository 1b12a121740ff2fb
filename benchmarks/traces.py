"""What traces cost a click: Approve, from the press to its acknowledgement, with traces off and on.

Invariant: both bots run in this process, wired as by `countersign serve`, each on a SQLite file of its own, and take
turns. The collector is in this process too, so exporting and receiving are part of what is timed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness import KEYRING, Call
from benchmarks.results import Goal, Prepare, Ratio, ResultTable, Section, Size, time_interleaved
from bot.observability.open_telemetry import open_tracer
from bot.observability.tracing import NO_TRACER, Tracer
from bot.views.request.card import APPROVE
from core.stores.commit import StoreSettings
from core.stores.sqlite import SqliteStores
from tests.end_to_end.harness import JON, Harness
from tests.harness.clock import FrozenClock
from tests.harness.otlp_receiver import OtlpReceiver

MAX_RATIO: Final = 1.5
_OFF, _ON = "off", "on"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


def measure(size: Size) -> Section:
    """Both bots, in turn."""
    rounds = size.pick(300, 10)
    with (
        tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix="scratch-") as folder,
        _collector() as collector,
        ExitStack() as held,
    ):
        off = held.enter_context(_bot(f"{folder}/off.db", NO_TRACER))
        on = held.enter_context(_bot(f"{folder}/on.db", open_tracer("benchmark", "benchmark")))
        times = time_interleaved({_OFF: _approvals(off), _ON: _approvals(on)}, rounds)
    clicks = sum(span.name == "decision" for span in collector.spans)
    ratio = Ratio.of(times[_ON], times[_OFF])
    return Section(
        "traces",
        "Traces of a click",
        (ResultTable(("on / off", "spans that arrived"), ((str(ratio), str(len(collector.spans))),)),),
        (
            Goal(
                f"a click with traces takes at most {MAX_RATIO} times as long",
                f"{ratio.median:.2f}",
                ratio.median <= MAX_RATIO,
            ),
            Goal("every decision arrives at the collector", str(clicks), clicks >= 2 * rounds),
        ),
        "Approve, from the press to its acknowledgement, over HTTP, on SQLite. The bots, the local Slack and the "
        "collector share one process. A click and what was asked before it are a decision each.",
    )


@contextmanager
def _collector() -> Iterator[OtlpReceiver]:
    before = os.environ.get(_ENDPOINT)
    with OtlpReceiver() as receiver:
        os.environ[_ENDPOINT] = receiver.url
        try:
            yield receiver
        finally:
            os.environ.pop(_ENDPOINT)
            if before is not None:
                os.environ[_ENDPOINT] = before


@contextmanager
def _bot(path: str, tracer: Tracer) -> Iterator[Harness]:
    clock = FrozenClock()
    with (
        closing(SqliteStores(path, StoreSettings(KEYRING, clock=clock))) as stores,
        Harness(stores, clock, tracer=tracer) as harness,
    ):
        yield harness


def _approvals(harness: Harness) -> Prepare:
    def prepare(number: int) -> Call:
        del number
        card = harness.card(harness.ask())
        return lambda: harness.slack.press(JON, card, APPROVE)

    return prepare
