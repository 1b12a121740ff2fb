"""What `serve` runs, with a target in the policy: a click in Slack opens access at the target, and its end takes it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from bot.views.access.buttons import END_ACCESS
from bot.views.request.card import APPROVE
from bot.wiring.instance import build_sweeper
from core.access.grant import GrantStatus
from core.access.right import Right
from core.targets.opening import PolicyTargets
from tests.bot.access_grants import StallingTarget
from tests.end_to_end.harness import ACCESS, AIKO, EMERGENCY, JON, MIRA, Harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.access.grant import Grant
    from core.request import Request
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

HOUR: Final = timedelta(hours=1)
POLICY: Final = f"""\
version: 1
people: {{{MIRA}: {{box: mira}}, {AIKO}: {{box: aiko}}}}
targets: {{box: {{type: demo}}}}
profiles:
  prod: {{channel: {ACCESS}, access: [{{target: box, resource: prod, level: admin}}]}}
approval:
  - {{name: all, profiles: [prod], requesters: [{MIRA}, {AIKO}], approvers: [{JON}], max_duration: 4h}}
break_glass:
  - {{name: on-call, profiles: [prod], users: [{AIKO}], max_duration: 2h}}
""".encode()


@pytest.fixture
def box() -> Iterator[StallingTarget]:
    box = StallingTarget()
    yield box
    box.release()


@pytest.fixture
def harness(stores: Stores, clock: FrozenClock, box: StallingTarget) -> Iterator[Harness]:
    def open_targets(policy: object, of: object) -> PolicyTargets:
        return PolicyTargets(policy, of, {"demo": lambda _config: box})  # type: ignore[arg-type]  # what wiring passes

    with Harness(stores, clock, policy=POLICY, targets=open_targets, build_background=build_sweeper) as harness:
        yield harness


def right_of(person: str) -> Right:
    return Right(target="box", resource="prod", level="admin", principal=person)


def shows(harness: Harness, clock: FrozenClock, request: Request, text: str) -> None:
    """Wait until the card has this. A version may be ahead of a clock that stands still, so the clock has to go."""
    clock.advance(timedelta(seconds=1))
    harness.deliver()
    harness.slack.wait_until(lambda: text in str(harness.card(request).blocks))


def is_now(harness: Harness, source: str, status: GrantStatus) -> Grant | None:
    (grant,) = harness.services.grants.find(source)
    return grant if grant.status is status else None


def test_approved_access_opens_and_ends_with_its_window(
    harness: Harness, clock: FrozenClock, box: StallingTarget
) -> None:
    request = harness.ask(MIRA, "prod", "1h")
    card = harness.card(request)
    assert not box.calls
    harness.slack.press(JON, card, APPROVE)
    box.wait_until_held(right_of("mira"))
    harness.slack.wait_until(lambda: is_now(harness, request.chain, GrantStatus.ACTIVE))
    shows(harness, clock, request, END_ACCESS)
    clock.advance(HOUR)
    harness.deliver()
    box.wait_until_held(right_of("mira"), is_held=False)
    harness.slack.wait_until(lambda: is_now(harness, request.chain, GrantStatus.ENDED))


def test_im_done_takes_access_at_once(harness: Harness, clock: FrozenClock, box: StallingTarget) -> None:
    request = harness.ask(MIRA, "prod", "1h")
    harness.slack.press(JON, harness.card(request), APPROVE)
    box.wait_until_held(right_of("mira"))
    harness.slack.wait_until(lambda: is_now(harness, request.chain, GrantStatus.ACTIVE))
    shows(harness, clock, request, END_ACCESS)
    harness.slack.press(MIRA, harness.card(request), END_ACCESS)
    box.wait_until_held(right_of("mira"), is_held=False)


def test_broken_glass_opens_and_closing_it_takes_it(harness: Harness, box: StallingTarget) -> None:
    harness.break_glass(AIKO, f"prod incident 1h {EMERGENCY}")
    box.wait_until_held(right_of("aiko"))
    (event,) = harness.stores.break_glass.iterate()
    harness.access(AIKO, f"end {event.id}")
    box.wait_until_held(right_of("aiko"), is_held=False)
