"""`countersign doctor` on schedules: each source, and everybody on them who isn't found in Slack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.slack.app_surface import EMAIL_SCOPE
from localslack.records import Person
from tests.bot.doctor.conftest import POLICY, Installation
from tests.harness.pagerduty_schedules import KEY, SCHEDULE, FakePagerDuty
from tests.harness.schedule_server import RosterPerson

if TYPE_CHECKING:
    from collections.abc import Iterator

DEACTIVATED = "their Slack account is deactivated, or is no full member of this workspace"
HOUR = timedelta(hours=1)
SAM = RosterPerson("PSAM", "Sam Example", "sam@example.com")
KIM = RosterPerson("PKIM", "Kim Example", "kim@example.com")
GONE = RosterPerson("PGONE", "Gone Example", "gone@example.com")


@pytest.fixture
def pagerduty(installation: Installation) -> Iterator[FakePagerDuty]:
    """A schedule that the policy uses, and Sam in Slack."""
    with FakePagerDuty() as fake:
        installation.set("PD_KEY", KEY)
        installation.write_policy(
            f"{POLICY}\n"
            f"on_call: {{primary: {{pagerduty: {{schedule: {SCHEDULE}, key: env:PD_KEY, url: '{fake.url}'}}}}}}\n"
            "people: {U0GONE: {pagerduty: PGONE}}\n"
        )
        app = installation.slack.backend.app
        installation.grant(*app.scopes, EMAIL_SCOPE)
        installation.slack.workspace.add(
            Person(id="U0SAM", name="sam", email="sam@example.com"),
            Person(id="U0GONE", name="gone", email="gone@example.com", deleted=True),
        )
        now = datetime.now(UTC)
        fake.add(SAM, now - HOUR, now + HOUR)
        yield fake


def findings(installation: Installation) -> dict[str, str]:
    """What doctor says about schedules and scopes, with the level."""
    found = json.loads(installation.run("doctor", "--json").stdout)["findings"]
    return {each["what"]: each["level"] for each in found if each["what"].startswith(("on-call:", "scopes: the"))}


def test_everybody_who_isnt_found_is_named_with_the_reason(
    installation: Installation, pagerduty: FakePagerDuty
) -> None:
    later = datetime.now(UTC) + timedelta(days=3)
    pagerduty.add(KIM, later, later + HOUR)
    pagerduty.add(GONE, later + HOUR, later + 2 * HOUR)

    found = findings(installation)
    assert [each for each in found if found[each] == "fine"] == [
        "on-call:primary: pagerduty, Primary; 3 people on call in the next two weeks"
    ]
    wrong = [what for what, level in found.items() if level == "wrong"]

    prefix, isnt = "on-call:primary: ", "UTC and isn't found in Slack: "
    kim, gone = (f"{each:%Y-%m-%d %H:%M} {isnt}" for each in (later, later + HOUR))
    assert [each.removeprefix(prefix) for each in wrong] == [
        f"Kim Example (kim@example.com) is on call from {kim}no active account in Slack has their e-mail address",
        f"Gone Example (gone@example.com) is on call from {gone}{DEACTIVATED}",
    ]


def test_missing_scope_for_schedules_is_named(installation: Installation, pagerduty: FakePagerDuty) -> None:
    assert pagerduty.url
    installation.grant(*installation.slack.backend.app.scopes - {EMAIL_SCOPE})

    said = findings(installation)

    assert said["scopes: the bot token is missing users:read.email"] == "wrong"
    assert any("Slack couldn't say whose e-mail address it is" in what for what in said)


@pytest.mark.parametrize("has_key", [True, False])
def test_source_that_refuses_is_named_with_the_fix(
    installation: Installation, pagerduty: FakePagerDuty, *, has_key: bool
) -> None:
    if has_key:
        pagerduty.schedules.clear()
    else:
        installation.set("PD_KEY", None)

    ((what, level),) = findings(installation).items()

    assert (what.startswith("on-call:primary: can't be looked up"), level) == (True, "wrong")
