"""The mistakes in paging that only the whole file can show.

Invariant: in a policy that passed, what says that it pages people has a pager to page them with.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.policy.mistake import Mistake
from core.policy.rules import PolicyDocument


def find_pager_mistakes(document: PolicyDocument) -> Iterator[Mistake]:
    """Every rule that pages, where there is no pager."""
    if document.pager is not None:
        return
    for index, rule in enumerate(document.approval):
        if rule.page:
            yield Mistake(
                ("approval", index, "page"),
                "there is no pager to page people with",
                "Add pager at the top level, or remove page.",
            )
