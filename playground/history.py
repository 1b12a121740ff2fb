"""The week before the playground's first start: requests, votes, denials, a break-glass event and its review.

Invariant: nothing is made up but the words. Each decision goes through the bot's own services at its own time, on a
clock that is moved from one to the next, so every seal, deadline and message is what the bot itself made.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from bot.wiring.paging import build_paging
from bot.wiring.ports import Background, Ports
from bot.wiring.services import Services, build_services, build_sinks, build_sweeper
from core.actor import Actor, UserGroupId, UserId
from core.break_glass import EventId, ReasonCode
from core.directory import FixedDirectory
from core.request import Request, RequestId
from core.review import Verdict
from localslack.records import SlackMessage
from localslack.workspace import Workspace
from playground.clock import ClockAhead
from playground.people import AIKO, GENERAL, GROUPS, INCIDENTS, JON, MIRA, SAM

LENGTH: Final = timedelta(days=7)
_SETTLE: Final = timedelta(seconds=5)
"""Longer than the pretend AWS takes for a change."""
_DATABASE, _STAGING = "prod-db", "staging"
_CHANGES_OF_STAGING: Final = 2
"""Visits until access is open, or closed: to ask for the change, and to see it done."""


def live_a_week(ports: Ports, workspace: Workspace, clock: ClockAhead) -> None:
    """Live through a week that ends now. The clock must be a week behind; afterwards it's right.

    Slack isn't asked about people: what it says can't be kept for hours that pass in a moment.
    """
    groups = {UserGroupId(group.id): map(UserId, group.users) for group in GROUPS}
    services = build_services(ports, directory=FixedDirectory(groups))
    paging = build_paging(ports, find_name=lambda person: workspace.person(person).real_name or None)
    with closing(services.targets):
        _Week(services, build_sweeper(services, build_sinks(ports, paging)), workspace, clock).live()


@dataclass(frozen=True, slots=True)
class _Week:
    services: Services
    background: Background
    workspace: Workspace
    clock: ClockAhead

    def live(self) -> None:
        """Everything in its order, until now."""
        today = (self.clock.now() - self.clock.ahead).date()
        for days_ago, hour, minute, happen in (
            (6, 9, 20, self._build_an_index), (6, 13, 10, self._fill_it), (5, 10, 5, self._ask_without_a_ticket),
            (4, 16, 30, self._test_a_queue), (4, 19, 0, self._wait_in_vain), (3, 2, 12, self._break_the_glass),
            (2, 15, 15, self._think_again), (1, 9, 40, self._add_an_index), (1, 14, 5, self._say_good_night),
        ):  # fmt: skip
            self._move_to(datetime.combine(today - timedelta(days=days_ago), time(hour, minute, tzinfo=UTC)))
            happen()
        self.clock.advance(max(timedelta(), -self.clock.ahead))

    def _build_an_index(self) -> None:
        self._ask(MIRA, _STAGING, 45, "Try the new index on real rows")
        self._settle()
        self._pass(minutes=46)
        self._settle()

    def _fill_it(self) -> None:
        request = self._ask(MIRA, _DATABASE, 120, "INC-8: fill the new index")
        self._approve(request, JON, 4, "Fine. Stay below 1,000 rows a second, please.")
        self._approve(request, SAM, 8)

    def _ask_without_a_ticket(self) -> None:
        request = self._ask(JON, _DATABASE, 60, "Look at one customer's rows")
        self._pass(minutes=7)
        self.services.requests.deny(_id(request), _actor(AIKO), "Which ticket? Ask again with its number, please.")
        self._deliver()
        self._pass(minutes=8)
        again = self._ask(JON, _DATABASE, 60, "TICKET-4711: look at one customer's rows")
        self._approve(again, AIKO, 3, "Thanks!")
        self._approve(again, SAM, 5)

    def _test_a_queue(self) -> None:
        request = self._ask(AIKO, _STAGING, 240, "Load test of the queue before the release")
        self._approve(request, SAM, 11, "Nobody else needs staging this evening.")
        self._settle()
        self._pass(minutes=99)
        self.services.grants.end(request.chain, _actor(AIKO))
        self._settle()

    def _wait_in_vain(self) -> None:
        self._ask(MIRA, _DATABASE, 60, "Read the log of slow queries")
        # Nobody looks, and the time to decide is over.
        self._pass(minutes=241)
        self._deliver()

    def _break_the_glass(self) -> None:
        event = self.services.break_glass.invoke(
            _actor(SAM), _DATABASE, ReasonCode.INCIDENT, "INC-9: the database doesn't answer, and nobody is awake",
            timedelta(hours=1),
        )  # fmt: skip
        self._deliver()
        self._say(INCIDENTS, SAM, "I'm in. The primary is out of connections; I'm moving reads to the replica.")
        self._pass(minutes=35)
        self.services.break_glass.close(EventId(event.id), _actor(SAM), "The replica took over; INC-9 has the details")
        self._deliver()
        self._pass(minutes=7 * 60)
        self.services.break_glass.review(
            EventId(event.id), _actor(JON), Verdict.JUSTIFIED, "The runbook was followed. INC-9 has the timeline."
        )
        self._deliver()

    def _think_again(self) -> None:
        request = self._ask(JON, _STAGING, 120, "Rehearse the release")
        self._pass(minutes=5)
        self.services.requests.cancel(_id(request), _actor(JON))
        self._deliver()

    def _add_an_index(self) -> None:
        request = self._ask(MIRA, _DATABASE, 120, "INC-11: add the missing index")
        self._approve(request, JON, 2)
        self._approve(request, AIKO, 6, "I'm watching the replicas meanwhile.")

    def _say_good_night(self) -> None:
        self._say(GENERAL, MIRA, "INC-11 is done. INC-12 is fixed on staging; I deploy it tomorrow morning.")
        self._say(INCIDENTS, SAM, "A quiet day. I'm on call again tomorrow.")

    def _ask(self, requester: str, profile: str, minutes: int, why: str) -> Request:
        request = self.services.requests.submit(_actor(requester), profile, timedelta(minutes=minutes), why)
        self._deliver()
        return request

    def _approve(self, request: Request, approver: str, minutes: int, comment: str | None = None) -> None:
        self._pass(minutes=minutes)
        self.services.requests.approve(_id(request), _actor(approver), comment)
        self._deliver()

    def _say(self, channel: str, person: str, text: str) -> None:
        ts = self.workspace.new_ts()
        self.workspace.post_message(SlackMessage(ts=ts, channel=channel, user=person, text=text))

    def _settle(self) -> None:
        for _ in range(_CHANGES_OF_STAGING):
            self._deliver()
            self.clock.advance(_SETTLE)
        self._deliver()

    def _deliver(self) -> None:
        self.background.sweep()

    def _pass(self, *, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    def _move_to(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())


def _actor(person: str) -> Actor:
    return Actor(id=UserId(person))


def _id(request: Request) -> RequestId:
    return RequestId(request.id)
