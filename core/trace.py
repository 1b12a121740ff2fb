"""Which trace the work on this thread belongs to, as a W3C `traceparent`: for log lines, and for what is done later.

Invariant: it decides nothing. Text that isn't a traceparent, wherever it was read, counts as none, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_current: Final[ContextVar[str | None]] = ContextVar("countersign_trace", default=None)


def current_trace() -> str | None:
    """The traceparent of the trace that is being recorded; None outside one."""
    return _current.get()


@contextmanager
def in_trace(traceparent: str | None) -> Iterator[None]:
    """What is done inside the block belongs to this trace."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)


def read_trace(written: object) -> str | None:
    """The traceparent that was stored; None if it is none. Anybody who can write to the store can write it."""
    return written if isinstance(written, str) and _TRACEPARENT.fullmatch(written) else None


def trace_id_of(traceparent: str) -> str:
    """The 32 hexadecimal digits by which a trace is found."""
    return traceparent[3:35]


def span_id_of(traceparent: str) -> str:
    """The 16 hexadecimal digits of the span that caused what follows."""
    return traceparent[36:52]
