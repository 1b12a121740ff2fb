"""A policy in a mounted ConfigMap, which the kubelet changes while the bot runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.policy import PolicyFile
from tests.harness.clock import FrozenClock
from tests.harness.kubernetes_volume import MountedVolume

TEXT = """\
version: 1
profiles: {{prod: {{channel: C0ACCESS1}}}}
approval: [{{name: {name}, profiles: [prod], approvers: [U0BOB], max_duration: 4h}}]
"""
KEY = "policy.yml"


@pytest.fixture
def volume(tmp_path: Path) -> MountedVolume:
    return MountedVolume(tmp_path / "countersign", {KEY: TEXT.format(name="main")})


@pytest.fixture
def file(volume: MountedVolume, clock: FrozenClock) -> PolicyFile:
    return PolicyFile(volume.path_of(KEY), clock=clock, check_interval_seconds=1, wait=lambda _: None)


def settled(file: PolicyFile, clock: FrozenClock) -> str:
    """The name of the rule that holds after two looks, more than a settle time apart."""
    for _ in range(2):
        clock.advance(timedelta(seconds=5))
        name = file.current().document.approval[0].name
    return name


def test_changed_config_map_takes_effect_in_a_running_bot(
    volume: MountedVolume, file: PolicyFile, clock: FrozenClock
) -> None:
    for name in ("niam", "other"):
        # The same length: the file system says nothing by the size.
        volume.change({KEY: TEXT.format(name=name)})
        assert settled(file, clock) == name
        assert file.problem is None


def test_config_map_with_a_mistake_leaves_the_policy_in_force(
    volume: MountedVolume, file: PolicyFile, clock: FrozenClock
) -> None:
    volume.change({KEY: "version: 1\n"})
    assert settled(file, clock) == "main"
    assert file.problem is not None

    volume.change({KEY: TEXT.format(name="fixed")})
    assert settled(file, clock) == "fixed"
    assert file.problem is None


def test_key_that_was_removed_leaves_the_policy_in_force(
    volume: MountedVolume, file: PolicyFile, clock: FrozenClock
) -> None:
    volume.change({"elsewhere.yml": TEXT.format(name="lost")})

    assert settled(file, clock) == "main"
    assert file.problem is not None
