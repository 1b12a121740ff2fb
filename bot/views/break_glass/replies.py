"""Replies to one person about break-glass: what happened, whether they have access, and what to do next.

Invariant: nothing here says that access was given unless the store has said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from bot.slack.app_surface import BREAK_GLASS
from bot.views.access.state import fallback_blocks, problem_blocks
from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    countdown,
    mention,
    moment,
    mrkdwn,
    user_text,
)
from bot.views.break_glass.card import CLOSE, VERDICTS
from bot.views.replies import reply
from core.break_glass import BreakGlassEvent, EventStatus
from core.errors import BrokenChain, BrokenSeal, InvalidInput, StoreError, StoreUnavailable

NOTHING_TO_DECLARE: Final = (
    "There are no profiles you can break the glass for: no break-glass rule covers you. In an emergency, call the "
    "person on call. To be able to declare it yourself, ask a policy owner to add you."
)
NOT_DECLARED_YET: Final = (
    "*No access yet*: the store is slow, and nothing is recorded so far. You'll get the outcome as soon as it's known. "
    "If it can't wait, follow your team's procedure for when Countersign is down."
)
_ANOTHER_WAY: Final = "Follow your team's procedure for when Countersign is down, and tell the security team."


def declared(event: BreakGlassEvent, fallbacks: Sequence[str] = ()) -> Message:
    """What a declaration has done. `fallbacks` are the policy's words for when there is no access."""
    if event.status is not EventStatus.ACTIVE:
        return reply(
            f"Your break-glass event for {code(event.profile)} is already {event.status}. You don't have access."
        )
    line = f":rotating_light: {_what_it_gives(event)} The channel is being notified."
    closing = actions(f"declared:{event.id}", button("Close…", CLOSE, event.id, style="danger"))
    after = context("Close it as soon as you're done: here, or on its card.")
    return Message(text=line, blocks=(mrkdwn(line), *_problem(event, fallbacks), closing, after))


def _what_it_gives(event: BreakGlassEvent) -> str:
    until = f"*until {moment(event.expires_at)}* ({countdown(event.expires_at)})"
    if event.rights:
        opens = f"Access to {code(event.profile)} opens now, {until}."
        return f"{opens} You'll get a message as soon as it's open, and within a minute if it can't be."
    if event.access_problem is not None:
        return f"Your event for {code(event.profile)} is recorded, {until}."
    return f"You have {code(event.profile)} {until}."


def _problem(event: BreakGlassEvent, fallbacks: Sequence[str]) -> list[Block]:
    if event.access_problem is None:
        return []
    return [*problem_blocks(event.access_problem, is_all=not event.rights), *fallback_blocks(fallbacks)]


def closed(event: BreakGlassEvent) -> Message:
    """What a close has done."""
    whose = "Your" if event.closed_by == event.invoker else f"{mention(event.invoker)}'s"
    ends = "is being removed; the card says when it's gone" if event.rights else "has ended"
    return reply(f"Closed. {whose} access to {code(event.profile)} {ends}.")


def review_recorded(event: BreakGlassEvent) -> Message:
    """What a review has done."""
    verdict = VERDICTS[event.review.verdict] if event.review is not None else ""
    return reply(f"Review recorded: {verdict}. {mention(event.invoker)} will be notified.")


def without_store(error: StoreError, fallbacks: Sequence[str]) -> Message:
    """The store has failed: there is no access, and this is what to do instead."""
    match error:
        case StoreUnavailable(is_outcome_unknown=True):
            line = (
                "*Don't count on access*: the store didn't answer, so it's not known whether this was recorded. "
                "If a card appears in the channel, it was. It's safe to send it again."
            )
        case StoreUnavailable():
            line = "*No access was given*: the store can't be reached, and nothing was recorded."
        case BrokenSeal() | BrokenChain():
            line = (
                "*No access was given*: what Countersign stores for this was changed without it, and nothing was "
                "recorded. Tell your security team."
            )
        case _:
            line = "*No access was given*: Countersign can't use its store, and nothing was recorded."
    blocks = [mrkdwn(f":warning: {line}"), *(user_text(each) for each in fallbacks[:3])]
    if not fallbacks:
        blocks.append(mrkdwn(_ANOTHER_WAY))
    return Message(text=line, blocks=tuple(blocks))


def refuse_other_requester() -> NoReturn:
    """Say that a request is replaced by its requester only. Raises InvalidInput."""
    raise InvalidInput(
        "request",
        "only the requester can replace a request with break-glass",
        f"To declare break-glass yourself, send:\n{code(BREAK_GLASS)}",
    )
