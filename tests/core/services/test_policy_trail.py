"""The versions of the policy in the audit trail: once each, with their text, from any number of instances."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.actor import OPERATOR
from core.audit.trail import AuditAction, AuditEntry
from core.errors import InvalidInput
from core.policy import PolicyFile
from core.policy.yaml_source import MAX_BYTES
from core.services.policy_trail import (
    CHAIN,
    MAX_DIFF_CHARACTERS,
    PolicyTrail,
    find_earlier,
    find_version,
    iterate_versions,
)
from tests.core.policy.access_policy import ADMIN, access_file

if TYPE_CHECKING:
    from core.stores import Stores
from tests.harness.clock import FrozenClock

TEXT = """\
version: 1
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: main, profiles: [prod], approvers: [U0BOB, S0SRE], max_duration: 4h}]
"""
CHANGED = TEXT.replace("4h", "8h")
BROKEN = TEXT.replace("approvers", "aprovers")


def _pack(text: bytes) -> str:
    return base64.b64encode(gzip.compress(text)).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def open_file(path: Path, clock: FrozenClock) -> PolicyFile:
    return PolicyFile(path, clock=clock, wait=lambda _: None)


def look(trail: PolicyTrail, clock: FrozenClock) -> tuple[AuditEntry, ...]:
    """Two looks, a settle time apart."""
    trail.record()
    clock.advance(timedelta(seconds=5))
    first = trail.record()
    clock.advance(timedelta(seconds=5))
    return (*first, *trail.record())


def versions(stores: Stores) -> list[AuditEntry]:
    return list(iterate_versions(stores.audit.get_chain(CHAIN)))


def test_first_version_is_written_with_whom_it_names(stores: Stores, path: Path, clock: FrozenClock) -> None:
    (entry,) = PolicyTrail(open_file(path, clock), stores.audit).record()
    assert (entry.event, entry.actor) == (AuditAction.POLICY_IN_FORCE, OPERATOR)
    assert entry.details["named"] == ["S0SRE", "U0BOB"]
    assert "previous_digest" not in entry.details
    assert entry.must_be_delivered


def test_version_says_who_gets_what_where_and_who_may_revoke(stores: Stores, path: Path, clock: FrozenClock) -> None:
    path.write_bytes(access_file())
    (entry,) = PolicyTrail(open_file(path, clock), stores.audit).record()
    assert entry.details["admins"] == ["U0ADMIN", "S0SECURITY"]
    assert entry.details["targets"] == ["aws: identity-center", "wh: webhook", "fn: lambda"]
    assert entry.details["access"] == [
        f"prod gives aws: 111122223333, {ADMIN}", "db gives wh: db, ro", "db gives fn: x, y"
    ]  # fmt: skip
    assert entry.details["people"] == ["U0ANN: ann at aws"]
    assert {"U0ADMIN", "S0SECURITY", "U0ANN"} <= set(named_by(entry))


def named_by(entry: AuditEntry) -> list[str]:
    named = entry.details["named"]
    assert isinstance(named, list)
    return [str(each) for each in named]


def test_earlier_versions_are_found_if_they_are_genuine(stores: Stores, path: Path, clock: FrozenClock) -> None:
    path.write_bytes(access_file())
    file = open_file(path, clock)
    trail = PolicyTrail(file, stores.audit)
    trail.record()
    path.write_text(TEXT, encoding="utf-8")
    look(trail, clock)

    assert [sorted(each.targets) for each in find_earlier(stores.audit)] == [[], ["aws", "fn", "wh"]]


def test_version_is_written_once(stores: Stores, path: Path, clock: FrozenClock) -> None:
    trail = PolicyTrail(open_file(path, clock), stores.audit)
    look(trail, clock)
    look(PolicyTrail(open_file(path, clock), stores.audit), clock)
    assert len(versions(stores)) == 1


def test_change_is_written_without_a_click_with_its_diff(stores: Stores, path: Path, clock: FrozenClock) -> None:
    file = open_file(path, clock)
    trail = PolicyTrail(file, stores.audit)
    (before,) = trail.record()
    path.write_text(CHANGED, encoding="utf-8")
    (entry,) = look(trail, clock)
    assert entry.details["previous_digest"] == before.details["digest"]
    assert (entry.details["added_lines"], entry.details["removed_lines"]) == (1, 1)
    assert "-approval: [{name: main, profiles: [prod], approvers: [U0BOB, S0SRE], max_duration: 4h}]" in str(
        entry.details["diff"]
    )


def test_refused_version_is_written_once_and_named(stores: Stores, path: Path, clock: FrozenClock) -> None:
    trail = PolicyTrail(open_file(path, clock), stores.audit)
    trail.record()
    path.write_text(BROKEN, encoding="utf-8")
    (entry,) = look(trail, clock)
    assert entry.event is AuditAction.POLICY_REFUSED
    assert entry.must_be_delivered
    (first, _) = list(entry.details["problems"])  # type: ignore[arg-type]
    assert "approvers" in str(first)
    assert look(trail, clock) == ()
    assert look(PolicyTrail(open_file_before(path, clock), stores.audit), clock) == ()


def open_file_before(path: Path, clock: FrozenClock) -> PolicyFile:
    """Another instance, that had the good version when the file was broken."""
    path.write_text(TEXT, encoding="utf-8")
    file = open_file(path, clock)
    path.write_text(BROKEN, encoding="utf-8")
    return file


def test_same_mistake_is_written_again_after_a_good_version(stores: Stores, path: Path, clock: FrozenClock) -> None:
    trail = PolicyTrail(open_file(path, clock), stores.audit)
    trail.record()
    for text in (BROKEN, CHANGED, BROKEN):
        path.write_text(text, encoding="utf-8")
        look(trail, clock)
    assert [each.event for each in versions(stores)] == [
        AuditAction.POLICY_REFUSED,
        AuditAction.POLICY_IN_FORCE,
        AuditAction.POLICY_REFUSED,
        AuditAction.POLICY_IN_FORCE,
    ]


def test_file_that_went_missing_is_written_as_refused(stores: Stores, path: Path, clock: FrozenClock) -> None:
    trail = PolicyTrail(open_file(path, clock), stores.audit)
    trail.record()
    path.unlink()
    (entry,) = look(trail, clock)
    assert "cannot be read" in str(entry.details["problems"])


def test_instances_at_once_write_a_version_once(stores: Stores, path: Path, clock: FrozenClock) -> None:
    trails = [PolicyTrail(open_file(path, clock), stores.audit) for _ in range(6)]
    barrier = threading.Barrier(len(trails))

    def record(trail: PolicyTrail) -> None:
        barrier.wait(60)
        trail.record()

    threads = [threading.Thread(target=record, args=(trail,)) for trail in trails]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(versions(stores)) == 1


def test_every_version_can_be_read_again_by_its_digest(stores: Stores, path: Path, clock: FrozenClock) -> None:
    file = open_file(path, clock)
    trail = PolicyTrail(file, stores.audit)
    look(trail, clock)
    digest = file.state.policy.digest
    path.write_text(CHANGED, encoding="utf-8")
    look(trail, clock)
    chain = stores.audit.get_chain(CHAIN)
    assert find_version(chain, digest[:12]) == TEXT
    assert find_version(chain, file.state.policy.digest) == CHANGED
    for prefix, problem in (("x", "no version"), ("", "several versions")):
        with pytest.raises(InvalidInput, match=problem):
            find_version(chain, prefix)


def test_large_change_is_cut_in_the_diff_only(stores: Stores, path: Path, clock: FrozenClock) -> None:
    trail = PolicyTrail(open_file(path, clock), stores.audit)
    trail.record()
    longer = TEXT + "groups: {" + ", ".join(f"g{n}: [U0BOB{n}]" for n in range(2_000)) + "}\n"
    path.write_text(longer, encoding="utf-8")
    (entry,) = look(trail, clock)
    assert len(str(entry.details["diff"])) == MAX_DIFF_CHARACTERS
    assert find_version(stores.audit.get_chain(CHAIN), str(entry.details["digest"])) == longer


@pytest.mark.parametrize("packed", [None, "not base64!", "QUJD", _pack(b"\n" * 2 * MAX_BYTES)])
def test_planted_entry_hides_no_change(
    stores: Stores, path: Path, tmp_path: Path, clock: FrozenClock, packed: str | None
) -> None:
    (first,) = PolicyTrail(open_file(path, clock), stores.audit).record()
    path.write_text(CHANGED, encoding="utf-8")
    digest = sha256(CHANGED.encode()).hexdigest()
    planted = first.to_item() | {"seq": 2, "id": "0" * 16, "details": {"digest": digest, "text_gzip": packed}}
    values = ("POLICY", 2, "0" * 16, planted["at"], json.dumps(planted))
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as past, past:
        past.execute("INSERT INTO audit (chain, seq, id, at, body) VALUES (?, ?, ?, ?, ?)", values)
    (announced,) = PolicyTrail(open_file(path, clock), stores.audit).record()
    assert announced.details["digest"] == digest
    assert announced.details["previous_digest"] == first.details["digest"]
    with pytest.raises(InvalidInput, match=r"no version|too large"):
        find_version(stores.audit.get_chain(CHAIN)[1:2], digest)


def test_text_longer_than_a_policy_is_never_unpacked(stores: Stores, path: Path, clock: FrozenClock) -> None:
    (first,) = PolicyTrail(open_file(path, clock), stores.audit).record()
    text = b"\n" * (MAX_BYTES + 1)
    digest = sha256(text).hexdigest()
    planted = first.model_copy(update={"details": {"digest": digest, "text_gzip": _pack(text)}})
    with pytest.raises(InvalidInput, match="too large"):
        find_version((planted,), digest)


def test_unreadable_entry_keeps_no_later_version_out(
    stores: Stores, path: Path, clock: FrozenClock, tmp_path: Path
) -> None:
    trail = PolicyTrail(open_file(path, clock), stores.audit)
    trail.record()
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as past, past:
        past.execute("UPDATE audit SET body = '{}' WHERE chain = 'POLICY'")
    path.write_text(CHANGED, encoding="utf-8")
    (entry,) = look(trail, clock)
    assert (entry.event, entry.seq) == (AuditAction.POLICY_IN_FORCE, 2)
