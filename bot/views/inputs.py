"""The fields of forms: menus, text and the lengths of time that people choose from.

Invariant: every field's answer stands under one action id, so that one reader reads them all; no field is ever larger
than Slack takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bot.slack.payloads import Payload, get_str
from bot.views.block_kit import Block, label, length, plain

ANSWER: Final = "answer"
MAX_OPTIONS: Final = 100
"""Slack shows no more options in one menu."""
MAX_OPTION_TEXT: Final = 75
MAX_TYPED_TEXT: Final = 3000
"""No text field takes more."""
CODE_LENGTH: Final = (6, 12)
"""Six digits, and the spaces that apps show between them."""
CHOICES: Final = tuple(timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 240, 480))
"""The lengths that forms offer."""


def field(block_id: str, text: str, element: Block, *, hint: str | None = None, is_optional: bool = False) -> Block:
    """A field with its label. An error of this `block_id` is shown under it."""
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "label": label(text, 2000),
        "element": element,
    }
    if is_optional:
        block["optional"] = True
    if hint is not None:
        block["hint"] = label(hint, 2000)
    return block


def option(value: str, text: str, description: str = "") -> Block:
    """One choice of a menu."""
    made: Block = {"text": plain(text, MAX_OPTION_TEXT), "value": value}
    return made | {"description": plain(description, MAX_OPTION_TEXT)} if description else made


def menu(options: Sequence[Block], chosen: str | None = None) -> Block:
    """A menu of the first hundred options; one that is alone is chosen already."""
    shown = list(options[:MAX_OPTIONS])
    made: Block = {"type": "static_select", "action_id": ANSWER, "options": shown}
    initial = next((each for each in shown if each["value"] == chosen), shown[0] if len(shown) == 1 else None)
    return made | {"initial_option": initial} if initial is not None else made


def durations(longest: timedelta, chosen: timedelta) -> Block:
    """A menu of lengths up to the longest; what was chosen is among them, if it is not longer."""
    offered = sorted({each for each in (*CHOICES, chosen) if each <= longest} or {longest})
    wanted = chosen if chosen <= longest else offered[-1]
    return menu([option(length(each), length(each)) for each in offered], length(wanted))


def text_box(
    bounds: tuple[int, int], *, typed: str = "", example: str = "", is_long: bool = True, checks_least: bool = True
) -> Block:
    """A field for text of this many characters; `typed` fills it in."""
    least, most = bounds
    made: Block = {
        "type": "plain_text_input",
        "action_id": ANSWER,
        "multiline": is_long,
        "max_length": min(most, MAX_TYPED_TEXT),
    }
    if checks_least:
        made["min_length"] = least
    if typed:
        made["initial_value"] = typed[:most]
    if example:
        made["placeholder"] = label(example, 150)
    return made


def code_box() -> Block:
    """A field for an MFA code."""
    return text_box(CODE_LENGTH, is_long=False, example="123456")


def chosen(values: Payload, block_id: str) -> str | None:
    """What was chosen from a menu; None: nothing."""
    return get_str(values, block_id, ANSWER, "selected_option", "value") or None


def typed(values: Payload, block_id: str) -> str:
    """What was typed into a field."""
    return get_str(values, block_id, ANSWER, "value") or ""
