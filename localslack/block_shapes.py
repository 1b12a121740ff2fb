"""Block Kit as a table: the blocks and elements there are, with which keys, of which length, and where they may stand.

Invariant: this is the whole of what the local Slack accepts. What Slack knows and this table does not is refused
here, so the bot cannot come to rely on it unchecked.
"""

from __future__ import annotations

from localslack import limits
from localslack.block_rules import (
    Anything,
    Flag,
    Items,
    Json,
    Line,
    Number,
    Record,
    Report,
    Rule,
    Typed,
    Words,
)

_ID = Line(limits.ANY_ID)
_DATE = Line(10, least=10)
_CONFIRM = Record(
    {
        "title": Words(limits.CONFIRM_TITLE),
        "text": Words(limits.CONFIRM_TEXT, may_format=True),
        "confirm": Words(limits.CONFIRM_BUTTON),
        "deny": Words(limits.CONFIRM_BUTTON),
    },
    {"style": Line(10, choices=frozenset({"primary", "danger"}))},
)
_IMAGE_KEYS: dict[str, Rule] = {"image_url": Line(limits.IMAGE_URL), "alt_text": Line(limits.ALT_TEXT)}


def _option(*, may_format: bool = False, with_url: bool = False) -> Record:
    return Record(
        {"text": Words(limits.OPTION_TEXT, may_format), "value": Line(limits.OPTION_VALUE)},
        {
            "description": Words(limits.OPTION_TEXT, may_format),
            **({"url": Line(limits.URL)} if with_url else {}),
        },
    )


_OPTION = _option()
_CHOICE = _option(may_format=True)
_GROUP = Record({"label": Words(limits.OPTION_TEXT), "options": Items(_OPTION, limits.OPTIONS)})


def _distinct_options(element: Json, at: str, report: Report) -> None:
    # Slack's pages do not say so, but nobody could tell two options with one value apart when they arrive.
    values = [option["value"] for option in element.get("options", [])]
    for group in element.get("option_groups", []):
        values += [option["value"] for option in group["options"]]
    if len(set(values)) < len(values):
        report.add("values of options must be unique", at)


def _initial_is_on_offer(element: Json, at: str, report: Report) -> None:
    _distinct_options(element, at, report)
    offered = [*element.get("options", []), *(o for g in element.get("option_groups", []) for o in g["options"])]
    initial = element.get("initial_options", [])
    initial = [*initial, element["initial_option"]] if "initial_option" in element else initial
    known = {(option["value"], option["text"]["text"]) for option in offered}
    if any((option["value"], option["text"]["text"]) not in known for option in initial):
        report.add("initial option must be one of the options", at)


def _either_options_or_groups(element: Json, at: str, report: Report) -> None:
    if ("options" in element) == ("option_groups" in element):
        report.add("must define either `options` or `option_groups`", at)
    _initial_is_on_offer(element, at, report)


_COMMON: dict[str, Rule] = {"action_id": _ID, "confirm": _CONFIRM, "focus_on_load": Flag()}
_HINTED: dict[str, Rule] = {**_COMMON, "placeholder": Words(limits.PLACEHOLDER)}
_MANY: dict[str, Rule] = {**_HINTED, "max_selected_items": Number(1, limits.OPTIONS)}
_LISTED: dict[str, Rule] = {
    "options": Items(_OPTION, limits.OPTIONS),
    "option_groups": Items(_GROUP, limits.OPTIONS),
}
_TYPING = Record({}, {"trigger_actions_on": Items(Line(30), 2)})
_TYPED: dict[str, Rule] = {
    "action_id": _ID,
    "placeholder": Words(limits.PLACEHOLDER),
    "focus_on_load": Flag(),
    "dispatch_action_config": _TYPING,
}
_FILTER = Record(
    {}, {"include": Items(Line(10), 4), "exclude_external_shared_channels": Flag(), "exclude_bot_users": Flag()}
)
_CONVERSATION: dict[str, Rule] = {"filter": _FILTER, "default_to_current_conversation": Flag()}
_ASKS_URL: dict[str, Rule] = {"response_url_enabled": Flag()}


def _min_below_max(element: Json, at: str, report: Report) -> None:
    if element.get("min_length", 0) > element.get("max_length", limits.TYPED_TEXT):
        report.add("min_length must be less than or equal to max_length", at)


ELEMENTS: dict[str, Rule] = {
    "button": Record(
        {"text": Words(limits.BUTTON_TEXT)},
        {
            "action_id": _ID,
            "confirm": _CONFIRM,
            "url": Line(limits.URL),
            "value": Line(limits.BUTTON_VALUE, least=0),
            "style": Line(10, choices=frozenset({"primary", "danger"})),
            "accessibility_label": Line(limits.BUTTON_TEXT),
        },
    ),
    "overflow": Record(
        {"options": Items(_option(with_url=True), limits.OVERFLOW_OPTIONS)},
        {"action_id": _ID, "confirm": _CONFIRM},
        _distinct_options,
    ),
    "image": Record(_IMAGE_KEYS),
    "checkboxes": Record(
        {"options": Items(_CHOICE, limits.CHOICES)},
        {**_COMMON, "initial_options": Items(_CHOICE, limits.CHOICES)},
        _initial_is_on_offer,
    ),
    "radio_buttons": Record(
        {"options": Items(_CHOICE, limits.CHOICES)}, {**_COMMON, "initial_option": _CHOICE}, _initial_is_on_offer
    ),
    "datepicker": Record({}, {**_HINTED, "initial_date": _DATE}),
    "timepicker": Record({}, {**_HINTED, "initial_time": Line(5, least=5), "timezone": Line(100)}),
    "datetimepicker": Record({}, {**_COMMON, "initial_date_time": Number(10**9, 10**10 - 1)}),
    "static_select": Record({}, {**_HINTED, **_LISTED, "initial_option": _OPTION}, _either_options_or_groups),
    "external_select": Record({}, {**_HINTED, "initial_option": _OPTION, "min_query_length": Number(0, 100)}),
    "users_select": Record({}, {**_HINTED, "initial_user": _ID}),
    "channels_select": Record({}, {**_HINTED, **_ASKS_URL, "initial_channel": _ID}),
    "conversations_select": Record({}, {**_HINTED, **_ASKS_URL, **_CONVERSATION, "initial_conversation": _ID}),
    "multi_static_select": Record(
        {}, {**_MANY, **_LISTED, "initial_options": Items(_OPTION, limits.OPTIONS)}, _either_options_or_groups
    ),
    "multi_external_select": Record(
        {}, {**_MANY, "initial_options": Items(_OPTION, limits.OPTIONS), "min_query_length": Number(0, 100)}
    ),
    "multi_users_select": Record({}, {**_MANY, "initial_users": Items(_ID, limits.OPTIONS)}),
    "multi_channels_select": Record({}, {**_MANY, "initial_channels": Items(_ID, limits.OPTIONS)}),
    "multi_conversations_select": Record(
        {}, {**_MANY, **_CONVERSATION, "initial_conversations": Items(_ID, limits.OPTIONS)}
    ),
    "plain_text_input": Record(
        {},
        {
            **_TYPED,
            "initial_value": Line(limits.TYPED_TEXT, least=0),
            "multiline": Flag(),
            "min_length": Number(0, limits.TYPED_TEXT),
            "max_length": Number(1, limits.TYPED_TEXT),
        },
        _min_below_max,
    ),
    "email_text_input": Record({}, {**_TYPED, "initial_value": Line(limits.TYPED_TEXT)}),
    "url_text_input": Record({}, {**_TYPED, "initial_value": Line(limits.TYPED_TEXT)}),
    "number_input": Record(
        {"is_decimal_allowed": Flag()},
        {**_TYPED, "initial_value": Line(100), "min_value": Line(100), "max_value": Line(100)},
    ),
}

_SELECTS = {"static_select", "external_select", "users_select", "channels_select", "conversations_select"}
_MULTI = {f"multi_{select}" for select in _SELECTS}
_PICKED = {"checkboxes", "radio_buttons", "datepicker", "timepicker"} | _SELECTS
_IN_ACTIONS = {"button", "overflow", "datetimepicker"} | _PICKED
_IN_SECTION = {"button", "overflow", "image"} | _PICKED | _MULTI
_IN_INPUT = (
    {"plain_text_input", "email_text_input", "url_text_input", "number_input", "datetimepicker"} | _PICKED | _MULTI
)


def _elements(kinds: set[str]) -> Typed:
    return Typed({kind: ELEMENTS[kind] for kind in kinds})


def _text_or_fields(block: Json, at: str, report: Report) -> None:
    if "text" not in block and "fields" not in block:
        report.add("must define either `text` or `fields`", at)


_BLOCK: dict[str, Rule] = {"block_id": _ID}
_IN_CONTEXT: dict[str, Rule] = {
    "image": ELEMENTS["image"],
    # Typed has taken the `type` away, and what is left of a text object is checked here.
    "plain_text": Record({"text": Line(limits.CONTEXT_TEXT)}, {"emoji": Flag()}),
    "mrkdwn": Record({"text": Line(limits.CONTEXT_TEXT)}, {"verbatim": Flag()}),
}

BLOCKS = Typed(
    {
        "actions": Record({"elements": Items(_elements(_IN_ACTIONS), limits.ACTIONS_ELEMENTS)}, _BLOCK),
        "context": Record({"elements": Items(Typed(_IN_CONTEXT), limits.CONTEXT_ELEMENTS)}, _BLOCK),
        "divider": Record({}, _BLOCK),
        "header": Record({"text": Words(limits.HEADER_TEXT)}, _BLOCK),
        "image": Record(_IMAGE_KEYS, {**_BLOCK, "title": Words(limits.IMAGE_TITLE)}),
        "input": Record(
            {"label": Words(limits.INPUT_LABEL), "element": _elements(_IN_INPUT)},
            {**_BLOCK, "hint": Words(limits.INPUT_LABEL), "optional": Flag(), "dispatch_action": Flag()},
        ),
        "markdown": Record({"text": Line(limits.MARKDOWN_TEXT)}, _BLOCK),
        "rich_text": Record({"elements": Items(Anything(), 1000, least=0)}, _BLOCK),
        "section": Record(
            {},
            {
                **_BLOCK,
                "text": Words(limits.SECTION_TEXT, may_format=True),
                "fields": Items(Words(limits.FIELD_TEXT, may_format=True), limits.SECTION_FIELDS),
                "accessory": _elements(_IN_SECTION),
                "expand": Flag(),
            },
            _text_or_fields,
        ),
    },
    surfaces={"markdown": frozenset({"message"})},
)

_VIEW: dict[str, Rule] = {
    "private_metadata": Line(limits.PRIVATE_METADATA, least=0),
    "callback_id": Line(limits.ANY_ID, least=0),
    "external_id": Line(limits.ANY_ID, least=0),
}
_VIEW_BLOCKS: dict[str, Rule] = {"blocks": Items(BLOCKS, limits.VIEW_BLOCKS, least=0)}


def _submit_for_inputs(view: Json, at: str, report: Report) -> None:
    if "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        report.add("missing required field: submit", at)


MODAL = Record(
    {**_VIEW_BLOCKS, "title": Words(limits.VIEW_TITLE)},
    {
        **_VIEW,
        "submit": Words(limits.VIEW_TITLE),
        "close": Words(limits.VIEW_TITLE),
        "clear_on_close": Flag(),
        "notify_on_close": Flag(),
    },
    _submit_for_inputs,
)
HOME = Record(_VIEW_BLOCKS, _VIEW)
