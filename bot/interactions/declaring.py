"""Declares break-glass: from the form, or from a line that was typed.

Invariant: nobody reads that they have access before the store has confirmed it; without the store, they read what to do
instead. A line that the rule refuses keeps its words: it comes back with the longest time, or opens the form.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.responder import FormToOpen, note_store_error
from bot.slack.app_surface import ACCESS, BREAK_GLASS
from bot.views.block_kit import Message
from bot.views.break_glass.form import BreakGlassDraft, Origin, begun_by
from bot.views.break_glass.replies import declared, without_store
from bot.views.too_long import is_about_duration, request_instead, too_long
from core.actor import Actor
from core.clock import Clock
from core.duration import format_duration
from core.errors import NotAllowed, StoreError
from core.policy import PolicySource
from core.services import BreakGlassService


class Declaring:
    """Declares for one person at a time. Safe for threads."""

    def __init__(
        self, service: BreakGlassService, policy: PolicySource, lists: BreakGlassQueries, clock: Clock
    ) -> None:
        self._service = service
        self._policy = policy
        self._lists = lists
        self._clock = clock

    def declare(
        self, person: Actor, draft: BreakGlassDraft, origin: Origin, key: str | None, code: str | None = None
    ) -> Message:
        """What the declaration has done. Raises like BreakGlassService.invoke, but for the store's errors."""
        fallbacks = self._policy.current().fallbacks_for(draft.profile)
        try:
            event = self._service.invoke(
                person,
                draft.profile,
                draft.reason_code,
                draft.justification,
                draft.duration,
                code=code,
                instead_of=origin.instead_of,
                declared_in=origin.channel,
                idempotency_key=key or None,
            )
        except StoreError as error:
            note_store_error(error)
            return without_store(error, fallbacks)
        return declared(event, fallbacks)

    def declare_line(
        self, person: Actor, draft: BreakGlassDraft, origin: Origin, key: str | None
    ) -> Message | FormToOpen:
        """The same for what was typed in one line."""
        try:
            return self.declare(person, draft, origin, key)
        except NotAllowed as refusal:
            longest = self._lists.longest(person, draft.profile) if is_about_duration(refusal) else None
            if longest is not None and longest < draft.duration:
                words = (draft.profile, draft.reason_code, format_duration(longest), draft.justification)
                return too_long(refusal, BREAK_GLASS, *words, now=self._clock.now(), reader=person.id)
            if (asked := self._find_request(person, draft, refusal)) is not None:
                line = (ACCESS, draft.profile, format_duration(asked), draft.justification)
                return request_instead(refusal, *line, now=self._clock.now(), reader=person.id)
            if tuple(refusal.unmet) != ("reason",):
                raise
            begun = replace(begun_by(draft), reason_code=None, unread=(draft.reason_code,))
            return FormToOpen(self._lists.form(person, origin, begun=begun))

    def _find_request(self, person: Actor, draft: BreakGlassDraft, refusal: NotAllowed) -> timedelta | None:
        """For how long they may request what no break-glass rule gives them; None where they may not, either."""
        if "user" not in refusal.unmet:
            return None
        decision = self._policy.current().judge_request(person, draft.profile, draft.duration, self._clock.now())
        return min(draft.duration, decision.max_duration) if decision.rule is not None else None
