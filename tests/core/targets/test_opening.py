"""The targets of the policy in force: opened when used, reopened when changed, and still there when they left it."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.access.right import Right
from core.clock import SystemClock
from core.errors import StoreUnavailable
from core.policy import Policy
from core.policy.target_config import AnyTargetConfig, DemoConfig
from core.targets.aws_names import MAX_SESSION
from core.targets.base import Absent, Held, Later, OperationKey, Seen, TargetRefused, Unknown
from core.targets.identity_center.target import IdentityCenter
from core.targets.opened_target import LOOK_AGAIN_AFTER
from core.targets.opening import LOOK_BACK_EVERY, PolicyTargets
from core.targets.webhook import WebhookTarget
from tests.core.policy.access_policy import WITHOUT_WH, access_policy
from tests.core.targets.harness import a_right
from tests.harness.clock import FrozenClock
from tests.harness.target_receiver import SECRET, WebhookReceiver

if TYPE_CHECKING:
    from pathlib import Path

    from core.targets.base import Given, Polled, Taken

KEY = OperationKey("0123456789abcdef", 1)
UNTIL = datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
RIGHT = a_right("db", "ro", "U0BOB", "wh")
DEMO = ("{type: lambda, region: eu-west-1, function: access}", "{type: demo}")


class SwappedPolicy:
    """A policy that a test replaces."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def current(self) -> Policy:
        """The one that was put here last."""
        return self.policy


class MemoryTarget:
    """A target that keeps its rights in a set, and knows whether it was closed."""

    ends_sessions = True

    def __init__(self) -> None:
        self.rights: set[Right] = set()
        self.closed = 0

    def residual(self, right: Right) -> timedelta:
        del right
        return timedelta(minutes=3)

    def inspect(self, right: Right) -> Seen:
        return Held() if right in self.rights else Absent()

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        del until, key
        self.rights.add(right)
        return Held()

    def take(self, right: Right, key: OperationKey) -> Taken:
        del key
        self.rights.discard(right)
        return Absent()

    def poll(self, token: str) -> Polled:
        return Unknown(token, is_forgotten=True)

    def close(self) -> None:
        self.closed += 1


class Openings:
    """Opens demo targets, and remembers which."""

    def __init__(self) -> None:
        self.opened: list[MemoryTarget] = []
        self.configs: list[AnyTargetConfig] = []

    def __call__(self, config: AnyTargetConfig) -> MemoryTarget:
        self.configs.append(config)
        self.opened.append(MemoryTarget())
        return self.opened[-1]


@pytest.fixture
def openings() -> Openings:
    return Openings()


@pytest.fixture
def policy() -> SwappedPolicy:
    return SwappedPolicy(access_policy(DEMO))


@pytest.fixture
def targets(policy: SwappedPolicy, clock: FrozenClock, openings: Openings) -> PolicyTargets:
    return PolicyTargets(policy, clock, {"demo": openings})


def test_nothing_is_opened_before_it_is_used(targets: PolicyTargets, openings: Openings) -> None:
    assert sorted(targets) == ["aws", "fn", "wh"]
    assert len(targets) == 3
    assert openings.opened == []

    first, second = targets["fn"], targets["fn"]
    assert [first, second] == [openings.opened[0]] * 2
    assert openings.configs == [DemoConfig(type="demo")]


def test_many_threads_open_it_once(policy: SwappedPolicy, clock: FrozenClock) -> None:
    both, opened = threading.Barrier(2), []

    def meet(_: AnyTargetConfig) -> MemoryTarget:
        opened.append(MemoryTarget())
        # A second thread in here would let both go on at once.
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return opened[-1]

    targets = PolicyTargets(policy, clock, {"demo": meet})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: targets["fn"], range(4)))
    assert len(opened) == 1
    assert found == opened * 4


def test_name_that_no_policy_had_is_no_target(targets: PolicyTargets) -> None:
    with pytest.raises(KeyError):
        targets["gone"]
    assert targets.get("gone") is None


def test_new_policy_with_the_same_target_keeps_it(
    targets: PolicyTargets, policy: SwappedPolicy, openings: Openings
) -> None:
    before = targets["fn"]
    policy.policy = access_policy(("{type: lambda, region: eu-west-1, function: access}",
                                   "{type: demo, portal: https://aws.example.com}"))  # fmt: skip
    assert targets["fn"] is before
    assert [each.closed for each in openings.opened] == [0]


def test_changed_target_is_opened_anew_and_the_old_closed(
    targets: PolicyTargets, policy: SwappedPolicy, openings: Openings
) -> None:
    before = targets["fn"]
    policy.policy = access_policy(("{type: lambda, region: eu-west-1, function: access}", "{type: demo, residual: 5m}"))
    assert targets["fn"] is not before
    assert [each.closed for each in openings.opened] == [1, 0]


@pytest.mark.parametrize(
    ("after", "is_told"),
    [("{type: demo, residual: 5m}", False), ("{type: lambda, region: eu-west-1, function: other}", True)],
)
def test_new_place_of_a_target_is_told(
    policy: SwappedPolicy, targets: PolicyTargets, caplog: pytest.LogCaptureFixture, *, after: str, is_told: bool
) -> None:
    assert len(targets) == 3
    policy.policy = access_policy((DEMO[0], after))
    assert len(targets) == len(list(targets)) == 3
    assert caplog.text.count("the target fn is another place now") == is_told


def test_target_that_left_the_policy_takes_and_gives_nothing(
    targets: PolicyTargets, policy: SwappedPolicy, openings: Openings
) -> None:
    right = a_right("x", "y", "U0BOB", "fn")
    targets["fn"].give(right, UNTIL, KEY)
    policy.policy = access_policy(
        ("  fn: {type: lambda, region: eu-west-1, function: access}\n", ""),
        (", {target: fn, resource: x, level: y}", ""),
    )

    gone = targets["fn"]
    assert isinstance(given := gone.give(right, UNTIL, KEY), TargetRefused)
    assert "fn is not in the policy any more" in given.reason
    assert (gone.inspect(right), gone.ends_sessions, gone.residual(right)) == (Held(), True, timedelta(minutes=3))
    assert gone.poll("token") == Unknown("token", is_forgotten=True)
    assert gone.take(right, KEY) == Absent()
    assert "fn" in targets
    assert [each.closed for each in openings.opened] == [0]

    policy.policy = access_policy(DEMO)
    assert targets["fn"] is openings.opened[0]


def test_target_is_known_although_it_left_before_it_was_used(
    targets: PolicyTargets, policy: SwappedPolicy, openings: Openings
) -> None:
    assert "wh" in targets
    policy.policy = access_policy(DEMO, *WITHOUT_WH)
    assert "wh" in targets
    assert isinstance(targets["wh"].give(RIGHT, UNTIL, KEY), TargetRefused)
    assert openings.opened == []


def test_earlier_policy_gives_back_what_it_had(clock: FrozenClock, openings: Openings) -> None:
    targets = PolicyTargets(SwappedPolicy(access_policy(*WITHOUT_WH)), clock, {"demo": openings})
    assert "wh" not in targets

    targets.remember(access_policy(DEMO))
    assert "wh" in targets
    assert isinstance(targets["wh"].give(RIGHT, UNTIL, KEY), TargetRefused)
    # What the policy in force has stands.
    targets.get("fn")
    assert openings.opened == []


def test_earlier_policies_are_read_only_for_an_unknown_target(clock: FrozenClock) -> None:
    read: list[str] = []

    def find_earlier() -> tuple[Policy, ...]:
        read.append("once")
        return (access_policy(("env:WH", "env:WH, residual: 7m")), access_policy(("env:WH", "env:WH, residual: 5m")))

    targets = PolicyTargets(access_policy(*WITHOUT_WH), clock)
    targets.use_earlier(find_earlier)
    targets.get("fn")
    assert read == []

    assert targets["wh"].residual(RIGHT) == timedelta(minutes=7)
    for _ in range(3):
        assert targets.get("gone") is None
    assert read == ["once"]
    clock.advance(LOOK_BACK_EVERY)
    assert targets.get("gone") is None
    assert read == ["once", "once"]


def test_store_that_is_away_leaves_the_target_unknown(clock: FrozenClock) -> None:
    def find_earlier() -> tuple[Policy, ...]:
        raise StoreUnavailable("it is away")

    targets = PolicyTargets(access_policy(), clock)
    targets.use_earlier(find_earlier)
    assert targets.get("gone") is None


def test_missing_secret_is_an_answer_that_says_what_to_fix(
    targets: PolicyTargets, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WH", raising=False)
    problem = (
        "The target wh can't be used: the variable WH has no secret in it. "
        "Set it where Countersign runs, and restart Countersign."
    )
    for _ in range(3):
        assert targets["wh"].inspect(RIGHT) == Unknown(problem)
        clock.advance(LOOK_AGAIN_AFTER)
    for answer in (targets["wh"].give(RIGHT, UNTIL, KEY), targets["wh"].take(RIGHT, KEY), targets["wh"].poll("x")):
        assert isinstance(answer, Later)
        assert (answer.is_for_all, answer.problem) == (True, problem)
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR] == [problem]


def test_target_is_opened_when_its_secret_is_there(
    policy: SwappedPolicy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FrozenClock(SystemClock().now())
    file = tmp_path / "secret"
    with WebhookReceiver() as receiver:
        policy.policy = access_policy(
            ("https://x.example.com/hook", f"{receiver.url}/hook"), ("env:WH", f"file:{file}")
        )
        targets = PolicyTargets(policy, clock)
        assert isinstance(targets["wh"].inspect(RIGHT), Unknown)
        file.write_text("hunter2", encoding="utf-8")
        clock.advance(LOOK_AGAIN_AFTER)
        assert isinstance(targets["wh"].inspect(RIGHT), Unknown)

        file.write_text(f"{SECRET}\n", encoding="utf-8")
        clock.advance(LOOK_AGAIN_AFTER)
        first = targets["wh"]
        clock.advance(LOOK_AGAIN_AFTER)
        assert targets["wh"] is first
        assert first.inspect(RIGHT) == Absent()
        targets.close()
    assert "hunter2" not in caplog.text


def test_new_secret_in_the_file_is_used(policy: SwappedPolicy, clock: FrozenClock, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET, encoding="utf-8")
    policy.policy = access_policy(("env:WH", f"file:{file}"))
    targets = PolicyTargets(policy, clock)
    before = targets["wh"]
    file.write_text(f"whsec_{'QUJD' * 10}", encoding="utf-8")
    assert targets["wh"] is before
    clock.advance(LOOK_AGAIN_AFTER)
    assert isinstance(targets["wh"], WebhookTarget)
    assert targets["wh"] is not before

    file.unlink()
    clock.advance(LOOK_AGAIN_AFTER)
    assert isinstance(targets["wh"].inspect(RIGHT), Unknown)


def test_secret_is_never_read_from_a_pipe(policy: SwappedPolicy, clock: FrozenClock, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    policy.policy = access_policy(("env:WH", f"file:{tmp_path}/pipe"))
    seen = PolicyTargets(policy, clock)["wh"].inspect(RIGHT)
    assert isinstance(seen, Unknown)
    assert "is not a regular file" in seen.problem


def test_secret_is_in_no_repr(policy: SwappedPolicy, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WH", SECRET)
    monkeypatch.setenv("WHERE", "https://x.example.com/hook?token=hunter2")
    policy.policy = access_policy(("https://x.example.com/hook", "env:WHERE"))
    targets = PolicyTargets(policy, clock)
    target = targets["wh"]
    assert isinstance(target, WebhookTarget)
    shown = f"{targets!r} {target!r} {vars(targets)!r} {[vars(each) for each in vars(targets)['_opened'].values()]!r}"
    assert SECRET not in shown
    assert "hunter2" not in shown


def test_address_of_a_variable_is_checked_and_never_quoted(
    policy: SwappedPolicy, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WH", SECRET)
    monkeypatch.setenv("WHERE", "http://x.example.com/hunter2")
    policy.policy = access_policy(("https://x.example.com/hook", "env:WHERE"))
    seen = PolicyTargets(policy, clock)["wh"].inspect(RIGHT)
    assert isinstance(seen, Unknown)
    assert "unencrypted" in seen.problem
    assert "hunter2" not in seen.problem


def test_demo_is_only_for_the_playground(policy: SwappedPolicy, clock: FrozenClock) -> None:
    seen = PolicyTargets(policy, clock)["fn"].inspect(RIGHT)
    assert seen == Unknown(
        "The target fn can't be used: demo is only for the playground. "
        "Use identity-center, webhook or lambda in the policy."
    )


@pytest.mark.usefixtures("aws_environment")
def test_operators_words_reach_the_target(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WH", SECRET)
    said = "ends_sessions: true, residual: 15m"
    targets = PolicyTargets(
        access_policy(("function: access", f"function: access, {said}"), ("env:WH", f"env:WH, {said}")), clock
    )
    for name in ("wh", "fn"):
        assert (targets[name].ends_sessions, targets[name].residual(RIGHT)) == (True, timedelta(minutes=15))
    assert isinstance(targets["aws"], IdentityCenter)
    assert (targets["aws"].ends_sessions, targets["aws"].residual(RIGHT)) == (False, MAX_SESSION)
    targets.close()
    targets.close()


def test_unusable_target_promises_no_short_residue(
    policy: SwappedPolicy, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WH", raising=False)
    policy.policy = access_policy(("env:WH", "env:WH, residual: 15m"))
    assert PolicyTargets(policy, clock)["wh"].residual(RIGHT) == timedelta(minutes=15)
