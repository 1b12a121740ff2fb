"""A scenario, its rounds, and the end of the story that holds for every scenario.

Invariant: after the last round every chain verifies, and the refusals in the audit trail are exactly those that
somebody received.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final, Self

from core.actor import CLOCK, ProfileName, UserId
from core.audit.findings import Tally
from core.audit.keyring import AuditKeyring
from core.audit.trail import REFUSED, AuditAction
from core.audit.verification import verify_trail
from core.break_glass import BreakGlassEvent
from core.errors import MalformedRecord
from core.record import Record
from core.request import Request
from core.stores import Stores, open_stores
from core.usage import UsageLedger
from tests.core.races.attempts import BEGIN, Act, Attempt, AttemptResult
from tests.core.races.people import Contestants
from tests.harness.clock import FrozenClock

BETWEEN_ROUNDS: Final = timedelta(days=32)
"""Longer than a ledger remembers, so that every round begins afresh for the same people."""
_DAY: Final = timedelta(days=1)
_NOTED_AS: Final = {
    Act.SUBMIT: AuditAction.SUBMIT_REFUSED,
    Act.APPROVE: AuditAction.APPROVE_REFUSED,
    Act.DENY: AuditAction.DENY_REFUSED,
    Act.CANCEL: AuditAction.CANCEL_REFUSED,
    Act.INVOKE: AuditAction.INVOKE_REFUSED,
    Act.INVOKE_ONCE_CLOSED: AuditAction.INVOKE_REFUSED,
    Act.CLOSE: AuditAction.CLOSE_REFUSED,
    Act.DECLARE_INSTEAD: AuditAction.INVOKE_REFUSED,
    Act.TRY_CODE: AuditAction.INVOKE_REFUSED,
}
Line = tuple[AuditAction, str, str]


@dataclass(frozen=True, slots=True)
class Round:
    """The result of each attempt, and the ledgers of the scenario's pair as they were right after it."""

    results: tuple[AttemptResult, ...]
    ledgers: tuple[UsageLedger, ...] = ()

    @property
    def yes(self) -> list[AttemptResult]:
        """Those who got what they wanted."""
        return [each for each in self.results if each.is_yes]

    def of(self, *acts: Act) -> list[AttemptResult]:
        """Those who pressed one of these."""
        return [each for each in self.results if each.attempt.act in acts]


@dataclass(frozen=True, slots=True)
class Trail:
    """All that is stored after the last round: by chain, each record and what the audit trail tells of it.

    Reading all of it once is much cheaper than reading each record and each chain in its turn.
    """

    records: dict[str, Record]
    stories: dict[str, list[Line]]

    @classmethod
    def read(cls, stores: Stores) -> Self:
        """Read all of it."""
        everything = itertools.chain[Record](stores.requests.iterate(), stores.break_glass.iterate())
        stories: dict[str, list[Line]] = {}
        for chain, entries in stores.audit.iterate_chains():
            assert not isinstance(entries, MalformedRecord)
            stories[chain] = [(entry.event, str(entry.actor), entry.outcome) for entry in entries]
        return cls({record.chain: record for record in everything}, stories)

    def request(self, result: AttemptResult) -> Request:
        """The request that was acted on."""
        request = self.records[f"{Request.KIND}#{result.attempt.on}"]
        assert isinstance(request, Request)
        return request

    def event(self, result: AttemptResult) -> BreakGlassEvent:
        """The event that was acted on."""
        event = self.records[f"{BreakGlassEvent.KIND}#{result.attempt.on}"]
        assert isinstance(event, BreakGlassEvent)
        return event

    def story(self, record: Record) -> list[Line]:
        """What happened to a record, through whom, and what it became by that."""
        return self.stories[record.chain]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is raced for: `set_up` prepares a round and says who presses what; `check` looks at how it ended."""

    name: str
    set_up: Callable[[Stores, datetime], list[Attempt]]
    check: Callable[[Round, Trail], None]
    ledgers_of: tuple[UserId, str] | None = None
    share: int = 1
    """One in how many of the rounds is enough: what the issue names gets them all."""


def run_rounds(
    url: str, contestants_on: Callable[[str], AbstractContextManager[Contestants]], scenario: Scenario, rounds: int
) -> None:
    """Run so many rounds, then check each of them, and the whole trail."""
    with closing(open_stores(url, clock=FrozenClock(BEGIN))) as stores:
        with contestants_on(url) as contestants:
            done = list(_run(stores, contestants, scenario, rounds))
        # The contestants have finished, and with them the refusals that were waiting to be written.
        trail = Trail.read(stores)
        for number, each in enumerate(done):
            _check_round(scenario, number, each, trail)
        _check_refusals(stores, _refusals_received(done))
        tally = Tally()
        end = BEGIN + rounds * BETWEEN_ROUNDS
        assert list(verify_trail(stores, AuditKeyring(), end, tally)) == []
        assert tally.records == len(trail.records) >= rounds


def was_refused(result: AttemptResult, record: Record) -> bool:
    """True when this attempt was refused, saying how the record ended, through whom and when."""
    by, at = record.ended_by
    if str(record.state) == "expired":
        at = record.expires_at
    facts = (result.status, result.decided_by, result.decided_at)
    is_named = by is None or by in result.said
    return result.error == "InvalidStateTransition" and facts == (record.state, by, at) and is_named


def expired_line(event: AuditAction) -> Line:
    """The line of the trail that says that time has passed."""
    return event, CLOCK, "expired"


def _run(stores: Stores, contestants: Contestants, scenario: Scenario, rounds: int) -> Iterator[Round]:
    order = Random(scenario.name)  # noqa: S311 - so that each run deals the same cards
    for number in range(rounds):
        attempts = scenario.set_up(stores, BEGIN + number * BETWEEN_ROUNDS)
        order.shuffle(attempts)
        results = tuple(contestants.attempt(attempts))
        assert len(results) == len(attempts)
        pair = scenario.ledgers_of
        yield Round(results, stores.break_glass.get_ledgers(pair[0], ProfileName(pair[1])) if pair else ())


def _check_round(scenario: Scenario, number: int, done: Round, trail: Trail) -> None:
    try:
        scenario.check(done, trail)
    except Exception as failure:
        failure.add_note(f"round {number} of {scenario.name!r}; what each was answered:")
        for each in done.results:
            got = ", ".join(f"{record.chain} {record.state}" for record in each.records)
            failure.add_note(f"  {each.attempt.who} {each.attempt.act}: {each.error or 'yes'} {each.said}{got}")
        raise


def _refusals_received(rounds: Sequence[Round]) -> Counter[tuple[AuditAction, str]]:
    return Counter(
        (_NOTED_AS[each.attempt.act], each.attempt.who)
        for done in rounds
        for each in done.results
        if each.error in {"CodeRefused", "InvalidStateTransition", "LimitReached", "NotAllowed"}
        and each.attempt.act in _NOTED_AS
    )


def _check_refusals(stores: Stores, received: Counter[tuple[AuditAction, str]]) -> None:
    """Every refusal that was received is noted.

    If refusals came faster than the log can write, they are at least counted in it.
    """
    noted: Counter[tuple[AuditAction, str]] = Counter()
    counted = 0
    # The stores' own clock, which stamps refusals, stands still.
    for entry in stores.audit.export(since=BEGIN, until=BEGIN + _DAY):
        if entry.outcome == REFUSED:
            noted[entry.event, entry.actor] += _number(entry.details.get("times", 1))
            counted += _number(entry.details.get("further_refusals_not_itemised", 0))
    assert noted <= received
    assert noted.total() + counted == received.total()


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
