"""A ledger that can't be read stops nobody: it is counted from the events, loudly, and replaced exactly."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from core.actor import CLOCK
from core.audit.trail import AuditAction, AuditEntry
from core.break_glass import BreakGlassEvent, EventId
from core.clock import format_time
from core.errors import BrokenSeal, CodeRefused, LimitReached, MalformedRecord
from core.services import BreakGlassService
from core.services.ledger_check import LedgerCheck
from core.usage import UsageLedger
from tests.builders import PROD
from tests.core.services.harness import ANN, BOB, CLEO, INCIDENT, OUTAGE, ChangingPolicy, noted
from tests.core.stores.harness import DynamoHarness, StoreHarness
from tests.harness.clock import FrozenClock
from tests.harness.mfa import WrittenCodes, code_at

MINUTE = timedelta(minutes=1)
BROKEN: list[dict[str, object]] = [
    {"usages": "nonsense"},
    {"usages": None},
    {"seal": None},
    {"seal": "0123abcd:00"},
    {"updated_at": "yesterday"},
]
INVOKER_OWNER, PROFILE_OWNER = f"INVOKER#{ANN.id}", f"PROFILE#{PROD}"


@pytest.fixture
def service(harness: StoreHarness) -> BreakGlassService:
    # In the future, for DynamoDB Local deletes what its TTL calls old by the machine's clock.
    harness.clock.set(datetime(2100, 1, 1, tzinfo=UTC))
    return BreakGlassService(harness.stores, ChangingPolicy(), harness.clock, mfa=WrittenCodes())


def invoke(service: BreakGlassService, who: object = ANN, profile: str = "prod") -> BreakGlassEvent:
    return service.invoke(who, profile, INCIDENT, OUTAGE, timedelta(hours=1))  # type: ignore[arg-type]


def _use(service: BreakGlassService, clock: FrozenClock, count: int) -> None:
    for _ in range(count):
        event = invoke(service)
        service.close(EventId(event.id), ANN, "it is up again")
        clock.advance(31 * MINUTE)


@pytest.mark.parametrize("owner", [INVOKER_OWNER, PROFILE_OWNER])
@pytest.mark.parametrize("damage", BROKEN, ids=str)
def test_damaged_ledger_stops_no_emergency(
    harness: StoreHarness, service: BreakGlassService, owner: str, damage: dict[str, object]
) -> None:
    _use(service, harness.clock, 1)
    harness.spoil_ledger(owner, damage)
    event = invoke(service)
    ledger = harness.stores.break_glass.get_ledger(UsageLedger(owner=owner))
    assert ledger.has(event.id)
    assert len(ledger.since(harness.clock.now() - timedelta(days=1))) == 2, "what was used before counts"


@pytest.mark.parametrize("damage", BROKEN, ids=str)
def test_limits_are_counted_from_the_events(
    harness: StoreHarness, service: BreakGlassService, damage: dict[str, object]
) -> None:
    _use(service, harness.clock, 3)
    harness.spoil_ledger(INVOKER_OWNER, damage)
    with pytest.raises(LimitReached, match="quota per user"):
        invoke(service, ANN, "staging")


def test_live_event_is_known_from_the_events(harness: StoreHarness, service: BreakGlassService) -> None:
    invoke(service)
    harness.spoil_ledger(INVOKER_OWNER, {"seal": None})
    with pytest.raises(LimitReached, match="live event"):
        invoke(service)
    assert service.find_access(ANN.id, PROD) is not None


def test_damaged_ledger_is_an_alert(
    harness: StoreHarness, service: BreakGlassService, caplog: pytest.LogCaptureFixture
) -> None:
    _use(service, harness.clock, 1)
    harness.spoil_ledger(PROFILE_OWNER, {"usages": "nonsense"})
    with caplog.at_level(logging.ERROR, "countersign.ledgers"):
        invoke(service)
    assert PROFILE_OWNER in caplog.text
    (entry,) = _alerts(harness)
    assert (entry.event, entry.actor, entry.outcome) == (AuditAction.LEDGER_UNREADABLE, CLOCK, "counted_from_events")
    assert entry.details["ledger"] == PROFILE_OWNER
    invoke(service, BOB)
    assert len(_alerts(harness)) == 1, "the ledger was replaced"


def _alerts(harness: StoreHarness) -> list[AuditEntry]:
    """Without what the seal's own alarm says."""
    return [each for each in noted(harness.stores) if each.event is AuditAction.LEDGER_UNREADABLE]


def test_two_who_find_it_damaged_do_not_both_write(harness: StoreHarness, service: BreakGlassService) -> None:
    """The second one was judged on the damaged version, which the first one replaced."""
    _use(service, harness.clock, 3)
    harness.spoil_ledger(PROFILE_OWNER, {"usages": "nonsense"})
    store = harness.stores.break_glass
    base = store.get_replaceable(UsageLedger.of_profile(PROD))
    invoke(service, BOB)
    with pytest.raises(LimitReached, match="quota per profile"):
        invoke(service, CLEO)
    with pytest.raises(Exception, match="changed by somebody else"):
        store.put_ledger(base)


def test_damaged_ledger_of_codes_accepts_a_code_once(harness: StoreHarness, service: BreakGlassService) -> None:
    now = harness.clock.now()
    service.invoke(ANN, "vault", INCIDENT, OUTAGE, timedelta(hours=1), code=code_at(ANN.id, now, steps=-1))
    harness.spoil_ledger(f"CODES#{ANN.id}", {"seal": None})
    service.invoke(ANN, "prod", INCIDENT, OUTAGE, timedelta(hours=1), code=code_at(ANN.id, now))
    with pytest.raises(CodeRefused, match="already used"):
        service.invoke(ANN, "staging", INCIDENT, OUTAGE, timedelta(hours=1), code=code_at(ANN.id, now))


def test_wrong_codes_count_from_a_damaged_ledger_on(harness: StoreHarness, service: BreakGlassService) -> None:
    service.invoke(ANN, "vault", INCIDENT, OUTAGE, timedelta(hours=1), code=code_at(ANN.id, harness.clock.now()))
    harness.spoil_ledger(f"CODES#{ANN.id}", {"last_step": "nonsense"})
    for tries_left in (4, 3):
        with pytest.raises(CodeRefused, match=f"{tries_left} attempts left"):
            service.invoke(ANN, "prod", INCIDENT, OUTAGE, timedelta(hours=1), code="wrong")


def test_ledger_without_a_version_is_left_alone(dynamo: DynamoHarness) -> None:
    """DynamoDB can hold what no version wrote; then it is counted from the events each time."""
    dynamo.clock.set(datetime(2100, 1, 1, tzinfo=UTC))
    service = BreakGlassService(dynamo.stores, ChangingPolicy(), dynamo.clock)
    _use(service, dynamo.clock, 1)
    dynamo.spoil_ledger(PROFILE_OWNER, {"updated_at": 7})
    assert invoke(service).id != invoke(service, BOB).id
    assert dynamo.stored_ledgers()[PROFILE_OWNER]["updated_at"] == 7
    with pytest.raises(MalformedRecord):
        LedgerCheck(dynamo.stores, dynamo.clock).rebuild(UsageLedger(owner=PROFILE_OWNER))


# Checking and rebuilding


def test_check_finds_what_is_damaged_or_lacks_events(harness: StoreHarness, service: BreakGlassService) -> None:
    _use(service, harness.clock, 2)
    looking = LedgerCheck(harness.stores, harness.clock)
    assert list(looking.find_problems()) == []
    harness.spoil_ledger(INVOKER_OWNER, {"usages": "nonsense"})
    harness.remove_ledger(PROFILE_OWNER)
    assert [each.owner for each in looking.find_problems()] == [INVOKER_OWNER, PROFILE_OWNER]
    assert "2 of 2 events are missing" in [*looking.find_problems()][1].problem


def test_rebuilt_ledger_counts_what_the_events_say(harness: StoreHarness, service: BreakGlassService) -> None:
    _use(service, harness.clock, 2)
    before = harness.stores.break_glass.get_ledger(UsageLedger(owner=INVOKER_OWNER))
    for damage in BROKEN:
        harness.spoil_ledger(INVOKER_OWNER, damage)
        with pytest.raises((BrokenSeal, MalformedRecord)):
            harness.stores.break_glass.get_ledger(UsageLedger(owner=INVOKER_OWNER))
        LedgerCheck(harness.stores, harness.clock).rebuild(UsageLedger(owner=INVOKER_OWNER))
        rebuilt = harness.stores.break_glass.get_ledger(UsageLedger(owner=INVOKER_OWNER))
        assert [usage.event_id for usage in rebuilt.usages] == [usage.event_id for usage in before.usages]
    last = harness.stores.audit.get_last("LEDGERS")
    assert last is not None
    assert (last.seq, last.event, last.details) == (
        len(BROKEN), AuditAction.LEDGER_REBUILT, {"ledger": INVOKER_OWNER}
    )  # fmt: skip
    assert format_time(last.at)


ONE_PERSON = {"security_channel": f"same_person: [[{ANN.id}, {BOB.id}]]\nsecurity_channel"}


def test_damaged_ledger_counts_the_events_of_each_id(harness: StoreHarness, service: BreakGlassService) -> None:
    del service
    policy = ChangingPolicy()
    policy.edit(ONE_PERSON)
    one_person = BreakGlassService(harness.stores, policy, harness.clock)
    for who in (ANN, BOB, BOB):
        one_person.close(EventId(invoke(one_person, who).id), who, "it is up again")
        harness.clock.advance(31 * MINUTE)
    looking = LedgerCheck(harness.stores, harness.clock, policy.policy.ids_of)
    assert list(looking.find_problems()) == []
    harness.spoil_ledger(INVOKER_OWNER, {"usages": "nonsense"})
    for who in (ANN, BOB):
        with pytest.raises(LimitReached, match="quota per user"):
            invoke(one_person, who, "staging")
    looking.rebuild(UsageLedger(owner=INVOKER_OWNER))
    assert len(harness.stores.break_glass.get_ledger(UsageLedger(owner=INVOKER_OWNER)).usages) == 3
