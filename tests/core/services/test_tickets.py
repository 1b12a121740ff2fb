"""Tickets: what a request needs, what is asked about it and when, and what holds while nobody can say."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

import pytest

from core.access.principals import SoughtPerson
from core.audit.trail import AuditAction
from core.errors import InvalidInput, NotAllowed, TicketNotKnown
from core.policy.ticket_config import TicketCheckConfig
from core.request import Request, RequestStatus
from core.services import BreakGlassService, RequestService
from core.services.again import AskAgain
from core.services.ticket_check import MAX_AT_ONCE, TicketChecks
from core.stores import Stores
from core.tickets.base import TicketAnswer, TicketFound, TicketUnchecked, TicketUnknown
from tests.builders import HOUR
from tests.core.services.harness import (
    ANN,
    BOB,
    CLEO,
    EVE,
    RITA,
    ChangingPolicy,
    Disturbance,
    DisturbedStores,
    invoke,
    noted,
    request_id_of,
)
from tests.harness.clock import FrozenClock
from tests.harness.directory import OfficeDirectory

WHY: Final = "Deploy the fix for INC-12"
NO_TICKET: Final = "Deploy the fix at once"
OPEN: Final = TicketAnswer(is_open=True, is_requesters=True, title="Checkout is down", status="In Progress")
AWAY: Final = TicketUnchecked("Jira (jira.example.com) gave no answer (TimeoutError)")
TICKET: Final = """
    ticket:
      pattern: (INC|CHG)-\\d{1,8}
      check: {jira: {site: "https://jira.example.com", email: bot@example.com, token: env:JIRA_TOKEN}}
"""
ASKS: Final = {
    "    remind_after: 3h\n": f"    remind_after: 3h{TICKET}",
    "requesters: [S0ENGINEERS], max_duration: 1h}\n": f"requesters: [S0ENGINEERS], max_duration: 1h}}{TICKET}",
    "profiles:\n  prod:": "people: {U0RITA: {jira: account-of-rita}}\nprofiles:\n  prod:",
}


def _with(line: str) -> dict[str, str]:
    return {each: text.replace("JIRA_TOKEN}}\n", f"JIRA_TOKEN}}}}\n      {line}\n") for each, text in ASKS.items()}


WARNS: Final = _with("if_unreachable: warn")
ANYONES: Final = _with("whose: anyone")


class TicketDesk:
    """A ticket system that says what the test wrote down, and notes what it was asked."""

    name = "the desk"

    def __init__(self) -> None:
        self.says: dict[str, TicketFound] = {"INC-12": OPEN, "INC-13": OPEN}
        self.asked: list[tuple[str, SoughtPerson]] = []

    def open(self, _config: TicketCheckConfig) -> TicketDesk:
        """This one, whatever the policy names."""
        return self

    def check(self, ticket: str, requester: SoughtPerson) -> TicketFound:
        """What was written down."""
        self.asked.append((ticket, requester))
        return self.says.get(ticket, TicketUnknown())


@pytest.fixture
def desk() -> TicketDesk:
    return TicketDesk()


@pytest.fixture
def policy() -> ChangingPolicy:
    changing = ChangingPolicy()
    changing.edit(ASKS)
    return changing


@pytest.fixture
def requests(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory, desk: TicketDesk
) -> RequestService:
    # A minute: how long a click waits is tested where it is the point.
    return RequestService(stores, policy, clock, directory=directory, tickets=TicketChecks(desk.open, 60.0))


def approve(requests: RequestService, request: Request) -> Request:
    requests.approve(request_id_of(request), BOB)
    return requests.approve(request_id_of(request), CLEO)


def test_ticket_is_found_checked_and_kept(requests: RequestService, stores: Stores, desk: TicketDesk) -> None:
    made = requests.submit(RITA, "prod", HOUR, WHY)

    assert (made.ticket, made.ticket_problem, made.justification) == ("INC-12", None, WHY)
    assert desk.asked == [("INC-12", SoughtPerson("U0RITA", "account-of-rita"))]
    (entry,) = stores.audit.get_chain(made.chain)
    assert entry.details["ticket"] == "INC-12"
    assert entry.details["ticket_check"] == {
        "is_open": True,
        "is_requesters": True,
        "title": "Checkout is down",
        "status": "In Progress",
    }
    approved = approve(requests, made)
    assert (approved.status, approved.ticket) == (RequestStatus.APPROVED, "INC-12")
    assert [ticket for ticket, _ in desk.asked] == ["INC-12"] * 2, "asked when made and at the last vote only"
    *_, vote, last = stores.audit.get_chain(made.chain)
    assert "ticket_check" not in vote.details
    assert last.details["ticket_check"] == entry.details["ticket_check"]


@pytest.mark.parametrize("given", ["INC-13", " inc see https://jira.example.com/browse/INC-13 "])
def test_ticket_that_is_given_is_the_one_that_counts(requests: RequestService, given: str) -> None:
    assert requests.submit(RITA, "prod", HOUR, WHY, ticket=given).ticket == "INC-13"


@pytest.mark.parametrize(
    ("given", "why", "problem"),
    [
        (None, NO_TICKET, "this needs a ticket, and none was named"),
        ("  ", NO_TICKET, "this needs a ticket, and none was named"),
        (None, "For INC-12 and CHG-7", "there are several tickets: INC-12, CHG-7"),
        ("INC-12 INC-13", WHY, "there are several tickets: INC-12, INC-13"),
        ("12", WHY, "'12' isn't a ticket like INC-1"),
    ],
)
def test_ticket_has_to_be_clear(
    requests: RequestService, desk: TicketDesk, given: str | None, why: str, problem: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        requests.submit(RITA, "prod", HOUR, why, ticket=given)
    assert (refusal.value.field, refusal.value.problem) == ("ticket", problem)
    assert desk.asked == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (TicketUnknown(), "there is no ticket INC-12 that Countersign can see"),
        (TicketAnswer(is_open=False, is_requesters=True, status="Done"), "INC-12 is closed (Done)"),
        (TicketAnswer(is_open=True, is_requesters=False), "INC-12 is somebody else's ticket"),
        (TicketAnswer(is_open=True, name="CHORE-5"), "INC-12 was moved and is CHORE-5 now"),
    ],
)
def test_ticket_that_is_no_good_refuses_both_times(
    requests: RequestService, stores: Stores, desk: TicketDesk, found: TicketFound, reason: str
) -> None:
    made = requests.submit(RITA, "prod", HOUR, WHY)
    requests.approve(request_id_of(made), BOB)
    desk.says["INC-12"] = found

    with pytest.raises(NotAllowed) as refusal:
        requests.submit(ANN, "prod", HOUR, WHY)
    with pytest.raises(NotAllowed) as vote:
        requests.approve(request_id_of(made), CLEO)
    assert refusal.value.unmet == vote.value.unmet == ("ticket",)
    assert refusal.value.reasons[0].startswith(reason)
    assert vote.value.reasons[0].startswith(reason)
    assert vote.value.reasons[0].endswith("deny the request, or let U0RITA cancel it and request access anew")
    assert [entry.event for entry in noted(stores)] == [AuditAction.SUBMIT_REFUSED, AuditAction.APPROVE_REFUSED]
    desk.says["INC-12"] = OPEN
    assert requests.approve(request_id_of(made), CLEO).status is RequestStatus.APPROVED


def test_unreachable_check_refuses_where_the_rule_says_so(requests: RequestService, desk: TicketDesk) -> None:
    desk.says["INC-12"] = AWAY
    with pytest.raises(TicketNotKnown) as refusal:
        requests.submit(RITA, "prod", HOUR, WHY)
    assert refusal.value.reasons == (f"INC-12 couldn't be checked: {AWAY.problem}",)


def test_unreachable_check_warns_where_the_rule_says_so(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, desk: TicketDesk
) -> None:
    policy.edit(WARNS)
    desk.says["INC-12"] = AWAY
    made = requests.submit(RITA, "prod", HOUR, WHY)
    assert made.ticket_problem == AWAY.problem
    assert stores.audit.get_chain(made.chain)[0].details["ticket_check"] == {"problem": AWAY.problem}
    assert approve(requests, made).ticket_problem == AWAY.problem

    other = requests.submit(ANN, "prod", HOUR, WHY)
    desk.says["INC-12"] = OPEN
    assert approve(requests, other).ticket_problem is None, "the last look was good"


def test_auto_approval_needs_a_known_good_answer(
    requests: RequestService, policy: ChangingPolicy, desk: TicketDesk
) -> None:
    policy.edit(WARNS)
    said: dict[str, RequestStatus] = {}
    unsure = TicketAnswer(is_open=True)
    answers: dict[str, TicketFound] = {"away": AWAY, "unsure": unsure, "good": OPEN}
    for name, found in answers.items():
        desk.says["INC-12"] = found
        made = requests.submit(EVE, "staging", HOUR, WHY)
        said[name] = made.status
        if made.status is RequestStatus.PENDING:
            requests.cancel(request_id_of(made), EVE)
    pending, approved = RequestStatus.PENDING, RequestStatus.APPROVED
    assert said == {"away": pending, "unsure": pending, "good": approved}

    policy.edit(ANYONES)
    desk.says["INC-12"] = unsure
    assert requests.submit(EVE, "staging", HOUR, WHY).status is approved


def test_anyones_ticket_is_enough_where_the_rule_says_so(
    requests: RequestService, policy: ChangingPolicy, desk: TicketDesk
) -> None:
    policy.edit(ANYONES)
    desk.says["INC-12"] = TicketAnswer(is_open=True, is_requesters=False)
    assert requests.submit(RITA, "prod", HOUR, WHY).ticket == "INC-12"


def test_request_without_a_ticket_is_stopped_by_a_new_rule(requests: RequestService, policy: ChangingPolicy) -> None:
    policy.edit({})
    made = requests.submit(RITA, "prod", HOUR, WHY)
    assert made.ticket is None
    requests.approve(request_id_of(made), BOB)
    policy.edit(ASKS)
    with pytest.raises(NotAllowed, match="rule prod asks for a ticket now, and this request has none"):
        requests.approve(request_id_of(made), CLEO)


def test_ticket_that_nobody_asked_for_is_not_lost(requests: RequestService, desk: TicketDesk) -> None:
    with pytest.raises(InvalidInput, match="rule vault asks for no ticket"):
        requests.submit(CLEO, "vault", HOUR, NO_TICKET, ticket="INC-12")
    assert desk.asked == []


def test_bundle_gives_the_ticket_to_those_that_ask(requests: RequestService) -> None:
    done = requests.submit_several(ANN, ["prod", "staging"], HOUR, NO_TICKET, ticket="INC-12")
    assert [each.request.ticket for each in done if each.request is not None] == ["INC-12", "INC-12"]
    mixed = requests.submit_several(CLEO, ["staging", "vault"], HOUR, NO_TICKET, ticket="INC-12")
    assert [each.request.ticket for each in mixed if each.request is not None] == ["INC-12", None]


def test_ticket_on_behalf_of_somebody_is_theirs(requests: RequestService, desk: TicketDesk) -> None:
    made = requests.submit(ANN, "prod", HOUR, WHY, on_behalf_of=RITA)
    assert made.ticket == "INC-12"
    assert [requester.slack_id for _, requester in desk.asked] == [RITA.id]


def test_asking_again_carries_the_ticket(
    requests: RequestService, stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    made = requests.submit(RITA, "prod", HOUR, NO_TICKET, ticket="INC-12")
    requests.cancel(request_id_of(made), RITA)
    again = AskAgain(stores, requests, policy, clock)
    assert again.again(request_id_of(made), RITA, "key").ticket == "INC-12"


def test_same_request_delivered_again_is_not_refused(requests: RequestService, desk: TicketDesk) -> None:
    made = requests.submit(EVE, "staging", HOUR, WHY, idempotency_key="a")
    assert made.status is RequestStatus.APPROVED
    desk.says["INC-12"] = TicketUnknown()
    assert requests.submit(EVE, "staging", HOUR, WHY, idempotency_key="a") == made


def test_break_glass_never_needs_a_ticket(break_glass: BreakGlassService, desk: TicketDesk) -> None:
    assert invoke(break_glass).profile == "prod"
    assert desk.asked == []


def test_ticket_never_changes(requests: RequestService) -> None:
    made = requests.submit(RITA, "prod", HOUR, WHY)
    assert made.facts_to_keep()["ticket"] == "INC-12"
    assert made.facts_digest() != made.replace(ticket="INC-13").facts_digest()


def test_digest_of_a_request_without_a_ticket_is_as_before(requests: RequestService, policy: ChangingPolicy) -> None:
    policy.edit({})
    made = requests.submit(RITA, "prod", HOUR, WHY)
    assert "ticket" not in made.to_item()
    assert made.facts_digest() == made.replace(ticket_problem="away").facts_digest()


JIRA: Final = TicketCheckConfig.model_validate(
    {"jira": {"site": "https://jira.example.com", "email": "bot@example.com", "token": "env:JIRA_TOKEN"}}
)
WHO: Final = SoughtPerson("U0RITA")


class HangingDesk(TicketDesk):
    """A ticket system that answers once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def check(self, ticket: str, requester: SoughtPerson) -> TicketFound:
        """What was written down, later."""
        self.let_go.wait(30)
        return super().check(ticket, requester)


def test_slow_check_is_one_that_could_not_say() -> None:
    desk = HangingDesk()
    checks = TicketChecks(desk.open, 0.01)
    late = [checks.ask(JIRA, "INC-12", WHO) for _ in range(MAX_AT_ONCE)]
    assert late == [TicketUnchecked("it gave no answer in time")] * MAX_AT_ONCE
    assert checks.ask(JIRA, "INC-12", WHO) == TicketUnchecked("too many checks are waiting for an answer")
    desk.let_go.set()


def test_system_that_asks_for_a_pause_gets_it(desk: TicketDesk) -> None:
    checks = TicketChecks(desk.open, 60.0)
    desk.says["INC-12"] = TicketUnchecked("busy", timedelta(seconds=300))
    assert checks.ask(JIRA, "INC-12", WHO) == desk.says["INC-12"]
    found = checks.ask(JIRA, "INC-13", WHO)
    assert isinstance(found, TicketUnchecked)
    assert found.problem.startswith("it asked not to be asked for ")
    assert len(desk.asked) == 1


def test_check_that_fails_is_one_that_could_not_say() -> None:
    def no_secret(_config: TicketCheckConfig) -> TicketDesk:
        raise InvalidInput("secret", "the variable JIRA_TOKEN has no secret in it", "Set it.")

    def breaks(_config: TicketCheckConfig) -> TicketDesk:
        raise RuntimeError("a bug")

    missing = TicketUnchecked("secret: the variable JIRA_TOKEN has no secret in it")
    assert TicketChecks(no_secret, 60.0).ask(JIRA, "INC-12", WHO) == missing
    assert TicketChecks(breaks, 60.0).ask(JIRA, "INC-12", WHO) == TicketUnchecked("the check failed")
    assert isinstance(TicketChecks(None).ask(JIRA, "INC-12", WHO), TicketUnchecked)


def test_ticket_is_asked_about_once_whatever_others_do(
    stores: Stores, policy: ChangingPolicy, clock: FrozenClock, directory: OfficeDirectory, desk: TicketDesk,
    disturbance: Disturbance,
) -> None:  # fmt: skip
    disturbed = DisturbedStores(stores, disturbance)
    tickets = TicketChecks(desk.open, 60.0)
    requests = RequestService(disturbed, policy, clock, directory=directory, tickets=tickets)
    disturbance.conflicts(2)
    assert requests.submit(RITA, "prod", HOUR, WHY).ticket == "INC-12"
    assert len(desk.asked) == 1
