"""Links: to the card that a message is about, and in people's text to hosts that the policy trusts.

Invariant: of what people typed, only a plain https address of a trusted host becomes a link, and it shows where it
leads. An address with a user, a port, a backslash or a letter that isn't ASCII stays text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from bot.views.block_kit import Block, Message, code, context, escape

MAX_LINKS: Final = 10
"""In one text: each costs a part of what Slack takes in one message."""
_TRAILING: Final = ".,;:!?'\u2019\u201d\u00bb\u3002\u2026"
_ADDRESS: Final = re.compile(r"https://[^\s<>\"`]+", re.IGNORECASE)
_STRICT: Final = re.compile(
    r"https://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?:/[a-z0-9/?#%&=+:;,.@!$'()*_~-]*)?",
    re.ASCII | re.IGNORECASE,
)
"""A host's name, and after its slash what RFC 3986 allows, without square brackets: no user, no port, only ASCII.

Without re.ASCII, the long s and the Kelvin sign would count as s and k.
"""
_ENTITY: Final = re.compile(r"&#?\w+;")
"""What a client might turn into another character: the address would no longer be the one that was checked."""


@dataclass(frozen=True, slots=True)
class CardPlace:
    """Where a record's card is: its channel, as far as the policy says, and its address, once Slack has given one."""

    channel: str | None = None
    url: str | None = None


NO_PLACE: Final = CardPlace()


def card_link(url: str | None, text: str = "Open the card") -> str:
    """A link to a card in mrkdwn, with our own words; nothing while its address isn't known."""
    if url is None or not url.startswith("https://") or re.search(r"[\s|<>]", url):
        return ""
    return f"<{escape(url)}|{text}>"


def where_line(place: CardPlace, *more: str) -> Block:
    """Small print that leads to the card: a link to it, or else its channel."""
    channel = f"<#{escape(place.channel)}>" if place.channel is not None else ""
    link = card_link(place.url)
    where = f"{link} in {channel}" if link and channel else link or channel
    return context(" · ".join(each for each in (where, *more) if each) or "Countersign")


def where_with_id(place: CardPlace, record_id: str, *more: str) -> Block:
    """The same; while the card's address isn't known, the id says which record is meant."""
    return where_line(place, *([] if card_link(place.url) else [code(record_id)]), *more)


def with_link(message: Message, url: str | None) -> Message:
    """The message with a link to the card it is about; the same while that isn't known."""
    link = card_link(url)
    return replace(message, blocks=(*message.blocks, context(link))) if link else message


def linked(message: Message, hosts: Collection[str]) -> Message:
    """The message, in which links of people to these hosts can be clicked."""
    return replace(message, blocks=tuple(linked_blocks(message.blocks, hosts))) if hosts else message


def linked_view(view: Block, hosts: Collection[str]) -> Block:
    """The same for a form or a Home tab."""
    return view | {"blocks": linked_blocks(view["blocks"], hosts)} if hosts else view


def linked_blocks(blocks: Iterable[Block], hosts: Collection[str]) -> list[Block]:
    """The same for blocks. What a person typed is a section with plain text, and nothing else is."""
    return [_linked(block, hosts) for block in blocks]


def _linked(block: Block, hosts: Collection[str]) -> Block:
    text = block.get("text", {})
    if block["type"] != "section" or text.get("type") != "plain_text" or len(block) > len(("type", "text")):
        return block
    parts = split_links(text["text"], hosts)
    if not any(is_link for _, is_link in parts):
        return block
    elements = [{"type": "link", "url": part} if is_link else {"type": "text", "text": part} for part, is_link in parts]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}


def split_links(text: str, hosts: Collection[str]) -> list[tuple[str, bool]]:
    """The text in parts, each with whether it is a link to one of these hosts. The parts together are the text."""
    trusted = {host.lower() for host in hosts}
    parts: list[tuple[str, bool]] = []
    end = found_links = 0
    for found in _ADDRESS.finditer(text):
        address = _without_trailing(found[0])
        is_start = found.start() == 0 or not (text[found.start() - 1].isalnum() or text[found.start() - 1] in "@/\\_")
        if found_links == MAX_LINKS or not is_start or not _is_trusted(address, trusted):
            continue
        if found.start() > end:
            parts.append((text[end : found.start()], False))
        parts.append((address, True))
        end, found_links = found.start() + len(address), found_links + 1
    return [*parts, (text[end:], False)] if end < len(text) else parts


def _is_trusted(address: str, hosts: Collection[str]) -> bool:
    strict = _STRICT.fullmatch(address)
    return strict is not None and strict["host"].lower() in hosts and not _ENTITY.search(address)


def _without_trailing(address: str) -> str:
    """The address without what ends the sentence around it; a closing bracket stays when it was opened inside."""
    while address:
        last = address[-1]
        is_unopened = any(
            last == end and address.count(end) > address.count(start) for start, end in ("()", "[]", "{}")
        )
        if last not in _TRAILING and not is_unopened:
            return address
        address = address[:-1]
    return address
