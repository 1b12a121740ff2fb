"""The schema of Block Kit: every block and element, its keys and their lengths, and where it's allowed.

Invariant: this is all that the local Slack accepts. What Slack supports and this schema doesn't is refused, so no app
comes to rely on it unchecked.
"""

from __future__ import annotations

from localslack import limits
from localslack.block_rules import (
    BlockRule,
    BooleanRule,
    IntegerRule,
    ListRule,
    ObjectRule,
    Report,
    StringRule,
    TextRule,
    TypedRule,
)
from localslack.records import Json
from localslack.rich_text_schema import RICH_TEXT

_ID = StringRule(limits.ANY_ID)
_DATE = StringRule(10, min_length=10)
_CONFIRM = ObjectRule(
    {
        "title": TextRule(limits.CONFIRM_TITLE),
        "text": TextRule(limits.CONFIRM_TEXT, allows_mrkdwn=True),
        "confirm": TextRule(limits.CONFIRM_BUTTON),
        "deny": TextRule(limits.CONFIRM_BUTTON),
    },
    {"style": StringRule(10, choices=frozenset({"primary", "danger"}))},
)
_SLACK_FILE = ObjectRule({}, {"id": StringRule(limits.ANY_ID), "url": StringRule(limits.IMAGE_URL)})
_PICTURE: dict[str, BlockRule] = {"image_url": StringRule(limits.IMAGE_URL), "slack_file": _SLACK_FILE}


def _one_source(element: Json, at: str, report: Report) -> None:
    file = element.get("slack_file")
    if ("image_url" in element) == (file is not None) or (file is not None and len(file) != 1):
        report.add("must provide either `image_url`, or `slack_file` with an `id` or a `url`", at)
    address = element.get("image_url", "https://")
    if isinstance(address, str) and not address.startswith(("https://", "http://")):
        report.add("must be a valid URL", f"{at}/image_url")


_IMAGE = ObjectRule({"alt_text": StringRule(limits.ALT_TEXT)}, {**_PICTURE}, _one_source)


def _option(*, allows_mrkdwn: bool = False, with_url: bool = False) -> ObjectRule:
    return ObjectRule(
        {"text": TextRule(limits.OPTION_TEXT, allows_mrkdwn), "value": StringRule(limits.OPTION_VALUE)},
        {
            "description": TextRule(limits.OPTION_TEXT, allows_mrkdwn),
            **({"url": StringRule(limits.URL)} if with_url else {}),
        },
    )


OPTION = _option()
_CHOICE = _option(allows_mrkdwn=True)
_GROUP = ObjectRule({"label": TextRule(limits.OPTION_TEXT), "options": ListRule(OPTION, limits.OPTIONS)})


def _distinct_options(element: Json, at: str, report: Report) -> None:
    # Slack doesn't document this, but an app couldn't tell two options with the same value apart.
    values = [option["value"] for option in element.get("options", [])]
    for group in element.get("option_groups", []):
        values += [option["value"] for option in group["options"]]
    if len(set(values)) < len(values):
        report.add("values of options must be unique", at)


def _initial_is_an_option(element: Json, at: str, report: Report) -> None:
    _distinct_options(element, at, report)
    options = [*element.get("options", []), *(o for g in element.get("option_groups", []) for o in g["options"])]
    initial = element.get("initial_options", [])
    initial = [*initial, element["initial_option"]] if "initial_option" in element else initial
    known = {(option["value"], option["text"]["text"]) for option in options}
    if any((option["value"], option["text"]["text"]) not in known for option in initial):
        report.add("initial option must be one of the options", at)


def _either_options_or_groups(element: Json, at: str, report: Report) -> None:
    if ("options" in element) == ("option_groups" in element):
        report.add("must define either `options` or `option_groups`", at)
    _initial_is_an_option(element, at, report)


_COMMON: dict[str, BlockRule] = {"action_id": _ID, "confirm": _CONFIRM, "focus_on_load": BooleanRule()}
_WITH_PLACEHOLDER: dict[str, BlockRule] = {**_COMMON, "placeholder": TextRule(limits.PLACEHOLDER)}
_MULTI_SELECT: dict[str, BlockRule] = {**_WITH_PLACEHOLDER, "max_selected_items": IntegerRule(1, limits.OPTIONS)}
_OPTION_LISTS: dict[str, BlockRule] = {
    "options": ListRule(OPTION, limits.OPTIONS),
    "option_groups": ListRule(_GROUP, limits.OPTIONS),
}
_DISPATCH_CONFIG = ObjectRule({}, {"trigger_actions_on": ListRule(StringRule(30), 2)})
_TEXT_INPUT: dict[str, BlockRule] = {
    "action_id": _ID,
    "placeholder": TextRule(limits.PLACEHOLDER),
    "focus_on_load": BooleanRule(),
    "dispatch_action_config": _DISPATCH_CONFIG,
}
_FILTER = ObjectRule(
    {},
    {
        "include": ListRule(StringRule(10), 4),
        "exclude_external_shared_channels": BooleanRule(),
        "exclude_bot_users": BooleanRule(),
    },
)
_CONVERSATION: dict[str, BlockRule] = {"filter": _FILTER, "default_to_current_conversation": BooleanRule()}
_RESPONSE_URL: dict[str, BlockRule] = {"response_url_enabled": BooleanRule()}


def _min_below_max(element: Json, at: str, report: Report) -> None:
    if element.get("min_length", 0) > element.get("max_length", limits.TYPED_TEXT):
        report.add("min_length must be less than or equal to max_length", at)


ELEMENTS: dict[str, BlockRule] = {
    "button": ObjectRule(
        {"text": TextRule(limits.BUTTON_TEXT)},
        {
            "action_id": _ID,
            "confirm": _CONFIRM,
            "url": StringRule(limits.URL),
            "value": StringRule(limits.BUTTON_VALUE, min_length=0),
            "style": StringRule(10, choices=frozenset({"primary", "danger"})),
            "accessibility_label": StringRule(limits.BUTTON_TEXT),
        },
    ),
    "overflow": ObjectRule(
        {"options": ListRule(_option(with_url=True), limits.OVERFLOW_OPTIONS)},
        {"action_id": _ID, "confirm": _CONFIRM},
        _distinct_options,
    ),
    "image": _IMAGE,
    "checkboxes": ObjectRule(
        {"options": ListRule(_CHOICE, limits.CHOICES)},
        {**_COMMON, "initial_options": ListRule(_CHOICE, limits.CHOICES)},
        _initial_is_an_option,
    ),
    "radio_buttons": ObjectRule(
        {"options": ListRule(_CHOICE, limits.CHOICES)}, {**_COMMON, "initial_option": _CHOICE}, _initial_is_an_option
    ),
    "datepicker": ObjectRule({}, {**_WITH_PLACEHOLDER, "initial_date": _DATE}),
    "timepicker": ObjectRule(
        {}, {**_WITH_PLACEHOLDER, "initial_time": StringRule(5, min_length=5), "timezone": StringRule(100)}
    ),
    "datetimepicker": ObjectRule({}, {**_COMMON, "initial_date_time": IntegerRule(10**9, 10**10 - 1)}),
    "static_select": ObjectRule(
        {}, {**_WITH_PLACEHOLDER, **_OPTION_LISTS, "initial_option": OPTION}, _either_options_or_groups
    ),
    "external_select": ObjectRule(
        {}, {**_WITH_PLACEHOLDER, "initial_option": OPTION, "min_query_length": IntegerRule(0, 100)}
    ),
    "users_select": ObjectRule({}, {**_WITH_PLACEHOLDER, "initial_user": _ID}),
    "channels_select": ObjectRule({}, {**_WITH_PLACEHOLDER, **_RESPONSE_URL, "initial_channel": _ID}),
    "conversations_select": ObjectRule(
        {}, {**_WITH_PLACEHOLDER, **_RESPONSE_URL, **_CONVERSATION, "initial_conversation": _ID}
    ),
    "multi_static_select": ObjectRule(
        {},
        {**_MULTI_SELECT, **_OPTION_LISTS, "initial_options": ListRule(OPTION, limits.OPTIONS)},
        _either_options_or_groups,
    ),
    "multi_external_select": ObjectRule(
        {},
        {
            **_MULTI_SELECT,
            "initial_options": ListRule(OPTION, limits.OPTIONS),
            "min_query_length": IntegerRule(0, 100),
        },
    ),
    "multi_users_select": ObjectRule({}, {**_MULTI_SELECT, "initial_users": ListRule(_ID, limits.OPTIONS)}),
    "multi_channels_select": ObjectRule({}, {**_MULTI_SELECT, "initial_channels": ListRule(_ID, limits.OPTIONS)}),
    "multi_conversations_select": ObjectRule(
        {}, {**_MULTI_SELECT, **_CONVERSATION, "initial_conversations": ListRule(_ID, limits.OPTIONS)}
    ),
    "plain_text_input": ObjectRule(
        {},
        {
            **_TEXT_INPUT,
            "initial_value": StringRule(limits.TYPED_TEXT, min_length=0),
            "multiline": BooleanRule(),
            "min_length": IntegerRule(0, limits.TYPED_TEXT),
            "max_length": IntegerRule(1, limits.TYPED_TEXT),
        },
        _min_below_max,
    ),
    "email_text_input": ObjectRule({}, {**_TEXT_INPUT, "initial_value": StringRule(limits.TYPED_TEXT)}),
    "url_text_input": ObjectRule({}, {**_TEXT_INPUT, "initial_value": StringRule(limits.TYPED_TEXT)}),
    "number_input": ObjectRule(
        {"is_decimal_allowed": BooleanRule()},
        {**_TEXT_INPUT, "initial_value": StringRule(100), "min_value": StringRule(100), "max_value": StringRule(100)},
    ),
}

_SELECTS = {"static_select", "external_select", "users_select", "channels_select", "conversations_select"}
_MULTI_SELECTS = {f"multi_{select}" for select in _SELECTS}
_PICKERS = {"checkboxes", "radio_buttons", "datepicker", "timepicker"} | _SELECTS
_IN_ACTIONS = {"button", "overflow", "datetimepicker"} | _PICKERS
_IN_SECTION = {"button", "overflow", "image"} | _PICKERS | _MULTI_SELECTS
_IN_INPUT = (
    {"plain_text_input", "email_text_input", "url_text_input", "number_input", "datetimepicker"}
    | _PICKERS
    | _MULTI_SELECTS
)


def _elements(kinds: set[str]) -> TypedRule:
    return TypedRule({kind: ELEMENTS[kind] for kind in kinds})


def _text_or_fields(block: Json, at: str, report: Report) -> None:
    if "text" not in block and "fields" not in block:
        report.add("must define either `text` or `fields`", at)


_BLOCK: dict[str, BlockRule] = {"block_id": _ID}
_IN_CONTEXT: dict[str, BlockRule] = {
    "image": ELEMENTS["image"],
    # TypedRule has removed the `type`; this checks the rest of a text object.
    "plain_text": ObjectRule({"text": StringRule(limits.CONTEXT_TEXT)}, {"emoji": BooleanRule()}),
    "mrkdwn": ObjectRule({"text": StringRule(limits.CONTEXT_TEXT)}, {"verbatim": BooleanRule()}),
}

BLOCKS = TypedRule(
    {
        "actions": ObjectRule({"elements": ListRule(_elements(_IN_ACTIONS), limits.ACTIONS_ELEMENTS)}, _BLOCK),
        "context": ObjectRule({"elements": ListRule(TypedRule(_IN_CONTEXT), limits.CONTEXT_ELEMENTS)}, _BLOCK),
        "divider": ObjectRule({}, _BLOCK),
        "header": ObjectRule({"text": TextRule(limits.HEADER_TEXT)}, _BLOCK),
        "image": ObjectRule(
            {"alt_text": StringRule(limits.ALT_TEXT)},
            {**_BLOCK, **_PICTURE, "title": TextRule(limits.IMAGE_TITLE)},
            _one_source,
        ),
        "input": ObjectRule(
            {"label": TextRule(limits.INPUT_LABEL), "element": _elements(_IN_INPUT)},
            {
                **_BLOCK,
                "hint": TextRule(limits.INPUT_LABEL),
                "optional": BooleanRule(),
                "dispatch_action": BooleanRule(),
            },
        ),
        "markdown": ObjectRule({"text": StringRule(limits.MARKDOWN_TEXT)}, _BLOCK),
        "rich_text": RICH_TEXT,
        "section": ObjectRule(
            {},
            {
                **_BLOCK,
                "text": TextRule(limits.SECTION_TEXT, allows_mrkdwn=True),
                "fields": ListRule(TextRule(limits.FIELD_TEXT, allows_mrkdwn=True), limits.SECTION_FIELDS),
                "accessory": _elements(_IN_SECTION),
                "expand": BooleanRule(),
            },
            _text_or_fields,
        ),
    },
    surfaces={"markdown": frozenset({"message"})},
)

_VIEW: dict[str, BlockRule] = {
    "private_metadata": StringRule(limits.PRIVATE_METADATA, min_length=0),
    "callback_id": StringRule(limits.ANY_ID, min_length=0),
    "external_id": StringRule(limits.ANY_ID, min_length=0),
}
_VIEW_BLOCKS: dict[str, BlockRule] = {"blocks": ListRule(BLOCKS, limits.VIEW_BLOCKS, min_items=0)}


def _submit_for_inputs(view: Json, at: str, report: Report) -> None:
    if "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        report.add("missing required field: submit", at)


MODAL = ObjectRule(
    {**_VIEW_BLOCKS, "title": TextRule(limits.VIEW_TITLE)},
    {
        **_VIEW,
        "submit": TextRule(limits.VIEW_TITLE),
        "close": TextRule(limits.VIEW_TITLE),
        "clear_on_close": BooleanRule(),
        "notify_on_close": BooleanRule(),
    },
    _submit_for_inputs,
)
HOME = ObjectRule(_VIEW_BLOCKS, _VIEW)
