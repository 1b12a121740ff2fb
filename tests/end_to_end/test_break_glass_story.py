"""The whole story of an emergency, on each store and each transport: declared with a code, asked, closed, reviewed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyotp
import pytest

from bot.mfa.opening import open_secrets
from bot.mfa.totp import Totp, new_secret
from bot.observability.metrics import Transport
from bot.views.break_glass.card import CLOSE, REVIEW, TIMELINE
from core.actor import UserId
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.break_glass import BreakGlassEvent, EventStatus
from tests.end_to_end.harness import ACCESS, AIKO, EMERGENCY, JON, MIRA, PAIRS, SAM, Harness, text_of, walk_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from localslack.records import SlackMessage, View
    from tests.harness.clock import FrozenClock


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "mfa.json")


@pytest.fixture
def code(place: str, clock: FrozenClock) -> Callable[[], str]:
    """What SAM's authenticator app shows at the moment."""
    secret = new_secret()
    open_secrets(place).put(UserId(SAM), secret, is_replacing=False)
    return lambda: pyotp.TOTP(secret.get_secret_value()).at(clock.now())


@pytest.fixture(params=Transport)
def harness(
    request: pytest.FixtureRequest, stores_on_each_engine: Stores, clock: FrozenClock, place: str
) -> Iterator[Harness]:
    factor = Totp(open_secrets(place))
    with Harness(stores_on_each_engine, clock, transport=request.param, mfa=factor) as harness:
        yield harness


def card_in(harness: Harness, channel: str, *says: str) -> SlackMessage:
    """The card in this channel, as soon as it says all of this."""

    def find() -> SlackMessage | None:
        cards = [
            each for each in harness.slack.messages(channel) if "Break-glass" in text_of(each) and not each.thread_ts
        ]
        return next((each for each in cards if all(part in str(each.blocks) for part in says)), None)

    found = harness.slack.wait_until(find)
    assert found is not None
    return found


def dm_that_says(harness: Harness, user: str, what: str) -> SlackMessage:
    found = harness.slack.wait_until(
        lambda: next((each for each in harness.slack.dm(user) if what in text_of(each)), None)
    )
    assert found is not None
    return found


def filled_in(code: str) -> dict[str, dict[str, object]]:
    return {
        "profile": {"break_glass:profile": "vault"},
        "reason": {"answer": "incident"},
        "duration": {"answer": "30m"},
        "justification": {"answer": EMERGENCY},
        "code": {"answer": code},
    }


def opened_by(harness: Harness, user: str, act: Callable[[], object]) -> View:
    """The form that this act opens: another one than what may still be on the screen."""
    before = harness.slack.modal(user)
    act()

    def new_one() -> View | None:
        shown = harness.slack.modal(user)
        return shown if shown is not None and (before is None or shown.id != before.id) else None

    form = harness.slack.wait_until(new_one)
    assert form is not None
    return form


def open_form(harness: Harness) -> View:
    return opened_by(harness, SAM, lambda: harness.break_glass(SAM, f"vault incident 30m {EMERGENCY}"))


def declare(harness: Harness, code: str, form: View | None = None) -> BreakGlassEvent:
    answer = harness.slack.submit(SAM, form or open_form(harness), filled_in(code))
    assert answer.view is not None, answer.errors
    assert "You have `vault`" in " ".join(walk_text(answer.view.blocks))
    (event,) = [each for each in harness.stores.break_glass.iterate() if each.status is EventStatus.ACTIVE]
    return event


def test_break_glass_goes_from_declaration_to_review(harness: Harness, code: Callable[[], str]) -> None:
    form = open_form(harness)
    assert EMERGENCY in str(form.blocks), "the form that asks for the code keeps what was typed"
    wrong = f"{(int(code()) + 1) % 10**6:06d}"
    refused = harness.slack.submit(SAM, form, filled_in(wrong))
    assert refused.errors == {"code": "Wrong code; 4 attempts left."}
    harness.slack.wait_until(lambda: _flushed(harness) and "was refused" in _said_in(harness, PAIRS))

    event = declare(harness, code(), form)
    assert (event.mfa_verified, event.mfa_method, event.declared_in) == (True, "totp", ACCESS)
    for channel in (PAIRS, ACCESS):
        card = card_in(harness, channel, CLOSE, TIMELINE)
        assert f"<@{MIRA}>" in text_of(card), "the policy names her"
        assert EMERGENCY in text_of(card)

    harness.clock.advance(timedelta(minutes=22))
    harness.services.break_glass.ask_due()
    harness.deliver()
    question = dm_that_says(harness, SAM, "If you're done, close it now.")
    closing = opened_by(harness, SAM, lambda: harness.slack.press(SAM, question, CLOSE))
    harness.slack.submit(SAM, closing, {"reason": {"answer": "the replica took over"}})
    for channel in (PAIRS, ACCESS):
        assert "the replica took over" in text_of(card_in(harness, channel, REVIEW, TIMELINE))

    harness.clock.advance(timedelta(days=4))
    harness.services.break_glass.remind_due()
    harness.deliver()
    harness.slack.wait_until(lambda: "hasn't been reviewed yet" in _said_in(harness, PAIRS))
    reviewing = opened_by(harness, JON, lambda: harness.slack.press(JON, card_in(harness, PAIRS, REVIEW), REVIEW))
    harness.slack.submit(
        JON,
        reviewing,
        {
            "verdict": {"answer": "partly_justified"},
            "notes": {"answer": "Half an hour was more than it took"},
            "follow-up link": {"answer": None},
        },
    )
    for channel in (PAIRS, ACCESS):
        reviewed = card_in(harness, channel, "*Reviewed: partly justified*")
        assert REVIEW not in str(reviewed.blocks)
    dm_that_says(harness, SAM, "partly justified")

    harness.slack.press(JON, card_in(harness, PAIRS, TIMELINE), TIMELINE)
    shown = harness.slack.wait_until(
        lambda: next((each for each in harness.slack.ephemerals(JON) if "Timeline" in text_of(each)), None)
    )
    assert shown is not None
    for step in ("*broke the glass*", "*closed it*", "the reviewers were reminded", "*reviewed it*"):
        assert step in text_of(shown)
    trail = [entry.event.value for entry in harness.stores.audit.get_chain(event.chain)]
    assert trail == [
        "break_glass_invoked",
        "break_glass_ending_soon",
        "break_glass_closed",
        "review_reminded",
        "break_glass_reviewed",
    ]
    assert list(verify_trail(harness.stores, AuditKeyring(), harness.clock.now())) == []


def test_one_code_opens_one_event_and_five_wrong_ones_lock(harness: Harness, code: Callable[[], str]) -> None:
    used = code()
    event = declare(harness, used)
    harness.break_glass(SAM, f"close {event.id} the replica took over")
    again = harness.slack.submit(SAM, open_form(harness), filled_in(used))
    assert again.errors == {"code": "This code was already used. Wait until your app shows the next one."}
    wrong, form = f"{(int(code()) + 1) % 10**6:06d}", open_form(harness)
    told = [harness.slack.submit(SAM, form, filled_in(wrong)).errors for _ in range(5)]
    assert "4 attempts left" in told[0]["code"]
    assert "Too many wrong codes (5 in 15m). You can try again after" in told[4]["code"]
    harness.clock.advance(timedelta(minutes=10))
    locked = harness.slack.submit(SAM, open_form(harness), filled_in(code()))
    assert "Too many wrong codes (5 in 15m). You can try again after" in locked.errors["code"]
    harness.clock.advance(timedelta(minutes=5))
    assert declare(harness, code()).mfa_verified


def test_two_approvers_close_at_once_and_both_learn_who_it_was(harness: Harness, code: Callable[[], str]) -> None:
    event = declare(harness, code())
    first = harness.break_glass(JON, f"close {event.id} we saw it end")
    second = harness.break_glass(AIKO, f"close {event.id} we saw it end")
    assert first.message is not None
    assert second.message is not None
    assert "Closed." in text_of(first.message)
    assert f"already closed by <@{JON}>" in text_of(second.message)
    dm_that_says(harness, SAM, f"was closed by <@{JON}>")


def _flushed(harness: Harness) -> bool:
    harness.stores.refusals.flush()
    harness.deliver()
    return True


def _said_in(harness: Harness, channel: str) -> str:
    return " ".join(text_of(each) for each in harness.slack.messages(channel))
