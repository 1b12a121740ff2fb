"""Requesting access, by form and in one line: a mistake keeps what was typed and says how to fix it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.request import RequestStatus
from tests.end_to_end.harness import ACCESS, GUEST, JON, MIRA, ROBOT, SAM, STRANGER, WHY, Harness, text_of, walk_text

if TYPE_CHECKING:
    from localslack.records import View


def filled_in(profile: str = "prod", duration: str = "1h", justification: str = WHY) -> dict[str, dict[str, object]]:
    return {
        "profile": {"request:profile": profile},
        "duration": {"answer": duration},
        "justification": {"answer": justification},
    }


def open_form(harness: Harness, user: str = MIRA) -> View:
    assert not harness.access(user, "").failure
    return harness.modal(user)


def test_command_in_one_line_requests_and_says_what_happens_next(harness: Harness) -> None:
    answer = harness.access(MIRA, f"prod 2h {WHY}")

    (request,) = harness.stores.requests.iterate()
    assert (request.requester, request.profile, request.status) == (MIRA, "prod", RequestStatus.PENDING)
    assert answer.message is not None
    assert "You requested `prod` for 2h. It needs one approval by" in text_of(answer.message)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("pendng", "Nothing was changed.\nSend this instead:\n`/access pending`"),
        ("prod 9h deploy the fix", "9h is longer than the 4h that are allowed"),
        ("prod 9h deploy the fix", "Send this instead:\n`/access prod 4h deploy the fix`"),
        ("help", "opens the form"),
    ],
)
def test_mistake_in_one_line_says_how_to_fix_it(harness: Harness, typed: str, told: str) -> None:
    answer = harness.access(MIRA, typed)

    assert answer.message is not None
    assert told in text_of(answer.message)
    assert list(harness.stores.requests.iterate()) == []


def test_form_offers_allowed_profiles_and_says_who_decides(harness: Harness) -> None:
    mine, sams = open_form(harness), open_form(harness, SAM)

    def offered(view: View) -> list[str]:
        return [option["value"] for option in view.blocks[0]["element"]["options"]]

    assert offered(mine) == ["prod", "vault", "staging"]
    assert offered(sams) == ["vault", "staging"]
    assert f"<@{JON}>" in " ".join(walk_text(mine.blocks))


@pytest.mark.parametrize("way", ["shortcut", "home"])
def test_form_opens_from_anywhere(harness: Harness, way: str) -> None:
    if way == "shortcut":
        harness.slack.shortcut(MIRA, "request_access")
    else:
        harness.slack.press(MIRA, harness.home(MIRA), "home:ask")

    assert harness.modal(MIRA).callback_id == "request:form"


def test_form_requests_and_closes_with_the_outcome_beside(harness: Harness) -> None:
    answer = harness.slack.submit(MIRA, open_form(harness), filled_in())

    (request,) = harness.stores.requests.iterate()
    assert request.justification == WHY
    assert answer.view is None
    assert harness.reads(MIRA, "You requested `prod` for 1h.")


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        (filled_in(justification=" \u2800 " * 4), "justification", "It is empty"),
        (filled_in(profile="vault", duration="4h"), "duration", "4h is longer than the 1h"),
    ],
)
def test_mistake_in_a_form_is_shown_in_its_field_and_input_stays(
    harness: Harness, typed: dict[str, dict[str, object]], field: str, told: str
) -> None:
    form = open_form(harness)
    answer = harness.slack.submit(MIRA, form, typed)

    assert told in answer.errors[field]
    assert answer.view is not None
    assert answer.view.id == form.id
    assert list(harness.stores.requests.iterate()) == []


def test_form_that_is_delivered_again_requests_once(harness: Harness) -> None:
    answer = harness.slack.submit(MIRA, open_form(harness), filled_in())
    harness.slack.redeliver(answer)

    assert len(list(harness.stores.requests.iterate())) == 1


def test_command_that_is_delivered_again_requests_once(harness: Harness) -> None:
    harness.slack.redeliver(harness.access(MIRA, f"prod 2h {WHY}"))

    assert len(list(harness.stores.requests.iterate())) == 1


def test_request_approved_by_policy_is_approved_at_once(harness: Harness) -> None:
    answer = harness.access(SAM, f"staging 1h {WHY}")

    assert answer.message is not None
    assert "approved immediately by the policy (rule `staging`)".lower() in text_of(answer.message).lower()


@pytest.mark.parametrize("user", [GUEST, ROBOT, STRANGER])
@pytest.mark.parametrize("typed", [f"staging 1h {WHY}", "mine", "pending"])
def test_person_who_is_no_full_member_is_refused_with_the_reason(harness: Harness, user: str, typed: str) -> None:
    answer = harness.access(user, typed)

    assert answer.message is not None
    assert "You can't do this:" in text_of(answer.message)
    assert list(harness.stores.requests.iterate()) == []


def test_person_without_any_profile_gets_a_message_and_no_form(harness: Harness) -> None:
    harness.slack.shortcut(GUEST, "request_access")

    told = harness.slack.wait_until(lambda: harness.slack.dm(GUEST))
    assert "guest" in text_of(told[-1])


def test_justification_mentions_no_channel_and_forges_no_link(harness: Harness) -> None:
    spite = "<!channel> <https://evil.example|prod> *bold* _it_ `code` ~no~ :wave: @here &amp;"
    harness.access(MIRA, f"prod 2h {spite}")
    answer = harness.access(MIRA, "mine")

    assert answer.message is not None
    for block in answer.message.blocks:
        for element in [block.get("text", {}), *block.get("elements", [])]:
            if element.get("type") == "mrkdwn":
                assert "evil" not in element["text"]
                assert "channel>" not in element["text"]
    assert "evil.example" in text_of(answer.message)


def test_list_of_own_requests_is_paginated(harness: Harness) -> None:
    for _ in range(10):
        harness.ask()
    harness.access(MIRA, "mine")
    (first,) = harness.slack.ephemerals(MIRA, ACCESS)[-1:]
    harness.slack.press(MIRA, first, "list:older")

    def is_turned() -> bool:
        return "list:newer" in str(harness.slack.ephemerals(MIRA, ACCESS)[-1].blocks)

    assert harness.slack.wait_until(is_turned)
    assert str(harness.slack.ephemerals(MIRA, ACCESS)[-1].blocks).count("request:cancel") == 2
