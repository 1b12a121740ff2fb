"""The pages of a list: the buttons between them, and what such a button leads to.

Invariant: a button carries the list's word and the number of a page, and nothing else; a page is read when it is
asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from bot.views.block_kit import Block, actions, button, code
from core.errors import InvalidInput

Kind = TypeVar("Kind", bound=StrEnum)
PER_PAGE: Final = 8
"""Four blocks each stay far below Slack's fifty for a message, and on one screen."""
MAX_PAGES: Final = 100
"""A page is reached by reading those before it; further back, the audit trail is the better place to look."""
_ON_PAGE = re.compile(r"on:([a-z_]{1,40}):([1-9][0-9]?|100):")
_PAGE = re.compile(r"[1-9][0-9]?|100")


@dataclass(frozen=True, slots=True)
class ListPlace:
    """A page of a list: the list's word and the page's number."""

    kind: str
    page: int


@dataclass(frozen=True, slots=True)
class PageButton:
    """A button to another page: its label and its action_id."""

    text: str
    action_id: str


def page_buttons(kind: StrEnum, page: int, *, has_more: bool, back: PageButton, on: PageButton) -> list[Block]:
    """The row of buttons under a page; none where there is no other page."""
    buttons: list[Block] = []
    if page > 1:
        buttons.append(button(back.text, back.action_id, f"{kind}:{page - 1}"))
    if has_more and page < MAX_PAGES:
        buttons.append(button(on.text, on.action_id, f"{kind}:{page + 1}"))
    return [actions(f"list:{kind}:{page}", *buttons)] if buttons else []


def in_list(blocks: Iterable[Block], kind: StrEnum, page: int) -> tuple[Block, ...]:
    """The blocks of a page, whose rows of buttons say which page they are on: to draw it anew after one was pressed."""
    return tuple(
        block | {"block_id": f"on:{kind}:{page}:{block['block_id']}"} if "block_id" in block else block
        for block in blocks
    )


def read_list_place(block_id: str | None) -> ListPlace | None:
    """The page that a row of buttons is on; None outside lists."""
    found = _ON_PAGE.match(block_id or "")
    return ListPlace(found[1], int(found[2])) if found is not None else None


def one_of(*commands: str) -> str:
    """How to get the list after all: the commands to choose from, each on a line of its own."""
    return "\n".join(["Send one of these:", *map(code, commands)])


def read_page_button(kinds: type[Kind], value: str | None, fix: str) -> tuple[Kind, int]:
    """The list and the page that a button leads to. Raises InvalidInput, with this fix, for a value that is none."""
    kind, _, page = (value or "").partition(":")
    if kind not in set(kinds) or not _PAGE.fullmatch(page):
        raise InvalidInput("page", "this button no longer works", fix)
    return kinds(kind), int(page)
