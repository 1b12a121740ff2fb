"""Answers to one person about break-glass: what happened, whether there is access, and what to do now.

Invariant: nothing here says that access was given unless the store has said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from bot.slack.app_surface import BREAK_GLASS
from bot.views.block_kit import Message, code, context, countdown, mention, moment, mrkdwn, user_text
from bot.views.break_glass.card import VERDICTS
from bot.views.replies import reply
from core.break_glass import BreakGlassEvent, EventStatus
from core.errors import InvalidInput, StoreError, StoreUnavailable

NOTHING_TO_DECLARE: Final = (
    "There is nothing that you may break the glass for: no break-glass rule of the policy names you. In an emergency, "
    "call somebody who is on call. Whoever keeps the policy can change that."
)
NOT_DECLARED_YET: Final = (
    "*No access yet*: the store is slow to answer, and nothing is recorded. You will be told as soon as the outcome is "
    "known. If it cannot wait, go the way that your team has for when Countersign is away."
)
_ANOTHER_WAY: Final = "Go the way that your team has for when Countersign is away, and tell the security team."


def declared(event: BreakGlassEvent) -> Message:
    """What a declaration has done."""
    if event.status is not EventStatus.ACTIVE:
        return reply(f"Your break-glass event for {code(event.profile)} is {event.status} by now. There is no access.")
    line = (
        f":rotating_light: You have {code(event.profile)} *until {moment(event.expires_at)}*, "
        f"ends {countdown(event.expires_at)}. Everybody who should know is told."
    )
    after = f"Press Close on the card as soon as it is over. Event {code(event.id)}"
    return Message(text=line, blocks=(mrkdwn(line), context(after)))


def closed(event: BreakGlassEvent) -> Message:
    """What a close has done."""
    return reply(f"Closed. The access of {mention(event.invoker)} to {code(event.profile)} has ended.")


def review_recorded(event: BreakGlassEvent) -> Message:
    """What a review has done."""
    verdict = VERDICTS[event.review.verdict] if event.review is not None else ""
    return reply(f"Recorded: {verdict}. {mention(event.invoker)} is told.")


def without_store(error: StoreError, fallbacks: Sequence[str]) -> Message:
    """The store has failed: there is no access, and this is what to do instead."""
    match error:
        case StoreUnavailable(is_outcome_unknown=True):
            line = (
                "*Do not count on access*: the store did not answer, and it is not known whether this was recorded. "
                "If a card appears in the channel, it was. Sending the same again changes nothing twice."
            )
        case StoreUnavailable():
            line = "*No access was given*: the store cannot be reached, and nothing was recorded."
        case _:
            line = "*No access was given*: Countersign cannot use its store as it is, and nothing was recorded."
    blocks = [mrkdwn(f":warning: {line}"), *(user_text(each) for each in fallbacks[:3])]
    if not fallbacks:
        blocks.append(mrkdwn(_ANOTHER_WAY))
    return Message(text=line, blocks=tuple(blocks))


def refuse_other_requester() -> NoReturn:
    """Say that a request is replaced by its requester only. Raises InvalidInput."""
    raise InvalidInput(
        "request",
        "only the requester can replace a request by break-glass",
        f"To declare it yourself, type {BREAK_GLASS}.",
    )
