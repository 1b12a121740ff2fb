"""Replies about access that was named in words: which one is meant, and what became of all that somebody had.

Invariant: each choice is a button of its own row, which is judged again when it is pressed; nothing was changed yet.
What could not be ended is named, with what to send next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.slack.app_surface import ACCESS
from bot.views.access.list import AccessRow, access_row
from bot.views.block_kit import Block, Message, code, code_line, divider, escape, mention, mrkdwn
from bot.views.break_glass.list import EventRow, event_row
from bot.views.pagination import PER_PAGE
from bot.views.replies import reply

_MAX_LISTED = 20
"""Lines far below Slack's limit for one text."""


@dataclass(frozen=True, slots=True)
class RevokedAccess:
    """What became of the access of one decision: it is ending, or `problem` says why not."""

    source: str
    profile: str | None
    problem: str | None = None


def which_access(
    question: str, accesses: Sequence[AccessRow], events: Sequence[EventRow], now: datetime, *, more: str
) -> Message:
    """The question, and a row for each access, and for each event without access. `more` says how to reach the rest."""
    rows = [*(access_row(row, now) for row in accesses), *(event_row(row, now) for row in events)]
    blocks: list[Block] = [mrkdwn(question)]
    for row in rows[:PER_PAGE]:
        blocks += [divider(), *row]
    if len(rows) > PER_PAGE:
        blocks.append(mrkdwn(more))
    return Message(text=question, blocks=tuple(blocks))


def no_access_named(written: str) -> Message:
    """The reader has nothing that this names. It is what they typed."""
    return reply(
        f"You have no access to {code(written)} that can be ended. Nothing was changed. To see what you have:\n"
        f"{code_line(ACCESS, 'live')}"
    )


def nothing_to_extend(profile: str | None, words: str) -> Message:
    """The reader has no access that could go on. `words` are those they typed: they can be sent as a new request."""
    which = f" to {code(profile)}" if profile is not None else ""
    again = code_line(ACCESS, profile or "prod", words or "2h deploy the fix for INC-12")
    lead = "To request it" if profile is not None and words else "To request access, for example"
    return reply(f"You have no open access{which} that can be extended. Nothing was changed. {lead}:\n{again}")


def person_revoked(person: str, outcomes: Sequence[RevokedAccess]) -> Message:
    """What revoking all the access of a person did, and what it could not do."""
    ended = [each for each in outcomes if each.problem is None]
    failed = [each for each in outcomes if each.problem is not None]
    lines: list[str] = []
    if ended:
        lines += [f"{mention(person)}'s access is ending now:", *map(_line, ended[:_MAX_LISTED]), *_more(ended)]
    if failed:
        lines += [
            f":warning: *Not ended*, {mention(person)} may still have it:",
            *(f"{_line(each)}: {escape(each.problem or '')}" for each in failed[:_MAX_LISTED]),
            *_more(failed),
            "Send the same command again. What has ended already stays ended.",
        ]
    return reply("\n".join(lines))


def _line(access: RevokedAccess) -> str:
    record_id = code(access.source.rpartition("#")[2])
    return f"• {code(access.profile)} · {record_id}" if access.profile is not None else f"• {record_id}"


def _more(outcomes: Sequence[RevokedAccess]) -> list[str]:
    return [f"and {len(outcomes) - _MAX_LISTED} more"] if len(outcomes) > _MAX_LISTED else []
