"""Remember which records' chains were seen, in eight bytes each.

Invariant: exact. Ten million take 80 MB, where a set of their names would take more than a gigabyte.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from typing import Final

from core.clock import ID_PATTERN

_ID: Final = re.compile(ID_PATTERN)
_PER_RUN: Final = 1_000_000


class SeenChains:
    """The chains that were seen. The id of a record, 16 hex digits, is a number of 64 bits."""

    def __init__(self) -> None:
        self._runs: dict[str, list[array[int]]] = {}
        self._new: dict[str, set[int]] = {}
        self._others: set[str] = set()

    def add(self, chain: str) -> None:
        """This chain was seen."""
        kind, _, record_id = chain.partition("#")
        if not _ID.fullmatch(record_id):
            self._others.add(chain)
            return
        new = self._new.setdefault(kind, set())
        new.add(int(record_id, 16))
        if len(new) >= _PER_RUN:
            self._runs.setdefault(kind, []).append(array("Q", sorted(new)))
            new.clear()

    def __contains__(self, chain: str) -> bool:
        """True when this chain was seen."""
        kind, _, record_id = chain.partition("#")
        if not _ID.fullmatch(record_id):
            return chain in self._others
        number = int(record_id, 16)
        return number in self._new.get(kind, ()) or any(_holds(run, number) for run in self._runs.get(kind, ()))


def _holds(run: array[int], number: int) -> bool:
    position = bisect_left(run, number)
    return position < len(run) and run[position] == number
