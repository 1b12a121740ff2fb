"""Questions are only ever added, each is answered once, and a confirmation stays: the store refuses anything else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.errors import FixedFactChanged
from core.question import Question
from core.request import Request, RequestId
from tests.builders import APPROVER, HOUR, REQUESTER, SECOND_APPROVER, a_draft, a_request
from tests.harness.clock import A_MOMENT

if TYPE_CHECKING:
    from core.stores import Stores

OPEN: Final = Question(number=2, asker=APPROVER, at=A_MOMENT, text="Why tonight?")
ANSWERED: Final = Question(
    number=1, asker=APPROVER, at=A_MOMENT, text="Which?", answer="INC-12", answered_by=REQUESTER, answered_at=A_MOMENT
)


def _question(question: Question, **changes: object) -> Question:
    return Question.model_validate({**question.__dict__, **changes})


WRONG: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "all questions dropped": ("questions", {"questions": ()}),
    "the last question dropped": ("questions", {"questions": (ANSWERED,)}),
    "another text": ("questions", {"questions": (ANSWERED, _question(OPEN, text="Lunch?"))}),
    "another asker": ("questions", {"questions": (ANSWERED, _question(OPEN, asker=SECOND_APPROVER))}),
    "another answer": ("questions", {"questions": (_question(ANSWERED, answer="INC-13"), OPEN)}),
    "no answer": (
        "questions",
        {"questions": (_question(ANSWERED, answer=None, answered_by=None, answered_at=None), OPEN)},
    ),
    "no confirmation": ("confirmed_at", {"confirmed_at": None}),
    "a later confirmation": ("confirmed_at", {"confirmed_at": A_MOMENT + timedelta(seconds=1)}),
    "another asker of it": ("asked_by", {"asked_by": APPROVER}),
    "another form": ("bundle", {"bundle": "fedcba9876543210"}),
}


@pytest.fixture
def asked(stores: Stores) -> Request:
    """Requested by somebody else, confirmed, with an answered and an open question, on each engine in turn."""
    made = a_request().replace(asked_by=SECOND_APPROVER, bundle="0123456789abcdef")
    request = stores.requests.create(made, a_draft())
    request = stores.requests.update(request.replace(confirmed_at=A_MOMENT), a_draft())
    return stores.requests.update(request.replace(questions=(ANSWERED, OPEN)), a_draft())


def test_update_that_takes_back_what_was_said_is_refused(stores: Stores, asked: Request) -> None:
    for field, changes in WRONG.values():
        # Once as it was read, and once as a caller built it, for whom the store reads what it replaces.
        for proposed in (asked.replace(**changes), Request.from_item(asked.replace(**changes).to_item())):
            with pytest.raises(FixedFactChanged) as caught:
                stores.requests.update(proposed, a_draft())
            assert caught.value.fields == (field,)
    assert stores.requests.get(RequestId(asked.id)) == asked


def test_open_question_is_answered_once(stores: Stores, asked: Request) -> None:
    done = _question(OPEN, answer="Traffic is low", answered_by=REQUESTER, answered_at=A_MOMENT + HOUR)
    stored = stores.requests.update(asked.replace(questions=(ANSWERED, done)), a_draft())
    assert stores.requests.get(RequestId(asked.id)) == stored
    assert stored.questions[1].answer == "Traffic is low"
