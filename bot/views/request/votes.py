"""The votes on a request as people read them: how many count, and which lapsed and why.

Invariant: a vote that lapsed is shown, struck through, and is never counted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.views.block_kit import Block, context, escape, length, mention, plain
from core.approval import Approval
from core.request import Request

_MAX_SHOWN: Final = 5
"""So many lines stay far below Slack's limit for one text."""
_MAX_COMMENT: Final = 200
"""Characters of a vote's comment: ten of them, at their longest, stay far below what Slack takes."""


def count_votes(request: Request) -> str:
    """Such as "1 of 2 approvals"."""
    return f"{len(request.counting_approvals)} of {request.quorum} approvals"


def count_missing(request: Request) -> int:
    """How many more approvals it needs."""
    return request.quorum - len(request.counting_approvals)


def needed(request: Request) -> str:
    """Such as "one approval", or "one more approval" once somebody approved."""
    missing = count_missing(request)
    more = " more" if request.counting_approvals else ""
    return f"one{more} approval" if missing == 1 else f"{missing}{more} approvals"


def less_time(request: Request) -> str:
    """For how long it was approved, with a space before, if that is less than was asked."""
    return f" for {length(request.granted_duration)}" if request.granted_duration < request.duration else ""


def lapsed_votes(request: Request, at: datetime | None = None) -> str:
    """A line for each of the newest votes that lapsed, or that lapsed at one moment; empty when there are none."""
    lapsed = [vote for vote in request.approvals if not vote.counts and at in {None, vote.lapsed_at}]
    return "\n".join(_line(vote) for vote in lapsed[-_MAX_SHOWN:])


def _line(vote: Approval) -> str:
    return f"~{mention(vote.approver)} approved~ · no longer counts: {escape(vote.lapsed_reason or '')}"


def vote_blocks(request: Request, *, leave_out_counting: bool = False) -> list[Block]:
    """Who approved so far, with their comments, shortened, and whose votes lapsed; nothing while nobody did."""
    lapsed = lapsed_votes(request)
    small_print = [context(lapsed)] if lapsed else []
    counting = request.counting_approvals
    if not counting or leave_out_counting:
        return small_print
    voters = ", ".join(_voter(approval) for approval in counting)
    comments = [_comment(each.approver, each.comment) for each in counting if each.comment is not None]
    return [context(f"{count_votes(request)}: {voters}"), *small_print, *comments]


def _voter(vote: Approval) -> str:
    return mention(vote.approver) + (f" (for {length(vote.duration)})" if vote.duration is not None else "")


def _comment(approver: str, comment: str) -> Block:
    # All blocks of a message together have a limit; the thread has each comment whole.
    return {
        "type": "context",
        "elements": [*context(f"{mention(approver)} said:")["elements"], plain(comment, _MAX_COMMENT)],
    }
