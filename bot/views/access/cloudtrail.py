"""How to find in CloudTrail what was done with access, for timelines and the review of break-glass.

Invariant: a query is shown whole or not at all: one that was cut would find something else. What isn't shown is printed
by `countersign audit trail`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.views.access.rights import right_name
from bot.views.block_kit import MAX_SECTION_TEXT, Block, code, context, escape, moment, mrkdwn
from core.access.cloudtrail import USER_NAME, CloudTrailQuery
from core.services.activity import GrantActivity

MAX_QUERY_TEXT: Final = 2600
"""Characters of all queries in one message, which takes some 11,000 together."""
_TITLE: Final = "*What was done with the access*"


def activity_blocks(activity: Sequence[GrantActivity], record_id: str) -> list[Block]:
    """The queries that find what was done, as far as they fit; nothing for access that AWS knows nothing of."""
    if not activity:
        return []
    blocks, left, is_cut = [mrkdwn(_TITLE)], MAX_QUERY_TEXT, False
    for each in activity:
        if each.query is None:
            blocks.append(mrkdwn(f"• {right_name(each.grant.right)}: {_unused(each)}"))
            continue
        shown = _query(each, each.query)
        length = sum(len(block["text"]["text"]) for block in shown)
        if length > left:
            is_cut = True
            continue
        blocks, left = [*blocks, *shown], left - length
    more = "prints what isn't shown here, and" if is_cut else "prints"
    trail = f"{code(f'countersign audit trail {record_id}')} {more} the queries for CloudTrail Lake, with their limits."
    return [*blocks[:_MAX_BLOCKS], context(trail)]


_MAX_BLOCKS: Final = 10


def _unused(activity: GrantActivity) -> str:
    if not activity.grant.was_open:
        return "it was never open."
    return "no credentials were issued for it, so nothing was done with it."


def _query(activity: GrantActivity, query: CloudTrailQuery) -> list[Block]:
    where = f"account {code(query.account)}" if query.account is not None else "every account"
    window = f"{moment(query.since)} to {moment(query.until)}"
    lines = [
        f"• {right_name(activity.grant.right)}: CloudTrail of {where}, {window}. It looks for {_looks_for(query)}."
    ]
    if query.first is not None:
        lines.append(
            f"First find the user's name, and put it in the place of {code(USER_NAME)}:\n{_listing(query.first)}"
        )
    if query.lookup is not None:
        lines.append(f"Management events of the last 90 days:\n{_listing(query.lookup)}")
    lines.append(f"All that a trail records, in Athena:\n{_listing(query.athena)}")
    texts = ["\n".join(lines)] if len("\n".join(lines)) <= MAX_SECTION_TEXT else lines
    return [mrkdwn(text) for text in texts]


def _looks_for(query: CloudTrailQuery) -> str:
    return escape(query.looks_for)


def _listing(text: str) -> str:
    # Three backticks would end it, and no name at AWS has them.
    return f"```{escape(text).replace('```', chr(39) * 3)}```"
