"""A policy file that changes while the bot runs."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from core.invalid_policy import InvalidPolicy
from core.policy import PolicyFile, PolicySource, load_policy
from core.policy.policy_file import SETTLE_SECONDS
from tests.core.policy.access_policy import WITHOUT_WH, access_file
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


def settle(file: PolicyFile, clock: FrozenClock) -> PolicyFile:
    """Two looks at the file, more than a settle time apart."""
    for _ in range(2):
        clock.advance(INTERVAL)
        file.current()
    return file


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
    assert problem.fix.startswith("Create it (start from what `countersign policy example` prints)")


def test_directory_is_no_policy_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicy, match="is a directory"):
        load_policy(tmp_path)


def test_change_counts_at_the_second_look_and_not_before(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    write(path, "changed")
    clock.advance(INTERVAL)
    assert rule_of(file) == "main"
    clock.advance(INTERVAL - timedelta(microseconds=1))
    assert rule_of(file) == "main"
    clock.advance(timedelta(microseconds=1))
    assert rule_of(file) == "changed"
    assert file.problem is None


def test_change_of_the_same_size_is_seen_by_its_time(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    write(path, "niam", at=LONG_AGO + timedelta(seconds=1))
    assert rule_of(settle(file, clock)) == "niam"


def test_replaced_file_is_seen_even_with_the_same_time_and_size(
    path: Path, file: PolicyFile, clock: FrozenClock
) -> None:
    other = path.with_name("new.yml")
    write(other, "niam")
    other.replace(path)
    assert rule_of(settle(file, clock)) == "niam"


@pytest.mark.parametrize("look_after", [timedelta(seconds=1), timedelta(hours=1)])
def test_two_writes_within_one_file_system_tick_are_both_seen(
    path: Path, clock: FrozenClock, look_after: timedelta
) -> None:
    just_now = clock.now()
    write(path, at=just_now)
    file = PolicyFile(path, clock=clock, check_interval_seconds=1, wait=lambda _: None)
    write(path, "niam", at=just_now)
    clock.advance(look_after)
    assert rule_of(settle(file, clock)) == "niam"


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
    assert rule_of(settle(file, clock)) == "niam"


def test_clock_that_goes_back_does_not_stop_the_checks(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    clock.advance(-timedelta(days=1))
    write(path, "changed")
    assert rule_of(settle(file, clock)) == "changed"


def test_clock_that_goes_back_while_a_file_settles(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    write(path, "changed")
    clock.advance(INTERVAL)
    file.current()
    clock.advance(-timedelta(days=1))
    assert rule_of(settle(file, clock)) == "changed"


def test_broken_version_is_refused_loudly_and_the_old_one_stays(
    path: Path, file: PolicyFile, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    write_text(path, "version: 1\nprofile: {}\n")
    assert rule_of(settle(file, clock)) == "main"
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
        settle(file, clock)
    assert len([each for each in caplog.records if "refused" in each.getMessage()]) == 1


def test_fixed_file_takes_effect(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    write_text(path, "version: 1\n")
    settle(file, clock)
    write(path, "mended")
    assert (rule_of(settle(file, clock)), file.problem) == ("mended", None)


def test_going_back_to_the_version_in_force_ends_the_problem(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    before = file.current()
    write_text(path, "version: 1\n")
    settle(file, clock)
    assert file.problem is not None
    write(path)
    assert settle(file, clock).current() is before
    assert file.problem is None


def test_deleted_file_leaves_the_policy_until_it_is_restored(
    path: Path, file: PolicyFile, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    away = path.with_name("away.yml")
    path.rename(away)
    for _ in range(3):
        assert rule_of(settle(file, clock)) == "main"
    assert file.problem is not None
    assert "cannot be read" in str(file.problem)
    assert len([each for each in caplog.records if "refused" in each.getMessage()]) == 1
    away.rename(path)
    assert rule_of(settle(file, clock)) == "main"
    assert file.problem is None


def test_broken_file_that_was_away_is_reported_as_broken_again(
    path: Path, file: PolicyFile, clock: FrozenClock
) -> None:
    away = path.with_name("away.yml")
    write_text(path, "version: 1\n")
    settle(file, clock)
    path.rename(away)
    settle(file, clock)
    away.rename(path)
    settle(file, clock)
    assert file.problem is not None
    assert [each.path for each in file.problem.problems] == ["profiles"]


def test_many_threads_always_see_one_whole_policy(path: Path) -> None:
    file = PolicyFile(path, check_interval_seconds=0, settle_seconds=0)
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


BROADER_CUT = """\
version: 1
profiles: {prod: {channel: C0ACCESS1}}
approval:
  - name: main
    profiles: [prod]
    approvers: [U0BOB, U0CAT]
    max_duration: 4h
    required_approvals: 2
    requesters: [U0ANN]
"""


def test_pipe_in_place_of_the_file_stops_no_check(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    path.unlink()
    os.mkfifo(path)
    before = settle(file, clock).current()
    assert file.problem is not None
    assert "not a regular file" in str(file.problem)
    path.unlink()
    write(path, "next")
    assert settle(file, clock).current() != before
    assert file.problem is None


def test_half_written_file_never_comes_into_force(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    # Cut after any line from the fourth on, it is a valid policy that allows more.
    for cut in range(len(BROADER_CUT)):
        write_text(path, BROADER_CUT[:cut])
        clock.advance(INTERVAL)
        assert rule_of(file) == "main"
        assert file.problem is None
    write_text(path, BROADER_CUT)
    assert len(settle(file, clock).current().document.approval[0].approvers) == 2


def test_file_that_keeps_changing_never_settles(path: Path, file: PolicyFile, clock: FrozenClock) -> None:
    for number in range(10):
        write(path, f"changed{number}")
        clock.advance(INTERVAL)
        assert rule_of(file) == "main"


def test_start_waits_for_a_file_that_was_just_written(path: Path, clock: FrozenClock) -> None:
    write_text(path, BROADER_CUT[:120], at=clock.now())
    waited: list[float] = []

    def finish_writing(seconds: float) -> None:
        waited.append(seconds)
        clock.advance(timedelta(seconds=seconds))
        if len(waited) == 1:
            write_text(path, BROADER_CUT, at=clock.now())

    file = PolicyFile(path, clock=clock, wait=finish_writing)
    assert len(file.current().document.approval[0].approvers) == 2
    assert waited == [SETTLE_SECONDS] * 2


def test_target_in_use_keeps_its_name(path: Path, clock: FrozenClock) -> None:
    text = access_file().decode()
    write_text(path, text)
    file = PolicyFile(path, clock=clock)
    write_text(path, text.replace("  wh: {", "  hook: {").replace("target: wh,", "target: hook,"))
    settle(file, clock)
    assert file.problem is not None
    assert [(each.path, each.fix) for each in file.problem.problems] == [
        ("targets.hook", "Keep the name wh, or remove the target, and add it again when nothing is open there.")
    ]
    write_text(path, text.replace(*WITHOUT_WH[0]).replace(*WITHOUT_WH[1]))
    assert settle(file, clock).problem is None
    write_text(path, text.replace("  wh: {", "  hook: {").replace("target: wh,", "target: hook,"))
    assert settle(file, clock).problem is None


def test_start_on_a_file_that_keeps_changing_is_refused(path: Path, clock: FrozenClock) -> None:
    write(path, at=clock.now())

    def change(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))
        write(path, f"at{clock.now():%H%M%S}", at=clock.now())

    with pytest.raises(InvalidPolicy, match="it keeps changing"):
        PolicyFile(path, clock=clock, wait=change)


def test_start_doesnt_wait_for_a_file_of_yesterday(path: Path, clock: FrozenClock) -> None:
    def never(_: float) -> None:
        raise AssertionError

    write(path, at=clock.now() - timedelta(days=1))
    assert rule_of(PolicyFile(path, clock=clock, wait=never)) == "main"


def test_log_names_only_the_first_of_many_mistakes(
    path: Path, file: PolicyFile, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    write_text(path, "version: 1\n" + "".join(f"unknown{number}: 1\n" for number in range(500)))
    settle(file, clock)
    assert file.problem is not None
    assert len(file.problem.problems) > 500
    assert len(caplog.records) == 51
