"""A request that was typed in one line: submitted, or answered with the line to send instead.

Invariant: a line that asks for too long comes back whole, with the longest time that is allowed; nothing is requested
for another time than the one that was typed.
"""

from __future__ import annotations

from bot.interactions.request_queries import RequestQueries
from bot.interactions.submitting import DraftSubmission
from bot.slack.app_surface import ACCESS
from bot.views.block_kit import Message
from bot.views.request.form import RequestDraft
from bot.views.too_long import is_about_duration, too_long
from core.actor import Actor
from core.clock import Clock
from core.duration import format_duration
from core.errors import InvalidInput, NotAllowed


class RequestLines:
    """Submits what people fill in, and lines of `/access`. Safe for threads."""

    def __init__(self, drafts: DraftSubmission, lists: RequestQueries, clock: Clock) -> None:
        self._drafts = drafts
        self._lists = lists
        self._clock = clock

    def submit_form(self, person: Actor, draft: RequestDraft, key: str | None) -> Message:
        """What became of what was filled in. Raises like DraftSubmission.submit."""
        return self._drafts.submit(person, draft, key)

    def submit(self, person: Actor, draft: RequestDraft, key: str | None) -> Message:
        """What became of what was typed. Raises like DraftSubmission.submit."""
        try:
            return self._drafts.submit(person, draft, key)
        except (InvalidInput, NotAllowed) as refusal:
            longest = self._lists.longest(person, draft.profiles[0]) if is_about_duration(refusal) else None
            if longest is None or longest >= draft.duration:
                raise
            words = (draft.profiles[0], format_duration(longest), draft.justification)
            return too_long(refusal, ACCESS, *words, now=self._clock.now(), reader=person.id)
