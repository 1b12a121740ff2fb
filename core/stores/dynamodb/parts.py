"""The parts of a transaction: writes that belong together, and what it means that one of their conditions failed.

Invariant: a part is judged on the outcome of its own writes alone, at any place in the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from core.errors import CountersignError
from core.stores.dynamodb.outcomes import ConditionFailed


class Part(NamedTuple):
    """Some writes, and what explains their failed conditions; it says None when none of them failed."""

    writes: Sequence[dict[str, Any]]
    explain: Callable[[ConditionFailed], CountersignError | None] = lambda _: None


def join_writes(*parts: Part) -> list[dict[str, Any]]:
    """All writes, in the order of the parts."""
    return list(chain.from_iterable(part.writes for part in parts))


def explain_parts(parts: Sequence[Part], failure: ConditionFailed) -> tuple[CountersignError | None, ...]:
    """What the outcome of the transaction means for each of its parts."""
    reasons, start = list[CountersignError | None](), 0
    for part in parts:
        end = start + len(part.writes)
        reasons.append(part.explain(failure.part(slice(start, end))))
        start = end
    return tuple(reasons)
