"""Who is notified while a request waits: who is on call at that moment, and each step when it comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from pydantic import SecretStr

from bot.background.waiting_cards import WaitingCards
from bot.notifications.slack_calls import open_client
from bot.notifications.slack_sink import SlackSink
from core.audit.trail import AuditAction, EntryDraft
from core.clock import TICK
from core.on_call import APPROVING_FOR, FixedRoster, NoRoster, on_call_name
from core.preferences import DmKind
from core.services.due import no_rest
from core.services.preferences import DmChoices
from tests.bot.notifications.harness import says
from tests.builders import HOUR, a_request
from tests.core.services.harness import ANN, BOB, CLEO, EVE, RITA
from tests.harness.rota import WrittenRota

if TYPE_CHECKING:
    from datetime import datetime

    from core.actor import UserId
    from core.on_call import OnCallName, Roster
    from core.request import Request
    from tests.bot.notifications.harness import Office

PRIMARY: Final = on_call_name("primary")
SECONDARY: Final = on_call_name("secondary")
RULE: Final = "    requesters: [U0RITA, U0ANN]\n    approvers: [group:sre]\n    required_approvals: 2\n"
STEPPED: Final = {
    "groups:\n": "on_call:\n  primary: &\n  secondary: &\ngroups:\n".replace(
        "&", "{pagerduty: {schedule: P1, key: 'env:PD'}}"
    ),
    RULE: (
        "    approvers: [on-call:primary]\n    requesters: [U0RITA]\n"
        "    escalation: [{after: 10m, to: [on-call:secondary]}, {after: 30m, to: [U0CLEO, S0ENGINEERS]}]\n"
    ),
}
SAME: Final = f"same_person: [[{RITA.id}, {ANN.id}]]\n"
TEN: Final = timedelta(minutes=10)


@pytest.fixture
def night(office: Office) -> Office:
    """The office at night: Ann is on call, and Bob behind her."""
    office.policy.edit(STEPPED)
    work_with(office, FixedRoster({PRIMARY: [ANN.id], SECONDARY: [BOB.id]}, office.clock.now()))
    return office


class HandedOver(FixedRoster):
    """A schedule that hands over when a test says so; with None, its source is away."""

    def __init__(self, at: datetime) -> None:
        super().__init__({}, at)
        self.on_call: list[UserId] | None = [ANN.id]

    def on_call_now(self, name: OnCallName) -> tuple[UserId, ...] | None:
        return None if self.on_call is None else tuple(self.on_call) if name == PRIMARY else ()


def submitted_by(request: Request) -> EntryDraft:
    return EntryDraft.of(request, AuditAction.REQUEST_SUBMITTED, request.requester)


def work_with(office: Office, roster: Roster) -> None:
    client = open_client(SecretStr(office.slack.bot_token), office.slack.api_url)
    office.sink = SlackSink(client, office.stores, office.policy, office.clock, roster=roster)


def pass_time(office: Office, passed: timedelta = TEN) -> None:
    office.clock.advance(passed)
    office.requests.escalate_due()
    office.deliver()


def test_who_is_on_call_is_mentioned_and_gets_a_dm(night: Office) -> None:
    night.submit()
    night.deliver()
    card = says(night.card())
    assert f"<@{ANN.id}>" in card
    assert "Escalates to `on-call:secondary`" in card
    # Nobody whose turn it isn't yet is notified.
    assert not [each for each in (BOB, CLEO, EVE) if f"<@{each.id}>" in card]
    assert "You're on call, and can decide" in night.directs(ANN.id)[0]
    assert night.directs(BOB.id) == []


def test_who_may_be_on_call_no_longer_is_shown_no_request(night: Office) -> None:
    rota = WrittenRota(night.clock)
    rota.put("primary", ANN.id, HOUR)
    rota.fall_silent("primary")
    work_with(night, rota)
    night.clock.advance(APPROVING_FOR + TICK)
    night.submit()
    night.deliver()
    # A mention shows nothing to who can't read the channel; the message would have the reason in it.
    assert f"<@{ANN.id}>" in says(night.card())
    assert night.directs(ANN.id) == []


def test_rule_that_no_longer_covers_the_profile_asks_nobody(night: Office) -> None:
    night.submit()
    vault = "vault\n    profiles: [{}]\n"
    swapped = {"    profiles: [prod]\n": "    profiles: [vault]\n", vault.format("vault"): vault.format("prod")}
    night.policy.edit({**STEPPED, **swapped})
    night.deliver()
    assert "Needs one approval by" in says(night.card())
    assert night.directs(ANN.id) == []


def test_other_id_of_somebody_involved_is_not_asked(night: Office) -> None:
    night.policy.edit({**STEPPED, "groups:\n": STEPPED["groups:\n"].replace("on_call", f"{SAME}on_call")})
    night.submit()
    night.deliver()
    # The requester is on call, under another id.
    assert night.directs(ANN.id) == []
    assert f"<@{ANN.id}>" not in says(night.card())


def test_each_step_is_announced_to_its_people_once(night: Office) -> None:
    night.submit()
    night.deliver()
    pass_time(night)
    (reply,) = night.replies()
    assert reply.startswith(f"<@{BOB.id}>: this request has waited 10m, and you can decide on it now.")
    assert len(night.directs(BOB.id)) == 1
    assert f"Escalated to <@{BOB.id}>" in says(night.card())
    pass_time(night, 2 * TEN)
    assert night.replies()[1].startswith(f"<!subteam^S0ENGINEERS>, <@{CLEO.id}>: this request has waited 30m")
    assert (len(night.directs(CLEO.id)), len(night.directs(ANN.id)), night.directs(EVE.id)) == (1, 1, [])
    pass_time(night)
    assert len(night.replies()) == 2


def test_mention_follows_the_hand_over(night: Office) -> None:
    night.submit()
    night.deliver()
    work_with(night, FixedRoster({PRIMARY: [CLEO.id], SECONDARY: [ANN.id]}, night.clock.now()))
    pass_time(night)
    assert f"one approval from <@{ANN.id}>, <@{CLEO.id}>" in says(night.card())
    assert night.replies()[0].startswith(f"<@{ANN.id}>: this request has waited 10m")
    # She got one when the request came.
    assert len(night.directs(ANN.id)) == 1


def test_cards_follow_hand_overs_and_hours_silently(night: Office) -> None:
    rota, drawn = HandedOver(night.clock.now()), list[str]()

    def refresh(chain: str) -> bool:
        drawn.append(chain)
        return night.sink.refresh(chain)

    night.policy.edit(STEPPED | {RULE: STEPPED[RULE] + "    approver_hours: {hours: '04:00-05:00', timezone: UTC}\n"})
    work_with(night, rota)
    request = night.submit()
    night.deliver()
    cards = WaitingCards(night.stores, night.policy, night.clock, rota, refresh)
    assert cards.redraw_due(no_rest) == ()
    said, directs = says(night.card()), night.directs(BOB.id)
    assert "next from" in said
    rota.on_call = None
    assert cards.redraw_due(no_rest) == ()
    rota.on_call = [BOB.id]
    assert (cards.redraw_due(no_rest), cards.redraw_due(no_rest)) == ((request.chain,), ())
    assert f"one approval from <@{BOB.id}> by" in says(night.card())
    night.clock.set(night.clock.now().replace(hour=4, minute=0))
    assert (cards.redraw_due(no_rest), cards.redraw_due(no_rest)) == ((request.chain,), ())
    assert "next from" not in says(night.card())
    assert (night.directs(BOB.id), night.replies(), len(drawn)) == (directs, [], 2)


def test_few_cards_are_drawn_in_a_pass_and_each_has_its_turn(night: Office) -> None:
    rota, drawn = HandedOver(night.clock.now()), list[str]()
    is_away = True

    def refresh(chain: str) -> bool:
        drawn.append(chain)
        return not is_away

    made = [night.stores.requests.create(each, submitted_by(each)) for each in (a_request() for _ in range(25))]
    cards = WaitingCards(night.stores, night.policy, night.clock, rota, refresh)
    cards.redraw_due(no_rest)
    rota.on_call = [BOB.id]
    assert (cards.redraw_due(no_rest), len(drawn)) == ((), 1)
    is_away = False
    passes = [cards.redraw_due(no_rest) for _ in range(3)]
    assert [len(each) for each in passes] == [20, 5, 0]
    assert {chain for each in passes for chain in each} == {each.chain for each in made}


def test_schedule_that_nobody_could_ask_is_named(night: Office) -> None:
    work_with(night, NoRoster())
    night.submit()
    pass_time(night)
    assert "one approval from `on-call:primary`" in says(night.card())
    assert night.replies()[0].startswith("`on-call:secondary`: this request has waited 10m")
    assert night.directs(ANN.id) == []


def test_decided_request_asks_nobody(night: Office) -> None:
    pending = night.submit()
    night.clock.advance(TEN)
    night.requests.escalate_due()
    night.cancel(pending)
    night.deliver_all()
    assert [night.directs(each.id) for each in (ANN, BOB)] == [[], []]
    assert [each for each in night.replies() if "has waited" in each] == []


def test_requester_and_voters_are_not_asked(night: Office) -> None:
    work_with(night, FixedRoster({PRIMARY: [RITA.id, ANN.id], SECONDARY: [RITA.id]}, night.clock.now()))
    night.submit()
    pass_time(night)
    assert night.directs(RITA.id) == []
    assert f"one approval from <@{ANN.id}> by" in says(night.card())


def test_dm_to_decide_can_be_muted(night: Office) -> None:
    DmChoices(night.stores.preferences, night.clock).choose(ANN, [DmKind.ON_CALL])
    night.submit()
    night.deliver()
    assert night.directs(ANN.id) == []
    assert f"<@{ANN.id}>" in says(night.card())


def test_card_says_the_hours_of_the_approvers(office: Office) -> None:
    office.policy.edit({RULE: f"{RULE}    approver_hours: {{hours: '09:00-17:00', timezone: UTC}}\n"})
    office.clock.set(office.clock.now().replace(hour=20))
    office.submit()
    office.deliver()
    assert "Approver hours: every day 09:00-17:00 UTC · next from <!date^" in says(office.card())
