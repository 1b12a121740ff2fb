"""What becomes of a request that isn't one person's for one profile.

Invariant: each profile stands on a line of its own, with its request or why there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.views.block_kit import Message, code, length, mention, moment, mrkdwn
from bot.views.replies import explain, reply
from core.request import Request, RequestStatus
from core.services.bundle import Submitted


def submitted_for(request: Request) -> Message:
    """Access was requested for somebody else, who hasn't confirmed it yet."""
    done = f"You requested {code(request.profile)} for {length(request.duration)}, for {mention(request.requester)}."
    return reply(f"{done} They have to confirm it by {moment(request.expires_at)}: nobody can approve it before that.")


def submitted_several(outcomes: Sequence[Submitted], now: datetime, reader: str) -> Message:
    """Several profiles were requested at once; at least one of the requests was recorded."""
    made = [each.request for each in outcomes if each.request is not None]
    first = made[0]
    whose = f" for {mention(first.requester)}, who has to confirm each" if first.awaits_confirmation else ""
    count = f"{len(made)} of {len(outcomes)}" if len(made) < len(outcomes) else str(len(made))
    line = f"You requested {count} profiles for {length(first.duration)}{whose}. Each is decided separately."
    rows = tuple(mrkdwn(_row(each, now, reader)) for each in outcomes)
    return Message(text=line, blocks=(mrkdwn(line), *rows))


def _row(outcome: Submitted, now: datetime, reader: str) -> str:
    name, request = code(outcome.profile), outcome.request
    if request is None:
        why = explain(outcome.refusal, now, reader).text if outcome.refusal is not None else "Not requested."
        return f"*Not requested:* {name}\n{why}"
    if request.status is RequestStatus.APPROVED:
        return f"{name}: approved until {moment(request.life_ends_at())}"
    needs = "one approval" if request.required_approvals == 1 else f"{request.required_approvals} approvals"
    return f"{name}: needs {needs} by {moment(request.expires_at)}"
