"""Break-glass in Slack: a loud card in both channels, its thread, direct messages, and the security channel."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.views.break_glass.card import CLOSE, REVIEW, TIMELINE
from core.actor import ChannelId
from core.break_glass import BreakGlassEvent, EventId, ReasonCode
from core.directory import FixedDirectory
from core.errors import LimitReached, NotAllowed, StoreUnavailable
from core.outbox.outbox import LEASE
from core.request import RequestId
from core.review import Verdict
from core.services import BreakGlassService
from core.stores import open_stores
from localslack.faults import Fault, HangUp, Refuse, ServerError
from localslack.records import Channel
from tests.bot.notifications.harness import CHANNEL, DECIDED, ELSEWHERE, Office, buttons, says
from tests.core.services.harness import ANN, BOB, CLEO, EVE, STRANGER

if TYPE_CHECKING:
    from pathlib import Path

    from core.actor import Actor

SECURITY = "C0SECURITY"
WHY = "The checkout is down, INC-12"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Tower:
    """The office, with the service of break-glass beside it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        bot = office.slack.backend.app.bot_user
        office.slack.workspace.add(Channel(id=SECURITY, name="security", members=(bot,)))
        office.policy.edit(
            {"    escalation_threshold: 2\n": "    escalation_threshold: 2\n    notify: [S0ENGINEERS, U0BOB]\n"}
        )
        self.service = BreakGlassService(office.stores, office.policy, office.clock, directory=FixedDirectory())

    def declare(
        self, who: Actor = ANN, channel: str | None = ELSEWHERE, *, instead_of: str | None = None
    ) -> BreakGlassEvent:
        """Somebody breaks the glass, and the notifications are delivered."""
        event = self.service.invoke(
            who,
            "prod",
            ReasonCode.INCIDENT,
            WHY,
            HOUR,
            declared_in=ChannelId(channel) if channel is not None else None,
            instead_of=RequestId(instead_of) if instead_of is not None else None,
        )
        self.tell()
        return event

    def close(self, event: BreakGlassEvent, who: Actor = ANN) -> None:
        """Somebody closes it, and the notifications are delivered."""
        self.service.close(EventId(event.id), who, "it is up again")
        self.tell()

    def tell(self) -> None:
        """A second passes, and the outbox is emptied."""
        self.office.stores.refusals.flush()
        self.office.clock.advance(timedelta(seconds=1))
        self.office.deliver()
        assert self.office.waiting() == []

    def security(self) -> list[str]:
        """The posts in the security channel."""
        return [each.text for each in self.office.slack.messages(SECURITY)]


@pytest.fixture
def tower(office: Office) -> Tower:
    return Tower(office)


def test_declaration_is_posted_where_typed_and_to_the_profile(
    tower: Tower,
) -> None:
    event = tower.declare()
    for channel in (CHANNEL, ELSEWHERE):
        (card,) = tower.office.cards(channel)
        assert buttons(card) == [CLOSE, TIMELINE]
        assert "<!subteam^S0ENGINEERS>, <@U0BOB>" in says(card)
        assert f"<@{ANN.id}> broke the glass for `prod` · *incident*" in says(card)
        assert WHY in says(card)
        assert f"<!date^{int(event.expires_at.timestamp())}^{{ago}}" in says(card)
    assert tower.security() == []


@pytest.mark.parametrize("channel", [None, CHANNEL, "D0ANN"])
def test_profile_without_its_own_channel_has_one_card(tower: Tower, channel: str | None) -> None:
    tower.declare(channel=channel)
    assert len(tower.office.cards()) == 1
    assert len(tower.office.slack.calls_of("chat.postMessage")) == 1


@pytest.mark.parametrize("code", ["not_in_channel", "channel_not_found", "is_archived"])
def test_card_is_in_the_profile_channel_where_the_bot_is_absent(tower: Tower, code: str) -> None:
    tower.office.slack.faults.next(
        Refuse(code), "chat.postMessage", where=lambda arguments: arguments.get("channel") == ELSEWHERE
    )
    tower.declare()
    assert len(tower.office.cards()) == 1
    assert tower.office.cards(ELSEWHERE) == []
    assert tower.office.parked() == []


@pytest.mark.parametrize("flag", ["is_ext_shared", "is_pending_ext_shared"])
def test_channel_shared_with_outsiders_gets_no_copy(tower: Tower, flag: str) -> None:
    bot = tower.office.slack.backend.app.bot_user
    tower.office.slack.workspace.add(
        Channel.model_validate({"id": ELSEWHERE, "name": "both", "members": [bot], flag: True})
    )
    event = tower.declare()
    tower.close(event, BOB)

    assert tower.office.slack.messages(ELSEWHERE) == []
    assert buttons(tower.office.cards()[0]) == [REVIEW, TIMELINE]
    assert tower.office.parked() == []


@pytest.mark.parametrize("fault", [Refuse("missing_scope"), Refuse("fatal_error"), ServerError(), HangUp()])
def test_channel_that_slack_says_nothing_about_gets_no_copy(tower: Tower, fault: Fault) -> None:
    tower.office.slack.faults.next(fault, "conversations.info", times=None)
    event = tower.declare(BOB)

    assert tower.office.slack.messages(ELSEWHERE) == []
    assert event.id in says(tower.office.card())
    assert tower.office.waiting() == []


def test_copy_that_is_gone_is_not_reposted_among_outsiders(tower: Tower) -> None:
    event = tower.declare()
    bot = tower.office.slack.backend.app.bot_user
    tower.office.slack.workspace.add(Channel(id=ELSEWHERE, name="both", members=(bot,), is_ext_shared=True))
    tower.office.slack.faults.next(
        Refuse("message_not_found"), "chat.update", where=lambda arguments: arguments.get("channel") == ELSEWHERE
    )
    before = len(tower.office.slack.messages(ELSEWHERE))
    tower.close(event, BOB)

    assert len(tower.office.slack.messages(ELSEWHERE)) == before == 1


def test_close_updates_both_cards_the_thread_and_the_invoker(
    tower: Tower,
) -> None:
    event = tower.declare()
    tower.close(event, BOB)
    for channel in (CHANNEL, ELSEWHERE):
        card = tower.office.cards(channel)[0]
        assert buttons(card) == [REVIEW, TIMELINE]
        assert f"*Closed* by <@{BOB.id}>" in says(card)
        assert "it is up again" in says(card)
        assert "<!subteam^" not in says(card), "nobody is called again"
    assert tower.office.replies(tower.office.cards()[0]) == [f"Closed by <@{BOB.id}>. The access has ended."]
    (told,) = tower.office.directs(ANN.id)
    assert f"was closed by <@{BOB.id}>" in told


def test_close_of_another_persons_event_is_loud(tower: Tower) -> None:
    event = tower.declare()
    tower.close(event, BOB)
    posts = tower.office.slack.calls_of("chat.postMessage")
    loud = [each.arguments["channel"] for each in posts if "closed the break-glass" in str(each.arguments["text"])]
    assert sorted(loud) == sorted([CHANNEL, SECURITY])
    (hint,) = tower.office.directs(ANN.id)
    assert "declare again now" in hint
    assert f"`/breakglass {event.profile}`" in hint


def test_invoker_who_closes_their_own_event_gets_no_message(tower: Tower) -> None:
    tower.close(tower.declare())
    assert tower.office.directs(ANN.id) == []


def test_invoker_is_notified_of_the_expiry(tower: Tower) -> None:
    tower.declare()
    tower.office.clock.advance(HOUR)
    tower.service.expire_due()
    tower.tell()
    (told,) = tower.office.directs(ANN.id)
    assert "has expired." in told
    assert "*Expired*" in says(tower.office.card())
    assert buttons(tower.office.cards()[0]) == [REVIEW, TIMELINE]


def test_invoker_is_asked_before_the_end_whether_it_is_over(tower: Tower) -> None:
    tower.declare()
    tower.office.clock.advance(timedelta(minutes=55))
    tower.service.ask_due()
    tower.tell()
    (asked,) = tower.office.slack.dm(ANN.id)
    assert "If you're done, close it now." in asked.text
    assert buttons(asked) == [CLOSE]
    assert tower.office.replies() == [], "only the invoker is asked"


def test_late_question_is_not_asked(tower: Tower) -> None:
    event = tower.declare()
    tower.office.clock.advance(timedelta(minutes=55))
    tower.service.ask_due()
    tower.close(event)
    assert tower.office.directs(ANN.id) == []


def test_review_is_posted_in_the_thread_and_ends_the_buttons(tower: Tower) -> None:
    event = tower.declare()
    tower.close(event)
    tower.service.review(
        EventId(event.id), BOB, Verdict.PARTLY_JUSTIFIED, "A request would have done", "https://incidents.example/12"
    )
    tower.tell()
    for channel in (CHANNEL, ELSEWHERE):
        (card,) = tower.office.cards(channel)
        assert buttons(card) == [TIMELINE]
        assert "*Reviewed: partly justified*" in says(card)
        assert "https://incidents.example/12" in says(card)
    assert tower.office.replies()[-1] == f"Reviewed by <@{BOB.id}>: partly justified."
    assert "*partly justified*" in tower.office.directs(ANN.id)[-1]


def test_overdue_review_goes_to_thread_and_security_each_time(tower: Tower) -> None:
    event = tower.declare()
    tower.close(event)
    for days in (3, 6):
        tower.office.clock.advance(3 * DAY)
        assert len(tower.service.remind_due()) == 1, days
        tower.tell()
    reminders = [each for each in tower.office.replies() if "hasn't been reviewed" in each]
    assert len(reminders) == len(tower.security()) == 2
    assert "<@U0BOB>" in reminders[0]
    assert f"{ANN.id}> for `prod` hasn't" in reminders[0]
    assert f"<@{ANN.id}>: please" not in reminders[0], "the invoker cannot review it"


def test_reminder_of_a_reviewed_event_is_not_sent(tower: Tower) -> None:
    event = tower.declare()
    tower.close(event)
    tower.office.clock.advance(3 * DAY)
    tower.service.remind_due()
    tower.service.review(EventId(event.id), BOB, Verdict.JUSTIFIED, "Nothing else would have helped")
    tower.tell()
    assert tower.security() == []
    assert not [each for each in tower.office.replies() if "hasn't been reviewed" in each]


def test_threshold_notifies_the_security_channel(tower: Tower) -> None:
    tower.declare()
    assert tower.security() == []
    tower.declare(BOB)
    (told,) = tower.security()
    assert f"<@{BOB.id}> broke the glass for `prod` (incident)" in told
    assert WHY in says(tower.office.slack.messages(SECURITY)[-1])


def test_refused_declaration_is_posted_to_the_security_channel(tower: Tower) -> None:
    tower.declare()
    with pytest.raises(LimitReached):
        tower.declare()
    tower.tell()
    with pytest.raises(NotAllowed):
        tower.declare(STRANGER)
    tower.tell()
    limit, stranger = tower.security()
    assert f"<@{ANN.id}> tried to break the glass for `prod` and was refused." in limit
    assert f"<@{STRANGER.id}>" in stranger
    shown = [says(each) for each in tower.office.slack.messages(SECURITY)]
    assert "they already have this access through break-glass event " in shown[0]
    assert "no rule lets them break the glass for prod" in shown[1]


def test_refusal_without_a_security_channel_is_only_audited(tower: Tower) -> None:
    tower.office.policy.edit({"security_channel: C0SECURITY\n": "", "    escalation_threshold: 2\n": ""})
    with pytest.raises(NotAllowed):
        tower.declare(STRANGER)
    tower.tell()
    assert tower.office.slack.calls_of("chat.postMessage") == []


def test_request_that_was_replaced_names_the_event_on_its_card(tower: Tower) -> None:
    request = tower.office.submit(who=ANN)
    tower.office.deliver()
    event = tower.declare(channel=None, instead_of=request.id)
    card = next(each for each in tower.office.cards() if request.id in says(each))
    assert "*Cancelled*" in says(card)
    assert f"replaced by break-glass event `{event.id}`" in says(card)
    assert buttons(card) == DECIDED
    assert f"declared break-glass event `{event.id}` instead" in tower.office.replies(card)[-1]


def test_stale_card_and_its_copy_are_both_refreshed(tower: Tower) -> None:
    event = tower.declare()
    tower.service.close(EventId(event.id), ANN, "it is up again")
    tower.office.sink.refresh(event.chain)
    for channel in (CHANNEL, ELSEWHERE):
        assert buttons(tower.office.cards(channel)[0]) == [REVIEW, TIMELINE]


@pytest.mark.parametrize("lost", ["card", "card:C0ELSEWHERE", "post"])
def test_notification_that_slack_refused_is_delivered_later_once(tower: Tower, lost: str) -> None:
    tower.declare(BOB, channel=None)
    channel = {"card": CHANNEL, "card:C0ELSEWHERE": ELSEWHERE, "post": SECURITY}[lost]
    tower.office.slack.faults.next(
        Refuse("fatal_error"), "chat.postMessage", where=lambda arguments: arguments.get("channel") == channel
    )
    tower.service.invoke(ANN, "prod", ReasonCode.INCIDENT, WHY, HOUR, declared_in=ELSEWHERE)
    tower.office.clock.advance(timedelta(seconds=1))
    tower.office.deliver()
    assert len(tower.office.waiting()) == 1
    tower.office.deliver_all()
    assert [len(tower.office.cards(each)) for each in (CHANNEL, ELSEWHERE, SECURITY)] == [2, 1, 1]


def test_person_without_any_right_is_not_mentioned(tower: Tower) -> None:
    tower.declare()
    assert EVE.id not in says(tower.office.card())


def test_two_instances_at_once_post_no_card_copy_or_post_twice(tower: Tower, tmp_path: Path) -> None:
    office = tower.office
    for who in (ANN, BOB, CLEO):
        for profile in ("prod", "staging"):
            event = tower.service.invoke(who, profile, ReasonCode.INCIDENT, WHY, HOUR, declared_in=ELSEWHERE)
            tower.service.close(EventId(event.id), ANN, "it is up again")
    office.clock.advance(timedelta(seconds=1))
    with closing(open_stores(f"sqlite:///{tmp_path}/countersign.db", clock=office.clock)) as other_stores:
        other = Office(office.slack, other_stores, office.policy, office.clock)
        start = threading.Barrier(4)

        def run(instance: Office) -> None:
            start.wait(timeout=120)
            for _ in range(50):
                # A database that is too busy for five seconds leaves its lease to run out.
                with suppress(StoreUnavailable):
                    instance.deliver()
                    if not instance.waiting():
                        return

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run, (office, other, office, other)))
    office.clock.advance(LEASE)
    office.deliver_all()

    cards = [each for each in office.cards() if buttons(each)]
    assert (len(cards), len(office.cards(ELSEWHERE))) == (6, 6)
    assert all(buttons(card) == [REVIEW, TIMELINE] for card in (*cards, *office.cards(ELSEWHERE)))
    assert sum(len(office.replies(card)) for card in cards) == 6
    notices = len(office.cards()) - len(cards)
    assert len(tower.security()) - notices == 4, "the second and the third of each profile"
    assert notices == 4, "the events of BOB and CLEO, which ANN closed"
    assert [len(office.directs(who.id)) for who in (ANN, BOB, CLEO)] == [0, 2, 2]
    assert office.parked() == []
