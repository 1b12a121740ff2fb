"""Access that starts later, as people type it, fill it in, approve it, see it open, and cancel it before it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from bot.views.access.buttons import END_ACCESS
from bot.views.request.card import APPROVE
from bot.wiring.instance import build_sweeper
from core.access.grant import GrantStatus
from core.access.right import Right
from core.request import Request, RequestStatus
from core.targets.opening import PolicyTargets
from localslack.records import Person
from tests.bot.access_grants import StallingTarget
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, WHY, Harness, said, text_of, walk_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.access.grant import Grant
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

POLICY: Final = f"""\
version: 1
people: {{{MIRA}: {{box: mira}}}}
targets: {{box: {{type: demo}}}}
profiles:
  prod: {{channel: {ACCESS}, access: [{{target: box, resource: prod, level: admin}}]}}
  staging: {{channel: {ACCESS}}}
approval:
  - {{name: prod, profiles: [prod], approvers: [{JON}], max_duration: 4h, starts_within: 2d, max_pending: 5}}
  - {{name: staging, profiles: [staging], approvers: [{JON}], max_duration: 4h}}
break_glass:
  - {{name: on-call, profiles: [prod], users: [{AIKO}], max_duration: 2h}}
""".encode()
TEN_IN_BERLIN: Final = datetime(2026, 1, 16, 21, 0, tzinfo=UTC)
"""Tomorrow, 22:00."""
START: Final = f"<!date^{int(TEN_IN_BERLIN.timestamp())}^"
RIGHT: Final = Right(target="box", resource="prod", level="admin", principal="mira")


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
        harness.slack.workspace.add(Person(id=MIRA, name="mira", tz="Europe/Berlin"))
        yield harness


def made(harness: Harness) -> Request:
    return max(harness.stores.requests.iterate(), key=lambda each: each.created_at)


def is_now(harness: Harness, request: Request, status: GrantStatus) -> Grant | None:
    (grant,) = harness.services.grants.find(request.chain)
    return grant if grant.status is status else None


def test_typed_start_is_approved_and_opens_on_time(harness: Harness, clock: FrozenClock, box: StallingTarget) -> None:
    answer = said(harness.access(MIRA, f"prod 2h tomorrow 22:00 {WHY}"))
    assert START in answer
    assert "when it starts" in answer
    request = made(harness)
    assert (request.starts_at, request.justification) == (TEN_IN_BERLIN, WHY)
    assert f"requests `prod` for *2h* from {START}" in text_of(harness.card(request))

    harness.slack.press(JON, harness.card(request), APPROVE)
    assert f"Access to `prod` opens from {START}" in harness.next_reply(JON)
    clock.advance(timedelta(seconds=1))
    harness.deliver()
    harness.slack.wait_until(
        lambda: any(f"The access opens {START}" in text_of(each) for each in harness.slack.dm(MIRA))
    )
    harness.slack.wait_until(lambda: f":hourglass: *Opens {START}" in str(harness.card(request).blocks))
    assert not box.calls

    clock.set(TEN_IN_BERLIN)
    harness.deliver()
    box.wait_until_held(RIGHT)
    harness.slack.wait_until(lambda: is_now(harness, request, GrantStatus.ACTIVE))
    clock.advance(timedelta(seconds=1))
    harness.deliver()
    harness.slack.wait_until(lambda: any("is open" in text_of(each) for each in harness.slack.dm(MIRA)))
    assert "Your access to `prod` ends now" in said(harness.access(MIRA, "end prod"))


def test_access_is_cancelled_before_it_opens(harness: Harness, clock: FrozenClock, box: StallingTarget) -> None:
    harness.access(MIRA, f"prod 2h tomorrow 22:00 {WHY}")
    request = made(harness)
    harness.slack.press(JON, harness.card(request), APPROVE)
    harness.next_reply(JON)
    listed = harness.access(MIRA, "mine").message
    assert listed is not None
    assert "Cancel access" in walk_text(listed.blocks)
    assert "Opens" in text_of(listed)
    harness.slack.press(MIRA, listed, END_ACCESS)
    harness.slack.wait_until(lambda: is_now(harness, request, GrantStatus.ENDED))
    clock.set(TEN_IN_BERLIN)
    harness.deliver()
    assert not box.calls


def test_start_is_chosen_in_the_form(harness: Harness) -> None:
    harness.access(MIRA, "prod tomorrow 22:00")
    form = harness.modal(MIRA)
    assert f"'initial_date_time': {int(TEN_IN_BERLIN.timestamp())}" in str(form.blocks)
    later = TEN_IN_BERLIN + timedelta(hours=1)
    values: dict[str, dict[str, object]] = {
        "profile": {"request:profile": ["prod"]}, "duration": {"answer": "1h"}, "justification": {"answer": WHY},
        "starts_at": {"answer": int(later.timestamp())},
    }  # fmt: skip
    late: dict[str, dict[str, object]] = {
        **values,
        "starts_at": {"answer": int((later + timedelta(days=2)).timestamp())},
    }
    answer = harness.slack.submit(MIRA, form, late)
    assert "allows a start up to 2d ahead" in f"{answer.body}{harness.slack.ephemerals(MIRA)}"
    assert not list(harness.stores.requests.iterate())
    harness.slack.submit(MIRA, form, values)
    assert made(harness).starts_at == later


def test_profile_that_starts_at_once_has_no_picker(harness: Harness) -> None:
    harness.access(MIRA, "staging 2h at 22:00 the job is stuck again")
    form = str(harness.modal(MIRA).blocks)
    assert "datetimepicker" not in form
    assert "`staging` can't start later: it opens as soon as it's approved." in form
    assert "at 22:00 the job is stuck again" in form
    assert not list(harness.stores.requests.iterate())


CANNOT_BE: Final = {
    "today 04:55": "2026-01-15 03:55 UTC is less than 5m away",
    "2026-01-10 22:00": "2026-01-10 21:00 UTC has passed",
    "saturday 22:00": "allows a start up to 2d ahead",
    "at 25:00": "'at 25:00' isn't a date and time",
    "2026-03-29 02:30": "doesn't exist in Europe/Berlin",
}


def test_start_that_cannot_be_changes_nothing(harness: Harness) -> None:
    for start, sentence in CANNOT_BE.items():
        answer = said(harness.access(MIRA, f"prod 2h {start} {WHY}"))
        assert sentence in answer
        assert f"/access prod 2h {start} {WHY}" in answer
    assert not list(harness.stores.requests.iterate())


def test_break_glass_is_never_scheduled(harness: Harness) -> None:
    harness.break_glass(AIKO, "prod incident 1h tomorrow 22:00 the certificate expires")
    form = str(harness.modal(AIKO).blocks)
    assert "Break-glass opens now, not tomorrow 22:00. For access that starts later, use `/access`." in form
    assert "tomorrow 22:00 the certificate expires" in form
    assert not list(harness.stores.break_glass.iterate())
    harness.break_glass(AIKO, "prod incident 1h at 22:00 the checkout went down")
    (event,) = harness.stores.break_glass.iterate()
    assert event.justification == "at 22:00 the checkout went down"


def test_nobody_decided_by_the_start(harness: Harness, clock: FrozenClock) -> None:
    harness.access(MIRA, f"prod 2h tomorrow 22:00 {WHY}")
    request = made(harness)
    card = harness.card(request)
    clock.set(TEN_IN_BERLIN)
    harness.slack.press(JON, card, APPROVE)
    assert "expired" in harness.next_reply(JON)
    assert harness.stored(request).is_overdue(clock.now()) or harness.status(request) is RequestStatus.EXPIRED
