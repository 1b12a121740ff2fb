from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from core.actor import (
    CLOCK,
    Actor,
    DeciderId,
    UserId,
    ValidDeciderId,
    by_policy,
    check_profile_name,
    check_user_group_id,
    check_user_id,
    is_person,
)
from core.errors import InvalidInput


class Decision(BaseModel):
    by: ValidDeciderId


@pytest.mark.parametrize("text", ["U0AB12CD3", "W0AB12CD3", "U01", "U" + "A" * 31])
def test_slack_user_id_is_taken_as_it_is(text: str) -> None:
    assert check_user_id(text) == text
    assert Actor(id=UserId(text)).id == text
    assert is_person(text)


NOT_USER_IDS = [
    "",
    "U",
    "U0",
    "U" + "A" * 32,
    "u0ab12cd3",
    "U0ab12cd3",
    "B0AB12CD3",
    "S0ENGINEERS",
    "U0AB12CD3 ",
    "U0AB12CD3\n",
    "<@U0AB12CD3>",
    "U0AB-12CD3",
    "U\uff10AB12CD3",
    "ann@example.com",
    "policy:prod",
    "clock",
]


@pytest.mark.parametrize("text", [*NOT_USER_IDS, None, 7, b"U0AB12CD3"])
def test_invalid_user_id_is_refused_with_field_and_example(text: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_user_id(text, "approver")
    assert refusal.value.field == "approver"
    assert refusal.value.fix == "It looks like U0AB12CD3."


@pytest.mark.parametrize("text", NOT_USER_IDS)
def test_nobody_else_is_an_actor_or_a_person(text: str) -> None:
    with pytest.raises(InvalidInput):
        Actor(id=UserId(text))
    assert not is_person(text)


def test_actor_is_frozen_and_has_no_other_fields() -> None:
    actor = Actor(id=UserId("U0AB12CD3"))
    with pytest.raises(ValidationError, match="frozen"):
        actor.id = UserId("U0OTHER")  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Actor.model_validate({"id": "U0AB12CD3", "is_admin": True})


@pytest.mark.parametrize("text", ["prod", "p", "prod-db", "aws/prod", "team@prod", "a.b_c+d", "0", "x" * 80])
def test_profile_s_name_is_taken(text: str) -> None:
    assert check_profile_name(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "-prod", ".prod", "/prod", "pro d", "prod\n", "próд", "prod*", "x" * 81, "<prod>", "prod\u200b", None, 1],
)
def test_what_is_no_profile_s_name_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_profile_name(text)
    assert refusal.value.field == "profile"


def test_user_group_id_begins_with_s() -> None:
    assert check_user_group_id("S0ENGINEERS") == "S0ENGINEERS"
    for text in ("U0AB12CD3", "s0engineers", "S0", None):
        with pytest.raises(InvalidInput, match="S0ENGINEERS"):
            check_user_group_id(text)


@pytest.mark.parametrize("decider", ["U0AB12CD3", CLOCK, by_policy("prod"), "policy:on call, at night"])
def test_people_the_clock_and_rules_decide(decider: str) -> None:
    assert Decision(by=DeciderId(decider)).by == decider


@pytest.mark.parametrize("decider", ["", "bob", "Clock", "policy", "policy:", "rule:prod"])
def test_nobody_else_decides(decider: str) -> None:
    with pytest.raises(InvalidInput, match="is not a user, a policy rule or the clock"):
        Decision(by=DeciderId(decider))


def test_rule_and_the_clock_are_no_people() -> None:
    assert not is_person(by_policy("U0AB12CD3"))
    assert not is_person(CLOCK)


@pytest.mark.parametrize("check", [check_user_id, check_user_group_id, check_profile_name])
@given(text=st.text(min_size=100, max_size=5000))
def test_long_text_is_not_repeated_whole_in_the_refusal(check: Callable[[object], object], text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check(text)
    assert len(str(refusal.value)) < 250
    assert str(refusal.value).isprintable()
