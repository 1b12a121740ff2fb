"""Texts on a page: how a message, a form or a menu is written down so that a change of wording shows in a diff.

Invariant: the page holds what a person reads and nothing else: no ids of blocks, no styles, and every time in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.views.block_kit import Block, Message

_DATE = re.compile(r"<!date\^\d+\^(?P<form>[^|]*)\|(?P<utc>[^>]*)>")


@dataclass(frozen=True)
class Text:
    """One text under its title. `surface` is the heading that it stands under."""

    surface: str
    title: str
    body: str


def write_page(texts: Iterable[Text]) -> str:
    """All texts as one page: a heading for each surface, and a line for each title."""
    lines: list[str] = []
    surface = ""
    for text in texts:
        if text.surface != surface:
            surface = text.surface
            lines += ["", "=" * 100, surface, "=" * 100]
        lines += ["", f"--- {text.title}", *(line.rstrip() for line in text.body.splitlines())]
    return "\n".join(lines).lstrip("\n") + "\n"


def write_message(message: Message) -> str:
    """A message: its blocks, and what a notification or a screen reader says where that is something else."""
    body = "\n".join(write_blocks(message.blocks))
    spoken = _with_times(message.text)
    return body if spoken == body else f"{body}\n(spoken: {spoken})"


def write_view(view: Block) -> str:
    """A form, a notice or a Home tab."""
    head = [f"title: {view['title']['text']}"] if "title" in view else []
    foot = [f"[{view[name]['text']}]" for name in ("submit", "close") if name in view]
    return "\n".join([*head, *write_blocks(view["blocks"]), *([" ".join(foot)] if foot else [])])


def write_blocks(blocks: Iterable[Block]) -> Iterator[str]:
    """Each block as a line or more. What a person typed stands behind `>`, small print behind `~`."""
    for block in blocks:
        yield from _write_block(block)


def _write_block(block: Block) -> Iterator[str]:
    match block["type"]:
        case "header":
            yield f"# {block['text']['text']}"
        case "section":
            yield from _write_section(block)
        case "context":
            yield f"~ {' '.join(_write_text(each) for each in block['elements'])}"
        case "rich_text":
            yield f"> {_write_rich(block)}"
        case "divider":
            yield "----"
        case "actions":
            yield " ".join(map(_write_element, block["elements"]))
        case "input":
            yield from _write_input(block)
        case "image":
            yield f"[picture: {block['title']['text']}] {block['alt_text']}"
        case other:
            raise ValueError(f"a {other} is not written yet")


def _write_section(block: Block) -> Iterator[str]:
    yield _write_text(block["text"])
    if "accessory" in block:
        yield _write_element(block["accessory"])


def _write_input(block: Block) -> Iterator[str]:
    optional = " (optional)" if block.get("optional") else ""
    yield f"{block['label']['text']}{optional}"
    yield f"    {_write_element(block['element'])}"
    if "hint" in block:
        yield f"    ({block['hint']['text']})"


def _write_rich(block: Block) -> str:
    return "".join(
        f"<{each['url']}>" if each["type"] == "link" else str(each["text"])
        for section in block["elements"]
        for each in section["elements"]
    )


def _write_element(element: Block) -> str:
    match element["type"]:
        case "button":
            asks = element.get("confirm", {}).get("text", {}).get("text")
            return f"[{element['text']['text']}]" + (f" (asks first: {asks})" if asks else "")
        case "overflow" | "radio_buttons" | "checkboxes" | "static_select" | "multi_static_select":
            return _write_choice(element)
        case "external_select" | "multi_external_select" | "users_select":
            return f"searched menu: {element['placeholder']['text']}"
        case "datetimepicker":
            return f"day and time: {element.get('initial_date_time', 'none yet')}"
        case "plain_text_input":
            typed = [f"> {element['initial_value']}"] if "initial_value" in element else []
            example = [f"placeholder: {element['placeholder']['text']}"] if "placeholder" in element else []
            return "; ".join([*typed, *example]) or "text"
        case other:
            raise ValueError(f"a {other} is not written yet")


def _write_choice(element: Block) -> str:
    options = " | ".join(map(_write_option, element["options"]))
    match element["type"]:
        case "overflow":
            return f"[⋯ {options}]"
        case "radio_buttons":
            return f"one of: {options}"
        case "checkboxes":
            chosen = [each["value"] for each in element.get("initial_options", [])]
            boxes = (
                f"[{'x' if each['value'] in chosen else ' '}] {_write_option(each)}" for each in element["options"]
            )
            return f"any of: {' | '.join(boxes)}"
    most = f" of up to {element['max_selected_items']}" if "max_selected_items" in element else ""
    return f"menu{most}: {options}"


def _write_option(option: Block) -> str:
    about = f" ({option['description']['text']})" if "description" in option else ""
    return f"{option['text']['text']}{about}"


def _write_text(text: Block) -> str:
    if text["type"] == "plain_text":
        return "\n".join(f"> {line}" for line in text["text"].splitlines())
    return _with_times(text["text"])


def _with_times(text: str) -> str:
    return _DATE.sub(lambda found: f"{{{found['utc']}{', ago' if found['form'] == '{ago}' else ''}}}", text)
