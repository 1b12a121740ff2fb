"""What people say to each other about a request that waits: a confirmation, questions and answers.

Invariant: nothing here decides. Each is one change from pending to pending, judged on the record as it is stored; what
was said already is not said twice. Only people speak, no service.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from core.actor import Actor
from core.audit.trail import AuditAction, EntryDraft
from core.errors import NotAllowed
from core.question import ANSWER_LENGTH, QUESTION_LENGTH
from core.request import Request, RequestId, RequestStatus
from core.services.membership import Judging
from core.services.service_actors import refuse_service
from core.services.use_case import AuditedAttempt, ChangeRunner, acting_as
from core.stores.base import Stores
from core.text import clean_text

_OTHERS: Final = "only {requester} can confirm that they want this access"


class RequestDialogue:
    """Changes what is said about requests. `judging` begins a use case. Safe for threads."""

    def __init__(self, stores: Stores, changes: ChangeRunner[Request], judging: Callable[[], Judging]) -> None:
        self._stores = stores
        self._changes = changes
        self._judging = judging

    def confirm(self, request_id: RequestId, person: Actor) -> Request:
        """The person who gets the access wants it. Confirmed already: the same request.

        Raises RequestNotFound, NotAllowed, InvalidStateTransition, StoreError.
        """
        ids = self._judging().policy.ids_of(person.id)

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            refuse_service(person, "confirm")
            if request.requester not in ids:
                raise NotAllowed("confirm", (_OTHERS.format(requester=request.requester),))
            confirmed = request.confirm(request.requester, now)
            using = acting_as(person.id, request.requester)
            return confirmed, EntryDraft.of(confirmed, AuditAction.REQUEST_CONFIRMED, request.requester, using)

        attempt = AuditedAttempt(AuditAction.CONFIRM_REFUSED, person)
        return self._changes.run(attempt, lambda: self._stores.requests.get(request_id), judge)

    def ask(self, request_id: RequestId, approver: Actor, text: str) -> Request:
        """Ask the requester something. Those who may decide on the request may, while it waits.

        Raises RequestNotFound, InvalidInput, NotAllowed, InvalidStateTransition, StoreError.
        """
        asked = clean_text("question", text, at_least=QUESTION_LENGTH[0], at_most=QUESTION_LENGTH[1])
        people = self._judging()

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            refuse_service(approver, "ask")
            if request.status is RequestStatus.PENDING:
                people.judge_decider("deny", request, approver, now).require()
                request.require_confirmed("ask")
            changed = request.ask(approver.id, asked, now)
            said: dict[str, JsonValue] = {"number": len(changed.questions), "question": asked}
            return changed, EntryDraft.of(changed, AuditAction.QUESTION_ASKED, approver.id, said)

        attempt = AuditedAttempt(AuditAction.QUESTION_REFUSED, approver)
        get = self._stores.requests.get_with_notes
        return self._changes.run(attempt, lambda: people.noting(get(request_id)), judge)

    def answer(self, request_id: RequestId, person: Actor, number: int, text: str) -> Request:
        """Answer a question, once: its requester may, and who asked for them.

        Raises RequestNotFound, InvalidInput, NotAllowed, InvalidStateTransition, StoreError.
        """
        answered = clean_text("answer", text, at_least=ANSWER_LENGTH[0], at_most=ANSWER_LENGTH[1])
        ids = self._judging().policy.ids_of(person.id)

        def judge(request: Request, now: datetime) -> tuple[Request, EntryDraft]:
            refuse_service(person, "answer")
            by = request.find_speaker(ids, "answer")
            changed = request.answer(by, number, answered, now)
            said: dict[str, JsonValue] = {"number": number, "answer": answered, **acting_as(person.id, by)}
            return changed, EntryDraft.of(changed, AuditAction.QUESTION_ANSWERED, by, said)

        attempt = AuditedAttempt(AuditAction.ANSWER_REFUSED, person)
        return self._changes.run(attempt, lambda: self._stores.requests.get(request_id), judge)
