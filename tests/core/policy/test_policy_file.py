"""A policy file that changes while the bot runs."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from core.errors import InvalidPolicy
from core.policy import PolicyFile, PolicySource, load_policy
from tests.harness.clock import FrozenClock

TEXT = """\
version: 1
profiles: {{prod: {{channel: C0ACCESS1}}}}
approval: [{{name: {name}, profiles: [prod], approvers: [U0BOB], max_duration: 4h}}]
"""
INTERVAL = timedelta(seconds=5)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def write(path: Path, name: str = "main", *, at: datetime = LONG_AGO) -> None:
    """Write a policy with one rule of this name, last changed at this time."""
    write_text(path, TEXT.format(name=name), at=at)


def write_text(path: Path, text: str, *, at: datetime = LONG_AGO) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at.timestamp(), at.timestamp()))


def rule_of(file: PolicyFile) -> str:
    return file.current().document.approval[0].name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yml"
    write(path)
    return path


@pytest.fixture
def file(path: Path, clock: FrozenClock) -> PolicyFile:
    return PolicyFile(path, clock=clock, check_interval_seconds=INTERVAL.total_seconds())


def test_digest_is_the_sha_256_of_the_files_bytes(path: Path) -> None:
    assert load_policy(path).digest == sha256(path.read_bytes()).hexdigest()
    assert load_policy(str(path)) == load_policy(path)


def test_policy_file_is_a_source_of_policies(file: PolicyFile) -> None:
    source: PolicySource = file
    assert source.current().digest == file.current().digest


def test_first_load_raises(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        PolicyFile(tmp_path / "none.yml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (1, "file")
    assert problem.problem == "it cannot be read: no such file or directory"
    assert problem.fix.startswith("Create it (start from policy.example.yml)")


def test_directory_is_no_policy_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicy, match="is a directory"):
        load_policy(tmp_path)


def test_change_is_seen_after_the_interval_and_not_before(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    write(path, "changed")
    clock.advance(INTERVAL - timedelta(microseconds=1))
    assert rule_of(file) == "main"
    clock.advance(timedelta(microseconds=1))
    assert rule_of(file) == "changed"
    assert file.problem is None


def test_change_of_the_same_size_is_seen_by_its_time(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    write(path, "niam", at=LONG_AGO + timedelta(seconds=1))
    clock.advance(INTERVAL)
    assert rule_of(file) == "niam"


def test_replaced_file_is_seen_even_with_the_same_time_and_size(
    path: Path, file: PolicyFile, clock: FrozenClock
) -> None:
    other = path.with_name("new.yml")
    write(other, "niam")
    other.replace(path)
    clock.advance(INTERVAL)
    assert rule_of(file) == "niam"


@pytest.mark.parametrize("look_after", [timedelta(seconds=1), timedelta(hours=1)])
def test_two_writes_within_one_file_system_tick_are_both_seen(
    path: Path, clock: FrozenClock, look_after: timedelta
) -> None:
    just_now = clock.now()
    write(path, at=just_now)
    file = PolicyFile(path, clock=clock, check_interval_seconds=1)
    write(path, "niam", at=just_now)
    clock.advance(look_after)
    assert rule_of(file) == "niam"


def test_file_that_did_not_change_stays_the_same_policy(file: PolicyFile, clock: FrozenClock) -> None:
    first = file.current()
    clock.advance(INTERVAL)
    assert file.current() is first


def test_link_that_is_moved_to_another_file_is_seen(path: Path, clock: FrozenClock) -> None:
    # This is how Kubernetes changes a file of a ConfigMap.
    link, other = path.with_name("link.yml"), path.with_name("other.yml")
    write(other, "niam")
    link.symlink_to(path)
    file = PolicyFile(link, clock=clock, check_interval_seconds=1)
    link.unlink()
    link.symlink_to(other)
    clock.advance(timedelta(seconds=1))
    assert rule_of(file) == "niam"


def test_clock_that_goes_back_does_not_stop_the_checks(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    clock.advance(-timedelta(days=1))
    write(path, "changed")
    assert rule_of(file) == "changed"


def test_broken_version_is_refused_loudly_and_the_old_one_stays(
    path: Path, file: PolicyFile, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    write_text(path, "version: 1\nprofile: {}\n")
    clock.advance(INTERVAL)
    assert rule_of(file) == "main"
    assert file.problem is not None
    assert [each.path for each in file.problem.problems] == ["profiles", "profile"]
    told = [(record.name, record.levelno, record.getMessage()) for record in caplog.records]
    assert told == [
        (
            "countersign.policy",
            logging.ERROR,
            f"the policy file was refused; policy {file.current().digest[:12]} stays in force",
        ),
        (
            "countersign.policy",
            logging.ERROR,
            f'{path}:1: profiles: "profiles is missing. Add profiles; see policy.example.yml."',
        ),
        (
            "countersign.policy",
            logging.ERROR,
            f"{path}:2: profile: \"there is no key 'profile' here. Did you mean profiles?\"",
        ),
    ]


def test_broken_version_is_reported_once_and_not_at_each_check(
    path: Path, file: PolicyFile, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    write_text(path, "version: 1\n")
    for _ in range(5):
        clock.advance(INTERVAL)
        file.current()
    assert len([each for each in caplog.records if "refused" in each.getMessage()]) == 1


def test_fixed_file_takes_effect(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    write_text(path, "version: 1\n")
    clock.advance(INTERVAL)
    file.current()
    write(path, "mended")
    clock.advance(INTERVAL)
    assert (rule_of(file), file.problem) == ("mended", None)


def test_going_back_to_the_version_in_force_ends_the_problem(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    before = file.current()
    write_text(path, "version: 1\n")
    clock.advance(INTERVAL)
    file.current()
    assert file.problem is not None
    write(path)
    clock.advance(INTERVAL)
    assert file.current() is before
    assert file.problem is None


def test_deleted_file_leaves_the_policy_until_it_is_restored(
    path: Path, file: PolicyFile, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    away = path.with_name("away.yml")
    path.rename(away)
    for _ in range(3):
        clock.advance(INTERVAL)
        assert rule_of(file) == "main"
    assert file.problem is not None
    assert "cannot be read" in str(file.problem)
    assert len([each for each in caplog.records if "refused" in each.getMessage()]) == 1
    away.rename(path)
    clock.advance(INTERVAL)
    assert rule_of(file) == "main"
    assert file.problem is None


def test_broken_file_that_was_away_is_reported_as_broken_again(
    path: Path, file: PolicyFile, clock: FrozenClock
) -> None:
    away = path.with_name("away.yml")
    write_text(path, "version: 1\n")
    clock.advance(INTERVAL)
    file.current()
    path.rename(away)
    clock.advance(INTERVAL)
    file.current()
    away.rename(path)
    clock.advance(INTERVAL)
    file.current()
    assert file.problem is not None
    assert [each.path for each in file.problem.problems] == ["profiles"]


def test_many_threads_always_see_one_whole_policy(path: Path) -> None:
    file = PolicyFile(path, check_interval_seconds=0)
    stop = threading.Event()
    seen: set[tuple[str, str]] = set()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                policy = file.current()
                seen.add((policy.digest, policy.document.approval[0].name))
        except BaseException as error:  # noqa: BLE001 - the test below shows whatever went wrong in the thread.
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    names = [f"rule-{index}" for index in range(20)]
    for name in names:
        # With the times that the file system gives them: what was written long ago is not read again.
        path.write_text("version: 1\n", encoding="utf-8")
        path.write_text(TEXT.format(name=name), encoding="utf-8")
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    whole = {(sha256(TEXT.format(name=name).encode()).hexdigest(), name) for name in ("main", *names)}
    assert seen <= whole
    assert rule_of(file) == names[-1]
