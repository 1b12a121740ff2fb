"""What is posted when access opens, is delayed, fails, ends or closes: in the thread of its card, and to the grantee.

Invariant: what people and other systems said is plain text, and a line before it says whose words they are. What a
notice says is true of the access as it is now, which may be later than what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.views.access.buttons import access_buttons
from bot.views.access.rights import count_rights, target_names
from bot.views.access.state import (
    by_whom,
    fallback_blocks,
    refusal_blocks,
    residue_lines,
    standing_lines,
    state_blocks,
    state_sentence,
)
from bot.views.access.way_in import WayIn, way_in_blocks
from bot.views.acting import acting, whose_access, your_access
from bot.views.block_kit import Block, Message, code, mention, moment, mrkdwn, user_text
from bot.views.links import CardPlace, where_with_id
from core.access.summary import AccessSummary


def settled(access: AccessSummary, now: datetime, fallbacks: Sequence[str] = ()) -> Message:
    """Every right is open or refused by now: for the thread."""
    blocks = state_blocks(access, now, fallbacks=fallbacks)
    return Message(text=state_sentence(access, whose_access(access)), blocks=tuple(blocks))


def opened_for_grantee(
    access: AccessSummary, way_in: WayIn | None, place: CardPlace, fallbacks: Sequence[str] = ()
) -> Message:
    """Access is open, or most of it is: for the grantee, with how to use it."""
    part = f" in part: {count_rights(len(access.open_rights), len(access.rights))}" if access.is_partial else ""
    line = f":unlock: {your_access(access)} is open{part}, until {moment(access.until)}."
    standing = standing_lines(access, to_grantee=True)
    return _notice(
        line,
        *refusal_blocks(access, fallbacks),
        *([mrkdwn("\n".join(standing))] if standing else []),
        *way_in_blocks(way_in, has_setup=True),
        *access_buttons(access),
        _where(access, place),
    )


def failed_for_grantee(access: AccessSummary, place: CardPlace, fallbacks: Sequence[str] = ()) -> Message:
    """Nothing could be opened: for the grantee, with why and what to do."""
    without = "You don't have it." if access.service is None else "It doesn't have it."
    line = f":x: {your_access(access)} could not be opened. {without}"
    return _notice(line, *refusal_blocks(access, fallbacks), _where(access, place))


def failed_for_approver(access: AccessSummary, place: CardPlace) -> Message:
    """What was approved could not be opened, or not all of it: for those who approved."""
    part = count_rights(len(access.open_rights), len(access.rights))
    what = f"only {part} could be opened" if access.is_partial else "it could not be opened"
    line = f":x: You approved {code(access.profile)} for {acting(access.grantee, access.service)}, but {what}."
    return _notice(line, *refusal_blocks(access, is_for_grantee=False), _where(access, place))


def delayed(access: AccessSummary, problem: str | None, fallbacks: Sequence[str] = ()) -> Message:
    """Opening takes long: for the thread."""
    line = f":hourglass_flowing_sand: {whose_access(access)} isn't open yet. Countersign keeps trying."
    return _delay(line, access, problem, fallbacks)


def delayed_for_grantee(
    access: AccessSummary, problem: str | None, place: CardPlace, fallbacks: Sequence[str] = ()
) -> Message:
    """Opening takes long: for the grantee."""
    line = (
        f":hourglass_flowing_sand: {your_access(access)} isn't open yet. Countersign keeps trying, and "
        "will tell you when it's open."
    )
    return _delay(line, access, problem, fallbacks, _where(access, place))


def ended_early(access: AccessSummary) -> Message:
    """Somebody ended it before its time: for the thread."""
    if access.is_ended_by_grantee:
        was = "cancelled the access before it opened" if access.is_cancelled else "is done: the access was ended early"
        return _notice(f"{mention(access.grantee)} {was}.")
    if access.is_cancelled:
        return _with_reason(f"{whose_access(access)} was cancelled before it opened{by_whom(access)}.", access)
    return _with_reason(f"{whose_access(access)} was ended early{by_whom(access)}.", access)


def ended_early_for_grantee(access: AccessSummary, now: datetime, place: CardPlace) -> Message:
    """Somebody else ended it before its time: for the grantee."""
    state = "It's closed." if not access.is_live else "It's being closed."
    line = f":lock: {your_access(access)} was ended early{by_whom(access)}. {state}"
    if access.is_cancelled:
        line = f":lock: {your_access(access)} was cancelled before it opened{by_whom(access)}."
    after = [*standing_lines(access, to_grantee=True), *residue_lines(access, now)]
    more = [mrkdwn("\n".join(after))] if after else []
    return _with_reason(line, access, *more, _where(access, place))


def closed(access: AccessSummary, now: datetime) -> Message:
    """All of it is gone, or stays for another cause: for the thread."""
    return Message(
        text=state_sentence(access, whose_access(access)),
        blocks=tuple(state_blocks(access, now, names_who_ended=False)),
    )


def closed_for_grantee(access: AccessSummary, now: datetime, place: CardPlace) -> Message:
    """It is closed, and something of it can live on: for the grantee."""
    # What stays is not closed, although this decision gives it no more.
    line = f":lock: {your_access(access)} is closed."
    if access.is_all_kept:
        line = f":lock: This access to {code(access.profile)} has ended."
    after = [*residue_lines(access, now), *standing_lines(access, to_grantee=True)]
    return _notice(line, *([mrkdwn("\n".join(after))] if after else []), _where(access, place))


def ending_soon(access: AccessSummary, place: CardPlace) -> Message:
    """The reminder to the grantee, shortly before the end."""
    line = (
        f":hourglass: {your_access(access)} ends {moment(access.until)}. "
        "If you need more time, extend it now: that's a new request."
    )
    return _notice(line, *access_buttons(access, may_extend=True), _where(access, place))


def _delay(line: str, access: AccessSummary, problem: str | None, fallbacks: Sequence[str], *more: Block) -> Message:
    pending = [each for each in access.rights if not each.was_open and each.problem is None]
    said = [mrkdwn(f"{target_names(pending)} said:"), user_text(problem)] if problem else []
    refused = refusal_blocks(access, fallbacks)
    # An emergency can't wait for what may take long.
    meanwhile = fallback_blocks(fallbacks) if access.is_emergency and not refused else []
    return _notice(line, *said, *refused, *meanwhile, *more)


def _with_reason(line: str, access: AccessSummary, *more: Block) -> Message:
    early = access.ended_early
    if early is None or access.is_ended_by_grantee:
        return _notice(line, *more)
    return Message(text=line, blocks=(mrkdwn(line), user_text(early.reason, "Ended:"), *more))


def _where(access: AccessSummary, place: CardPlace) -> Block:
    return where_with_id(place, access.source_id)


def _notice(line: str, *more: Block) -> Message:
    return Message(text=line, blocks=(mrkdwn(line), *more))
