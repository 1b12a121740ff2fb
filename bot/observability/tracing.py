"""The port of traces: spans around what is done for one click, command, call, delivery or visit, and their table.

Invariant: what isn't in this table is in no span. Nothing that a person typed and no secret has a place in it. A tracer
neither raises nor waits, and without one a span costs a call and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

Value: TypeAlias = str | int | bool
Attributes: TypeAlias = Mapping[str, Value]
Task: TypeAlias = Callable[[], None]


class SpanKind(StrEnum):
    """Who is at the other end: nobody, who called us, whom we call, or what was queued."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


ERROR: Final = "error.type"
STATUS: Final = "http.response.status_code"
TRANSPORT: Final = "countersign.transport"
PAYLOAD: Final = "countersign.payload"
ANSWER: Final = "countersign.answer"
SLACK_ID: Final = "countersign.slack_id"
INTERACTION: Final = "countersign.interaction"
ACTION: Final = "countersign.action"
ALLOWED: Final = "countersign.allowed"
RECORD: Final = "countersign.record"
PROFILE: Final = "countersign.profile"
RULE: Final = "countersign.rule"
CONFLICTS: Final = "countersign.conflicts"
DATABASE: Final = "db.system.name"
SLACK_ERROR: Final = "countersign.slack_error"
TARGET: Final = "countersign.target"
OUTCOME: Final = "countersign.outcome"
ATTEMPT: Final = "countersign.attempt"

_DECIDED: Final = frozenset({ACTION, ALLOWED, RECORD, PROFILE, RULE, CONFLICTS})
SPANS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "slack payload": frozenset({TRANSPORT, PAYLOAD, ANSWER, SLACK_ID}) | _DECIDED,
        "decision": frozenset({INTERACTION}) | _DECIDED,
        "api": frozenset({STATUS}) | _DECIDED,
        "deliver": frozenset({RECORD, PROFILE, ACTION, ATTEMPT, OUTCOME, CONFLICTS}),
        "sink": frozenset(),
        "reconcile": frozenset({TARGET}) | _DECIDED,
        "target": frozenset({TARGET, OUTCOME}),
        "store": frozenset({DATABASE}),
        "directory": frozenset(),
        "slack": frozenset({STATUS, SLACK_ERROR}),
        "credentials": frozenset(),
    }
)
"""Each span by its name, or by the first word of it, and its attributes. Every span may have `error.type`."""
_VALUE: Final = re.compile(r"[\w#./:@ -]{0,200}", re.ASCII)


def family_of(name: str) -> str:
    """The row of the table that a span belongs to."""
    return name if name in SPANS else name.partition(" ")[0]


def is_allowed(span: str, attribute: str, value: Value) -> bool:
    """Whether the table has this attribute for this span, and the value looks like one of ours."""
    known = attribute == ERROR or attribute in SPANS.get(family_of(span), frozenset())
    return known and (not isinstance(value, str) or _VALUE.fullmatch(value) is not None)


class Tracer(Protocol):
    """Records spans. Safe for threads."""

    @property
    def is_on(self) -> bool:
        """False when nothing is recorded, so that nothing has to be wrapped."""
        ...

    def trace(
        self, name: str, kind: SpanKind, attributes: Attributes, *, caused_by: str | None = None
    ) -> AbstractContextManager[None]:
        """A span that begins a trace of its own. `caused_by` is the traceparent of another trace, which is linked."""
        ...

    def span(self, name: str, attributes: Attributes = ..., kind: SpanKind = ...) -> AbstractContextManager[None]:
        """A span inside the trace of this thread; nothing where there is none."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Add to the innermost span of this thread that has not ended."""
        ...

    def count(self, attribute: str) -> None:
        """Add one to a number of the innermost span."""
        ...

    def bind(self, task: Task) -> Task:
        """The task, which belongs to the trace of this thread wherever it runs."""
        ...

    def stop(self) -> None:
        """Export what is left, within a few seconds. Idempotent."""
        ...


class NoTracer:
    """The tracer that records nothing."""

    is_on = False

    def trace(
        self, name: str, kind: SpanKind, attributes: Attributes, *, caused_by: str | None = None
    ) -> AbstractContextManager[None]:
        """Nothing."""
        del name, kind, attributes, caused_by
        return _NOTHING

    def span(
        self, name: str, attributes: Attributes = MappingProxyType({}), kind: SpanKind = SpanKind.INTERNAL
    ) -> AbstractContextManager[None]:
        """Nothing."""
        del name, attributes, kind
        return _NOTHING

    def note(self, attributes: Attributes) -> None:
        """Nobody records it."""

    def count(self, attribute: str) -> None:
        """Nobody records it."""

    def bind(self, task: Task) -> Task:
        """The task itself."""
        return task

    def stop(self) -> None:
        """Nothing is left."""


_NOTHING: Final = nullcontext()
NO_TRACER: Final = NoTracer()
