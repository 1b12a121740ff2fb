"""The Home tab: what waits for a person, what they have and what they asked for; all of it, or one part page by page.

Invariant: it shows what the store said when it was drawn; its buttons carry ids, and each click is judged again. Which
part is shown is in the view, so any instance can redraw it. The outcome of a click stands where it was clicked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.slack.app_surface import ACCESS
from bot.views.block_kit import Block, Message, actions, button, code, context, divider, escape, heading, moment, mrkdwn
from bot.views.home_state import OVERVIEW, SHOW, HomeFilter, HomeState, SectionKey
from core.duty import Duty, schedule_of

ASK: Final = "home:ask"
BREAK: Final = "home:break"
NOTIFY: Final = "home:notify"
MAX_ROWS: Final = 3
"""In each section of the overview, where the view has room for them."""
ROWS_PER_PAGE: Final = 8
"""Of one part: with five blocks each, there is room for the longest outcome."""
MAX_BLOCKS: Final = 100
"""Slack's limit for a view."""
MAX_SCHEDULES: Final = 5
BEFORE: Final = -1
"""The place before all sections."""
WAITING: Final = (SectionKey.EVENTS, SectionKey.DECIDE, SectionKey.REVIEW)
NOTHING_WAITS: Final = "Nothing is waiting for you."
MAX_COUNTED: Final = 100
"""This many of a kind, or more, are counted as `99+`."""
NOTHING_TO_REQUEST: Final = (
    "There are no profiles you can request: no policy rule covers you. Ask a policy owner to add you."
)


@dataclass(frozen=True, slots=True)
class HomeRow:
    """One thing in the tab: the id of its record, by which a click on it is found again, and its blocks."""

    record_id: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class HomeSection:
    """One part of the tab: the rows that are shown, of `count`."""

    key: SectionKey
    rows: Sequence[HomeRow]
    count: int


@dataclass(frozen=True, slots=True)
class HomePage:
    """What is shown. `pages` is how many the shown part has, `counts` what is behind each filter."""

    sections: Sequence[HomeSection]
    state: HomeState = OVERVIEW
    pages: int = 1
    counts: Mapping[HomeFilter, int] | None = None


@dataclass(frozen=True, slots=True)
class HomeOutcome:
    """What a click in the tab came to. `block_id` names the row of buttons that was clicked, if it is known."""

    message: Message
    block_id: str = ""


@dataclass(frozen=True, slots=True)
class _HomePart:
    """Blocks that stay together: a headline, a row, or what leads to more; and where they are."""

    blocks: Sequence[Block]
    section: str = ""
    record_id: str = ""


def home_tab(
    page: HomePage,
    now: datetime,
    *,
    may_request: bool = True,
    may_break: bool = False,
    outcome: HomeOutcome | None = None,
    duties: Iterable[Duty] = (),
) -> Block:
    """The tab as a view. `may_request`, `may_break`: this person can do so for some profile.

    `duties` are what is known of their being on call.
    """
    told = _told(outcome)
    top = [*_buttons(may_request=may_request, may_break=may_break), *_on_call(duties), _filters(page)]
    small = f"As of {moment(now)} · {code(f'{ACCESS} help')} lists what you can type"
    bottom = [*_paging(page.state, page.pages), context(small)]
    parts = _fitting(page, MAX_BLOCKS - len(told) - len(top) - len(bottom) - 1)
    at = _place(outcome, parts) if outcome is not None else None
    blocks: list[Block] = [] if at is not None or not told else [*told, divider()]
    blocks += top
    for number, part in enumerate([_HomePart(()), *parts]):
        blocks += part.blocks
        if at is not None and number == at + 1:
            following = parts[number].blocks[0]["type"] if number < len(parts) else "header"
            blocks += [*told, *([divider()] if following not in {"header", "divider"} else [])]
    return {"type": "home", "private_metadata": page.state.write(), "blocks": [*blocks, *bottom]}


def home_notice(message: Message, outcome: HomeOutcome | None = None) -> Block:
    """The tab of a person to whom nothing can be shown, with the reason. What they just did is said all the same."""
    told = _told(outcome)
    return {"type": "home", "blocks": [*told, *([divider()] if told else []), *message.blocks]}


def not_let_in(reasons: Sequence[str]) -> Message:
    """For somebody who may not use Countersign, such as a guest: why, and that nothing is missing."""
    why = "; ".join(reasons)
    text = f"There's nothing for you here: {escape(why)}."
    return Message(text=text, blocks=(mrkdwn(text),))


def count_of(number: int) -> str:
    """How many there are, as far as they are counted."""
    return str(number) if number < MAX_COUNTED else f"{MAX_COUNTED - 1}+"


def _told(outcome: HomeOutcome | None) -> list[Block]:
    """The outcome's blocks. A list that it shows may have the buttons of a row: a view takes each block_id once."""
    return [_named(block, "outcome") for block in outcome.message.blocks] if outcome is not None else []


def _buttons(*, may_request: bool, may_break: bool) -> list[Block]:
    ask = [button("Request access", ASK, "form", style="primary")] if may_request else []
    break_ = [button("Break the glass…", BREAK, "form", style="danger")] if may_break else []
    rows = [actions("home", *ask, *break_, button("Notifications…", NOTIFY, "form"))]
    return rows if may_request else [*rows, context(NOTHING_TO_REQUEST)]


def _on_call(duties: Iterable[Duty]) -> list[Block]:
    """One line for all schedules in which they are on call now."""
    now = sorted((each for each in duties if each.is_on_call), key=lambda each: each.name)[:MAX_SCHEDULES]
    shifts = [
        f"{code(schedule_of(each.name))}{f' until {moment(each.ends_at)}' if each.ends_at is not None else ''}"
        for each in now
    ]
    return [context(f":bell: You're on call in {', '.join(shifts)}")] if shifts else []


def _filters(page: HomePage) -> Block:
    counts = page.counts or {}

    def draw(each: HomeFilter) -> Block:
        number = f" ({count_of(counts[each])})" if each in counts else ""
        chosen = "● " if each is page.state.shown else ""
        return button(f"{chosen}{each.label}{number}", f"{SHOW}:{each}", HomeState(each).as_value())

    return actions(SHOW, *map(draw, HomeFilter))


def _paging(state: HomeState, pages: int) -> list[Block]:
    if pages == 1:
        return []
    turns = [("Newer", "newer", state.page - 1), ("Older", "older", state.page + 1)]
    buttons = [
        button(text, f"{SHOW}:{name}", HomeState(state.shown, to).as_value())
        for text, name, to in turns
        if 1 <= to <= pages
    ]
    return [context(f"Page {state.page} of {pages}"), actions(f"{SHOW}:pages", *buttons)]


def _fitting(page: HomePage, room: int) -> list[_HomePart]:
    """The sections with as many rows each as there is room for. A page of one part has room for all of its rows."""
    if page.state.shown is not HomeFilter.ALL:
        return _parts(page, ROWS_PER_PAGE)
    for rows in range(MAX_ROWS, 0, -1):
        parts = _parts(page, rows)
        if sum(len(part.blocks) for part in parts) <= room:
            return parts
    return _parts(page, 0)


def _parts(page: HomePage, most: int) -> list[_HomePart]:
    empty = [section.key for section in page.sections if not section.count]
    is_overview = page.state.shown is HomeFilter.ALL
    sentences = _overview_of(empty) if is_overview else [each.nothing for each in empty]
    parts = [_HomePart([context(" ".join(sentences))])] if sentences else []
    for section in page.sections:
        # A part of which other pages show the rows has no headline here.
        if section.rows:
            parts += _section(section, most, page.state.shown)
    return parts


def _overview_of(empty: Sequence[SectionKey]) -> list[str]:
    """What isn't there, in the fewest words: a sentence for each of seven empty sections would hide the others."""
    nothing = [NOTHING_WAITS] if set(WAITING) <= set(empty) else []
    has_access, has_asked = SectionKey.ACCESS not in empty, SectionKey.REQUESTS not in empty
    if not has_access:
        nothing.append("You have no access from requests now." if has_asked else "You haven't requested anything yet.")
    return nothing


def _section(section: HomeSection, most: int, shown: HomeFilter) -> list[_HomePart]:
    key = section.key
    parts = [_HomePart([heading(f"{key.heading} ({count_of(section.count)})")], key)]
    for number, row in enumerate(section.rows[:most]):
        line = [divider()] if number else []
        parts.append(_HomePart([*line, *(_named(block, key) for block in row.blocks)], key, row.record_id))
    if shown is HomeFilter.ALL and section.count > min(most, len(section.rows)):
        parts.append(_HomePart([_all_of(key, section.count)], key))
    return parts


def _all_of(key: SectionKey, count: int) -> Block:
    if not key.filters:
        return context(f"To see all of them: {code(f'{ACCESS} {key}')}")
    leads_to = HomeState(key.filters[0]).as_value()
    return actions(f"{SHOW}:whole_{key}", button(f"Show all {count_of(count)}", f"{SHOW}:all_{key}", leads_to))


def _named(block: Block, place: str) -> Block:
    # A record can be in two sections, and a view takes each block_id once. It also says where a click was.
    if "block_id" in block:
        return block | {"block_id": f"{block['block_id']}:{place}"}
    value = block.get("accessory", {}).get("value")
    return block | {"block_id": f"row:{value}:{place}"} if value else block


def _place(outcome: HomeOutcome, parts: Sequence[_HomePart]) -> int | None:
    """The part after which the outcome is shown; None where it isn't known what was clicked.

    That is the row, or its headline, or, where nothing is left of the section, the place where it was.
    """
    named, _, section = outcome.block_id.rpartition(":")
    rows = [number for number, part in enumerate(parts) if part.record_id and part.record_id in named]
    same = [number for number in rows if parts[number].section == section]
    headline = [number for number, part in enumerate(parts) if part.section == section]
    if found := (*same, *headline):
        return found[0]
    if section not in set(SectionKey):
        return rows[0] if rows else None
    order = list(SectionKey)
    earlier = order[: order.index(SectionKey(section))]
    return max((number for number, part in enumerate(parts) if part.section in earlier), default=BEFORE)
