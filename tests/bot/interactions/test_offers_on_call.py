"""What the forms offer to people on call: the profiles of their shift, and nothing while a schedule can't be asked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from bot.interactions.abilities import find_abilities
from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.request_queries import RequestQueries
from bot.views.break_glass.form import Origin
from bot.views.break_glass.replies import NOTHING_TO_DECLARE
from bot.views.replies import NOTHING_TO_REQUEST
from core.actor import Actor, UserId
from core.errors import NotKnown
from core.on_call import FixedRoster
from core.policy import parse_policy
from tests.builders import HOUR
from tests.end_to_end.harness import walk_text
from tests.harness.clock import A_MOMENT
from tests.harness.directory import OfficeDirectory
from tests.harness.rota import WrittenRota

if TYPE_CHECKING:
    from bot.views.block_kit import Block
    from core.stores import Stores
    from tests.harness.clock import FrozenClock

SAM, BEN = (Actor(id=UserId(each)) for each in ("U0SAM1", "U0BEN1"))
TEXT: Final = """\
version: 1
on_call: {primary: {pagerduty: {schedule: PABC123, key: env:PD}}}
profiles: {prod: {description: Production, channel: C0PROD}}
approval:
  - name: prod
    profiles: [prod]
    requesters: ["on-call:primary"]
    approvers: ["on-call:primary", U0BEN1]
    max_duration: 1h
break_glass:
  - {name: prod, profiles: [prod], users: ["on-call:primary"], max_duration: 2h}
"""
POLICY: Final = parse_policy(TEXT.encode())


@pytest.fixture
def rota(clock: FrozenClock) -> WrittenRota:
    written = WrittenRota(clock)
    written.put("primary", SAM.id, HOUR)
    return written


@pytest.fixture
def requests(stores: Stores, clock: FrozenClock, rota: WrittenRota) -> RequestQueries:
    directory = OfficeDirectory(roster=rota)
    return RequestQueries(stores.requests, POLICY, clock, directory, stores.access, stores.sessions)


@pytest.fixture
def events(stores: Stores, clock: FrozenClock, rota: WrittenRota) -> BreakGlassQueries:
    return BreakGlassQueries(stores.break_glass, POLICY, clock, OfficeDirectory(roster=rota), stores.access)


def said(view: Block) -> str:
    return " ".join(walk_text([view]))


def test_person_on_call_is_offered_the_profile(requests: RequestQueries, events: BreakGlassQueries) -> None:
    assert "Approvers for `prod`: <@U0BEN1>, on call in `primary`" in said(requests.form(SAM))
    assert requests.may_request(SAM)
    assert requests.may_declare(SAM, "prod")
    assert events.longest(SAM, "prod") == 2 * HOUR
    assert "prod" in said(events.form(SAM, Origin()))


def test_form_that_knows_the_duty_asks_nobody(requests: RequestQueries, rota: WrittenRota) -> None:
    known = SAM.with_duties(rota.duties(SAM.id, POLICY.schedules()))
    rota.questions.clear()
    assert "prod" in said(requests.form(known))
    assert rota.questions == []


def test_others_are_offered_nothing(
    requests: RequestQueries, events: BreakGlassQueries, rota: WrittenRota, clock: FrozenClock
) -> None:
    assert NOTHING_TO_REQUEST in said(requests.form(BEN))
    assert NOTHING_TO_DECLARE in said(events.form(BEN, Origin()))
    # The grace after a hand-over is for approvers.
    clock.advance(HOUR + timedelta(minutes=1))
    assert NOTHING_TO_REQUEST in said(requests.form(SAM))
    abilities = find_abilities(POLICY, OfficeDirectory(roster=rota), SAM)
    assert (abilities.may_request, abilities.may_declare, abilities.may_decide) == (False, False, True)


def test_person_of_a_later_step_is_one_who_decides() -> None:
    step = "    escalate_after: 10m\n    escalate_to: [U0EVE1]\n"
    policy = parse_policy(TEXT.replace("break_glass:", f"{step}break_glass:").encode())
    for who, may_decide in (("U0EVE1", True), ("U0BEN1", True), ("U0LEA1", False)):
        found = find_abilities(policy, OfficeDirectory(roster=FixedRoster({}, A_MOMENT)), Actor(id=UserId(who)))
        assert found.may_decide is may_decide


def test_form_says_that_the_schedule_cannot_be_asked(
    requests: RequestQueries, events: BreakGlassQueries, rota: WrittenRota, clock: FrozenClock
) -> None:
    rota.fall_silent("primary")
    clock.advance(timedelta(minutes=2))
    with pytest.raises(NotKnown, match="PagerDuty couldn't say who is on call in primary"):
        requests.form(SAM)
    with pytest.raises(NotKnown, match="PagerDuty couldn't say who is on call in primary"):
        events.form(SAM, Origin())
