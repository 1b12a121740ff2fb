"""What the previous release makes of what only this version knows: nothing is lost, or lost sight of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.clock import format_time
from tests.packaging.side_by_side import OneStore, Release, Versions

if TYPE_CHECKING:
    from pathlib import Path

BEGIN: Final = datetime(2040, 1, 1, tzinfo=UTC)
RITA, ANN, BOB, ZOE = "U0RITA", "U0ANN", "U0BOB", "U0ZOE"
POLICY: Final = f"""
version: 1
profiles: {{prod: {{channel: C0ACCESS1}}, vault: {{channel: C0ACCESS1}}}}
approval:
  - {{name: vault, profiles: [vault], approvers: [{ANN}, {BOB}], required_approvals: 2, max_duration: 4h}}
  - {{name: prod, profiles: [prod], approvers: [{ANN}, {BOB}], max_duration: 4h}}
"""
LATER: Final = POLICY.replace("profiles: [prod],", "profiles: [prod], starts_within: 24h,")
BUNDLE: Final = "0123456789abcdef"


@pytest.fixture(autouse=True)
def previous_is_the_first() -> None:
    """These are about 0.1.0: with another release before this one, decide anew what it may not know."""
    assert Release.previous().version == "0.1.0", "say in docs/upgrading.md what the previous release doesn't know"


@pytest.fixture
def store(tmp_path: Path) -> OneStore:
    return OneStore(f"sqlite:///{tmp_path}/countersign.db", POLICY, BEGIN)


def found(store: OneStore, versions: Versions) -> list[str]:
    """What `audit verify` of this version says."""
    return [str(each) for each in store.ask(versions.new, "verify")]


def test_decision_keeps_the_fields_that_it_does_not_know(store: OneStore, versions: Versions) -> None:
    request = store.ask(versions.new, "submit", who=RITA, on="prod", more={"bundle": BUNDLE})["id"]

    assert store.ask(versions.old, "deny", who=ANN, on=request)["status"] == "denied"
    assert store.ask(versions.new, "read", on=request)["bundle"] == BUNDLE
    assert [store.ask(each, "verify") for each in versions] == [[], []]


def test_key_of_the_policy_that_it_does_not_know_is_refused(store: OneStore, versions: Versions) -> None:
    refused = store.try_to(versions.old, "submit", who=RITA, on="prod", policy=LATER)

    assert (refused["error"], "no key 'starts_within'" in refused["said"]) == ("InvalidPolicy", True)
    assert store.ask(versions.new, "submit", who=RITA, on="prod", policy=LATER)["status"] == "pending"


def test_approval_for_less_time_is_refused_by_the_old(store: OneStore, versions: Versions) -> None:
    request = store.ask(versions.new, "submit", who=RITA, on="prod")["id"]
    assert store.ask(versions.new, "approve", who=ANN, on=request, minutes=30)["status"] == "approved"

    assert store.try_to(versions.old, "read", on=request)["error"] == "MalformedRecord"
    assert store.try_to(versions.old, "deny", who=BOB, on=request)["error"] == "MalformedRecord"
    assert found(store, versions) == []


def test_going_back_and_forth_leaves_nothing_to_find(store: OneStore, versions: Versions) -> None:
    one, two, less = (store.ask(versions.new, "submit", who=who, on="prod")["id"] for who in (RITA, ZOE, BOB))
    vault = store.ask(versions.new, "submit", who=RITA, on="vault", more={"bundle": BUNDLE})["id"]
    store.ask(versions.new, "approve", who=ANN, on=vault)
    store.ask(versions.new, "approve", who=ANN, on=less, minutes=30)
    store.now += timedelta(minutes=5)

    # The rollback: the old version alone decides what it can read, and makes records of its own.
    assert store.ask(versions.old, "approve", who=BOB, on=vault)["status"] == "approved"
    assert store.ask(versions.old, "deny", who=ANN, on=one)["status"] == "denied"
    assert store.try_to(versions.old, "cancel", who=BOB, on=less)["error"] == "MalformedRecord"
    made = store.ask(versions.old, "submit", who=ANN, on="prod")["id"]
    store.now += timedelta(minutes=5)

    # The upgrade again.
    assert store.ask(versions.new, "approve", who=BOB, on=made)["status"] == "approved"
    assert store.ask(versions.new, "approve", who=ANN, on=two)["status"] == "approved"
    kept = store.ask(versions.new, "read", on=vault)
    assert (kept["bundle"], len(kept["approvals"])) == (BUNDLE, 2)
    assert store.ask(versions.new, "read", on=less)["approvals"][0]["duration"] is not None
    assert found(store, versions) == []


# The three below are why a rollout ends before people use what is new: docs/upgrading.md.


def test_shorter_vote_that_the_old_overlooks_is_found(store: OneStore, versions: Versions) -> None:
    request = store.ask(versions.new, "submit", who=RITA, on="vault")["id"]
    store.ask(versions.new, "approve", who=ANN, on=request, minutes=30)
    store.ask(versions.old, "approve", who=BOB, on=request)

    assert ["access is longer than its votes gave" in each for each in found(store, versions)] == [True]


def test_decision_before_a_confirmation_is_found(store: OneStore, versions: Versions) -> None:
    request = store.ask(versions.new, "submit", who=ZOE, on="prod", more={"on_behalf_of": RITA})["id"]
    assert store.try_to(versions.new, "approve", who=ANN, on=request)["error"] == "NotAllowed"
    store.ask(versions.old, "approve", who=ANN, on=request)

    assert ["before its requester confirmed" in each for each in found(store, versions)] == [True]


def test_later_start_that_the_old_overlooks_is_found(store: OneStore, versions: Versions) -> None:
    later = format_time(BEGIN + timedelta(hours=3))
    request = store.ask(versions.new, "submit", who=RITA, on="prod", policy=LATER, more={"starts_at": later})["id"]
    store.ask(versions.old, "approve", who=ANN, on=request)

    assert len(found(store, versions)) == 1
