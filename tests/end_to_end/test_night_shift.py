"""A night shift in the playground, on each store: paged, escalated, decided by who is on call, and handed over.

Invariant: only Slack, AWS, the schedules and the pager are replaced, and the sealed trail has the last word.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.views.request.card import APPROVE
from core.audit.trail import AuditAction
from core.request import RequestStatus
from playground.folder import Folder
from playground.people import ACCESS, AIKO, INCIDENTS, JON, MIRA, SAM
from playground.playground import open_playground
from tests.end_to_end.harness import text_of
from tests.harness.aws import REGION, dynamodb_client
from tests.harness.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localslack.records import SlackMessage
    from playground.playground import Playground

ASK = "checkout 1h INC-14: payments hang"
GLASS = "checkout incident 1h INC-15: payments hang again"
TO_ESCALATION = timedelta(minutes=10)
TO_HAND_OVER = timedelta(hours=8)


@pytest.fixture(params=["sqlite", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def playground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Playground]:
    url: str | None = None
    with ExitStack() as opened:
        if request.param == "dynamodb_local":
            request.getfixturevalue("aws_environment")
            endpoint, prefix = request.getfixturevalue("dynamodb_local_url"), request.getfixturevalue("table_prefix")
            with dynamodb_client(endpoint) as client:
                make_tables(client, prefix)
            url = f"dynamodb://{REGION}/{prefix}?endpoint_url={endpoint}"
        folder = opened.enter_context(Folder(tmp_path / "playground"))
        yield opened.enter_context(open_playground(folder, store=url, port=0))


def test_night_shift_plays_from_a_request_to_the_next_shift(playground: Playground) -> None:
    slack = playground.slack
    assert not slack.run_command(MIRA, ACCESS, "/access", ASK).failure
    page = slack.wait_until(lambda: _pages(playground))[0]
    assert (page["paged"], page["state"]) == ((SAM,), "triggered")
    playground.panels.carry_out("pager", {"do": "acknowledge", "key": page["key"]})
    slack.wait_until(lambda: "Acknowledged by Sam Osei" in text_of(_card(playground)))

    # Nobody else decides before the request escalates, and from then on who is on call there does.
    assert "not among the approvers" in _press(playground, AIKO)
    playground.move_clock(TO_ESCALATION)
    slack.wait_until(lambda: any(f"<@{AIKO}>" in text_of(each) for each in slack.messages(ACCESS) if each.thread_ts))
    # The clock jumped, and still the card names who is on call now.
    slack.wait_until(lambda: f"Escalated to <@{AIKO}>" in text_of(_card(playground)))
    assert "not among the approvers" in _press(playground, JON)
    assert "Approved" in _press(playground, AIKO)
    slack.wait_until(lambda: [each["state"] for each in _pages(playground)] == ["resolved"])
    (request,) = playground.stores.requests.iterate()
    assert (request.status, request.approver) == (RequestStatus.APPROVED, AIKO)

    slack.wait_until(lambda: "Open until" in text_of(_card(playground)))

    # Sam's right ends with the shift, and the next person's begins.
    playground.move_clock(TO_HAND_OVER)
    refused = slack.run_command(SAM, INCIDENTS, "/breakglass", GLASS)
    assert refused.message is not None
    assert f"`/access {GLASS.replace('incident ', '')}`" in text_of(refused.message)
    assert [*playground.stores.break_glass.iterate()] == []
    assert not slack.run_command(AIKO, INCIDENTS, "/breakglass", GLASS).failure
    (event,) = slack.wait_until(lambda: [*playground.stores.break_glass.iterate()])
    assert event.invoker == AIKO

    _check_trail(playground)


@pytest.mark.parametrize("playground", ["sqlite"], indirect=True)
def test_unreachable_schedules_stop_only_what_rests_on_them(playground: Playground) -> None:
    slack = playground.slack
    assert not slack.run_command(MIRA, ACCESS, "/access", ASK).failure
    slack.wait_until(lambda: _pages(playground))
    # The tab waits for no schedule, so it is opened until one was looked up.
    slack.wait_until(
        lambda: slack.open_home(SAM) is not None and "You're on call in `primary` until" in str(slack.home(SAM))
    )
    playground.panels.carry_out("on_call", {"do": "away", "is_away": True})
    playground.move_clock(timedelta(minutes=3))
    # An approver's last answer holds for five minutes, a right to break the glass for one.
    assert "Approved" in _press(playground, SAM)
    refused = slack.run_command(SAM, INCIDENTS, "/breakglass", GLASS)
    assert refused.message is not None
    assert "on call in primary" in text_of(refused.message)
    assert [*playground.stores.break_glass.iterate()] == []
    assert not slack.run_command(SAM, INCIDENTS, "/breakglass", GLASS.replace("checkout", "prod", 1)).failure
    (event,) = slack.wait_until(lambda: [*playground.stores.break_glass.iterate()])
    assert (event.invoker, event.profile) == (SAM, "prod")


def _check_trail(playground: Playground) -> None:
    """What was decided by whom, as who, and that nothing was changed afterwards."""
    playground.stores.refusals.flush()
    entries = [each for each in playground.stores.audit.export() if each.profile == "checkout"]
    found = [(each.event, each.actor) for each in entries]
    assert [each for each in found if each[0] in _TOLD] == [
        (AuditAction.REQUEST_SUBMITTED, MIRA),
        (AuditAction.APPROVE_REFUSED, AIKO),
        (AuditAction.REQUEST_ESCALATED, "clock"),
        (AuditAction.APPROVE_REFUSED, JON),
        (AuditAction.REQUEST_APPROVED, AIKO),
        (AuditAction.INVOKE_REFUSED, SAM),
        (AuditAction.BREAK_GLASS_INVOKED, AIKO),
    ]
    details: dict[str, Any] = {each.event: each.details for each in entries}
    (decided,), (declared,) = (details[each]["on_call"] for each in ("request_approved", "break_glass_invoked"))
    assert (decided["source"], decided["schedule"], decided["name"]) == ("demo", "Secondary", "on-call:secondary")
    assert (declared["source"], declared["schedule"], declared["name"]) == ("demo", "Primary", "on-call:primary")
    # One shift ends as the next one begins.
    assert decided["shift_ends_at"] == declared["shift_starts_at"]
    report = playground.panels.carry_out("tamper", {"do": "verify"})
    assert report["findings"] == []


_TOLD = frozenset(
    {
        AuditAction.REQUEST_SUBMITTED, AuditAction.REQUEST_ESCALATED, AuditAction.REQUEST_APPROVED,
        AuditAction.APPROVE_REFUSED, AuditAction.INVOKE_REFUSED, AuditAction.BREAK_GLASS_INVOKED,
    }
)  # fmt: skip


def _pages(playground: Playground) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = playground.panels.show()["pager"]["pages"]
    return found


def _card(playground: Playground) -> SlackMessage:
    return next(each for each in playground.slack.messages(ACCESS) if each.all_blocks and not each.thread_ts)


def _press(playground: Playground, user: str) -> str:
    """Press Approve; what this person reads about it."""
    slack = playground.slack
    before = len(slack.ephemerals(user))
    slack.press(user, _card(playground), APPROVE)
    slack.wait_until(lambda: len(slack.ephemerals(user)) > before)
    return text_of(slack.ephemerals(user)[-1])
