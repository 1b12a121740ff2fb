"""Asking on behalf of somebody, several profiles, less time, questions and asking again, as people do it in Slack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.views.asking.again import AGAIN
from bot.views.asking.confirm import CONFIRM
from bot.views.asking.question import ANSWER
from bot.views.request.card import APPROVE, CANCEL, MORE
from core.actor import UserId
from core.request import Request, RequestId, RequestStatus
from tests.builders import HOUR
from tests.end_to_end.harness import ACCESS, AIKO, GUEST, JON, MIRA, WHY, Harness, text_of, walk_text

if TYPE_CHECKING:
    from localslack.answer import Answer
    from localslack.records import SlackMessage

QUESTION, WORDS = "Which ticket is this for?", "INC-12, the release of tonight"


def submit(harness: Harness, user: str, *profiles: str, **more: str) -> Answer:
    harness.access(user, "")
    values: dict[str, dict[str, Any]] = {
        "profile": {"request:profile": list(profiles)},
        "duration": {"answer": "1h"},
        "justification": {"answer": WHY},
        "on_behalf_of": {"answer": more.get("on_behalf_of")},
    }
    return harness.slack.submit(user, harness.modal(user), values)


def dm(harness: Harness, user: str, words: str) -> SlackMessage:
    found = harness.slack.wait_until(lambda: [each for each in harness.slack.dm(user) if words in text_of(each)])
    return found[-1]


def made(harness: Harness) -> Request:
    return max(harness.stores.requests.iterate(), key=lambda each: each.created_at)


def in_thread(harness: Harness, words: str) -> SlackMessage:
    def find() -> list[SlackMessage]:
        return [each for each in harness.slack.messages(ACCESS) if each.thread_ts and words in text_of(each)]

    return harness.slack.wait_until(find)[-1]


def card_has(harness: Harness, request: Request, words: str) -> SlackMessage:
    harness.slack.wait_until(lambda: words in str(harness.card(request).blocks))
    return harness.card(request)


def test_colleague_confirms_what_was_requested_for_them(harness: Harness) -> None:
    submit(harness, JON, "prod", on_behalf_of=MIRA)
    assert "They have to confirm it by" in harness.next_reply(JON)
    request = made(harness)
    assert (request.requester, request.asked_by) == (MIRA, JON)
    card = card_has(harness, request, "Waits for")
    assert APPROVE not in str(card.blocks)
    assert f"<@{JON}> requests `prod` for *1h* on behalf of <@{MIRA}>" in text_of(card)

    harness.slack.press(MIRA, dm(harness, MIRA, "Do you need it?"), CONFIRM)
    assert "You confirmed the request for `prod`" in harness.next_reply(MIRA)
    in_thread(harness, "confirmed that they want this access")
    card = card_has(harness, request, APPROVE)
    harness.slack.press(JON, card, APPROVE)
    assert "Nobody decides on their own request" in harness.next_reply(JON)
    harness.slack.press(MIRA, card, APPROVE)
    harness.next_reply(MIRA)
    assert harness.status(request) is RequestStatus.PENDING
    harness.slack.press(AIKO, card, APPROVE)
    harness.next_reply(AIKO)
    assert harness.status(request) is RequestStatus.APPROVED
    dm(harness, JON, "which you made for them, was approved by")


def test_person_who_does_not_need_it_says_so(harness: Harness) -> None:
    submit(harness, JON, "prod", on_behalf_of=MIRA)
    request = made(harness)
    harness.slack.press(MIRA, dm(harness, MIRA, "Do you need it?"), CANCEL)
    harness.next_reply(MIRA)
    assert harness.stored(request).ended_by[0] == UserId(MIRA)
    dm(harness, JON, "doesn't need `prod`, which you requested for them")


def test_nobody_requests_for_somebody_without_access_here(harness: Harness) -> None:
    answer = submit(harness, JON, "prod", on_behalf_of=GUEST)
    assert "This person can't get access here" in answer.errors["on_behalf_of"]
    assert list(harness.stores.requests.iterate()) == []


def test_limits_of_the_other_person_are_named_as_theirs(harness: Harness) -> None:
    harness.ask(MIRA, "vault", "1h")
    submit(harness, JON, "vault", on_behalf_of=MIRA)
    assert f"<@{MIRA}> already has a request open for `vault`" in harness.next_reply(JON)
    submit(harness, JON, "vault", "staging", on_behalf_of=MIRA)
    assert "`vault`: This person has a request open for vault" in harness.next_reply(JON)


def test_several_profiles_are_cards_of_their_own(harness: Harness) -> None:
    answer = submit(harness, MIRA, "prod", "vault", "staging")
    requests = {str(each.profile): each for each in harness.stores.requests.iterate()}
    assert set(requests) == {"prod", "vault", "staging"}
    assert len({each.bundle for each in requests.values()}) == 1
    assert requests["staging"].status is RequestStatus.APPROVED
    harness.slack.redeliver(answer)
    assert len(list(harness.stores.requests.iterate())) == 3
    harness.slack.press(JON, harness.card(requests["prod"]), APPROVE)
    harness.next_reply(JON)
    assert [harness.status(requests[each]) for each in ("prod", "vault")] == [
        RequestStatus.APPROVED, RequestStatus.PENDING,
    ]  # fmt: skip


def test_question_is_answered_in_the_thread_and_in_the_record(harness: Harness) -> None:
    request = harness.ask(MIRA)
    harness.slack.press(JON, harness.card(request), MORE, f"question:{request.id}")
    form = harness.modal(JON)
    assert WHY in " ".join(walk_text(form.blocks))
    harness.slack.submit(JON, form, {"question": {"answer": QUESTION}})
    assert f"<@{MIRA}>" in text_of(in_thread(harness, QUESTION))

    harness.slack.press(AIKO, in_thread(harness, QUESTION), ANSWER)
    assert "only the requester can answer a request" in harness.next_reply(AIKO)
    harness.slack.press(MIRA, dm(harness, MIRA, QUESTION), ANSWER)
    harness.slack.submit(MIRA, harness.modal(MIRA), {"answer": {"answer": WORDS}})
    in_thread(harness, WORDS)
    dm(harness, JON, WORDS)
    (question,) = harness.stored(request).questions
    assert (question.text, question.answer, question.answered_by) == (QUESTION, WORDS, MIRA)
    assert WORDS in text_of(card_has(harness, request, WORDS))


def test_less_time_is_given_in_the_form(harness: Harness) -> None:
    request = harness.ask(MIRA)
    harness.slack.press(JON, harness.card(request), MORE, f"comment:{request.id}")
    harness.slack.submit(JON, harness.modal(JON), {"duration": {"answer": "30m"}})
    harness.slack.wait_until(lambda: harness.status(request) is RequestStatus.APPROVED)
    approved = harness.stored(request)
    assert approved.access_ends_at is not None
    assert approved.decided_at is not None
    assert approved.access_ends_at - approved.decided_at == HOUR / 2


def test_no_form_is_opened_for_a_vote_that_counts_already(harness: Harness) -> None:
    request = harness.ask(MIRA)
    card = harness.card(request)
    harness.slack.press(JON, card, APPROVE)
    assert harness.reads(JON, "Approved.")
    harness.slack.press(JON, card, MORE, f"comment:{request.id}")
    assert harness.reads(JON, "You already approved this")
    assert harness.slack.modal(JON) is None


def test_ended_request_is_requested_again_with_one_press(harness: Harness) -> None:
    request = harness.ask(MIRA)
    harness.services.requests.deny(RequestId(request.id), harness.actor(JON), "not today")
    harness.deliver()
    denied = dm(harness, MIRA, "was denied by")
    harness.slack.press(MIRA, denied, AGAIN)
    assert "You requested `prod` for 2h." in harness.next_reply(MIRA)
    again = made(harness)
    assert (again.id != request.id, again.justification, again.status) == (True, WHY, RequestStatus.PENDING)
