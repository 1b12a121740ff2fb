"""Questions to the requester from those who may decide, and the answers: part of a request that waits.

Invariant: questions are only ever added, with the next number, and each is answered at most once. What somebody asked
or answered never changes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, JsonValue, model_validator

from core.actor import UserId, ValidUserId
from core.clock import UtcTime
from core.errors import InvalidInput
from core.stored import StoredModel
from core.text import text_rule

QUESTION_LENGTH: Final = (3, 500)
ANSWER_LENGTH: Final = (1, 500)
MAX_QUESTIONS: Final = 10
"""How many questions one request can have: few enough that card, record and timeline stay readable."""
QuestionText = Annotated[str, text_rule("question", at_least=QUESTION_LENGTH[0], at_most=QUESTION_LENGTH[1])]
AnswerText = Annotated[str, text_rule("answer", at_least=ANSWER_LENGTH[0], at_most=ANSWER_LENGTH[1])]


class Question(StoredModel):
    """One question about a request, by somebody who may decide on it, and its answer, if there is one yet."""

    number: int = Field(ge=1, le=MAX_QUESTIONS)
    asker: ValidUserId
    at: UtcTime
    text: QuestionText
    answer: AnswerText | None = None
    answered_by: ValidUserId | None = None
    answered_at: UtcTime | None = None

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"answer", "answered_by", "answered_at"})

    @property
    def is_answered(self) -> bool:
        """True when somebody answered it."""
        return self.answer is not None

    def require_open(self) -> None:
        """Raises InvalidInput when it has an answer already."""
        if self.is_answered:
            raise InvalidInput("answer", "this question has an answer already", "It's in the card's thread.")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len({self.answer is None, self.answered_by is None, self.answered_at is None}) != 1:
            raise ValueError("an answer says who answered, and when")
        return self


def ask(questions: tuple[Question, ...], asker: UserId, text: str, now: datetime) -> tuple[Question, ...]:
    """The questions with one more. The same question by the same person, still open, isn't asked twice.

    Raises InvalidInput when there are as many as a request can have.
    """
    if any(each.asker == asker and each.text == text and not each.is_answered for each in questions):
        return questions
    if len(questions) >= MAX_QUESTIONS:
        raise InvalidInput(
            "question", f"this request has {MAX_QUESTIONS} questions already", "Talk to the requester in the thread."
        )
    return (*questions, Question(number=len(questions) + 1, asker=asker, at=now, text=text))


def answer(
    questions: tuple[Question, ...], number: int, person: UserId, text: str, now: datetime
) -> tuple[Question, ...]:
    """The questions with this answer. The same answer by the same person again changes nothing.

    Raises InvalidInput when there is no such question, and when it has another answer already.
    """
    asked = find_question(questions, number)
    if (asked.answer, asked.answered_by) == (text, person):
        return questions
    asked.require_open()
    done = asked.model_copy(update={"answer": text, "answered_by": person, "answered_at": now})
    return tuple(done if each.number == number else each for each in questions)


def find_question(questions: tuple[Question, ...], number: int) -> Question:
    """The question with this number. Raises InvalidInput."""
    for each in questions:
        if each.number == number:
            return each
    raise InvalidInput("question", f"this request has no question {number}", "Open its card again.")


def keeps_questions(stored: JsonValue, questions: tuple[Question, ...]) -> bool:
    """True when each stored question is still there, unchanged, but for the answer to one that had none."""
    if stored is None:
        return True
    if not isinstance(stored, list) or len(stored) > len(questions):
        return False
    kept = [each.model_dump(mode="json") for each in questions[: len(stored)]]
    return all(_is_same(before, after) for before, after in zip(stored, kept, strict=True))


def _is_same(before: JsonValue, after: dict[str, JsonValue]) -> bool:
    if not isinstance(before, dict):
        return False
    may_change = set() if before.get("answer") is not None else Question.LEFT_OUT
    names = (before.keys() | after.keys()) - may_change
    return all(before.get(name) == after.get(name) for name in names)
