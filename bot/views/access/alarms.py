"""What the security channel reads about access: what can't be removed, and what changed without Countersign.

Invariant: each alarm names the person, the right in its target's words, and what to do by hand. What a target said is
plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.slack.app_surface import ACCESS
from bot.views.access.rights import full_right
from bot.views.access.state import residue_lines, standing_lines
from bot.views.acting import acting, whose_access
from bot.views.block_kit import Block, Message, code, context, escape, moment, mrkdwn, user_text
from bot.views.links import CardPlace, where_with_id
from core.access.right import Right
from core.access.summary import AccessSummary

MAX_COMMANDS: Final = 4
"""More rights than that are listed without their commands, so that a message never becomes too long."""
MAX_COMMAND: Final = 900


@dataclass(frozen=True, slots=True)
class ByHand:
    """How a right is removed without Countersign: a page of its target's console, and a command, where it has them."""

    right: Right
    console: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class FailedRevoke:
    """Rights of one access that should be gone: since when, how often taking them failed, and what the target said."""

    access: AccessSummary
    rights: Sequence[ByHand]
    since: datetime
    failures: int = 0
    problem: str | None = None


def revoke_failing(failed: FailedRevoke, place: CardPlace) -> Message:
    """Access that can't be removed, for the security channel: who, what, since when, and what to do by hand."""
    access = failed.access
    often = f"{failed.failures} tries failed" if failed.failures else "its target keeps asking to try again later"
    line = (
        f":rotating_light: {whose_access(access)} to {code(access.profile)} can't be removed: {often}. It "
        f"was due to end {moment(failed.since)}, and may still work."
    )
    said = [mrkdwn("The target said:"), user_text(failed.problem)] if failed.problem else []
    rights = "\n".join(f"• {full_right(each.right)}" for each in failed.rights)
    # What came back after it was closed closes nothing again.
    then = " When it's gone, the card and this channel say so." if access.is_live else ""
    after = f"Countersign keeps trying.{then}"
    blocks = (mrkdwn(line), mrkdwn(rights), *said, *_by_hand(failed.rights), context(after), _where(access, place))
    return Message(text=line, blocks=blocks)


def removed_at_last(access: AccessSummary, now: datetime, place: CardPlace) -> Message:
    """What ends the alarm about access that couldn't be removed, in the same channel."""
    whose = f"{whose_access(access)} to {code(access.profile)}"
    at = moment(access.closed_at or access.until)
    line = f":white_check_mark: {whose} was removed {at}, after all."
    if access.kept:
        line = f":white_check_mark: There is nothing left to remove of {whose}, since {at}."
    after = [*standing_lines(access), *residue_lines(access, now)]
    more = [mrkdwn("\n".join(after))] if after else []
    return Message(text=line, blocks=(mrkdwn(line), *more, _where(access, place)))


def revoke_failing_in_thread(failed: FailedRevoke) -> Message:
    """The same for the thread of the card, without what to do: that is the security channel's."""
    line = (
        f":warning: This access ended {moment(failed.access.until)} and can't be removed yet. It may still work. "
        "Countersign keeps trying."
    )
    said = [mrkdwn("The target said:"), user_text(failed.problem)] if failed.problem else []
    return Message(text=line, blocks=(mrkdwn(line), *said))


def removed_elsewhere(access: AccessSummary, right: Right, found_at: datetime, place: CardPlace) -> Message:
    """Somebody took a right that is decided, in its target."""
    line = (
        f":eyes: Somebody removed {whose_access(access)} to {code(access.profile)} in "
        f"{code(right.target)}, without Countersign. "
    )
    if access.may_end:
        end = code(f"{ACCESS} revoke {access.source_id}")
        line += f"Countersign gives it again, until {moment(access.until)}. To end it, send {end} with a reason."
    return _drift(line.rstrip(), access, right, found_at, place)


def came_back(access: AccessSummary, right: Right, found_at: datetime, place: CardPlace) -> Message:
    """A right that Countersign took is there again."""
    line = (
        f":rotating_light: {whose_access(access)} to {code(access.profile)} came back in "
        f"{code(right.target)} after Countersign removed it. Countersign removes it again. The target's own "
        "log says who gave it."
    )
    return _drift(line, access, right, found_at, place)


def left_alone(access: AccessSummary, right: Right, found_at: datetime, place: CardPlace) -> Message:
    """A right that is there, of which Countersign lost what it knew: it may be somebody else's."""
    line = (
        f":rotating_light: {acting(access.grantee, access.service)} has access to {code(access.profile)} in "
        f"{code(right.target)}, and nothing shows that Countersign gave it: what Countersign knew of it "
        "was damaged in the store. Countersign leaves it in place. If it shouldn't be there, remove it by hand."
    )
    return _drift(line, access, right, found_at, place)


def drift_in_thread(right: Right, *, is_removed: bool) -> Message:
    """The same for the thread of the card."""
    what = "Somebody removed it" if is_removed else "It came back"
    then = "Countersign gives it again" if is_removed else "Countersign removes it again"
    line = f":eyes: {what} in {code(right.target)}, without Countersign. {then}."
    return Message(text=line, blocks=(mrkdwn(line),))


def _by_hand(rights: Sequence[ByHand]) -> list[Block]:
    consoles = dict.fromkeys(each.console for each in rights if each.console is not None)
    commands = [each.command for each in rights if each.command is not None and len(each.command) <= MAX_COMMAND]
    blocks = [mrkdwn("*Remove it by hand* in the target" + _consoles(list(consoles)))]
    return [*blocks, *(mrkdwn(code(command)) for command in commands[:MAX_COMMANDS])]


def _consoles(consoles: Sequence[str]) -> str:
    links = [f"<{escape(each)}|its console>" for each in consoles]
    return f": {', '.join(links)}" if links else " itself."


def _drift(line: str, access: AccessSummary, right: Right, found_at: datetime, place: CardPlace) -> Message:
    found = context(f"found {moment(found_at)}")
    return Message(text=line, blocks=(mrkdwn(line), mrkdwn(full_right(right)), found, _where(access, place)))


def _where(access: AccessSummary, place: CardPlace) -> Block:
    return where_with_id(place, access.source_id)
