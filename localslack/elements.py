"""What people do to the elements of blocks: what is chosen at first, what they choose, and what is told of it.

Invariant: a person can only choose what is on offer and press what is there; anything else raises NotOnScreen. To
send what no client would, forge a payload instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from localslack.block_kit import elements_of
from localslack.refusals import NotOnScreen

Json: TypeAlias = dict[str, Any]
Typed: TypeAlias = Mapping[str, Mapping[str, object]]
"""What somebody entered: {block_id: {action_id: value}}. Options are named by their values."""


@dataclass(frozen=True, slots=True)
class _Held:
    """How an element that holds a value tells it: under which key, and under which key the first value stands."""

    key: str
    initial: str
    is_many: bool = False
    has_options: bool = False


_TYPED = _Held("value", "initial_value")
_ONE = _Held("selected_option", "initial_option", has_options=True)
_SEVERAL = _Held("selected_options", "initial_options", is_many=True, has_options=True)
_HELD: dict[str, _Held] = {
    **dict.fromkeys(("plain_text_input", "email_text_input", "url_text_input", "number_input"), _TYPED),
    **dict.fromkeys(("static_select", "external_select", "radio_buttons"), _ONE),
    **dict.fromkeys(("checkboxes", "multi_static_select", "multi_external_select"), _SEVERAL),
    "datepicker": _Held("selected_date", "initial_date"),
    "timepicker": _Held("selected_time", "initial_time"),
    "datetimepicker": _Held("selected_date_time", "initial_date_time"),
    "users_select": _Held("selected_user", "initial_user"),
    "channels_select": _Held("selected_channel", "initial_channel"),
    "conversations_select": _Held("selected_conversation", "initial_conversation"),
    "multi_users_select": _Held("selected_users", "initial_users", is_many=True),
    "multi_channels_select": _Held("selected_channels", "initial_channels", is_many=True),
    "multi_conversations_select": _Held("selected_conversations", "initial_conversations", is_many=True),
}


def find(blocks: list[Json], action_id: str, value: object = None, block_id: str | None = None) -> tuple[Json, Json]:
    """The block and the element to use. Buttons that share an action_id are told apart by their value.

    Raises NotOnScreen when there is no such element, or more than one.
    """
    found = [
        (block, element)
        for block in blocks
        for element in elements_of(block)
        if element["action_id"] == action_id and block_id in {None, block["block_id"]}
    ]
    if value is not None and any(element["type"] == "button" for _, element in found):
        found = [(block, element) for block, element in found if element.get("value") == value]
    if len(found) != 1:
        there = sorted({element["action_id"] for block in blocks for element in elements_of(block)})
        raise NotOnScreen(f"{len(found)} elements {action_id!r} (value {value!r}) on screen; there are: {there}")
    return found[0]


def action_of(block: Json, element: Json, value: object, action_ts: str) -> Json:
    """What `actions` says in a block_actions payload when somebody uses an element."""
    action: Json = {"action_id": element["action_id"], "block_id": block["block_id"], "type": element["type"]}
    if element["type"] == "button":
        action |= {key: element[key] for key in ("text", "value", "style", "url", "confirm") if key in element}
    elif element["type"] == "overflow":
        action["selected_option"] = _offered(element, value)
    else:
        action |= {key: element[key] for key in ("placeholder", "initial_option", "confirm") if key in element}
        action |= entered(element, value)
    return {**action, "action_ts": action_ts}


def entered(element: Json, value: object) -> Json:
    """What the state says of an element in which somebody entered this; None is nothing. Raises NotOnScreen."""
    held = _HELD[element["type"]]
    if held.is_many:
        chosen = value if isinstance(value, list | tuple) else [] if value is None else [value]
        values = [_offered(element, item) if held.has_options else item for item in chosen]
        return {"type": element["type"], held.key: values}
    if held.has_options and value is not None:
        value = _offered(element, value)
    # A field that was typed in and emptied again tells null, as one that was never touched.
    return {"type": element["type"], held.key: None if value == "" else value}


def state_of(blocks: list[Json], before: Json, typed: Typed) -> Json:
    """The `values` of a state: what was typed now, else what was there before, else what the app had filled in.

    Raises NotOnScreen when something was typed where nothing can be typed.
    """
    values: Json = {}
    for block in blocks:
        for element in elements_of(block):
            if (held := _HELD.get(element["type"])) is None:
                continue
            block_id, action_id = block["block_id"], element["action_id"]
            told = before.get(block_id, {}).get(action_id)
            if action_id in (now := typed.get(block_id, {})):
                told = entered(element, now[action_id])
            elif told is None or told["type"] != element["type"]:
                told = {"type": element["type"], held.key: element.get(held.initial, [] if held.is_many else None)}
            values.setdefault(block_id, {})[action_id] = told
    for block_id, fields in typed.items():
        for action_id in fields:
            if action_id not in values.get(block_id, {}):
                raise NotOnScreen(f"there is no field {block_id}/{action_id}; there are: {values}")
    return values


def mistakes(blocks: list[Json], values: Json) -> dict[str, str]:
    """What the client itself objects to before it sends a form, by block_id: empty and too short or long fields."""
    found: dict[str, str] = {}
    for block in (block for block in blocks if block["type"] == "input"):
        element = block["element"]
        told = values[block["block_id"]][element["action_id"]]
        value = told[_HELD[element["type"]].key]
        if value in (None, [], ""):
            if not block.get("optional"):
                found[block["block_id"]] = "Please complete this required field."
        elif element["type"] == "plain_text_input":
            least, most = element.get("min_length", 0), element.get("max_length")
            if len(value) < least:
                found[block["block_id"]] = f"Please enter at least {least} characters."
            elif most is not None and len(value) > most:
                found[block["block_id"]] = f"Please enter no more than {most} characters."
    return found


def _offered(element: Json, value: object) -> Json:
    if element["type"].endswith("external_select"):
        return {"text": {"type": "plain_text", "text": str(value), "emoji": True}, "value": str(value)}
    options = list(element.get("options", []))
    for group in element.get("option_groups", []):
        options += group["options"]
    for option in options:
        if option["value"] == value:
            chosen: Json = option
            return chosen
    raise NotOnScreen(f"{value!r} is not on offer; there are: {[option['value'] for option in options]}")
