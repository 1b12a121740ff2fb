"""The votes on a request as people read them: how many count, and which lapsed and why.

Invariant: a vote that lapsed is shown, struck through, and is never counted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.views.block_kit import escape, mention
from core.approval import Approval
from core.request import Request

_MAX_SHOWN: Final = 5
"""So many lines stay far below Slack's limit for one text."""


def count_votes(request: Request) -> str:
    """Such as "1 of 2 approvals"."""
    return f"{len(request.counting_approvals)} of {request.quorum} approvals"


def count_missing(request: Request) -> int:
    """How many more approvals it needs."""
    return request.quorum - len(request.counting_approvals)


def lapsed_votes(request: Request, at: datetime | None = None) -> str:
    """A line for each of the newest votes that lapsed, or that lapsed at one moment; empty when there are none."""
    lapsed = [vote for vote in request.approvals if not vote.counts and at in {None, vote.lapsed_at}]
    return "\n".join(_line(vote) for vote in lapsed[-_MAX_SHOWN:])


def _line(vote: Approval) -> str:
    return f"~{mention(vote.approver)} approved~ · no longer counts: {escape(vote.lapsed_reason or '')}"
