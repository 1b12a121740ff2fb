"""The fields of forms: menus, text and the lengths of time that people choose from.

Invariant: every field holds one element, so that one reader reads them all, whatever its action id; no field is ever
larger than Slack takes. Slack keeps what somebody chose while block id and action id stay: a menu that is drawn again
with other options has another action id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from unicodedata import category

from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block, label, length, plain
from core.errors import InvalidInput

ANSWER: Final = "answer"
MAX_OPTIONS: Final = 100
"""Slack shows no more options in one menu."""
MAX_OPTION_TEXT: Final = 75
MAX_TYPED_TEXT: Final = 3000
"""No text field takes more."""
_MAX_SECONDS: Final = 10**10
"""Slack's own bound of a date and time, ten digits."""
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


def menu(options: Sequence[Block], chosen: str | None = None, *, action_id: str = ANSWER) -> Block:
    """A menu of the first hundred options; one that is alone is chosen already."""
    shown = list(options[:MAX_OPTIONS])
    made: Block = {"type": "static_select", "action_id": action_id, "options": shown}
    initial = next((each for each in shown if each["value"] == chosen), shown[0] if len(shown) == 1 else None)
    return made | {"initial_option": initial} if initial is not None else made


def profile_menu(action_id: str, options: Sequence[Block], chosen: Sequence[Block], *, most: int) -> Block:
    """A menu of profiles, in which `most` can be chosen.

    Up to a hundred options are in it, so that it works at once and without a second answer of ours. Beyond that, Slack
    asks for the options while somebody types.
    """
    is_many, is_searched = most > 1, len(options) > MAX_OPTIONS
    kind = "external_select" if is_searched else "static_select"
    made: Block = {"type": f"multi_{kind}" if is_many else kind, "action_id": action_id}
    if is_searched:
        made |= {"min_query_length": 0, "placeholder": label("Search by name or description", 150)}
    else:
        made["options"] = list(options)
    if is_many:
        made["max_selected_items"] = most
    if chosen:
        made |= {"initial_options": list(chosen[:most])} if is_many else {"initial_option": chosen[0]}
    return made


def person_menu(chosen: str | None, placeholder: str) -> Block:
    """A menu of everybody in the workspace."""
    made: Block = {"type": "users_select", "action_id": ANSWER, "placeholder": label(placeholder, 150)}
    return made | {"initial_user": chosen} if chosen is not None else made


def durations(longest: timedelta, chosen: timedelta, *, is_redrawn: bool = False) -> Block:
    """A menu of lengths up to the longest, which is among them, as is what was chosen, if it is not longer."""
    offered = sorted({each for each in (*CHOICES, chosen) if each <= longest} | {longest})
    wanted = min(chosen, longest)
    action_id = f"{ANSWER}:{length(longest)}" if is_redrawn else ANSWER
    return menu([option(length(each), length(each)) for each in offered], length(wanted), action_id=action_id)


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
        made["initial_value"] = _printable(typed)[: made["max_length"]]
    if example:
        made["placeholder"] = label(example, 150)
    return made


def fill_in(view: Block, block_id: str, text: str) -> Block:
    """The same form with this text in one of its fields."""
    if not text:
        return view
    blocks = [
        each | {"element": each["element"] | {"initial_value": _printable(text)[:MAX_TYPED_TEXT]}}
        if each.get("block_id") == block_id
        else each
        for each in view["blocks"]
    ]
    return view | {"blocks": blocks}


def _printable(text: str) -> str:
    return "".join(" " if category(each) == "Cc" and each != "\n" else each for each in text)


def moment_menu(chosen: datetime | None) -> Block:
    """A field for a day and a time, which Slack shows in the zone of whoever reads it."""
    made: Block = {"type": "datetimepicker", "action_id": ANSWER}
    return made | {"initial_date_time": int(chosen.timestamp())} if chosen is not None else made


def code_box() -> Block:
    """A field for an MFA code."""
    return text_box(CODE_LENGTH, is_long=False, example="123456")


def chosen(values: Payload, block_id: str) -> str | None:
    """What was chosen from a menu; None: nothing."""
    return next(iter(all_chosen(values, block_id)), None)


def all_chosen(values: Payload, block_id: str) -> tuple[str, ...]:
    """Everything that was chosen from a menu, whether it takes one choice or several."""
    answer = _answer(values, block_id)
    many = answer.get("selected_options")
    options = [*(many if isinstance(many, list) else []), answer.get("selected_option")]
    return tuple(value for each in options if (value := get_str(each, "value")))


def chosen_person(values: Payload, block_id: str) -> str | None:
    """Who was chosen from a menu of people; None: nobody."""
    return get_str(_answer(values, block_id), "selected_user") or None


def chosen_moment(values: Payload, block_id: str) -> datetime | None:
    """Which moment was chosen; None: none. Raises InvalidInput for what isn't one."""
    found = _answer(values, block_id).get("selected_date_time")
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < _MAX_SECONDS:
        raise InvalidInput(block_id, f"{found!r:.40} isn't a time", "Choose a day and a time.")
    return datetime.fromtimestamp(found, UTC)


def typed(values: Payload, block_id: str) -> str:
    """What was typed into a field."""
    return get_str(_answer(values, block_id), "value") or ""


def _answer(values: Payload, block_id: str) -> Payload:
    """The state of a block's only element."""
    return next((each for each in get_dict(values, block_id).values() if isinstance(each, dict)), {})
