"""The forms of a decision: drawn from the record, within Slack's limits, and read back strictly."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from bot.views.replies import notice, reply
from bot.views.request.decision_forms import (
    COMMENT,
    DURATION,
    ApprovalDraft,
    approve_form,
    deny_form,
    fields_of,
    read_approve_form,
    read_deny_form,
)
from core import mfa
from core.actor import UserId
from core.errors import InvalidInput
from core.policy.decision import ApprovalNeeds
from core.request import COMMENT_LENGTH, MAX_APPROVALS, RequestId
from localslack.block_kit import check_view
from tests.bot.views.test_request_card import LONG_COMMENT, LONGEST, SPITEFUL, pending, without_plain
from tests.builders import APPROVER, REQUESTER, a_request
from tests.harness.clock import A_MOMENT

ID = RequestId("0" * 16)
EVERYTHING = ApprovalNeeds(confirm=True, code=True, comment=True)


def sent(metadata: str, **typed: str) -> dict[str, Any]:
    """What Slack sends for a form that was filled in."""
    values = {name: {"answer": {"value": text}} for name, text in typed.items()}
    return {"private_metadata": metadata, "state": {"values": values}}


def inputs(view: dict[str, Any]) -> dict[str, bool]:
    """The fields of a form, and which of them may stay empty."""
    return {each["block_id"]: each.get("optional", False) for each in view["blocks"] if each["type"] == "input"}


@pytest.mark.parametrize("needs", [ApprovalNeeds(), EVERYTHING])
def test_slack_takes_the_forms_at_the_longest_inputs(needs: ApprovalNeeds) -> None:
    request = pending(MAX_APPROVALS)
    for number in range(MAX_APPROVALS - 1):
        request = request.approve(UserId(f"U{number}" + "0" * 30), A_MOMENT, LONG_COMMENT)
    form = approve_form(request, needs, begun="n" * COMMENT_LENGTH[1])

    check_view(form, "modal")
    check_view(deny_form(request), "modal")
    check_view(notice(reply("n" * 5000)), "modal")


def test_forms_of_a_decision_say_who_what_how_long_and_why() -> None:
    request = a_request(required_approvals=3, duration=timedelta(minutes=90))
    voted = request.approve(APPROVER, A_MOMENT, "Fine for tonight")
    for form in (approve_form(voted, ApprovalNeeds(confirm=True)), deny_form(voted)):
        said = json.dumps(form["blocks"])
        for fact in (f"<@{REQUESTER}>", request.profile, "1h30m", f"Why: {request.justification}"):
            assert fact in said
        assert f"1 of 3 approvals: <@{APPROVER}>" in said
        assert "Needs 2 more approvals" in said
        assert "Fine for tonight" in said
        # What only developers need is in the timeline.
        assert request.id not in said


def test_approval_form_formats_nothing_that_was_typed() -> None:
    request = pending(2).approve(APPROVER, A_MOMENT, LONG_COMMENT)
    formatted = json.dumps(without_plain(approve_form(request, EVERYTHING)))

    assert "<!channel>" not in formatted
    assert "evil.example" not in formatted
    assert LONGEST in json.dumps(approve_form(request, EVERYTHING))


@pytest.mark.parametrize(
    ("needs", "fields"),
    [
        (ApprovalNeeds(), {DURATION: False, COMMENT: True}),
        (ApprovalNeeds(confirm=True), {DURATION: False, COMMENT: True}),
        (ApprovalNeeds(comment=True), {DURATION: False, COMMENT: False}),
        (EVERYTHING, {DURATION: False, COMMENT: False, mfa.FIELD: False}),
    ],
)
def test_approval_form_asks_for_what_the_rule_wants(needs: ApprovalNeeds, fields: dict[str, bool]) -> None:
    assert inputs(approve_form(pending(), needs)) == fields


def test_approval_form_is_read_back_with_what_it_showed() -> None:
    request = pending()
    written = approve_form(request, EVERYTHING)["private_metadata"]
    view = sent(written, comment="Go ahead", code=" 123 456 ")

    assert read_approve_form(view) == ApprovalDraft(
        RequestId(request.id), request.facts_digest(), "Go ahead", "123 456"
    )
    assert fields_of(view) == (mfa.FIELD, COMMENT)
    assert fields_of(sent(written, comment="")) == (COMMENT,)


def test_approval_form_offers_less_time_and_never_more() -> None:
    request = a_request(duration=timedelta(minutes=90))
    (field,) = (each for each in approve_form(request, EVERYTHING)["blocks"] if each.get("block_id") == DURATION)
    offered = [each["value"] for each in field["element"]["options"]]
    view = sent(f"{ID}:{'0' * 64}", comment="")

    assert offered == ["all", "1h", "30m", "15m"]
    for value, expected in {"all": None, "30m": timedelta(minutes=30)}.items():
        view["state"]["values"][DURATION] = {"answer": {"selected_option": {"value": value}}}
        assert read_approve_form(view).duration == expected
    assert fields_of(view) == (COMMENT, DURATION)
    view["state"]["values"][DURATION] = {"answer": {"selected_option": {"value": "for ever"}}}
    with pytest.raises(InvalidInput, match="duration"):
        read_approve_form(view)


def test_approval_form_of_an_older_version_showed_nothing() -> None:
    assert read_approve_form(sent(ID, comment="")) == ApprovalDraft(ID, None, "", None)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "../etc",
        f"{ID}:",
        f"{ID}:shown",
        f"{ID}:{'0' * 63}",
        f"{ID}:{'0' * 64}:",
        f"{ID}:{'0' * 64}\n",
        ":" + "0" * 64,
    ],
)
def test_approval_form_that_names_nothing_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        read_approve_form(sent(written, comment=""))


def test_denial_form_is_read_back() -> None:
    written = deny_form(a_request(request_id=ID))["private_metadata"]

    assert read_deny_form(sent(written, reason="not today")) == (ID, "not today")


def test_denial_form_without_an_id_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read_deny_form(sent("../etc", reason="not today"))


def test_typed_text_of_another_request_gives_another_digest() -> None:
    forms = {
        approve_form(a_request(justification=f"{SPITEFUL}{each}"), EVERYTHING)["private_metadata"] for each in "ab"
    }

    assert len({each.partition(":")[2] for each in forms}) == 2
