"""Credentials on a device in Slack: once in the thread, in the lists, and in the timeline with AWS's query."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from bot.views.request.card import TIMELINE
from core.access.grant import Grant
from core.request import Request
from tests.core.stores.session_bench import SessionBench
from tests.end_to_end.harness import ACCESS, AIKO, JON, MIRA, Harness, said, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.access.session import Session
    from core.stores.base import Stores
    from tests.harness.clock import FrozenClock

ROLE: Final = "arn:aws:iam::111122223333:role/prod-admin"
POLICY: Final = f"""\
version: 1
targets:
  ops: {{type: aws-role, role: "{ROLE}", region: eu-west-1}}
profiles:
  prod: {{channel: {ACCESS}, access: [{{target: ops}}]}}
approval:
  - {{name: all, profiles: [prod], requesters: [{MIRA}, {AIKO}], approvers: [{JON}], max_duration: 4h}}
""".encode()


@pytest.fixture
def harness(stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock, policy=POLICY) as harness:
        yield harness


@pytest.fixture
def bench(stores: Stores, clock: FrozenClock) -> SessionBench:
    return SessionBench.on(stores, clock)


def _open(harness: Harness, bench: SessionBench) -> tuple[Request, Grant]:
    request = harness.ask(MIRA)
    approved = harness.services.requests.approve(request.id, harness.actor(JON))  # type: ignore[arg-type]
    harness.card(approved)
    (grant,) = harness.services.grants.find(approved.chain)
    return approved, bench.access.open(grant)


def _thread(harness: Harness, request: Request) -> list[str]:
    card = harness.card(request)
    return [text_of(each) for each in harness.slack.messages(ACCESS) if each.thread_ts == card.ts]


def _replies(harness: Harness, request: Request, part: str) -> int:
    return sum(part in each for each in _thread(harness, request))


def _renew(bench: SessionBench, session: Session, grant: Grant) -> Session:
    bench.clock.advance(timedelta(minutes=45))
    return bench.touch(session, grant)


def test_first_credentials_are_announced_and_renewals_are_not(harness: Harness, bench: SessionBench) -> None:
    request, grant = _open(harness, bench)
    session = bench.issue(grant)
    harness.deliver()
    harness.slack.wait_until(lambda: _replies(harness, request, "got credentials on `host-1`") == 1)
    renewed = _renew(bench, session, grant)
    bench.revoke(renewed)
    harness.deliver()
    harness.slack.wait_until(lambda: _replies(harness, request, "credentials on `host-1` were ended") == 1)

    assert _replies(harness, request, "got credentials") == 1
    assert not [each for each in harness.slack.dm(MIRA) if "got credentials" in text_of(each)]


def test_lists_show_the_device_and_how_often(harness: Harness, bench: SessionBench) -> None:
    _, grant = _open(harness, bench)
    _renew(bench, bench.issue(grant), grant)

    for shown in (
        said(harness.access(MIRA, "live")),
        said(harness.access(MIRA, "mine")),
        str(harness.home(MIRA).blocks),
    ):
        assert "`host-1`: credentials issued 2 times" in shown
    assert "host-1" not in said(harness.access(AIKO, "live"))


def test_timeline_has_the_query_that_finds_what_was_done(harness: Harness, bench: SessionBench) -> None:
    request, grant = _open(harness, bench)
    session = bench.issue(grant)
    harness.deliver()
    harness.slack.wait_until(lambda: TIMELINE in str(harness.card(request).blocks))
    card = harness.card(request)
    harness.slack.press(JON, card, TIMELINE)
    shown = harness.next_reply(JON)
    harness.slack.press(AIKO, card, TIMELINE)

    assert "credentials were issued to a device" in shown
    assert session.source_identity in shown
    assert "FROM cloudtrail_logs" in shown
    assert "can't do this" in harness.next_reply(AIKO)
