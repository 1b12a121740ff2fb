"""A request that was typed in one line: submitted, or answered with the line to send instead.

Invariant: a line that asks for too long comes back whole, with the longest time that is allowed, and so does one that
asks for a start that can't be; nothing is requested for another time than the one that was typed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bot.interactions.request_queries import RequestQueries
from bot.interactions.responder import FormToOpen
from bot.interactions.submitting import DraftSubmission
from bot.slack.app_surface import ACCESS
from bot.views.block_kit import Message
from bot.views.request.form import BegunRequest, RequestDraft
from bot.views.request.ticket import TICKET
from bot.views.too_long import is_about_duration, is_about_start, other_start, too_long
from core.actor import Actor
from core.clock import Clock
from core.duration import format_duration
from core.errors import InvalidInput, NotAllowed
from core.written_time import WrittenTime


class RequestLines:
    """Submits what people fill in, and lines of `/access`. Safe for threads."""

    def __init__(self, drafts: DraftSubmission, lists: RequestQueries, clock: Clock) -> None:
        self._drafts = drafts
        self._lists = lists
        self._clock = clock

    def submit_form(
        self, person: Actor, draft: RequestDraft, key: str | None, fields: Collection[str]
    ) -> Message | FormToOpen:
        """What became of what was filled in; or the form anew, with a field for the ticket that its rule asks for.

        `fields` are those that it had. Raises like DraftSubmission.submit.
        """
        try:
            return self._drafts.submit(person, draft, key)
        except InvalidInput as mistake:
            if mistake.field != TICKET or TICKET in fields:
                raise
            return self._with_ticket(person, draft)

    def begin(self, person: Actor, begun: BegunRequest) -> BegunRequest:
        """What the form is filled in with: the moment that a written start means, or its words as not understood."""
        if not isinstance(begun.starts, WrittenTime):
            return begun
        try:
            return replace(begun, starts=self._drafts.find_start(person, begun.starts))
        except InvalidInput:
            return replace(begun, starts=None, unread=(*begun.unread, begun.starts.written))

    def submit(self, person: Actor, draft: RequestDraft, key: str | None) -> Message | FormToOpen:
        """What became of what was typed; or the form, where a time can't be when it starts, or a ticket is missing.

        Raises like DraftSubmission.submit.
        """
        try:
            return self._drafts.submit(person, draft, key)
        except (InvalidInput, NotAllowed) as refusal:
            if isinstance(refusal, InvalidInput) and refusal.field == TICKET:
                return self._with_ticket(person, draft)
            if isinstance(draft.starts, WrittenTime) and is_about_start(refusal):
                return self._answer_start(person, draft, draft.starts, refusal)
            longest = self._lists.longest(person, draft.profiles[0]) if is_about_duration(refusal) else None
            if longest is None or longest >= draft.duration:
                raise
            starts = (draft.starts.written,) if isinstance(draft.starts, WrittenTime) else ()
            words = (draft.profiles[0], format_duration(longest), *starts, draft.justification)
            return too_long(refusal, ACCESS, *words, now=self._clock.now(), reader=person.id)

    def _with_ticket(self, person: Actor, draft: RequestDraft) -> FormToOpen:
        begun = BegunRequest(
            draft.profiles, draft.duration, draft.justification, draft.on_behalf_of, starts=draft.starts,
            ticket=draft.ticket or "",
        )  # fmt: skip
        return FormToOpen(self._lists.form(person, self.begin(person, begun)))

    def _answer_start(
        self, person: Actor, draft: RequestDraft, starts: WrittenTime, refusal: InvalidInput | NotAllowed
    ) -> Message | FormToOpen:
        if self._lists.starts_within(person, draft.profiles[0]) is None:
            text = f"{starts.written} {draft.justification}"
            moment = self._drafts.find_start(person, starts) if isinstance(refusal, NotAllowed) else None
            return FormToOpen(
                self._lists.form(person, BegunRequest(draft.profiles, draft.duration, text, starts=moment))
            )
        words = (draft.profiles[0], format_duration(draft.duration), starts.written, draft.justification)
        return other_start(refusal, ACCESS, *words, now=self._clock.now(), reader=person.id)
