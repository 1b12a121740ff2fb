"""After a restart, access at a target that left the policy can still be taken."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from slack_sdk import WebClient

from bot.wiring.instance import build_services
from bot.wiring.ports import Ports
from core.policy import PolicyFile
from core.services.policy_trail import PolicyTrail
from core.stores import open_stores
from core.targets.base import OperationKey, TargetRefused
from tests.core.policy.access_policy import WITHOUT_WH, access_file
from tests.core.targets.harness import a_right

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.clock import FrozenClock


def test_target_that_left_the_policy_is_known_after_restart(tmp_path: Path, clock: FrozenClock) -> None:
    path = tmp_path / "policy.yml"
    with closing(open_stores(f"sqlite:///{tmp_path}/sealed.db", clock=clock)) as stores:
        path.write_bytes(access_file())
        PolicyTrail(PolicyFile(path, clock=clock, wait=lambda _: None), stores.audit).record()
        path.write_bytes(access_file(*WITHOUT_WH))
        policy = PolicyFile(path, clock=clock, wait=lambda _: None)
        PolicyTrail(policy, stores.audit).record()

        with closing(build_services(Ports(stores, policy, clock, WebClient())).targets) as targets:
            until = clock.now() + timedelta(hours=1)
            given = targets["wh"].give(a_right("db", "ro", "U0BOB", "wh"), until, OperationKey("0" * 16, 1))
            assert isinstance(given, TargetRefused)
            assert targets.get("gone") is None
