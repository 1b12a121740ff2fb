"""Asking for access: by the form and in one line; a mistake keeps what was typed and says how to say it right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.request import RequestStatus
from tests.end_to_end.stage import ACCESS, GUEST, JON, MIRA, ROBOT, SAM, STRANGER, WHY, Harness, text_of, walk_text

if TYPE_CHECKING:
    from localslack.records import View


def filled_in(profile: str = "prod", duration: str = "1h", justification: str = WHY) -> dict[str, dict[str, object]]:
    return {
        "profile": {"answer": profile},
        "duration": {"answer": duration},
        "justification": {"answer": justification},
    }


def open_form(stage: Harness, user: str = MIRA) -> View:
    assert not stage.access(user, "").failure
    return stage.modal(user)


def test_command_in_one_line_requests_and_says_what_happens_next(stage: Harness) -> None:
    answer = stage.access(MIRA, f"prod 2h {WHY}")

    (request,) = stage.stores.requests.iterate()
    assert (request.requester, request.profile, request.status) == (MIRA, "prod", RequestStatus.PENDING)
    assert answer.message is not None
    assert "You requested `prod` for 2h. It needs one approval by" in text_of(answer.message)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("prod 2 deploy the fix", "2 has no unit. Nothing was changed. Send this instead:"),
        ("prod 2h", "The justification is missing"),
        ("prdo 2h deploy the fix", "There is no profile"),
        ("prod 9h deploy the fix", "9h is longer than the 4h that are allowed"),
        ("help", "opens the form"),
    ],
)
def test_mistake_in_one_line_says_how_to_fix_it(stage: Harness, typed: str, told: str) -> None:
    answer = stage.access(MIRA, typed)

    assert answer.message is not None
    assert told in text_of(answer.message)
    assert list(stage.stores.requests.iterate()) == []


def test_form_offers_allowed_profiles_and_says_who_decides(stage: Harness) -> None:
    mine, sams = open_form(stage), open_form(stage, SAM)

    def offered(view: View) -> list[str]:
        return [option["value"] for option in view.blocks[0]["element"]["options"]]

    assert offered(mine) == ["prod", "vault", "staging"]
    assert offered(sams) == ["vault", "staging"]
    assert f"<@{JON}>" in " ".join(walk_text(mine.blocks))


@pytest.mark.parametrize("way", ["shortcut", "home"])
def test_the_form_opens_from_anywhere(stage: Harness, way: str) -> None:
    if way == "shortcut":
        stage.slack.shortcut(MIRA, "request_access")
    else:
        stage.slack.press(MIRA, stage.home(MIRA), "home:ask")

    assert stage.modal(MIRA).callback_id == "request:form"


def test_form_requests_and_is_replaced_by_the_outcome(stage: Harness) -> None:
    answer = stage.slack.submit(MIRA, open_form(stage), filled_in())

    (request,) = stage.stores.requests.iterate()
    assert request.justification == WHY
    assert answer.view is not None
    assert "You requested `prod` for 1h." in " ".join(walk_text(answer.view.blocks))


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        (filled_in(justification=" \u2800 " * 4), "justification", "It is empty"),
        (filled_in(profile="vault", duration="4h"), "duration", "4h is longer than the 1h"),
    ],
)
def test_mistake_in_a_form_is_shown_in_its_field_and_input_stays(
    stage: Harness, typed: dict[str, dict[str, object]], field: str, told: str
) -> None:
    form = open_form(stage)
    answer = stage.slack.submit(MIRA, form, typed)

    assert told in answer.errors[field]
    assert answer.view is not None
    assert answer.view.id == form.id
    assert list(stage.stores.requests.iterate()) == []


def test_form_that_is_delivered_again_requests_once(stage: Harness) -> None:
    answer = stage.slack.submit(MIRA, open_form(stage), filled_in())
    stage.slack.redeliver(answer)

    assert len(list(stage.stores.requests.iterate())) == 1


def test_command_that_is_delivered_again_requests_once(stage: Harness) -> None:
    stage.slack.redeliver(stage.access(MIRA, f"prod 2h {WHY}"))

    assert len(list(stage.stores.requests.iterate())) == 1


def test_request_approved_by_policy_is_approved_at_once(stage: Harness) -> None:
    answer = stage.access(SAM, f"staging 1h {WHY}")

    assert answer.message is not None
    assert "approved immediately by the policy (rule `staging`)".lower() in text_of(answer.message).lower()


@pytest.mark.parametrize("user", [GUEST, ROBOT, STRANGER])
@pytest.mark.parametrize("typed", [f"staging 1h {WHY}", "mine", "pending"])
def test_person_who_is_no_full_member_is_refused_with_the_reason(stage: Harness, user: str, typed: str) -> None:
    answer = stage.access(user, typed)

    assert answer.message is not None
    assert "You can't do this:" in text_of(answer.message)
    assert list(stage.stores.requests.iterate()) == []


def test_person_without_any_profile_gets_a_message_and_no_form(stage: Harness) -> None:
    stage.slack.shortcut(GUEST, "request_access")

    told = stage.slack.wait_until(lambda: stage.slack.dm(GUEST))
    assert "guest" in text_of(told[-1])


def test_justification_mentions_no_channel_and_forges_no_link(stage: Harness) -> None:
    spite = "<!channel> <https://evil.example|prod> *bold* _it_ `code` ~no~ :wave: @here &amp;"
    stage.access(MIRA, f"prod 2h {spite}")
    answer = stage.access(MIRA, "mine")

    assert answer.message is not None
    for block in answer.message.blocks:
        for element in [block.get("text", {}), *block.get("elements", [])]:
            if element.get("type") == "mrkdwn":
                assert "evil" not in element["text"]
                assert "channel>" not in element["text"]
    assert "evil.example" in text_of(answer.message)


def test_list_of_own_requests_is_paginated(stage: Harness) -> None:
    for _ in range(10):
        stage.ask()
    stage.access(MIRA, "mine")
    (first,) = stage.slack.ephemerals(MIRA, ACCESS)[-1:]
    stage.slack.press(MIRA, first, "list:older")

    def is_turned() -> bool:
        return "list:newer" in str(stage.slack.ephemerals(MIRA, ACCESS)[-1].blocks)

    assert stage.slack.wait_until(is_turned)
    assert str(stage.slack.ephemerals(MIRA, ACCESS)[-1].blocks).count("request:cancel") == 2
