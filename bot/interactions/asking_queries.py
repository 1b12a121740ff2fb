"""The requests that people ask about and answer for, read for the form that shows them.

Invariant: decides nothing. A form is drawn for somebody who may send it, of a request that still waits; what is sent is
judged again.
"""

from __future__ import annotations

from core.actor import Actor
from core.clock import Clock
from core.directory import Directory
from core.policy import PolicySource
from core.question import Question, find_question
from core.request import Request, RequestId
from core.services.membership import Judging
from core.stores.base import RequestStore


class AskingQueries:
    """Reads the store and the policy for one person. Safe for threads. Everything here may raise StoreError."""

    def __init__(self, store: RequestStore, policy: PolicySource, clock: Clock, directory: Directory) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._directory = directory

    def to_ask(self, request_id: RequestId, person: Actor) -> Request:
        """A pending request, for somebody who may decide on it.

        Raises RequestNotFound, NotAllowed and InvalidStateTransition, as asking would.
        """
        people = self._judging()
        request = people.noting(self._store.get_with_notes(request_id))
        now = self._clock.now()
        request.check_pending(now)
        people.judge_decider("deny", request, person, now).require()
        request.require_confirmed("ask")
        return request

    def to_answer(self, request_id: RequestId, number: int, person: Actor) -> tuple[Request, Question]:
        """A pending request and its open question, for those who may answer it.

        Raises RequestNotFound, NotAllowed, InvalidInput and InvalidStateTransition, as answering would.
        """
        request = self._store.get(request_id)
        request.find_speaker(self._policy.current().ids_of(person.id), "answer")
        request.check_pending(self._clock.now())
        question = find_question(request.questions, number)
        question.require_open()
        return request, question

    def may_request(self, person: Actor, profile: str) -> bool:
        """True when the form can offer this profile to the person."""
        people = self._judging()
        known = people.ask(person, people.policy.needed_to_request)
        return any(each.name == profile for each in people.policy.requestable_profiles(known))

    def _judging(self) -> Judging:
        return Judging(self._policy.current(), self._directory)
