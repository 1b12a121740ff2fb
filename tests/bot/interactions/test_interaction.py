"""Who did what: read strictly about the person, and leniently about the place of the click."""

from __future__ import annotations

from typing import Any

import pytest

from bot.interactions.interaction import read_interaction, read_pressed_source
from core.errors import InvalidInput
from core.stores.messages import MessageRef

LONG = "C" * 101


def a_click(**more: object) -> dict[str, Any]:
    container = {"type": "message", "channel_id": "C0ACCESS", "message_ts": "1.000002"}
    return {"user": {"id": "U0JON", "team_id": "T0"}, "container": container, **more}


def test_click_names_its_person_and_message() -> None:
    interaction = read_interaction(a_click(), {})

    assert interaction.user_id == "U0JON"
    assert interaction.message == MessageRef(channel="C0ACCESS", ts="1.000002")


@pytest.mark.parametrize("place", [{"channel_id": LONG}, {"message_ts": LONG}, {"channel_id": 7}, {"message_ts": ""}])
def test_place_that_slack_never_had_counts_as_missing(place: dict[str, object]) -> None:
    click = a_click()
    click["container"] |= place

    interaction = read_interaction(click, {})

    assert (interaction.user_id, interaction.message) == ("U0JON", None)


def test_payload_that_names_two_people_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two people"):
        read_interaction(a_click(user_id="U0MIRA"), {})


def test_payload_that_names_one_person_twice_is_read() -> None:
    assert read_interaction(a_click(user_id="U0JON"), {}).user_id == "U0JON"


@pytest.mark.parametrize("body", [{}, {"user_id": ""}, {"user": {"id": 7}}, {"user": None, "user_id": None}])
def test_payload_that_names_nobody_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="didn't say who"):
        read_interaction(body, {})


@pytest.mark.parametrize("source", ["REQUEST#0123456789abcdef", "BREAKGLASS#0123456789abcdef"])
def test_button_about_access_names_its_decision(source: str) -> None:
    assert read_pressed_source({"value": source}) == source


@pytest.mark.parametrize(
    "value", [None, "", 7, "prod", "GRANT#0123456789abcdef", "REQUEST#0123", "REQUEST#0123456789abcdef\n"]
)
def test_button_about_no_access_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="doesn't name any access"):
        read_pressed_source({"value": value})


@pytest.mark.parametrize("metadata", ["{}", "{}:" + 64 * "a", "7:{}"])
def test_form_names_the_record_it_is_about(metadata: str) -> None:
    view = {"callback_id": "request:some_form", "private_metadata": metadata.format("0123456789abcdef")}
    assert read_interaction({"user": {"id": "U0ANN"}, "view": view}, {}).record == "REQUEST#0123456789abcdef"
