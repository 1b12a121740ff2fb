"""Block Kit: what is let through at the limit, what is refused one above it, and in which words."""

from __future__ import annotations

import copy
from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localslack.block_kit import check_attachments, check_message_blocks, check_view, complete
from localslack.refusals import SlackRefusal
from tests.localslack.people import Json, button, card, form, home, option, words


def section(text: str = "x", **more: object) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def field(element: Json, **more: object) -> Json:
    return {"type": "input", "label": words("Label"), "element": element, **more}


def select(**more: object) -> Json:
    return {"type": "static_select", "action_id": "pick", "options": [option("a")], **more}


def problems(blocks: object) -> list[str]:
    with pytest.raises(SlackRefusal) as refused:
        check_message_blocks(blocks)
    assert refused.value.error == "invalid_blocks"
    return refused.value.problems


CONFIRM = {"title": words("T"), "text": words("Sure?"), "confirm": words("Yes"), "deny": words("No")}


@pytest.mark.parametrize(
    "block",
    [
        section("x" * 3000),
        {"type": "section", "fields": [words("x" * 2000)]},
        {"type": "section", "fields": [words("x")] * 10},
        {"type": "header", "text": words("x" * 150)},
        {"type": "context", "elements": [words("x"), {"type": "mrkdwn", "text": "x", "verbatim": True}] * 5},
        {"type": "context", "elements": [{"type": "image", "image_url": "https://x", "alt_text": "x"}]},
        actions(*({"type": "button", "text": words("x"), "action_id": f"a{n}"} for n in range(25))),
        actions({"type": "button", "text": words("x" * 75), "value": "v" * 2000, "action_id": "a" * 255}),
        actions({"type": "button", "text": words("x"), "style": "danger", "confirm": CONFIRM}),
        actions(select(options=[{"text": words("x" * 75), "value": f"{n:0150d}"} for n in range(20)])),
        actions({"type": "overflow", "options": [option(f"o{n}") for n in range(5)]}),
        section(accessory=select(initial_option=option("a"), placeholder=words("x" * 150))),
        {"type": "divider", "block_id": "b" * 255},
        {"type": "image", "image_url": "https://x", "alt_text": "x", "title": words("x")},
        {"type": "markdown", "text": "**x**"},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]},
        field(
            {"type": "plain_text_input", "multiline": True, "max_length": 3000, "focus_on_load": True}, optional=True
        ),
    ],
)
def test_valid_blocks_are_taken(block: Json) -> None:
    assert check_message_blocks([block]) == [block]


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (section("x" * 3001), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        (section(""), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ({"type": "section"}, "must define either `text` or `fields` [json-pointer:/blocks/0]"),
        ({"type": "section", "text": "x"}, "must provide an object [json-pointer:/blocks/0/text]"),
        (
            {"type": "section", "fields": [words("x")] * 11},
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        ({"type": "header"}, "missing required field: text [json-pointer:/blocks/0]"),
        (
            {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
            "value must be one of: plain_text [json-pointer:/blocks/0/text/type]",
        ),
        (
            {"type": "header", "text": words("x" * 151)},
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (section(shape="round"), "invalid additional property: shape [json-pointer:/blocks/0]"),
        ({"type": "dance"}, "unsupported type: dance [json-pointer:/blocks/0/type]"),
        ({"text": words("x")}, "missing required field: type [json-pointer:/blocks/0]"),
        (
            {"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}},
            "invalid additional property: emoji [json-pointer:/blocks/0/text]",
        ),
        (
            actions(*(button("x", f"a{n}") for n in range(26))),
            "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (actions(), "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]"),
        (
            actions(button("x" * 76, "a")),
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        (
            actions(button("x", "a", "v" * 2001)),
            "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
        ),
        (
            actions({**button("x", "a"), "style": None}),
            "must provide a string [json-pointer:/blocks/0/elements/0/style]",
        ),
        (
            actions(button("x", "a"), button("y", "a")),
            "`action_id` already exists in this block: a [json-pointer:/blocks/0]",
        ),
        (
            actions({"type": "plain_text_input", "action_id": "a"}),
            "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]",
        ),
        (
            actions(select(options=[option(f"o{n}") for n in range(101)])),
            "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]",
        ),
        (
            actions({"type": "static_select", "action_id": "pick"}),
            "must define either `options` or `option_groups` [json-pointer:/blocks/0/elements/0]",
        ),
        (
            actions(select(initial_option=option("b"))),
            "initial option must be one of the options [json-pointer:/blocks/0/elements/0]",
        ),
        (
            actions({**button("x", "a"), "confirm": {**CONFIRM, "deny": words("x" * 31)}}),
            "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/deny/text]",
        ),
        (
            field({"type": "plain_text_input", "max_length": 3001}),
            "must be less than or equal to 3000 [json-pointer:/blocks/0/element/max_length]",
        ),
        (field(button("x", "a")), "unsupported type: button [json-pointer:/blocks/0/element/type]"),
        (
            {"type": "image", "image_url": "javascript:alert(1)", "alt_text": "x"},
            "must be a valid URL [json-pointer:/blocks/0/image_url]",
        ),
    ],
)
def test_invalid_blocks_are_refused_in_slacks_words(block: Json, problem: str) -> None:
    assert problems([block]) == [problem]


def test_all_problems_are_reported_at_once() -> None:
    assert len(problems([{"type": "header"}, {"type": "dance"}])) == 2


def test_message_has_fifty_blocks_at_most_with_ids_of_their_own() -> None:
    divider = {"type": "divider"}
    assert check_message_blocks([divider] * 50)
    assert problems([divider] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]
    twice = [section(block_id="b"), section(block_id="b")]
    assert problems(twice) == ["`block_id` already exists: b [json-pointer:/blocks/1]"]


def test_attachments_are_looked_into() -> None:
    assert check_attachments([{"color": "#c00", "blocks": card()}])
    with pytest.raises(SlackRefusal, match="invalid_attachments"):
        check_attachments([{"blocks": [{"type": "header"}]}])
    with pytest.raises(SlackRefusal, match="invalid_attachments"):
        check_attachments({"blocks": []})


class TestViews:
    def problems(self, view: object, kind: str = "modal") -> list[str]:
        with pytest.raises(SlackRefusal) as refused:
            check_view(view, kind)
        assert refused.value.error == "invalid_arguments"
        first, *rest = refused.value.problems
        assert first == "failed to match all allowed schemas [json-pointer:/view]"
        return rest

    def test_that_are_right_pass(self) -> None:
        longest = form("c" * 255, title=words("t" * 24), private_metadata="m" * 3000, close=words("No"))
        assert check_view(longest, "modal") == longest
        assert check_view({**home(), "blocks": [{"type": "divider"}] * 100}, "home")

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"title": words("t" * 25)}, "must be less than 25 characters [json-pointer:/view/title/text]"),
            (
                {"private_metadata": "m" * 3001},
                "must be less than 3001 characters [json-pointer:/view/private_metadata]",
            ),
            ({"callback_id": "c" * 256}, "must be less than 256 characters [json-pointer:/view/callback_id]"),
            ({"blocks": [{"type": "divider"}] * 101}, "no more than 100 items allowed [json-pointer:/view/blocks]"),
            ({"blocks": None}, "must provide an array [json-pointer:/view/blocks]"),
            ({"id": "V1"}, "invalid additional property: id [json-pointer:/view]"),
            ({"type": "home"}, "unsupported type: home [json-pointer:/view/type]"),
            (
                {"blocks": [{"type": "markdown", "text": "x"}]},
                "unsupported type: markdown in a modal [json-pointer:/view/blocks/0/type]",
            ),
        ],
    )
    def test_that_are_wrong_are_refused(self, change: Json, problem: str) -> None:
        assert self.problems({**form(), **change}) == [problem]

    def test_with_inputs_need_a_submit_button(self) -> None:
        view = form()
        del view["submit"]

        assert self.problems(view) == ["missing required field: submit [json-pointer:/view]"]

    def test_focus_one_field_at_most(self) -> None:
        view = form()
        for block in view["blocks"]:
            block["element"]["focus_on_load"] = True

        assert self.problems(view) == ["only one element can have `focus_on_load` [json-pointer:/view/blocks]"]

    def test_may_be_too_large(self) -> None:
        text = {"type": "section", "text": words("x" * 3000)}

        with pytest.raises(SlackRefusal, match="view_too_large"):
            check_view({"type": "home", "blocks": [text] * 90}, "home")

    def test_that_are_no_views_are_refused(self) -> None:
        assert self.problems("nonsense") == ["must provide an object [json-pointer:/view]"]
        assert self.problems(form(), "home") == ["unsupported type: modal [json-pointer:/view/type]"]


def test_slack_fills_in_ids_and_the_defaults_of_text() -> None:
    numbers = count()
    sent = [section(), actions({"type": "button", "text": words("Go")}), field({"type": "plain_text_input"})]
    before = copy.deepcopy(sent)

    filled = complete(sent, lambda: f"b{next(numbers)}")

    assert sent == before
    assert filled[0]["text"]["verbatim"] is False
    assert filled[1]["elements"][0]["text"]["emoji"] is True
    assert len({filled[0]["block_id"], filled[1]["block_id"], filled[2]["block_id"]}) == 3
    assert filled[1]["elements"][0]["action_id"]
    assert filled[2]["element"]["action_id"]


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_KEYS = st.sampled_from(["type", "text", "blocks", "elements", "element", "options", "value", "label", "fields", "x"])
_KINDS = st.sampled_from(["section", "actions", "input", "button", "modal", "plain_text", "static_select", "context"])
_ANYTHING = st.recursive(
    _LEAVES | _KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(_ANYTHING)
def test_validator_takes_or_refuses_anything_and_never_breaks(thing: object) -> None:
    for judge in (check_message_blocks, check_attachments, lambda view: check_view(view, "modal")):
        with suppress(SlackRefusal):
            judge(thing)
