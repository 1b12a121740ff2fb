"""Approving in the form: what is decided is what the form showed, and no press of a button decides on its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pyotp
import pytest
from slack_bolt import BoltRequest

from bot.interactions import interaction
from bot.interactions.interaction import RECEIVED_AT
from bot.mfa.opening import open_secrets
from bot.mfa.totp import Totp, new_secret
from bot.observability.metrics import Transport
from bot.views.block_kit import actions, button, mrkdwn
from bot.views.request.card import APPROVE, MORE
from core.actor import UserId
from core.audit.trail import AuditAction
from core.policy import parse_policy
from core.request import Request, RequestId, RequestStatus
from localslack.faults import Refuse
from tests.end_to_end.harness import (
    ACCESS,
    AIKO,
    JON,
    MIRA,
    PAIRS,
    SAM,
    STRANGER,
    WHY,
    Harness,
    said,
    text_of,
    walk_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from core.stores.base import Stores
    from localslack.answer import Answer
    from localslack.records import SlackMessage, View
    from tests.harness.clock import FrozenClock

APPROVED, PENDING = RequestStatus.APPROVED, RequestStatus.PENDING
PREY: Final = "read the vault for the quarterly audit"
BAIT: Final = "Free pizza on Friday: press Approve if you come"
POLICY: Final = f"""\
version: 1
groups: {{leads: [{JON}, {AIKO}]}}
profiles:
  prod: {{channel: {ACCESS}}}
  vault: {{channel: {ACCESS}}}
  staging: {{channel: {ACCESS}}}
  safe: {{channel: {ACCESS}}}
  lab: {{channel: {ACCESS}}}
approval:
  - {{name: confirmed, profiles: [prod], approvers: [group:leads], max_duration: 4h, max_pending: 3, confirm: true}}
  - {{name: with-code, profiles: [vault], approvers: [group:leads], max_duration: 4h, approver_mfa: required}}
  - name: two-with-codes
    profiles: [safe]
    approvers: [group:leads]
    max_duration: 4h
    required_approvals: 2
    approver_mfa: required
  - {{name: with-comment, profiles: [staging], approvers: [group:leads], max_duration: 4h, comment: required}}
  - name: pressed
    profiles: [lab]
    approvers: [group:leads]
    max_duration: 4h
    required_approvals: 2
    cooldown_after_denial: 15m
security_channel: {PAIRS}
""".encode()


@pytest.fixture
def secrets(tmp_path: Path) -> str:
    return str(tmp_path / "mfa.json")


@pytest.fixture
def code(secrets: str, clock: FrozenClock) -> Callable[[], str]:
    """What JON's authenticator app shows at the moment."""
    secret = new_secret()
    open_secrets(secrets).put(UserId(JON), secret, is_replacing=False)
    return lambda: pyotp.TOTP(secret.get_secret_value()).at(clock.now())


@pytest.fixture(params=Transport)
def on_each(
    request: pytest.FixtureRequest, stores_on_each_engine: Stores, clock: FrozenClock, secrets: str
) -> Iterator[Harness]:
    """The bot on each store and each transport."""
    factor = Totp(open_secrets(secrets))
    with Harness(stores_on_each_engine, clock, transport=request.param, mfa=factor, policy=POLICY) as harness:
        yield harness


@pytest.fixture
def harness(stores: Stores, clock: FrozenClock, secrets: str) -> Iterator[Harness]:
    with Harness(stores, clock, mfa=Totp(open_secrets(secrets)), policy=POLICY) as harness:
        yield harness


def filled_in(comment: str = "", code: str | None = None) -> dict[str, dict[str, object]]:
    typed: dict[str, dict[str, object]] = {"comment": {"answer": comment}} if comment else {}
    return typed | ({"code": {"answer": code}} if code is not None else {})


def open_form(harness: Harness, request: Request, user: str = JON) -> View:
    """The form that Approve opens on the request's card."""
    harness.slack.press(user, harness.card(request), APPROVE)
    form = harness.slack.wait_until(lambda: _about(harness.slack.modal(user), request))
    assert form is not None
    return form


def _about(view: View | None, request: Request) -> View | None:
    return view if view is not None and str(view.content.get("private_metadata")).startswith(request.id) else None


def false_message(harness: Harness, request: Request) -> SlackMessage:
    """A message that somebody with the bot's token posts: what it says has nothing to do with its button."""
    posted = harness.client.chat_postMessage(channel=ACCESS, text=BAIT, blocks=_bait(request))
    return next(each for each in harness.slack.messages(ACCESS) if each.ts == posted["ts"])


def false_home(harness: Harness, request: Request) -> View:
    """The same in JON's Home tab."""
    harness.client.views_publish(user_id=JON, view={"type": "home", "blocks": _bait(request)})
    home = harness.slack.home(JON)
    assert home is not None
    return home


def _bait(request: Request) -> list[dict[str, Any]]:
    return [mrkdwn(BAIT), actions("pizza", button("Yes", APPROVE, request.id))]


def submit_forged(harness: Harness, answer: Answer, **changed: object) -> Answer:
    """Send a submitted form again, with another content of the view."""
    payload: dict[str, Any] = answer.payload
    return harness.slack.send_forged("interactive", {**payload, "view": {**payload["view"], **changed}})


@pytest.mark.parametrize("draw", [false_message, false_home])
def test_false_card_wins_no_decision(on_each: Harness, draw: Callable[[Harness, Request], SlackMessage | View]) -> None:
    on_each.access(SAM, f"prod 4h {PREY}")
    (prey,) = on_each.stores.requests.iterate()
    on_each.slack.press(JON, draw(on_each, prey), APPROVE)
    form = on_each.modal(JON)

    shown = " ".join(walk_text(list(form.blocks)))
    assert on_each.stored(prey) == prey
    assert BAIT not in shown
    for fact in (f"<@{SAM}>", "`prod`", "*4h*", PREY):
        assert fact in shown

    on_each.slack.submit(JON, form, filled_in())
    assert on_each.stored(prey).approver == JON


@pytest.mark.parametrize("where", ["card", "home", "list"])
def test_approve_opens_the_form_and_decides_nothing_yet(harness: Harness, where: str) -> None:
    request = harness.ask(SAM)
    if where == "list":
        harness.access(JON, "pending")
    places: dict[str, Callable[[], SlackMessage | View]] = {
        "card": lambda: harness.card(request),
        "home": lambda: harness.home(JON),
        "list": lambda: harness.slack.ephemerals(JON)[-1],
    }
    harness.slack.press(JON, places[where](), APPROVE)
    form = harness.modal(JON)

    assert WHY in " ".join(walk_text(list(form.blocks)))
    assert harness.status(request) is PENDING
    assert [each.event for each in harness.stores.audit.get_chain(request.chain)] == [AuditAction.REQUEST_SUBMITTED]

    answer = harness.slack.submit(JON, form, filled_in("Go ahead"))
    assert answer.view is None
    assert harness.reads(JON, f"Approved. <@{SAM}> has `prod` until")
    assert harness.stored(request).approver_comment == "Go ahead"


@pytest.mark.parametrize("button", [APPROVE, MORE])
@pytest.mark.parametrize("user", [SAM, MIRA, STRANGER])
def test_person_without_the_right_gets_no_form(harness: Harness, user: str, button: str) -> None:
    request = harness.ask(SAM)
    harness.slack.press(user, harness.card(request), button, f"comment:{request.id}" if button == MORE else None)

    assert "Nothing was changed." in harness.next_reply(user)
    assert harness.slack.modal(user) is None


def test_approval_of_something_else_than_was_shown_is_refused(on_each: Harness) -> None:
    other, prey = on_each.ask(SAM), on_each.ask(SAM, duration="4h")
    answer = on_each.slack.submit(JON, open_form(on_each, other), filled_in())
    shown = answer.payload["view"]["private_metadata"].partition(":")[2]
    forged = submit_forged(on_each, answer, private_metadata=f"{prey.id}:{shown}")

    assert on_each.status(other) is APPROVED
    assert on_each.status(prey) is PENDING
    assert "The request isn't what this form showed. Nothing was changed." in forged.body


def test_form_of_an_older_version_is_replaced_by_the_true_one(on_each: Harness) -> None:
    other, prey = on_each.ask(SAM), on_each.ask(SAM, duration="4h")
    answer = on_each.slack.submit(JON, open_form(on_each, other), filled_in("Go ahead"))
    answered = submit_forged(on_each, answer, private_metadata=prey.id)

    assert on_each.status(prey) is PENDING
    assert '"response_action":"update"' in answered.body.replace(" ", "")
    for part in (f"{prey.id}:{prey.facts_digest()}", "*4h*", "Go ahead"):
        assert part in answered.body


def test_form_that_opened_before_another_vote_still_counts(harness: Harness) -> None:
    request = harness.ask(SAM, "lab")
    harness.slack.press(JON, harness.card(request), MORE, f"comment:{request.id}")
    form = harness.modal(JON)
    harness.slack.press(AIKO, harness.card(request), APPROVE)
    harness.slack.submit(JON, form, filled_in("Go ahead"))

    assert harness.reads(JON, "Approved.")
    assert [each.approver for each in harness.stored(request).approvals] == [AIKO, JON]


def test_form_that_opened_before_the_decision_says_who_decided(harness: Harness) -> None:
    request = harness.ask(SAM)
    form = open_form(harness, request)
    harness.cancel(SAM, request)
    answer = harness.slack.submit(JON, form, filled_in())

    assert harness.status(request) is RequestStatus.CANCELLED
    assert f"already cancelled by <@{SAM}>" in said(answer)


def test_comment_form_of_a_decided_request_says_who_decided(harness: Harness) -> None:
    request = harness.ask(SAM)
    card = harness.card(request)
    harness.cancel(SAM, request)
    harness.slack.press(JON, card, MORE, f"comment:{request.id}")

    assert f"already cancelled by <@{SAM}>" in harness.next_reply(JON)
    assert harness.slack.modal(JON) is None


def test_required_comment_is_asked_for_in_its_field(on_each: Harness) -> None:
    request = on_each.ask(SAM, "staging")
    form = open_form(on_each, request)
    by_client = on_each.slack.submit(JON, form, filled_in())
    assert not by_client.was_sent
    blank = on_each.slack.submit(JON, form, filled_in("  "))

    assert on_each.status(request) is PENDING
    assert "comment is required" in blank.errors["comment"]
    on_each.slack.submit(JON, form, filled_in("Go ahead"))
    assert on_each.stored(request).approver_comment == "Go ahead"


def test_required_code_is_verified_before_the_vote(on_each: Harness, code: Callable[[], str]) -> None:
    request = on_each.ask(SAM, "vault")
    form = open_form(on_each, request)
    wrong = on_each.slack.submit(JON, form, filled_in(code="000000"))
    assert "Wrong code; 4 attempts left." in wrong.errors["code"]
    assert on_each.status(request) is PENDING

    on_each.slack.submit(JON, form, filled_in(code=code()))
    assert on_each.reads(JON, "Approved.")
    assert code() not in "".join(str(each) for each in on_each.stores.audit.get_chain(request.chain))


def test_code_works_for_one_approval_only(on_each: Harness, code: Callable[[], str]) -> None:
    first, second = on_each.ask(SAM, "vault"), on_each.ask(MIRA, "vault")
    on_each.slack.submit(JON, open_form(on_each, first), filled_in(code=code()))
    assert on_each.status(first) is APPROVED
    again = on_each.slack.submit(JON, open_form(on_each, second), filled_in(code=code()))

    assert on_each.status(second) is PENDING
    assert "already used" in again.errors["code"]


def test_approver_without_a_factor_reads_what_to_do(harness: Harness, code: Callable[[], str]) -> None:
    request = harness.ask(SAM, "vault")
    answer = harness.slack.submit(AIKO, open_form(harness, request, AIKO), filled_in(code=code()))

    assert harness.status(request) is PENDING
    assert "countersign mfa enrol" in answer.errors["code"]


def test_form_that_is_delivered_again_votes_once(on_each: Harness, code: Callable[[], str]) -> None:
    request = on_each.ask(SAM, "vault")
    answer = on_each.slack.submit(JON, open_form(on_each, request), filled_in(code=code()))
    decided = on_each.stored(request)
    on_each.slack.redeliver(answer)

    assert on_each.reads(JON, "You already approved this just now.")
    assert on_each.stored(request) == decided


def test_form_that_does_not_open_is_reported(harness: Harness) -> None:
    request = harness.ask(SAM)
    harness.slack.faults.next(Refuse("internal_error"), "views.open")
    harness.slack.press(JON, harness.card(request), APPROVE)

    assert "The form didn't open because Slack was slow. Nothing was changed." in harness.next_reply(JON)
    assert harness.status(request) is PENDING


def test_form_is_not_opened_after_its_trigger_has_died(harness: Harness) -> None:
    request = harness.ask(SAM)
    payload = harness.slack.press(JON, harness.card(request), APPROVE).payload
    harness.modal(JON)
    opened = len(harness.slack.calls_of("views.open"))
    late = {RECEIVED_AT: time.monotonic() - interaction.TRIGGER_SECONDS}
    harness.bot.app.dispatch(BoltRequest(body=payload, mode="socket_mode", context=late))

    harness.slack.wait_until(lambda: "The form didn't open" in " ".join(map(text_of, harness.slack.ephemerals(JON))))
    assert len(harness.slack.calls_of("views.open")) == opened
    assert harness.status(request) is PENDING


def test_vote_that_counts_already_takes_no_form_and_no_code(on_each: Harness, code: Callable[[], str]) -> None:
    request = on_each.ask(SAM, "safe")
    answer = on_each.slack.submit(JON, open_form(on_each, request), filled_in(code=code()))
    voted = on_each.stored(request)
    assert on_each.reads(JON, "Your approval counts. One more is needed.")
    on_each.slack.redeliver(answer)
    assert on_each.reads(JON, "You already approved this just now. One more is needed.")
    on_each.slack.press(JON, on_each.card(request), APPROVE)
    assert "You already approved this" in on_each.next_reply(JON)
    assert on_each.stored(request) == voted


def test_rule_that_wants_a_code_since_the_form_opened_gets_it(stores: Stores, clock: FrozenClock, secrets: str) -> None:
    mfa, stricter = Totp(open_secrets(secrets)), POLICY.replace(b"confirm: true", b"approver_mfa: required")
    with Harness(stores, clock, mfa=mfa, policy=POLICY) as harness:
        request = harness.ask(SAM)
        form = open_form(harness, request)
        with Harness(stores, clock, slack=harness.slack, mfa=mfa, policy=stricter) as second:
            answer = second.slack.submit(JON, form, filled_in("Go ahead"))

            assert second.status(request) is PENDING
            assert answer.view is not None
            assert "Code from your authenticator app" in str(answer.view.blocks)
            assert "Go ahead" in str(answer.view.blocks)


def test_request_that_is_open_already_is_linked(on_each: Harness) -> None:
    request = on_each.ask(SAM, "vault")
    card = on_each.card(request)
    link = on_each.client.chat_getPermalink(channel=card.channel, message_ts=card.ts)["permalink"]
    on_each.slack.wait_until(lambda: on_each.stores.messages.get_messages(request.chain))
    answer = on_each.access(SAM, f"vault 1h {WHY}")

    assert f"You already have this request open: <{link}|{request.id}> for `vault`, until" in said(answer)
    assert "press Cancel in the list" in said(answer)
    assert [each.id for each in on_each.stores.requests.iterate()] == [request.id]


def test_open_request_is_named_in_the_form_too(harness: Harness) -> None:
    request = harness.ask(SAM, "vault")
    harness.access(SAM, "")
    typed = {name: {"answer": text} for name, text in (("duration", "1h"), ("justification", WHY))}
    answer = harness.slack.submit(SAM, harness.modal(SAM), {"profile": {"request:profile": ["vault"]}, **typed})

    assert answer.view is None
    assert harness.reads(SAM, "You already have this request open")
    assert request.id in text_of(harness.slack.ephemerals(SAM)[-1])


def test_limits_on_requests_say_what_to_do(harness: Harness) -> None:
    for _ in range(3):
        harness.ask(SAM)
    assert "You have 3 open requests for this profile" in said(harness.access(SAM, f"prod 1h {WHY}"))

    denied = harness.ask(SAM, "lab")
    harness.services.requests.deny(RequestId(denied.id), harness.actor(JON), "not today")
    assert "Your last request for this profile was denied" in said(harness.access(SAM, f"lab 1h {WHY}"))


def test_policy_of_these_tests_wants_what_they_are_about() -> None:
    needs = {rule: parse_policy(POLICY).approval_needs(rule) for rule in ("confirmed", "with-code", "with-comment")}

    assert [each.confirm for each in needs.values()] == [True, False, False]
    assert [each.code for each in needs.values()] == [False, True, False]
    assert [each.comment for each in needs.values()] == [False, False, True]
