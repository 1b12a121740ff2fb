"""Cursors: where the next page of a list begins.

Invariant: a cursor says only "after the row created then, with this id"; it is opaque to the caller, works on every
engine, and a cursor that was not made here is refused.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from core.errors import InvalidInput
from core.stores.record_store import MAX_PER_PAGE

_WRITTEN = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ((?:[A-Z]+#)?[0-9a-f]{16})")
"""The creation time of a page's last row, and its id, which in some tables follows its kind."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: its creation time as written, and its id."""

    created_at: str
    id: str

    def to_cursor(self) -> str:
        """The position as text for the caller to hand back."""
        return base64.urlsafe_b64encode(f"{self.created_at} {self.id}".encode()).decode()


def read_cursor(cursor: str | None) -> Position | None:
    """Read what `to_cursor` wrote. Raises InvalidInput for anything else."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except ValueError:
        text = ""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise InvalidInput("cursor", "this is not a cursor of a list", "Begin again at the first page.")
    return Position(written[1], written[2])


def check_limit(limit: int) -> int:
    """Raises InvalidInput unless 1 <= limit <= 1000."""
    if not 1 <= limit <= MAX_PER_PAGE:
        raise InvalidInput("limit", f"{limit} is out of bounds", f"Ask for 1 to {MAX_PER_PAGE}.")
    return limit
