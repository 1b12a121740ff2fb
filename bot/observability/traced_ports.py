"""Ports whose calls are spans: the stores, the directory, the targets, what issues credentials, and the sinks.

Invariant: nothing but recording: an answer or an error is passed on as it is. Of what was passed, a span gets the names
of records, profiles and rules, and no other value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Final, cast

from bot.observability.counted_targets import outcome_of
from bot.observability.tracing import (
    ACTION,
    ALLOWED,
    ATTEMPT,
    CONFLICTS,
    DATABASE,
    OUTCOME,
    PROFILE,
    RECORD,
    RULE,
    TARGET,
    Attributes,
    SpanKind,
    Tracer,
    Value,
)  # fmt: skip
from core.access.grant import Grant
from core.access.reconciler import Reconciler
from core.access.right import Right
from core.audit.trail import REFUSED, EntryDraft
from core.directory import Directory
from core.errors import ConcurrentModification
from core.outbox.delivery import DeliveryOutcome, RunDelivery, Sink, run_delivery
from core.record import Record
from core.services.issuing import CredentialIssuer
from core.stores.audit import RefusalLog
from core.stores.base import PurgedStores, Stores
from core.stores.outbox import Delivery
from core.targets.base import Answer, Target

_ROOMS: Final = (
    "requests", "break_glass", "access", "sessions", "devices", "audit", "directory", "outbox", "messages",
    "preferences",
)  # fmt: skip
_STEPS: Final = frozenset({"inspect", "give", "take", "poll"})
_ASKED: Final = frozenset({"person", "memberships", "duties"})
Call = Callable[..., object]


class TracedPort:
    """One port. The calls of `methods`, or all, are spans; everything else is the port's own."""

    def __init__(
        self,
        port: object,
        tracer: Tracer,
        family: str,
        attributes: Attributes,
        methods: Collection[str] | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        describe: Callable[[object], Attributes] | None = None,
    ) -> None:
        self._describe = describe
        self._port = port
        self._tracer = tracer
        self._family = family
        self._attributes = attributes
        self._methods = methods
        self._kind = kind

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        # A generator would do its work after its span.
        is_traced = not name.startswith(("_", "iterate_")) if self._methods is None else name in self._methods
        if not is_traced or not callable(found):
            return found
        traced = self._trace(f"{self._family} {name}", found)
        # From now on, it is found without coming here.
        self.__dict__[name] = traced
        return traced

    def _trace(self, name: str, call: Call) -> Call:
        tracer, attributes, kind, describe = self._tracer, self._attributes, self._kind, self._describe

        @wraps(call)
        def traced(*given: object, **named: object) -> object:
            try:
                with tracer.span(name, attributes, kind):
                    result = call(*given, **named)
                    if describe is not None:
                        tracer.note(describe(result))
            except ConcurrentModification:
                tracer.count(CONFLICTS)
                raise
            if facts := _facts_of((*given, *named.values())):
                tracer.note(facts)
            return result

        return traced


class _TracedRefusals(TracedPort):
    """The log of refused attempts: a refusal belongs to the span in which the attempt was made."""

    def note(self, draft: EntryDraft) -> None:
        """Note it, here and there."""
        self._tracer.note(_facts_of((draft,)))
        cast("RefusalLog", self._port).note(draft)


class _TracedStores:
    def __init__(self, stores: Stores, tracer: Tracer, database: str) -> None:
        self._stores = stores
        attributes = {DATABASE: database}
        for room in _ROOMS:
            port = TracedPort(getattr(stores, room), tracer, f"store {room}", attributes, kind=SpanKind.CLIENT)
            setattr(self, room, port)
        self.refusals = _TracedRefusals(stores.refusals, tracer, "store refusals", attributes, ())

    def __getattr__(self, name: str) -> object:
        return getattr(self._stores, name)


class _TracedPurgedStores(_TracedStores):
    """Whether stores have this is asked by looking for it."""

    def purge(self, now: datetime) -> int:
        """Delete what is kept no longer."""
        return cast("PurgedStores", self._stores).purge(now)


class TracedTargets(Mapping[str, Target]):
    """The same targets, by the same names."""

    def __init__(self, targets: Mapping[str, Target], tracer: Tracer) -> None:
        self._targets = targets
        self._tracer = tracer

    def __getitem__(self, name: str) -> Target:
        target, about = self._targets[name], {TARGET: name}
        port = TracedPort(target, self._tracer, "target", about, _STEPS, SpanKind.CLIENT, _describe_answer)
        return cast("Target", port)

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)


class _TracedReconciler:
    """Each visit of a right is a trace of its own: it may be long after the decision, and on another instance."""

    def __init__(self, reconciler: Reconciler, tracer: Tracer) -> None:
        self._reconciler = reconciler
        self._tracer = tracer

    def reconcile(self, right: Right, grant: str | None = None) -> Answer | None:
        with self._tracer.trace("reconcile", SpanKind.INTERNAL, {TARGET: right.target}):
            return self._reconciler.reconcile(right, grant)


def trace_reconciler(reconciler: Reconciler, tracer: Tracer) -> Reconciler:
    """The same reconciler."""
    return cast("Reconciler", _TracedReconciler(reconciler, tracer)) if tracer.is_on else reconciler


def trace_deliveries(tracer: Tracer) -> RunDelivery:
    """Runs each delivery as a trace of its own, linked to the one in which its entry was committed."""
    if not tracer.is_on:
        return run_delivery

    def run(leased: Delivery, deliver: Callable[[], DeliveryOutcome | None]) -> DeliveryOutcome | None:
        entry = leased.entry
        about: dict[str, Value] = {RECORD: entry.chain, ACTION: entry.event.value, ATTEMPT: leased.attempts + 1}
        about |= {PROFILE: entry.profile} if entry.profile is not None else {}
        with tracer.trace("deliver", SpanKind.CONSUMER, about, caused_by=leased.traceparent):
            outcome = deliver()
            tracer.note({OUTCOME: outcome.name.lower() if outcome is not None else "lost"})
        return outcome

    return run


def trace_stores(stores: Stores, tracer: Tracer) -> Stores:
    """The same stores, whose calls inside a trace are spans."""
    if not tracer.is_on:
        return stores
    kind = _TracedPurgedStores if isinstance(stores, PurgedStores) else _TracedStores
    name = type(stores).__name__
    return cast("Stores", kind(stores, tracer, _DATABASES.get(name, name)))


def trace_directory(directory: Directory, tracer: Tracer) -> Directory:
    """The same directory, as the services know it."""
    return cast("Directory", TracedPort(directory, tracer, "directory", {}, _ASKED)) if tracer.is_on else directory


def trace_issuer(issuer: CredentialIssuer, tracer: Tracer) -> CredentialIssuer:
    """The same issuer of credentials."""
    port = TracedPort(issuer, tracer, "credentials", {}, {"assume"}, SpanKind.CLIENT)
    return cast("CredentialIssuer", port) if tracer.is_on else issuer


def trace_sinks(sinks: Sequence[Sink], tracer: Tracer) -> Sequence[Sink]:
    """The same sinks."""
    if not tracer.is_on:
        return sinks
    return [cast("Sink", TracedPort(sink, tracer, f"sink {sink.name}", {}, {"deliver"})) for sink in sinks]


_DATABASES: Final = {"SqliteStores": "sqlite", "DynamoStores": "aws.dynamodb"}


def _describe_answer(answer: object) -> Attributes:
    return {OUTCOME: outcome_of(answer)}


def _facts_of(given: Sequence[object]) -> dict[str, Value]:
    """What a call says about the decision: the record, and the last of the entries that are written with it."""
    facts: dict[str, Value] = {}
    for each in given:
        last = each[-1] if isinstance(each, list | tuple) and each else each
        if isinstance(last, Record):
            facts |= {RECORD: last.source if isinstance(last, Grant) else last.chain}
            facts |= {PROFILE: last.profile} if last.profile is not None else {}
            rule = getattr(last, "rule", None)
            facts |= {RULE: rule} if isinstance(rule, str) else {}
        elif isinstance(last, EntryDraft):
            facts |= {ACTION: last.event.value, ALLOWED: last.outcome != REFUSED}
            facts |= {PROFILE: last.profile} if last.profile is not None else {}
            facts |= {RECORD: last.record} if last.record is not None else {}
            rule = last.details.get("rule")
            facts |= {RULE: rule} if isinstance(rule, str) else {}
    return facts if ACTION in facts else {}
