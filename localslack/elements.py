"""How people use the elements of blocks: initial values, what they enter, and how payloads report it.

Invariant: a person can only use elements and choose options that are there; anything else raises NotOnScreen. To send
what no client would, forge a payload instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from localslack.block_kit import elements_of
from localslack.records import Json
from localslack.refusals import NotOnScreen

EnteredValues: TypeAlias = Mapping[str, Mapping[str, object]]
"""What somebody entered: {block_id: {action_id: value}}. An option is given by its value."""


@dataclass(frozen=True, slots=True)
class _ValueKind:
    """How payloads report the value of an element: under which key, and under which key its initial value is."""

    key: str
    initial: str
    is_many: bool = False
    has_options: bool = False


_TEXT = _ValueKind("value", "initial_value")
_ONE_OPTION = _ValueKind("selected_option", "initial_option", has_options=True)
_MANY_OPTIONS = _ValueKind("selected_options", "initial_options", is_many=True, has_options=True)
_VALUE_KINDS: dict[str, _ValueKind] = {
    **dict.fromkeys(("plain_text_input", "email_text_input", "url_text_input", "number_input"), _TEXT),
    **dict.fromkeys(("static_select", "external_select", "radio_buttons"), _ONE_OPTION),
    **dict.fromkeys(("checkboxes", "multi_static_select", "multi_external_select"), _MANY_OPTIONS),
    "datepicker": _ValueKind("selected_date", "initial_date"),
    "timepicker": _ValueKind("selected_time", "initial_time"),
    "datetimepicker": _ValueKind("selected_date_time", "initial_date_time"),
    "users_select": _ValueKind("selected_user", "initial_user"),
    "channels_select": _ValueKind("selected_channel", "initial_channel"),
    "conversations_select": _ValueKind("selected_conversation", "initial_conversation"),
    "multi_users_select": _ValueKind("selected_users", "initial_users", is_many=True),
    "multi_channels_select": _ValueKind("selected_channels", "initial_channels", is_many=True),
    "multi_conversations_select": _ValueKind("selected_conversations", "initial_conversations", is_many=True),
}


def find_element(
    blocks: list[Json], action_id: str, value: object = None, block_id: str | None = None
) -> tuple[Json, Json]:
    """The block and the element to use. `value` selects among buttons that share an action_id.

    Raises NotOnScreen if there is no such element, or more than one.
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


def has_element(blocks: list[Json], action_id: str, value: object = None, block_id: str | None = None) -> bool:
    """Whether `find_element` would find exactly one."""
    try:
        find_element(blocks, action_id, value, block_id)
    except NotOnScreen:
        return False
    return True


def build_action(block: Json, element: Json, value: object, action_ts: str) -> Json:
    """The entry in the `actions` of a block_actions payload when somebody uses an element."""
    action: Json = {"action_id": element["action_id"], "block_id": block["block_id"], "type": element["type"]}
    if element["type"] == "button":
        action |= {key: element[key] for key in ("text", "value", "style", "url", "confirm") if key in element}
    elif element["type"] == "overflow":
        action["selected_option"] = _find_option(element, value)
    else:
        action |= {key: element[key] for key in ("placeholder", "initial_option", "confirm") if key in element}
        action |= entered(element, value)
    return {**action, "action_ts": action_ts}


def entered(element: Json, value: object) -> Json:
    """The state of an element in which somebody entered this value, None for nothing. Raises NotOnScreen."""
    kind = _VALUE_KINDS[element["type"]]
    if kind.is_many:
        chosen = value if isinstance(value, list | tuple) else [] if value is None else [value]
        if len(chosen) > element.get("max_selected_items", len(chosen)):
            raise NotOnScreen(f"only {element['max_selected_items']} can be selected here")
        values = [_find_option(element, item) if kind.has_options else item for item in chosen]
        return {"type": element["type"], kind.key: values}
    if kind.has_options and value is not None:
        value = _find_option(element, value)
    # A field that was filled in and cleared again reports null, like one that was never touched.
    return {"type": element["type"], kind.key: None if value == "" else value}


def build_state(blocks: list[Json], before: Json, typed: EnteredValues) -> Json:
    """The `values` of a view's state: what was entered now, else the value from before, else the initial value.

    Raises NotOnScreen if a value was entered for a field that isn't there.
    """
    values: Json = {}
    for block in blocks:
        for element in elements_of(block):
            if (kind := _VALUE_KINDS.get(element["type"])) is None:
                continue
            block_id, action_id = block["block_id"], element["action_id"]
            state = before.get(block_id, {}).get(action_id)
            if action_id in (now := typed.get(block_id, {})):
                state = entered(element, now[action_id])
            elif state is None or state["type"] != element["type"]:
                state = {"type": element["type"], kind.key: element.get(kind.initial, [] if kind.is_many else None)}
            values.setdefault(block_id, {})[action_id] = state
    for block_id, fields in typed.items():
        for action_id in fields:
            if action_id not in values.get(block_id, {}):
                raise NotOnScreen(f"there is no field {block_id}/{action_id}; there are: {values}")
    return values


def client_errors(blocks: list[Json], values: Json) -> dict[str, str]:
    """The errors that the client shows before it submits a modal, by block_id: empty, too short or too long fields."""
    found: dict[str, str] = {}
    for block in (block for block in blocks if block["type"] == "input"):
        element = block["element"]
        state = values[block["block_id"]][element["action_id"]]
        value = state[_VALUE_KINDS[element["type"]].key]
        if value in (None, [], ""):
            if not block.get("optional"):
                found[block["block_id"]] = "Please complete this required field."
        elif element["type"] == "plain_text_input":
            min_length, max_length = element.get("min_length", 0), element.get("max_length")
            if len(value) < min_length:
                found[block["block_id"]] = f"Please enter at least {min_length} characters."
            elif max_length is not None and len(value) > max_length:
                found[block["block_id"]] = f"Please enter no more than {max_length} characters."
    return found


def _find_option(element: Json, value: object) -> Json:
    options = list(element.get("options", []))
    for group in element.get("option_groups", []):
        options += group["options"]
    for option in options:
        if option["value"] == value:
            chosen: Json = option
            return chosen
    raise NotOnScreen(f"{value!r} isn't an option; there are: {[option['value'] for option in options]}")
