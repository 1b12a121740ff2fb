"""The form to break the glass: what it offers, what it begins with, and how it is read back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.views.break_glass.form import (
    FIELDS,
    BegunBreakGlass,
    BreakGlassDraft,
    BreakGlassOffer,
    Origin,
    break_glass_form,
    read_break_glass_form,
)
from bot.views.break_glass.form import fields_of as fields_of_sent
from core.actor import ChannelId, ProfileName
from core.break_glass import JUSTIFICATION_LENGTH, MAX_DURATION, ReasonCode
from core.errors import InvalidInput
from core.request import RequestId
from localslack.block_kit import check_view
from tests.builders import HOUR, a_request

WHY = "the checkout is down, see INC-12"
NOWHERE = Origin()


def an_offer(
    profile: str = "prod", *reasons: ReasonCode, longest: timedelta = MAX_DURATION, needs_code: bool = False
) -> BreakGlassOffer:
    codes = reasons or tuple(ReasonCode)
    return BreakGlassOffer(ProfileName(profile), "d" * 200, codes, longest, needs_code)


def fields_of(view: dict[str, Any]) -> dict[str, Any]:
    return {block["block_id"]: block for block in view["blocks"] if block["type"] == "input"}


def values_of(field: dict[str, Any]) -> list[str]:
    return [option["value"] for option in field["element"]["options"]]


@pytest.mark.parametrize("count", [1, 2, 100, 300])
@pytest.mark.parametrize("needs_code", [True, False])
def test_slack_takes_the_form_at_the_longest_inputs(count: int, *, needs_code: bool) -> None:
    offers = [an_offer(f"{'p' * 76}-{number:03d}", needs_code=needs_code) for number in range(count)]
    begun = BegunBreakGlass(offers[-1].profile, ReasonCode.OTHER, timedelta(minutes=37), "x" * JUSTIFICATION_LENGTH[1])
    form = break_glass_form(offers, Origin(ChannelId("C" * 32), RequestId("0" * 16)), begun=begun, replaced=a_request())
    check_view(form, "modal")
    assert set(fields_of(form)) <= set(FIELDS)


def test_form_follows_the_profile_that_is_chosen() -> None:
    db = replace(an_offer("db", longest=timedelta(minutes=20), needs_code=True), reason_codes=(ReasonCode.INCIDENT,))
    begun = BegunBreakGlass("db", ReasonCode.SECURITY, is_redrawn=True)
    form = fields_of(break_glass_form([an_offer(), db], NOWHERE, begun=begun))

    assert [option["value"] for option in form["duration"]["element"]["options"]] == ["15m", "20m"]
    assert [option["value"] for option in form["reason"]["element"]["options"]] == ["incident"]
    assert "optional" not in form["code"]
    assert "code" not in fields_of(break_glass_form([an_offer(), db], NOWHERE, begun=BegunBreakGlass("prod")))


def test_form_with_a_forbidden_profile_says_so_first() -> None:
    begun = BegunBreakGlass("vault", justification="it is down", unread=("0h",))
    form = break_glass_form([an_offer(), an_offer("db")], NOWHERE, begun=begun)

    check_view(form, "modal")
    assert "You can't break the glass for `vault`" in str(form["blocks"][1])
    assert "left out: `0h`" in str(form["blocks"][2])


def test_form_offers_what_some_profile_allows() -> None:
    offers = [
        an_offer("prod", ReasonCode.INCIDENT, longest=HOUR),
        an_offer("db", ReasonCode.RECOVERY, longest=2 * HOUR),
    ]
    fields = fields_of(break_glass_form(offers, NOWHERE))
    assert values_of(fields["profile"]) == ["prod", "db"]
    assert values_of(fields["reason"]) == ["incident", "recovery"]
    assert values_of(fields["duration"]) == ["15m", "30m", "1h", "2h"]


def test_code_is_asked_for_where_it_is_needed() -> None:
    assert "code" not in fields_of(break_glass_form([an_offer()], NOWHERE))
    some = fields_of(break_glass_form([an_offer(), an_offer("db", needs_code=True)], NOWHERE))["code"]
    assert some["optional"] is True
    assert "optional" not in fields_of(break_glass_form([an_offer(needs_code=True)], NOWHERE))["code"]


def test_form_is_filled_with_what_was_typed_already() -> None:
    offers = [an_offer(f"p{number}") for number in range(150)]
    begun = BegunBreakGlass("p149", ReasonCode.SECURITY, timedelta(minutes=45), WHY)
    fields = fields_of(break_glass_form(offers, NOWHERE, begun=begun))
    assert fields["profile"]["element"]["initial_option"]["value"] == "p149"
    assert fields["reason"]["element"]["initial_option"]["value"] == "security"
    assert fields["duration"]["element"]["initial_option"]["value"] == "45m"
    assert fields["justification"]["element"]["initial_value"] == WHY


def test_length_that_nobody_may_have_gives_way_to_the_longest() -> None:
    begun = BegunBreakGlass("prod", ReasonCode.INCIDENT, 4 * HOUR, WHY)
    fields = fields_of(break_glass_form([an_offer(longest=timedelta(minutes=10))], NOWHERE, begun=begun))
    assert values_of(fields["duration"]) == ["10m"]


def test_pending_request_prefills_the_form() -> None:
    request = a_request()
    form = break_glass_form([an_offer()], NOWHERE, replaced=request)
    assert fields_of(form)["justification"]["element"]["initial_value"] == request.justification
    assert request.id in str(form["blocks"])


def sent(view: dict[str, Any], **answers: str | None) -> dict[str, Any]:
    chosen = {
        name: {"answer": {"selected_option": {"value": value} if value else None}}
        for name, value in answers.items()
        if name in {"profile", "reason", "duration"}
    }
    typed = {name: {"answer": {"value": value}} for name, value in answers.items() if name not in chosen}
    return {**view, "state": {"values": chosen | typed}}


def test_filled_form_is_read_back_with_where_it_began() -> None:
    origin = Origin(ChannelId("C0OPS"), RequestId("0123456789abcdef"))
    view = sent(
        break_glass_form([an_offer(needs_code=True)], origin),
        profile="prod", reason="incident", duration="1h", justification=WHY, code=" 123 456 ",
    )  # fmt: skip
    assert read_break_glass_form(view) == (BreakGlassDraft("prod", ReasonCode.INCIDENT, HOUR, WHY), "123 456", origin)


def test_error_is_shown_only_in_a_field_that_the_form_has() -> None:
    without = sent(break_glass_form([an_offer()], NOWHERE), justification=WHY)
    assert fields_of_sent(without) == FIELDS[:-1]
    assert fields_of_sent(sent(break_glass_form([an_offer(needs_code=True)], NOWHERE), code="")) == FIELDS


@pytest.mark.parametrize("missing", ["profile", "reason", "duration"])
def test_missing_value_is_reported_in_its_field(missing: str) -> None:
    answers: dict[str, str | None] = {"profile": "prod", "reason": "incident", "duration": "1h", "justification": WHY}
    with pytest.raises(InvalidInput) as mistake:
        read_break_glass_form(sent(break_glass_form([an_offer()], NOWHERE), **answers | {missing: None}))
    assert mistake.value.field == missing


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)


@given(metadata=st.text(max_size=60) | json_values, values=json_values)
@example(metadata="[" * 3_000, values={})
def test_reader_raises_only_invalid_input_on_any_view(metadata: object, values: object) -> None:
    with suppress(InvalidInput):
        read_break_glass_form({"private_metadata": metadata, "state": {"values": values}})
    view = sent({"private_metadata": metadata}, profile="prod", reason="incident", duration="1h", justification=WHY)
    with suppress(InvalidInput):
        read_break_glass_form(view)
