"""The previous release and this version work on one store at once, each as a process with packages of its own."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.clock import new_id
from tests.harness.aws import dynamodb_client
from tests.harness.tables import make_tables
from tests.packaging.side_by_side import OneStore, Running, Versions

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN: Final = datetime(datetime.now(UTC).year + 2, 1, 1, tzinfo=UTC)
"""Later than now, for DynamoDB Local deletes what is old by the machine's clock; each month since 2026 is a query."""
RITA, ANN, BOB, EVE, ZOE = "U0RITA", "U0ANN", "U0BOB", "U0EVE", "U0ZOE"
ROUNDS: Final = 4
POLICY: Final = f"""
version: 1
profiles:
  prod: {{channel: C0ACCESS1}}
  vault: {{channel: C0ACCESS1}}
approval:
  - {{name: vault, profiles: [vault], approvers: [{ANN}, {BOB}, {EVE}], required_approvals: 2, max_duration: 4h,
     max_pending: 20}}
  - {{name: prod, profiles: [prod], approvers: [{ANN}, {BOB}, {EVE}], max_duration: 4h, max_pending: 20}}
break_glass:
  - {{name: on-call, profiles: [prod], users: [{RITA}, {ZOE}], max_duration: 2h, cooldown: 30m}}
"""


@pytest.fixture(scope="module", params=["sqlite", pytest.param("dynamodb_local", marks=pytest.mark.engine)])
def shared(
    request: pytest.FixtureRequest, versions: Versions, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OneStore]:
    """A store of each engine. When its tests are over, both versions find nothing wrong with it."""
    with ExitStack() as opened:
        url = f"sqlite:///{tmp_path_factory.mktemp('store')}/countersign.db"
        if request.param != "sqlite":
            endpoint, prefix = request.getfixturevalue("dynamodb_local_url"), f"upgrade-{new_id()}"
            make_tables(opened.enter_context(dynamodb_client(endpoint)), prefix)
            url = f"dynamodb://eu-west-1/{prefix}?endpoint_url={endpoint}"
        store = OneStore(url, POLICY, BEGIN)
        yield store
        assert [each["done"] for each in at_once(store, *((each, {"do": "verify"}) for each in versions))] == [[], []]


@pytest.fixture
def store(shared: OneStore) -> OneStore:
    """The store, some days later than the test before: no limit of one concerns another."""
    shared.now += timedelta(days=3)
    return shared


def pairs(versions: Versions) -> list[tuple[Running, Running]]:
    """Each version before the other."""
    return [(versions.old, versions.new), (versions.new, versions.old)]


def at_once(store: OneStore, *attempts: tuple[Running, dict[str, Any]]) -> list[dict[str, Any]]:
    """What each answered to what they began together."""
    for version, told in attempts:
        store.begin(version, **told)
    return [version.receive() for version, _ in attempts]


def test_what_one_version_is_asked_the_other_decides(store: OneStore, versions: Versions) -> None:
    for one, other in pairs(versions):
        asked = [store.ask(one, "submit", who=RITA, on="prod") for _ in range(3)]

        assert store.ask(other, "approve", who=ANN, on=asked[0]["id"])["status"] == "approved"
        assert store.ask(other, "deny", who=ANN, on=asked[1]["id"])["status"] == "denied"
        assert store.ask(other, "cancel", who=RITA, on=asked[2]["id"])["status"] == "cancelled"
        # What the other decided is final here.
        assert store.try_to(one, "deny", who=BOB, on=asked[0]["id"])["error"] == "InvalidStateTransition"
        for each in asked:
            here, there = (store.ask(version, "read", who=RITA, on=each["id"]) for version in (one, other))
            assert {name: here.get(name) for name in there.keys() & here} == {
                name: there[name] for name in there.keys() & here
            }


def test_votes_of_both_versions_make_one_quorum(store: OneStore, versions: Versions) -> None:
    for one, other in pairs(versions):
        request = store.ask(one, "submit", who=RITA, on="vault")["id"]

        assert store.ask(one, "approve", who=ANN, on=request)["status"] == "pending"
        assert store.ask(other, "approve", who=ANN, on=request)["status"] == "pending"
        assert store.try_to(other, "approve", who=RITA, on=request)["error"] == "NotAllowed"
        approved = store.ask(other, "approve", who=BOB, on=request)
        assert (approved["status"], [each["approver"] for each in approved["approvals"]]) == ("approved", [ANN, BOB])


def test_race_between_versions_is_decided_once(store: OneStore, versions: Versions) -> None:
    won: Counter[str] = Counter()
    for number in range(ROUNDS):
        yes, no = versions if number % 2 else reversed(versions)
        request = store.ask(no, "submit", who=RITA, on="prod")["id"]

        answers = at_once(
            store,
            (yes, {"do": "approve", "who": ANN, "on": request}),
            (no, {"do": "deny", "who": BOB, "on": request}),
        )
        (done,) = (each["done"]["status"] for each in answers if "done" in each)
        (lost,) = (each["error"] for each in answers if "error" in each)
        assert lost == "InvalidStateTransition"
        assert {store.ask(each, "read", who=RITA, on=request)["status"] for each in versions} == {done}
        won[done] += 1
    assert won.total() == ROUNDS


def test_votes_at_the_same_moment_are_both_counted(store: OneStore, versions: Versions) -> None:
    for _ in range(ROUNDS // 2):
        request = store.ask(versions.old, "submit", who=RITA, on="vault")["id"]
        votes = [
            (version, {"do": "approve", "who": who, "on": request})
            for version, who in zip(versions, (ANN, BOB), strict=True)
        ]

        assert [each for each in at_once(store, *votes) if "done" not in each] == []
        for version in versions:
            found = store.ask(version, "read", who=RITA, on=request)
            assert (found["status"], {each["approver"] for each in found["approvals"]}) == ("approved", {ANN, BOB})


def test_emergency_of_one_version_is_closed_by_the_other(store: OneStore, versions: Versions) -> None:
    for person, (one, other) in zip((RITA, ZOE), pairs(versions), strict=True):
        event = store.ask(one, "invoke", who=person, on="prod")["id"]

        assert store.try_to(other, "invoke", who=person, on="prod")["error"] == "LimitReached"
        assert store.ask(other, "close", who=person, on=event)["status"] == "closed"
        # The cooldown that one began holds in the other.
        assert store.try_to(one, "invoke", who=person, on="prod")["error"] == "LimitReached"
        assert store.ask(one, "review", who=ANN, on=event)["review"]["reviewer"] == ANN
        assert store.ask(other, "read_event", who=ANN, on=event)["review"]["verdict"] == "justified"


def test_race_for_an_emergency_makes_one_event(store: OneStore, versions: Versions) -> None:
    for _ in range(ROUNDS // 2):
        store.now += timedelta(hours=4)
        answers = at_once(store, *((version, {"do": "invoke", "who": RITA, "on": "prod"}) for version in versions))

        assert [each["error"] for each in answers if "error" in each] == ["LimitReached"]


def test_what_is_overdue_is_ended_once_by_either(store: OneStore, versions: Versions) -> None:
    for one, other in pairs(versions):
        left = {store.ask(one, "submit", who=RITA, on="prod")["id"] for _ in range(2)}
        left |= {store.ask(other, "invoke", who=RITA, on="prod")["id"]}
        store.now += timedelta(days=1)

        answers = at_once(store, (one, {"do": "sweep"}), (other, {"do": "sweep"}))
        ended = Counter(each for answer in answers for each in answer["done"])
        assert ended.keys() >= left
        assert max(ended.values()) == 1


def test_what_one_version_commits_either_delivers(store: OneStore, versions: Versions) -> None:
    at_once(store, *((version, {"do": "deliver"}) for version in versions))
    for one, other in pairs(versions):
        requests = [store.ask(one, "submit", who=RITA, on="prod")["id"] for _ in range(2)]
        for each in requests:
            store.ask(one, "deny", who=ANN, on=each)
        store.now += timedelta(minutes=5)

        delivered = Counter(store.ask(other, "deliver"))
        assert {f"REQUEST#{each} {seq}" for each in requests for seq in (1, 2)} <= delivered.keys()
        assert max(delivered.values()) == 1
        assert store.ask(one, "deliver") == []
