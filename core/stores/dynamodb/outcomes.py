"""Outcomes of a call that its caller has to deal with: conditions that failed, and refusals that were expected.

Invariant: neither leaves this package; what a store raises is one of `core.errors`.
"""

from __future__ import annotations

from core.stores.dynamodb.items import Item


class ConditionFailed(Exception):
    """The outcome of a write's conditions: for each item, whether its condition failed, and then the stored item.

    `is_retry` is true when an earlier attempt of the same call may have taken effect. It never leaves this package.
    """

    def __init__(self, failed: tuple[bool, ...], stored: tuple[Item | None, ...], *, is_retry: bool) -> None:
        super().__init__(failed)
        self.failed = failed
        self.stored = stored
        self.is_retry = is_retry

    def part(self, items: slice) -> ConditionFailed:
        """The same of some of the items."""
        return ConditionFailed(self.failed[items], self.stored[items], is_retry=self.is_retry)


class CallRefused(Exception):
    """DynamoDB refused the call with a code that the caller expects. It never leaves this package."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
