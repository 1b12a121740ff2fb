"""An acknowledgement at the pager on the card, and pages for revokes that fail."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.timeline import request_timeline
from core.access.grant import GrantId
from core.directory import FixedDirectory
from core.outbox.outbox import deliver_due
from core.request import RequestId
from core.services.timeline import read_request_timeline
from core.targets.base import TargetRefused
from localslack.faults import Refuse, ServerError
from tests.bot.notifications.access_office import EDITS, AccessOffice
from tests.bot.notifications.harness import HOUR, Office, says
from tests.bot.notifications.page_office import WITH_PAGER, PageOffice
from tests.core.services.harness import RITA
from tests.harness.pagers import FakePagerDuty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.outbox.outbox import Sink
    from core.stores.base import Stores
    from localslack.server import LocalSlack
    from tests.core.services.harness import ChangingPolicy
    from tests.harness.clock import FrozenClock


@pytest.fixture
def duty() -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as server:
        yield server


@pytest.fixture
def paging(duty: FakePagerDuty, stores: Stores, policy: ChangingPolicy, clock: FrozenClock) -> PageOffice:
    return PageOffice(duty, stores, policy, clock)


def test_acknowledgement_redraws_the_card_once(office: Office, paging: PageOffice) -> None:
    request = paging.submit()
    paging.deliver(office.sink)
    drawn = says(office.card())
    paging.duty.acknowledge(request.id, "Sam <@U0EVE> *Example*", paging.clock.now())
    for _ in range(3):
        paging.watch.poll()
        paging.deliver(office.sink)
    shown = says(office.card())
    assert "Acknowledged by Sam <@U0EVE> *Example* in PagerDuty" not in drawn
    line = next(each for each in office.card().blocks if "Acknowledged" in str(each))
    # As plain text: what a pager says can mention nobody.
    assert line["elements"][0] == {
        "type": "plain_text", "text": "Acknowledged by Sam <@U0EVE> *Example* in PagerDuty", "emoji": False,
    }  # fmt: skip
    assert shown.index("Acknowledged") < shown.index("request:approve")
    assert len([each for each in office.slack.calls_of("chat.update") if "Acknowledged" in str(each)]) == 1
    assert office.replies() == []


def test_timeline_has_the_page_and_who_acknowledged_it(office: Office, paging: PageOffice) -> None:
    request = paging.submit()
    paging.deliver(office.sink)
    paging.duty.acknowledge(request.id, "Sam <@U0EVE>", paging.clock.now())
    paging.watch.poll()

    def shown() -> str:
        of, now = (RequestId(request.id), RITA, FixedDirectory()), paging.clock.now()
        return str(request_timeline(read_request_timeline(paging.stores, paging.policy, *of, now)).blocks)

    assert "people were paged in PagerDuty" in shown()
    # A name in the pager mentions nobody.
    assert "`Sam &lt;@U0EVE&gt;` acknowledged the page in PagerDuty" in shown()
    paging.policy.edit({})
    assert "PagerDuty" not in shown()


def test_card_that_cannot_be_redrawn_holds_up_no_other(office: Office, paging: PageOffice) -> None:
    first, second = paging.submit(), paging.declare()
    paging.deliver(office.sink)
    for each in (first, second):
        paging.duty.acknowledge(each.id, "Sam Example", paging.clock.now())
    office.slack.faults.next(Refuse("is_archived"), "chat.update")
    paging.watch.poll()
    paging.deliver(office.sink)
    assert len([each for each in office.cards() if "Acknowledged by Sam" in says(each)]) == 1
    assert office.waiting() == []


def test_card_is_redrawn_once_slack_answers_again(office: Office, paging: PageOffice) -> None:
    request = paging.submit()
    paging.deliver(office.sink)
    paging.duty.acknowledge(request.id, "Sam Example", paging.clock.now())
    office.slack.faults.next(ServerError(), "chat.update")
    paging.watch.poll()
    assert paging.deliver(office.sink).postponed == 1
    office.deliver_all()
    assert "Acknowledged by Sam" in says(office.card())


def test_card_of_another_instance_shows_it_to_the_end(office: Office, paging: PageOffice) -> None:
    request = paging.submit()
    paging.deliver(office.sink)
    paging.duty.acknowledge(request.id, "Sam Example", paging.clock.now())
    paging.watch.poll()
    paging.deliver(office.open_sink())
    paging.deny(request)
    paging.deliver(office.open_sink())
    assert "Acknowledged by Sam Example in PagerDuty" in says(office.card())


def test_card_of_an_event_shows_it_too(office: Office, paging: PageOffice) -> None:
    event = paging.declare()
    paging.deliver(office.sink)
    paging.duty.acknowledge(event.id, "Sam Example", paging.clock.now())
    paging.watch.poll()
    paging.deliver(office.sink)
    assert "Acknowledged by Sam Example in PagerDuty" in says(office.card())


def test_failing_revoke_pages_until_the_access_is_gone(
    slack: LocalSlack, duty: FakePagerDuty, stores: Stores, policy: ChangingPolicy, clock: FrozenClock
) -> None:
    paging, office = PageOffice(duty, stores, policy, clock), AccessOffice(slack, stores, policy, clock)
    policy.edit(EDITS | {"\nversion: 1\n": WITH_PAGER["\nversion: 1\n"]})
    office.approved()
    office.reconcile()
    office.target.always["take"] = TargetRefused("no")
    clock.advance(HOUR)
    office.reconcile(seconds=120)
    sinks: tuple[Sink, ...] = (paging.sink, office.sink)
    deliver_due(stores.outbox, sinks, clock)
    (incident,) = duty.open()
    assert incident.summary == "Revoke failing: Rita Example still has prod at aws"
    grant = stores.access.get(GrantId(incident.key))
    assert (grant.grantee, incident.event["payload"]["severity"]) == (RITA.id, "critical")

    duty.acknowledge(grant.id, "Sam Example", clock.now())
    paging.watch.poll()
    clock.advance(timedelta(seconds=1))
    deliver_due(stores.outbox, sinks, clock)
    assert "Acknowledged by Sam Example in PagerDuty" in says(office.card())

    office.target.always.clear()
    clock.advance(timedelta(minutes=10))
    office.reconcile(seconds=120)
    deliver_due(stores.outbox, sinks, clock)
    assert paging.summaries() == []
