"""People end, extend, revoke and see access in Slack: what each click and each line does, and what it answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from bot.views.access.buttons import END_ACCESS, EXTEND_ACCESS
from bot.views.request.card import APPROVE
from core.access.grant import Grant, GrantStatus
from core.audit.trail import AuditAction
from core.break_glass import BreakGlassEvent, EventStatus
from core.request import Request
from localslack.records import Person
from tests.end_to_end.harness import ACCESS, AIKO, EMERGENCY, JON, MIRA, PAIRS, SAM, WHY, Harness, said, text_of
from tests.end_to_end.test_stalls import a_stalled_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from localslack.records import SlackMessage
    from tests.harness.clock import FrozenClock

HOUR: Final = timedelta(hours=1)
POLICY: Final = f"""\
version: 1
admins: [{SAM}]
targets:
  box: {{type: webhook, url: "http://127.0.0.1:9/", secret: "env:NO_SECRET"}}
profiles:
  prod: {{channel: {ACCESS}, access: [{{target: box, resource: prod, level: admin}}]}}
  vault: {{channel: {PAIRS}, access: [{{target: box, resource: vault, level: read}}]}}
  paper: {{channel: {ACCESS}}}
approval:
  - {{name: all, profiles: [prod, vault, paper], requesters: [{MIRA}, {AIKO}], approvers: [{JON}], max_duration: 4h}}
break_glass:
  - {{name: on-call, profiles: [prod, paper], users: [{MIRA}], max_duration: 2h}}
""".encode()


@pytest.fixture
def harness(stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock, policy=POLICY) as harness:
        yield harness


def approved(harness: Harness, profile: str = "prod", user: str = MIRA, duration: str = "2h") -> Request:
    """A request of this person that was approved: its access is opening."""
    request = harness.ask(user, profile, duration)
    return harness.services.requests.approve(request.id, harness.actor(JON))  # type: ignore[arg-type]


def grants(harness: Harness, record: Request | BreakGlassEvent) -> tuple[Grant, ...]:
    return harness.services.grants.find(record.chain)


def is_ending(harness: Harness, record: Request | BreakGlassEvent) -> bool:
    """Whether all access of a decision was ended early."""
    found = grants(harness, record)
    assert found
    return all(each.ended_early is not None for each in found)


def declare(harness: Harness, profile: str = "prod") -> BreakGlassEvent:
    """Mira breaks the glass."""
    harness.break_glass(MIRA, f"{profile} incident 1h {EMERGENCY}")
    (event,) = harness.stores.break_glass.iterate()
    return event


def press(harness: Harness, user: str, action: str, source: str) -> int:
    """Press a button with this value, wherever it is, or was; how many replies the person had before."""
    shown = harness.access(user, "help")
    payload = {
        "type": "block_actions",
        "container": {"type": "message", "message_ts": "1768449225.000100", "channel_id": ACCESS},
        "actions": [{"type": "button", "action_id": action, "block_id": "b", "value": source, "action_ts": "1.0"}],
        "user": {"id": user, "team_id": shown.payload["team_id"]},
        "team": {"id": shown.payload["team_id"]},
        **{name: shown.payload[name] for name in ("token", "api_app_id", "trigger_id", "response_url")},
    }
    seen = len(harness.slack.ephemerals(user))
    harness.slack.send_forged("interactive", payload)
    return seen


def answer_to(harness: Harness, user: str, action: str, source: str) -> str:
    """Press it, and read the reply."""
    seen = press(harness, user, action, source)
    harness.slack.wait_until(lambda: len(harness.slack.ephemerals(user)) > seen)
    return text_of(harness.slack.ephemerals(user)[-1])


def refused(harness: Harness, action: AuditAction) -> list[str]:
    """Who was refused this."""
    harness.stores.refusals.flush()
    return [each.actor for each in harness.stores.audit.export() if each.event is action]


def test_end_needs_no_argument_with_one_access(harness: Harness) -> None:
    request = approved(harness)

    assert "Your access to `prod`" in said(harness.access(MIRA, "end"))
    assert is_ending(harness, request)
    assert grants(harness, request)[0].ended_early.by == MIRA  # type: ignore[union-attr]


@pytest.mark.parametrize("named", ["vault", "id", "chain"])
def test_end_takes_the_profile_or_the_id(harness: Harness, named: str) -> None:
    prod, vault = approved(harness), approved(harness, "vault")
    harness.access(MIRA, f"end { {'id': vault.id, 'chain': f'request#{vault.id}'}.get(named, named) }")

    assert (is_ending(harness, prod), is_ending(harness, vault)) == (False, True)


def test_end_asks_which_of_several(harness: Harness) -> None:
    prod, vault = approved(harness), approved(harness, "vault")
    asked = harness.access(MIRA, "end")
    assert "Which access are you done with?" in said(asked)
    assert not is_ending(harness, prod)
    assert not is_ending(harness, vault)

    assert asked.message is not None
    harness.slack.press(MIRA, asked.message, END_ACCESS, value=vault.chain)
    assert (is_ending(harness, prod), is_ending(harness, vault)) == (False, True)


def test_second_click_gets_one_plain_answer(harness: Harness) -> None:
    request = approved(harness)
    for _ in range(2):
        assert "`prod`" in answer_to(harness, MIRA, END_ACCESS, request.chain)
    entries = harness.stores.audit.get_chain(grants(harness, request)[0].chain)

    assert [each.event for each in entries].count(AuditAction.GRANT_ENDED_EARLY) == 1


def test_button_on_the_card_goes_with_the_access(harness: Harness) -> None:
    request = approved(harness)
    harness.deliver()
    card = harness.slack.wait_until(lambda: _with_button(harness, request))
    assert card is not None
    harness.slack.press(MIRA, card, END_ACCESS)
    assert "Your access to `prod`" in harness.next_reply(MIRA)
    harness.deliver()
    harness.slack.wait_until(lambda: _with_button(harness, request) is None)

    assert is_ending(harness, request)


def _with_button(harness: Harness, request: Request) -> SlackMessage | None:
    card = harness.card(request)
    return card if END_ACCESS in str(card.blocks) else None


def test_ending_waits_for_no_other_decision(stores: Stores, clock: FrozenClock, tmp_path: Path) -> None:
    with Harness(stores, clock, max_waiting=1, policy=POLICY) as harness:
        request, pending = approved(harness), harness.ask(AIKO)
        card = harness.card(pending)
        harness.access(MIRA, "mine")
        with a_stalled_store(tmp_path / "countersign.db"):
            harness.slack.press(JON, card, APPROVE)
            assert "Countersign is overloaded" in said(harness.access(AIKO, f"vault 1h {WHY}"))
            assert "This isn't recorded yet" in said(harness.access(MIRA, "end"))
            assert not is_ending(harness, request)
            told = len(harness.slack.ephemerals(MIRA))

        harness.slack.wait_until(lambda: len(harness.slack.ephemerals(MIRA)) > told)
        assert "Your access to `prod`" in text_of(harness.slack.ephemerals(MIRA)[-1])
        assert is_ending(harness, request)


def test_late_click_says_who_ended_it_and_when(harness: Harness, clock: FrozenClock) -> None:
    request = approved(harness)
    harness.access(JON, f"revoke {request.id} the incident is over")
    clock.advance(timedelta(minutes=3))
    answer = answer_to(harness, MIRA, END_ACCESS, request.chain)

    assert f"ended by <@{JON}> 3 minutes ago" in answer
    assert "Nothing was changed." in answer


def test_nobody_ends_what_is_somebody_elses(harness: Harness) -> None:
    request = approved(harness)
    assert "You can't do this" in answer_to(harness, AIKO, END_ACCESS, request.chain)
    assert "You can't do this" in said(harness.access(AIKO, f"end {request.id}"))
    assert "You have no access to `prod`" in said(harness.access(AIKO, "end prod"))
    assert "You have no access" in said(harness.access(AIKO, "end"))

    assert not is_ending(harness, request)
    assert refused(harness, AuditAction.END_REFUSED) == [AIKO, AIKO]


def test_button_that_names_no_access_changes_nothing(harness: Harness) -> None:
    request = approved(harness)

    assert "Use the newest message" in answer_to(harness, MIRA, END_ACCESS, "prod")
    assert not is_ending(harness, request)


def test_done_with_an_emergency_closes_its_event(harness: Harness) -> None:
    event = declare(harness)
    harness.access(MIRA, "end")

    assert harness.stores.break_glass.get(event.id).status is EventStatus.CLOSED  # type: ignore[arg-type]
    assert is_ending(harness, event)


def test_done_with_an_emergency_without_access_closes_it(harness: Harness) -> None:
    event = declare(harness, "paper")
    answer = said(harness.access(MIRA, "end paper"))

    assert answer.startswith("Closed.")
    assert harness.stores.break_glass.get(event.id).status is EventStatus.CLOSED  # type: ignore[arg-type]


def test_close_button_ends_the_access_too(harness: Harness) -> None:
    event = declare(harness)
    harness.break_glass(MIRA, f"close {event.id} the checkout is back up")

    assert is_ending(harness, event)


def test_decision_without_access_has_nothing_to_end(harness: Harness) -> None:
    request = approved(harness, "paper")

    assert "Countersign doesn't open access to this profile" in said(harness.access(MIRA, f"end {request.id}"))


def test_revoking_your_own_access_promises_no_message(harness: Harness) -> None:
    request = approved(harness)

    answer = said(harness.access(MIRA, f"revoke {request.id} no longer needed"))
    assert "Your access to `prod` ends now" in answer
    assert "be notified" not in answer
    assert is_ending(harness, request)


def test_approver_revokes_with_a_reason(harness: Harness) -> None:
    request = approved(harness)
    assert "The reason is missing" in said(harness.access(JON, f"revoke {request.id}"))
    answer = said(harness.access(JON, f"revoke `{request.id.upper()}` the incident is over"))

    assert f"<@{MIRA}>" in answer
    early = grants(harness, request)[0].ended_early
    assert early is not None
    assert (early.by, early.reason) == (JON, "the incident is over")


def test_others_revoke_nothing(harness: Harness) -> None:
    request = approved(harness)
    assert "You can't do this" in said(harness.access(AIKO, f"revoke {request.id} I want it"))
    assert "You can't do this" in said(harness.access(JON, f"revoke <@{MIRA}|mira> she left the team"))

    assert not is_ending(harness, request)
    assert refused(harness, AuditAction.REVOKE_REFUSED) == [AIKO, JON]


def test_revoke_of_an_unknown_id_says_so(harness: Harness) -> None:
    answer = said(harness.access(JON, "revoke 0123456789abcdef it is over"))

    assert "There is no request or break-glass event with the id" in answer


def test_admin_revokes_all_access_of_a_person(harness: Harness) -> None:
    requests = [approved(harness), approved(harness, "vault"), approved(harness, "vault", AIKO)]
    event = declare(harness)
    answer = said(harness.access(SAM, f"revoke <@{MIRA}|mira> she left the team"))

    assert [is_ending(harness, each) for each in requests] == [True, True, False]
    assert harness.stores.break_glass.get(event.id).status is EventStatus.CLOSED  # type: ignore[arg-type]
    assert all(f"`{each.id}`" in answer for each in (*requests[:2], event))
    assert "has no access" in said(harness.access(SAM, f"revoke <@{MIRA}|mira> she left the team"))


def test_extend_opens_the_form_filled_in(harness: Harness) -> None:
    first = approved(harness)
    press(harness, MIRA, EXTEND_ACCESS, first.chain)
    form = harness.modal(MIRA)
    assert WHY in str(form.blocks)
    assert f"the words of your request {first.id}" in str(form.blocks)

    harness.slack.submit(MIRA, form, {"justification": {"answer": "the migration takes longer"}})
    (second,) = [each for each in harness.stores.requests.iterate() if each.id != first.id]
    assert (second.profile, second.duration, second.justification) == ("prod", 2 * HOUR, "the migration takes longer")
    assert not is_ending(harness, first)


def test_extend_keeps_what_was_typed(harness: Harness) -> None:
    approved(harness)
    harness.access(MIRA, "extend prod 1h the migration takes longer")
    harness.slack.submit(MIRA, harness.modal(MIRA), {})

    assert {(each.duration, each.justification) for each in harness.stores.requests.iterate()} == {
        (2 * HOUR, WHY),
        (HOUR, "the migration takes longer"),
    }


def test_extend_without_access_says_what_to_send(harness: Harness) -> None:
    answer = said(harness.access(MIRA, "extend prod 1h the migration takes longer"))

    assert "`/access prod 1h the migration takes longer`" in answer


def test_what_is_over_is_not_extended(harness: Harness) -> None:
    request = approved(harness)
    harness.access(MIRA, "end")

    assert "can't be extended" in answer_to(harness, MIRA, EXTEND_ACCESS, request.chain)
    assert "You have no open access" in said(harness.access(MIRA, f"extend {request.id}"))
    assert harness.slack.modal(MIRA) is None


def test_emergency_is_not_extended(harness: Harness) -> None:
    event = declare(harness)

    assert "Break-glass access can't be extended" in answer_to(harness, MIRA, EXTEND_ACCESS, event.chain)
    assert "Break-glass access can't be extended" in said(harness.access(MIRA, "extend"))


def test_extend_asks_which_of_several(harness: Harness) -> None:
    approved(harness)
    vault = approved(harness, "vault")
    asked = harness.access(MIRA, "extend")
    assert "Which access do you need for longer?" in said(asked)

    assert asked.message is not None
    harness.slack.press(MIRA, asked.message, EXTEND_ACCESS, value=vault.chain)
    assert "vault" in str(harness.modal(MIRA).blocks)


def test_nobody_sees_the_words_of_anothers_request(harness: Harness) -> None:
    request = approved(harness)
    answer = answer_to(harness, AIKO, EXTEND_ACCESS, request.chain)

    assert "somebody else's" in answer
    assert WHY not in answer
    assert harness.slack.modal(AIKO) is None


def test_live_shows_each_what_they_may_see(harness: Harness) -> None:
    mine, others = approved(harness), approved(harness, "vault", AIKO)
    seen = {user: said(harness.access(user, "live")) for user in (MIRA, AIKO, JON, SAM)}

    assert {user: [each.id in text for each in (mine, others)] for user, text in seen.items()} == {
        MIRA: [True, False],
        AIKO: [False, True],
        JON: [True, True],
        SAM: [True, True],
    }
    harness.access(MIRA, "end")
    assert "closing" in said(harness.access(MIRA, "live")).lower()


def test_live_has_pages(harness: Harness, clock: FrozenClock) -> None:
    made = []
    for _ in range(9):
        clock.advance(timedelta(minutes=1))
        made.append(approved(harness, duration="4h"))
    first = harness.access(MIRA, "live")
    assert first.message is not None
    assert [each.id in text_of(first.message) for each in made] == [False, *[True] * 8]

    harness.slack.press(MIRA, first.message, "access_list:next")
    shown = harness.slack.wait_until(
        lambda: next((each for each in harness.slack.ephemerals(MIRA) if made[0].id in text_of(each)), None)
    )
    assert shown is not None


def test_home_ends_access_and_shows_that(harness: Harness) -> None:
    request = approved(harness)
    home = harness.home(MIRA)
    assert "I'm done" in str(home.blocks)
    harness.slack.press(MIRA, home, END_ACCESS, value=request.chain)
    harness.slack.wait_until(lambda: "Your access to `prod`" in str(_home(harness).blocks))

    assert is_ending(harness, request)
    assert f"{END_ACCESS}" not in str(_home(harness).blocks)


def _home(harness: Harness) -> Any:  # noqa: ANN401 - a View, which is there by now
    return harness.slack.home(MIRA)


@pytest.mark.parametrize("change", [{"deleted": True}, {"is_restricted": True}])
def test_person_who_left_loses_all_at_once(harness: Harness, change: dict[str, bool]) -> None:
    requests = [approved(harness), approved(harness, "vault")]
    event = declare(harness)
    for _ in range(2):
        harness.slack.edit_person(Person(id=MIRA, name="mira", **change))  # type: ignore[arg-type]
        harness.bot.departures.flush()

    assert all(is_ending(harness, each) for each in requests)
    assert is_ending(harness, event)
    entries = harness.stores.audit.get_chain(grants(harness, requests[0])[0].chain)
    assert [each.actor for each in entries if each.event is AuditAction.GRANT_ENDED_EARLY] == ["clock"]


def test_status_picture_ends_nothing(harness: Harness) -> None:
    request = approved(harness)
    harness.slack.edit_person(Person(id=MIRA, name="mira2"))
    harness.bot.departures.flush()

    assert not is_ending(harness, request)
    assert grants(harness, request)[0].status is GrantStatus.PENDING
