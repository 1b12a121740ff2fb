"""kill -9 under clicks: whatever was acknowledged as recorded is in the store, whenever the process dies.

Invariant: an acknowledgement counts as "recorded" here only when no other reading of it is possible: a text that says
so, or an empty one that came before the two seconds after which it might have meant "not recorded yet".
"""

from __future__ import annotations

import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from slack_sdk import WebClient

from bot.interactions.decision_queue import TIMEOUT_SECONDS
from bot.views.request.card import APPROVE, DENY, request_card
from bot.views.request.decision_forms import DENY_CALLBACK
from core.actor import Actor, ProfileName, UserId
from core.audit.trail import AuditAction, EntryDraft
from core.break_glass import EventId, EventStatus
from core.clock import SystemClock, new_id
from core.directory import FixedDirectory
from core.policy import parse_policy
from core.request import Request, RequestId, RequestStatus
from core.services import BreakGlassService, RequestService
from core.stores.record_store import MAX_PER_PAGE
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, POLICY
from tests.harness.served_bot import Serving, environment, free_port, new_slack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from localslack.answer import Answer
    from localslack.server import LocalSlack

CLICKERS: Final = 4
ROUNDS: Final = 4
MOST_BEFORE_THE_KILL: Final = 30


@dataclass
class Recorded:
    """What the answers to people called recorded. Safe for threads."""

    reasons: set[str] = field(default_factory=set)
    emergencies: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    decisions: dict[str, RequestStatus] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, reason: str) -> int:
        with self._lock:
            self.reasons.add(reason)
            return self._count()

    def broke(self, reason: str) -> None:
        with self._lock:
            self.emergencies.add(reason)

    def closed_again(self, reason: str) -> None:
        with self._lock:
            self.closed.add(reason)

    def decided(self, request_id: str, status: RequestStatus) -> int:
        with self._lock:
            self.decisions[request_id] = status
            return self._count()

    def _count(self) -> int:
        return len(self.reasons) + len(self.emergencies) + len(self.closed) + len(self.decisions)

    @property
    def count(self) -> int:
        with self._lock:
            return self._count()


@dataclass(frozen=True)
class Samples:
    """One real press and one real form, whose ids are replaced for the others."""

    press: dict[str, Any]
    form: dict[str, Any]

    def press_of(self, request: Request) -> dict[str, Any]:
        """Jon presses Approve on this request's card."""
        return {**self.press, "actions": [{**self.press["actions"][0], "value": request.id}], "trigger_id": new_id()}

    def form_of(self, request: Request) -> dict[str, Any]:
        """Aiko sends the form in which she denies this request."""
        view = {**self.form["view"], "private_metadata": request.id, "id": f"V{new_id().upper()}"}
        return {**self.form, "view": view}


def pending(stores: Stores, how_many: int) -> list[Request]:
    """Requests that wait for a decision. They are made past the service, which allows one person only a few."""
    return [stores.requests.create(request, _submitted(request)) for request in (_by_mira() for _ in range(how_many))]


def _by_mira() -> Request:
    return Request.submit(
        requester=UserId(MIRA),
        profile=ProfileName("prod"),
        justification=f"to be decided, {new_id()}",
        rule="prod",
        now=SystemClock().now(),
    )


def _submitted(request: Request) -> EntryDraft:
    return EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, request.requester)


def cancel_what_was_asked(stores: Stores) -> None:
    """Make room for what the next round asks."""
    service = RequestService(stores, parse_policy(POLICY), SystemClock())
    for request in stores.requests.list_by_requester(UserId(MIRA), limit=MAX_PER_PAGE).items:
        if request.status is RequestStatus.PENDING:
            service.cancel(RequestId(request.id), Actor(id=UserId(MIRA)))


def take_samples(slack: LocalSlack, request: Request) -> Samples:
    """What the real client sends for a card and its form."""
    card = request_card(request, SystemClock().now())
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    client.chat_postMessage(channel=ACCESS, text=card.text, blocks=list(card.blocks))
    shown = slack.messages(ACCESS)[-1]
    # First the form: it opens only while the request waits for a decision.
    slack.press(AIKO, shown, DENY)
    form = slack.wait_until(lambda: slack.modal(AIKO))
    assert form is not None
    press = slack.press(JON, shown, APPROVE).payload
    assert form.callback_id == DENY_CALLBACK
    return Samples(press, slack.submit(AIKO, form, {"reason": {"answer": "not during the freeze"}}).payload)


def is_recorded(answer: Answer) -> bool:
    return answer.failure is None and answer.seconds < TIMEOUT_SECONDS


def click_until_dead(slack: LocalSlack, samples: Samples, todo: Iterator[Request], recorded: Recorded) -> None:
    """Ask, approve and deny, again and again, until nobody answers any more."""
    for number, request in enumerate(todo):
        if number % 3 == 0:
            reason = f"asked under fire, {new_id()}"
            answer = slack.run_command(MIRA, ACCESS, "/access", f"prod 1h {reason}")
            if is_recorded(answer) and "You requested" in answer.text:
                recorded.asked(reason)
        elif number % 3 == 1:
            answer = slack.send_forged("interactive", samples.press_of(request))
            if is_recorded(answer):
                recorded.decided(request.id, RequestStatus.APPROVED)
        else:
            answer = slack.send_forged("interactive", samples.form_of(request))
            # A form closes when what it decides is recorded; otherwise it says that it isn't yet.
            if is_recorded(answer) and '"clear"' in answer.body:
                recorded.decided(request.id, RequestStatus.DENIED)
        if answer.failure is not None:
            return


def break_until_dead(slack: LocalSlack, recorded: Recorded) -> None:
    """Break the glass and close it, again and again, until nobody answers any more."""
    while True:
        reason = f"it burns again, {new_id()}"
        answer = slack.run_command(JON, ACCESS, "/breakglass", f"vault incident 1h {reason}")
        if is_recorded(answer) and "You have `vault`" in answer.body:
            recorded.broke(reason)
            (event_id,) = re.findall("declared:([0-9a-f]{16})", answer.body)
            answer = slack.run_command(JON, ACCESS, "/breakglass", f"close {event_id} it is over")
            if is_recorded(answer) and "Closed." in answer.body:
                recorded.closed_again(reason)
        if answer.failure is not None:
            return


def close_all(stores: Stores) -> None:
    """End what the last kill left live: Jon may have one event at a time."""
    service = BreakGlassService(stores, parse_policy(POLICY), SystemClock(), directory=FixedDirectory())
    for event in list(stores.break_glass.iterate()):
        if event.status is EventStatus.ACTIVE:
            service.close(EventId(event.id), Actor(id=UserId(JON)), "the process was killed")


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with new_slack() as slack:
        yield slack


@pytest.mark.race
@pytest.mark.parametrize("transport", ["http", "socket_mode"])
def test_acknowledged_change_is_stored_after_a_kill_at_any_time(
    slack: LocalSlack, tmp_path: Path, transport: str
) -> None:
    port = free_port()
    told = environment(slack, tmp_path)
    if transport == "http":
        told["COUNTERSIGN_LISTEN"] = f"127.0.0.1:{port}"
        slack.use_http(f"http://127.0.0.1:{port}/slack/events")
    recorded, samples = Recorded(), None
    moments = random.Random(7)  # noqa: S311 - the moments of the kills, not a secret
    for _ in range(ROUNDS):
        with Serving(told, tmp_path) as serving:
            serving.wait_until_up(slack)
            with closing(serving.open_stores()) as stores:
                cancel_what_was_asked(stores)
                todo = pending(stores, 400)
                close_all(stores)
            samples = samples or take_samples(slack, todo.pop())
            kill_at = recorded.count + moments.randint(1, MOST_BEFORE_THE_KILL)
            with ThreadPoolExecutor(CLICKERS + 1) as people:
                shares = [iter(todo[number::CLICKERS]) for number in range(CLICKERS)]
                clicking = [people.submit(click_until_dead, slack, samples, share, recorded) for share in shares]
                clicking.append(people.submit(break_until_dead, slack, recorded))
                slack.wait_until(lambda: recorded.count >= kill_at, 60)  # noqa: B023 - called in this round only
                serving.kill()
                for each in clicking:
                    each.result()

        with closing(serving.open_stores()) as stores:
            assert_all_is_there(stores, recorded)
    assert recorded.reasons
    assert recorded.decisions
    assert recorded.emergencies
    assert recorded.closed


def assert_all_is_there(stores: Stores, recorded: Recorded) -> None:
    """What an answer called recorded is recorded, as the answer said."""
    reasons = {request.justification for request in stores.requests.iterate()}
    assert recorded.reasons <= reasons
    for request_id, status in recorded.decisions.items():
        assert stores.requests.get(RequestId(request_id)).status is status
    events = {event.justification: event.status for event in stores.break_glass.iterate()}
    assert recorded.emergencies <= events.keys()
    assert {events[reason] for reason in recorded.closed} <= {EventStatus.CLOSED}
