"""Checks the ticket of a request: when it is made, and again before the vote that would approve it.

Invariant: a ticket system is asked outside of every transaction, once in a use case, and for no longer than a click
takes: one that is slow, away or broken is one that couldn't say, and the rule says what then holds. Break-glass asks
nobody.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerInTime
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final

from pydantic import JsonValue

from core.access.principals import SoughtPerson
from core.actor import Actor
from core.errors import InvalidInput, NotAllowed, TicketNotKnown
from core.policy import Policy, RequestDecision
from core.policy.ticket_config import TicketCheckConfig
from core.policy.ticket_rules import JIRA, TICKET, find_ticket
from core.targets.words import one_line
from core.tickets.base import CHECK_SECONDS, TicketAnswer, TicketChecker, TicketFound, TicketUnchecked

MAX_AT_ONCE: Final = 16
"""How many checks of one ticket system may be under way: one that hangs takes no more threads, and stops no other."""
_MAX_PROBLEM: Final = 200
_NO_CHECKS: Final = "this instance of Countersign can't reach ticket systems"
_LATE: Final = "it gave no answer in time"
_BUSY: Final = "too many checks are waiting for an answer"
_ANEW: Final = "; deny the request, or let {requester} cancel it and request access anew"
_ANOTHER: Final = "; name another one"
_NONE: Final = "rule {rule} asks for a ticket now, and this request has none"
_log = logging.getLogger("countersign.tickets")


class TicketChecks:
    """Asks ticket systems, each time on a thread of its own. Safe for threads.

    `open_checker` opens one; `on_checked` is called with what came of each check.
    """

    def __init__(
        self,
        open_checker: Callable[[TicketCheckConfig], TicketChecker] | None,
        wait_seconds: float = CHECK_SECONDS,
        on_checked: Callable[[TicketCheckConfig, TicketFound], None] | None = None,
    ) -> None:
        self._open_checker = open_checker
        self._on_checked = on_checked
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._under_way: Counter[TicketCheckConfig] = Counter()
        self._paused: dict[TicketCheckConfig, float] = {}

    def ask(self, config: TicketCheckConfig, ticket: str, requester: SoughtPerson) -> TicketFound:
        """What the ticket system says, within `wait_seconds`. Never raises."""
        found = self._ask_in_time(config, ticket, requester)
        if self._on_checked is not None:
            self._on_checked(config, found)
        return found

    def _ask_in_time(self, config: TicketCheckConfig, ticket: str, requester: SoughtPerson) -> TicketFound:
        if self._open_checker is None:
            return TicketUnchecked(_NO_CHECKS)
        if (seconds := self._find_pause(config)) > 0:
            return TicketUnchecked(f"it asked not to be asked for {seconds:.0f} seconds")
        if not self._enter(config):
            return TicketUnchecked(_BUSY)
        answer: Future[TicketFound] = Future()
        try:
            threading.Thread(
                target=self._answer, args=(config, ticket, requester, answer), name="ticket-check", daemon=True
            ).start()
        except RuntimeError:
            self._leave(config)
            return TicketUnchecked(_BUSY)
        try:
            return answer.result(timeout=self._wait_seconds)
        except NoAnswerInTime:
            return TicketUnchecked(_LATE)

    def _answer(
        self, config: TicketCheckConfig, ticket: str, requester: SoughtPerson, answer: Future[TicketFound]
    ) -> None:
        try:
            found = self._ask(config, ticket, requester)
        except Exception:  # noqa: BLE001 - who waits gets an answer
            _log.exception("a ticket could not be checked")
            found = TicketUnchecked("the check failed")
        finally:
            self._leave(config)
        if isinstance(found, TicketUnchecked):
            _log.warning("a ticket could not be checked: %s", found.problem)
            self._pause(config, found.retry_after)
        answer.set_result(found)

    def _ask(self, config: TicketCheckConfig, ticket: str, requester: SoughtPerson) -> TicketFound:
        if self._open_checker is None:
            return TicketUnchecked(_NO_CHECKS)
        try:
            checker = self._open_checker(config)
        except InvalidInput as mistake:
            return TicketUnchecked(f"{mistake.field}: {mistake.problem}")
        return checker.check(ticket, requester)

    def _enter(self, config: TicketCheckConfig) -> bool:
        with self._lock:
            has_room = self._under_way[config] < MAX_AT_ONCE
            self._under_way[config] += has_room
            return has_room

    def _leave(self, config: TicketCheckConfig) -> None:
        with self._lock:
            self._under_way[config] -= 1
            # Of those that aren't in the policy any more, nothing is kept.
            self._under_way = +self._under_way

    def _find_pause(self, config: TicketCheckConfig) -> float:
        with self._lock:
            return self._paused.get(config, 0.0) - monotonic()

    def _pause(self, config: TicketCheckConfig, pause: timedelta | None) -> None:
        """A system that is asked again too early says no again, and for longer."""
        now = monotonic()
        with self._lock:
            self._paused = {each: ends_at for each, ends_at in self._paused.items() if ends_at > now}
            if pause is not None:
                self._paused[config] = now + pause.total_seconds()


@dataclass(frozen=True, slots=True)
class CheckedTicket:
    """A ticket that the rule lets go on. `problem` says why it couldn't be checked; `found` is None without a check."""

    ticket: str
    found: TicketFound | None = None

    @property
    def problem(self) -> str | None:
        """Why it couldn't be checked; None if it was, or is checked nowhere."""
        return one_line(self.found.problem, _MAX_PROBLEM) if isinstance(self.found, TicketUnchecked) else None

    def to_details(self) -> dict[str, JsonValue]:
        """What an audit entry keeps of the check."""
        if isinstance(self.found, TicketAnswer):
            return {"ticket_check": self.found.to_details()}
        return {"ticket_check": {"problem": self.problem}} if self.problem is not None else {}


def with_ticket(policy: Policy, decision: RequestDecision, checked: CheckedTicket | None) -> RequestDecision:
    """The decision, in which automatic approval also depends on the ticket: on a known good answer about it."""
    if checked is None:
        return decision
    return decision.join((), policy.tickets.judge_automatic(decision.rule, checked.ticket, checked.found))


class TicketCheck:
    """The ticket of one request, in one use case: what was found is kept. Not safe for threads."""

    def __init__(self, checks: TicketChecks | None = None) -> None:
        self._checks = checks or TicketChecks(None)
        self._found: dict[tuple[TicketCheckConfig, str, SoughtPerson], TicketFound] = {}

    def find(
        self, policy: Policy, rule: str | None, given: str | None, justification: str, *, is_shared: bool = False
    ) -> str | None:
        """The ticket that a request under this rule is for; None when the rule asks for none.

        Raises InvalidInput when it is missing, ambiguous or of another form, and for one that nobody asked for, unless
        it `is_shared` with other profiles.
        """
        config = policy.tickets.config_of(rule)
        if config is not None:
            return find_ticket(config, given, justification)
        if given is not None and given.strip() and not is_shared:
            problem = f"rule {rule} asks for no ticket"
            raise InvalidInput(TICKET, problem, "Leave it out, and name it in the justification instead.")
        return None

    def require(
        self, policy: Policy, action: str, rule: str | None, ticket: str | None, requester: Actor
    ) -> CheckedTicket | None:
        """The ticket, checked; None when the rule asks for none.

        Raises NotAllowed when the rule doesn't let it go on, TicketNotKnown when that isn't known now.
        """
        config = policy.tickets.config_of(rule)
        if config is None or rule is None:
            return None
        if ticket is None:
            raise NotAllowed(action, (_NONE.format(rule=rule) + _ANEW.format(requester=requester.id),), rule, (TICKET,))
        found = self._ask(policy, config.check, ticket, requester) if config.matches(ticket) else None
        decision = policy.tickets.judge(action, rule, ticket, requester.id, found)
        if not decision.is_allowed:
            what_next = _ANEW.format(requester=requester.id) if action == "approve" else _ANOTHER
            reasons = tuple(f"{each}{what_next}" for each in decision.unmet)
            if isinstance(found, TicketUnchecked):
                raise TicketNotKnown(action, decision.unmet, rule)
            raise NotAllowed(action, reasons, rule, (TICKET,))
        return CheckedTicket(ticket, found)

    def _ask(
        self, policy: Policy, config: TicketCheckConfig | None, ticket: str, requester: Actor
    ) -> TicketFound | None:
        if config is None:
            return None
        sought = policy.find_sought(requester, JIRA)
        key = (config, ticket, sought)
        if key not in self._found:
            self._found[key] = self._checks.ask(config, ticket, sought)
        return self._found[key]
