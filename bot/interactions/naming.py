"""Names the request that an interaction is about, in all that is logged meanwhile.

Invariant: what was named is named no longer than the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bot.observability.logs import about
from core.request import Request, RequestId


@contextmanager
def naming(request_id: RequestId) -> Iterator[RequestId]:
    """Name the request in all that is logged meanwhile."""
    with about(f"{Request.KIND}#{request_id}"):
        yield request_id
