"""Who is paged, for what, and when the page is taken back: through the real outbox."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.background.urgent_pages import UrgentPages
from bot.notifications.page_plan import PagePlanner
from core.audit.trail import AuditAction
from core.break_glass import EventId
from core.clock import TICK
from core.pagers.gate import PagerGate
from core.pagers.opening import Pagers
from core.pagers.pagerduty import PagerDuty
from core.request import RequestId
from core.review import Verdict
from core.services.due import no_rest
from tests.bot.notifications.page_office import HOUR, PAGER, WITH_PAGER, PageOffice
from tests.core.services.harness import ANN, BOB, CLEO, DEPLOY, EVE, NOTES, RITA
from tests.harness.pagers import REST_KEY, ROUTING_KEY, FakePagerDuty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.pagers.base import PagerAlert
    from core.stores.base import Stores
    from tests.core.services.harness import ChangingPolicy
    from tests.harness.clock import FrozenClock

STARTS_LATER = WITH_PAGER | {"    remind_after: 3h\n": "    remind_after: 3h\n    page: true\n    starts_within: 2d\n"}
APPROVAL = "Rita Example requests prod for 1h: approval needed"


@pytest.fixture
def duty() -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as server:
        yield server


@pytest.fixture
def paging(duty: FakePagerDuty, stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> PageOffice:
    return PageOffice(duty, stores, policy, clock)


def test_pending_request_pages_under_its_id_with_its_card(paging: PageOffice) -> None:
    request = paging.submit()
    paging.deliver()
    (incident,) = paging.duty.open()
    payload = incident.event["payload"]
    assert (incident.key, incident.summary, payload["severity"]) == (request.id, APPROVAL, "error")
    assert incident.event["client_url"].endswith(request.id)
    assert payload["custom_details"]["person"] == RITA.id
    assert DEPLOY not in str(incident.event)


def test_justification_is_a_detail_where_the_policy_says_so(paging: PageOffice) -> None:
    paging.policy.edit(WITH_PAGER | {"\nversion: 1\n": f"\nversion: 1\n{PAGER % ', justification: true'}"})
    paging.submit()
    paging.deliver()
    (incident,) = paging.duty.open()
    assert incident.event["payload"]["custom_details"]["justification"] == DEPLOY
    assert DEPLOY not in incident.summary


@pytest.mark.parametrize("end", ["denied", "approved", "cancelled", "expired"])
def test_end_of_a_request_takes_the_page_back(paging: PageOffice, end: str) -> None:
    request = paging.submit()
    paging.deliver()
    if end == "denied":
        paging.deny(request)
    elif end == "approved":
        paging.requests.approve(RequestId(request.id), ANN)
        paging.deliver()
        assert paging.summaries() == [APPROVAL]
        paging.requests.approve(RequestId(request.id), BOB)
    elif end == "cancelled":
        paging.requests.cancel(RequestId(request.id), RITA)
    else:
        paging.clock.advance(timedelta(days=2))
        paging.requests.expire_due()
    paging.deliver()
    assert (paging.summaries(), paging.observer.counts) == ([], [("trigger", "sent"), ("resolve", "sent")])


def test_nobody_is_paged_for_what_was_decided_meanwhile(paging: PageOffice) -> None:
    paging.deny(paging.submit())
    paging.deliver()
    assert (paging.duty.calls, paging.stores.outbox.measure_backlog(10).waiting) == ([], 0)


def test_nobody_is_paged_for_what_expired_meanwhile(paging: PageOffice) -> None:
    paging.submit()
    paging.clock.advance(timedelta(days=2))
    paging.deliver()
    assert paging.duty.calls == []


def test_request_that_the_policy_approves_pages_nobody(paging: PageOffice) -> None:
    request = paging.submit("staging", EVE)
    paging.deliver()
    assert (request.status, paging.duty.calls) == ("approved", [])


def test_rule_without_page_pages_nobody(paging: PageOffice) -> None:
    paging.submit("vault", CLEO)
    paging.deliver()
    assert paging.duty.calls == []


def test_later_start_pages_when_it_is_near_and_once(paging: PageOffice) -> None:
    paging.policy.edit(STARTS_LATER)
    starts_at = paging.clock.now() + timedelta(days=1)
    late, soon = (
        paging.requests.submit(RITA, "prod", HOUR, DEPLOY, starts_at=starts_at),
        paging.requests.submit(ANN, "prod", HOUR, DEPLOY, starts_at=paging.clock.now() + HOUR),
    )
    paging.deliver()
    assert [each.key for each in paging.duty.open()] == [soon.id]
    instances = [UrgentPages(paging.stores, paging.policy, paging.clock) for _ in range(2)]
    paging.clock.set(starts_at - HOUR - TICK)
    assert [each.page_due(no_rest) for each in instances] == [(), ()]
    paging.clock.set(starts_at - HOUR)
    paging.requests.expire_due()
    assert [len(each.page_due(no_rest)) for each in instances] == [1, 1]
    assert instances[0].page_due(no_rest) == ()
    paging.deliver()
    (incident,) = paging.duty.open()
    assert (incident.key, len(paging.stores.audit.get_chain("PAGES"))) == (late.id, 1)
    paging.deny(late)
    paging.deliver()
    assert paging.duty.open() == []


def test_page_that_is_due_finds_what_was_decided(paging: PageOffice) -> None:
    paging.policy.edit(STARTS_LATER)
    request = paging.requests.submit(RITA, "prod", HOUR, DEPLOY, starts_at=paging.clock.now() + 5 * HOUR)
    paging.deliver()
    paging.clock.advance(4 * HOUR + timedelta(minutes=1))
    UrgentPages(paging.stores, paging.policy, paging.clock).page_due(no_rest)

    class DenyingFirst(PagerDuty):
        def trigger(self, alert: PagerAlert) -> None:
            # The entry of the denial finds no page to take back yet.
            paging.deny(request)
            super().trigger(alert)

    keys = SecretStr(ROUTING_KEY), SecretStr(REST_KEY)
    url = paging.duty.url
    paging.use(Pagers({"pagerduty": lambda _: DenyingFirst(*keys, events_url=url, rest_url=url, call_seconds=2)}))
    paging.deliver()
    assert paging.summaries() == []


def test_policy_without_a_pager_costs_nothing(paging: PageOffice, policy: ChangingPolicy) -> None:
    policy.edit({})
    paging.deny(paging.submit())
    paging.declare()
    paging.deliver()
    assert paging.duty.calls == []


def test_page_is_taken_back_when_the_rule_pages_no_more(paging: PageOffice, policy: ChangingPolicy) -> None:
    request = paging.submit()
    paging.deliver()
    policy.edit({"\nversion: 1\n": WITH_PAGER["\nversion: 1\n"]})
    paging.deny(request)
    paging.deliver()
    assert paging.summaries() == []


@pytest.mark.parametrize("now", ["pager: {incident_io: {alert_source: SRC1, token: env:OTHER}}\n", ""])
def test_page_is_taken_back_where_it_was_sent(paging: PageOffice, policy: ChangingPolicy, now: str) -> None:
    request = paging.submit()
    paging.deliver()
    policy.edit({"\nversion: 1\n": f"\nversion: 1\n{now}"})
    paging.deny(request)
    paging.deliver()
    assert (paging.summaries(), paging.stores.outbox.measure_backlog(10).waiting) == ([], 0)


def test_page_that_is_sent_anew_elsewhere_is_open_only_there(paging: PageOffice, policy: ChangingPolicy) -> None:
    request = paging.submit()
    paging.deliver()
    with FakePagerDuty() as other:
        moved = PagerDuty(SecretStr(ROUTING_KEY), events_url=other.url)
        paging.use(Pagers({"pagerduty": lambda _: paging.open_pager(), "incident_io": lambda _: moved}))
        now = "pager: {incident_io: {alert_source: SRC1, token: env:OTHER}}"
        policy.edit(WITH_PAGER | {"\nversion: 1\n": f"\nversion: 1\n{now}\n"})
        paging.sink.deliver(paging.stores.audit.get_chain(request.chain)[0])
        assert (paging.summaries(), [each.summary for each in other.open()]) == ([], [APPROVAL])
        paging.deny(request)
        paging.deliver()
        assert other.open() == []


def test_page_of_a_pager_whose_keys_are_gone_is_named(
    paging: PageOffice, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = paging.submit()
    paging.deliver()
    paging.use(Pagers({"incident_io": lambda _: paging.open_pager()}))
    monkeypatch.delenv("PAGER_KEY", raising=False)
    other = "pager: {incident_io: {alert_source: SRC1, token: env:OTHER}}"
    paging.policy.edit({"\nversion: 1\n": f"\nversion: 1\n{other}\n"})
    paging.deny(request)
    with caplog.at_level(logging.WARNING):
        assert paging.deliver().delivered == 1
    assert f"{request.chain}: its page stays open in PagerDuty: resolve it there" in caplog.text


def test_page_that_was_tampered_with_is_taken_back(paging: PageOffice, tmp_path: Path) -> None:
    request = paging.submit()
    paging.deliver()
    paging.deny(request)
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
        connection.execute("UPDATE ledgers SET body = replace(body, '\"PagerDuty\"', '\"another\"')")
    paging.deliver()
    assert (paging.summaries(), paging.pages.find(request.chain)) == ([], None)


def test_request_on_behalf_pages_once_it_is_confirmed(paging: PageOffice) -> None:
    request = paging.requests.submit(ANN, "prod", HOUR, DEPLOY, on_behalf_of=RITA)
    paging.deliver()
    assert paging.duty.calls == []
    paging.requests.confirm(RequestId(request.id), RITA)
    paging.deliver()
    assert paging.summaries() == [APPROVAL]


def test_page_says_when_access_is_to_start(paging: PageOffice) -> None:
    request = paging.submit()
    later, planner = request.replace(starts_at=request.expires_at), PagePlanner(lambda _: None)
    policy, now = paging.policy.current(), request.expires_at - HOUR
    assert planner.plan(later, AuditAction.REQUEST_SUBMITTED, policy, now - TICK) is None
    alert = planner.plan(later, AuditAction.REQUEST_SUBMITTED, policy, now)
    assert alert is not None
    assert alert.summary == "U0RITA requests prod for 1h from 2026-01-16 03:53 UTC: approval needed"


def test_declaration_pages_until_it_is_closed(paging: PageOffice) -> None:
    event = paging.declare()
    paging.deliver()
    assert paging.summaries() == ["Break-glass: U0ANN took prod for 1h (incident)"]
    assert paging.duty.open()[0].event["payload"]["severity"] == "critical"
    paging.events.close(EventId(event.id), ANN, "it is over")
    paging.deliver()
    assert paging.summaries() == []


def test_declaration_pages_nobody_where_its_rule_says_so(paging: PageOffice) -> None:
    paging.policy.edit(WITH_PAGER | {"    cooldown: 30m\n": "    cooldown: 30m\n    page: false\n"})
    paging.declare()
    paging.deliver()
    assert paging.duty.calls == []


def test_overdue_review_pages_until_it_is_given(paging: PageOffice) -> None:
    event = paging.declare()
    paging.deliver()
    paging.events.close(EventId(event.id), ANN, "it is over")
    paging.deliver()
    paging.clock.advance(timedelta(days=4))
    paging.events.remind_due()
    paging.deliver()
    assert paging.summaries() == ["Review overdue: break-glass access of U0ANN to prod"]
    assert [each.key for each in paging.duty.incidents] == [event.id, event.id]
    paging.events.review(EventId(event.id), BOB, Verdict.JUSTIFIED, NOTES)
    paging.deliver()
    assert paging.summaries() == []


@pytest.mark.parametrize("fault", [(429, {}), (500, {}), (503, {}), "hang up"])
def test_what_the_pager_did_not_take_is_sent_again(paging: PageOffice, fault: tuple[int, dict[str, str]]) -> None:
    paging.duty.faults.append(fault)
    paging.submit()
    assert paging.deliver().postponed == 1
    assert paging.summaries() == []
    paging.clock.advance(timedelta(minutes=1))
    paging.deliver()
    assert (paging.summaries(), paging.observer.counts) == ([APPROVAL], [("trigger", "failed"), ("trigger", "sent")])


def test_entries_of_a_record_stay_in_order(paging: PageOffice) -> None:
    paging.duty.faults.append((500, {}))
    request = paging.submit()
    paging.deliver()
    paging.deny(request)
    for _ in range(3):
        paging.clock.advance(timedelta(minutes=1))
        paging.deliver()
    # The page that was lost is not sent any more, and what may have arrived is taken back.
    assert [each[2]["event_action"] for each in paging.duty.calls] == ["trigger", "resolve"]


def test_pager_that_hangs_is_left_alone_for_a_while(paging: PageOffice) -> None:
    # Whatever takes one look at this clock takes four seconds.
    paging.use(paging.pagers, PagerGate(count(0.0, 4.0).__next__))
    paging.duty.faults.append((500, {}))
    paging.submit()
    paging.deliver()
    paging.declare()
    paging.deliver()
    assert len(paging.duty.calls) == 1
    assert paging.stores.outbox.measure_backlog(10).waiting == 2


def test_lost_answer_pages_once(paging: PageOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = paging.duty.answer

    def lose(
        method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, str]]:
        monkeypatch.undo()
        taken(method, path, headers, body)
        return 502, {}, {}

    monkeypatch.setattr(paging.duty, "answer", lose)
    paging.submit()
    paging.deliver()
    paging.clock.advance(timedelta(minutes=1))
    paging.deliver()
    assert [each.summary for each in paging.duty.incidents] == [APPROVAL]


def test_page_that_is_refused_is_parked_and_said(
    paging: PageOffice, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging.duty, "answer", lambda *_: (400, {"errors": [f"bad {ROUTING_KEY}"]}, {}))
    request = paging.submit()
    with caplog.at_level(logging.INFO):
        assert paging.deliver().parked == 1
    assert "PagerDuty answered 400 (bad …)" in caplog.text
    assert ROUTING_KEY not in caplog.text
    paging.deny(request)
    assert paging.deliver().parked == 0
    assert paging.observer.counts == [("trigger", "refused")]


def test_key_that_is_missing_waits_for_a_fix(
    paging: PageOffice, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGER_KEY", raising=False)
    paging.use(Pagers())
    paging.submit()
    with caplog.at_level(logging.INFO):
        assert paging.deliver().postponed == 1
    assert next(paging.stores.outbox.iterate_due(paging.clock.now() + HOUR)).problem == (
        "pager: the pager can't be used: the variable PAGER_KEY has no secret in it. "
        "Set it where Countersign runs, and restart Countersign."
    )
    assert "the trigger was not taken: the pager can't be used: the variable PAGER_KEY" in caplog.text
    assert paging.observer.counts == [("trigger", "failed")]


def test_key_that_is_back_pages_within_seconds(paging: PageOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER_REST", REST_KEY)
    monkeypatch.setenv("PAGER_KEY", f"{ROUTING_KEY[:16]}\n{ROUTING_KEY[:15]}")
    paging.use(Pagers())
    paging.submit()
    assert paging.deliver().postponed == 1
    (waiting,) = paging.stores.outbox.iterate_due(paging.clock.now() + HOUR)
    assert waiting.problem is not None
    assert "what is in env:PAGER_KEY can't be a key" in waiting.problem
    assert ROUTING_KEY[:15] not in waiting.problem
    assert waiting.due_at - paging.clock.now() < timedelta(seconds=5)
