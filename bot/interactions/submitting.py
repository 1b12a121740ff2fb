"""A request that was filled in or typed: submitted, and answered with what became of it.

Invariant: one answer for one form or line, however many profiles it names; each of them is a request of its own. A line
that asks for too long gets the same line back, with the longest time that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.interactions.interaction import Interaction
from bot.interactions.request_queries import RequestQueries
from bot.slack.app_surface import ACCESS
from bot.slack.directory import SlackDirectory
from bot.views.block_kit import Message
from bot.views.replies import already_open, submitted
from bot.views.request.form import RequestDraft
from bot.views.request.submitted import submitted_for, submitted_several
from bot.views.too_long import is_about_duration, too_long
from core.actor import Actor
from core.clock import Clock
from core.duration import format_duration
from core.errors import InvalidInput, LimitReached, NotAllowed
from core.open_requests import OPEN_REQUEST
from core.request import Request
from core.services import RequestService


class RequestSubmission:
    """Submits for the person who asks, or for somebody else. `link_to_card` gives the address of a record's card."""

    def __init__(
        self,
        service: RequestService,
        lists: RequestQueries,
        directory: SlackDirectory,
        link_to_card: Callable[[str], str | None],
        clock: Clock,
    ) -> None:
        self._service = service
        self._lists = lists
        self._directory = directory
        self._link_to_card = link_to_card
        self._clock = clock

    def submit(self, interaction: Interaction, draft: RequestDraft, key: str | None) -> Message:
        """Submit what a form holds. The reply to a form is a modal, from which no other one can be opened."""
        return self._submit(interaction, draft, key, is_form=True)

    def submit_line(self, interaction: Interaction, draft: RequestDraft, key: str | None) -> Message:
        """Submit what was typed in one line."""
        try:
            return self._submit(interaction, draft, key, is_form=False)
        except (InvalidInput, NotAllowed) as refusal:
            person = self._directory.actor(interaction.user_id, interaction.team_id)
            longest = self._lists.longest(person, draft.profiles[0]) if is_about_duration(refusal) else None
            if longest is None or longest >= draft.duration:
                raise
            words = (draft.profiles[0], format_duration(longest), draft.justification)
            return too_long(refusal, ACCESS, *words, now=self._clock.now(), reader=interaction.user_id)

    def _submit(self, interaction: Interaction, draft: RequestDraft, key: str | None, *, is_form: bool) -> Message:
        person = self._directory.actor(interaction.user_id, interaction.team_id)
        on_behalf_of = self._find_other(person, draft.on_behalf_of)
        if len(draft.profiles) > 1:
            return self._submit_several(person, on_behalf_of, draft, key)
        profile = draft.profiles[0]
        try:
            request = self._service.submit(
                person,
                profile,
                draft.duration,
                draft.justification,
                idempotency_key=key or None,
                on_behalf_of=on_behalf_of,
            )
        except LimitReached as reached:
            if reached.limit != OPEN_REQUEST or on_behalf_of is not None:
                raise
            # Not under a field of the form: what is there already is more use than what was typed, and has a link.
            return already_open(profile, reached, self._link_to_card(f"{Request.KIND}#{reached.value}"))
        if request.awaits_confirmation:
            return submitted_for(request)
        return submitted(request, may_declare=not is_form and self._lists.may_declare(person, request.profile))

    def _submit_several(
        self, person: Actor, on_behalf_of: Actor | None, draft: RequestDraft, key: str | None
    ) -> Message:
        outcomes = self._service.submit_several(
            person,
            draft.profiles,
            draft.duration,
            draft.justification,
            idempotency_key=key or None,
            on_behalf_of=on_behalf_of,
        )
        refusals = [each.refusal for each in outcomes if each.refusal is not None]
        if len(refusals) == len(outcomes):
            # Nothing was requested: the form stays, with what is wrong.
            raise refusals[0]
        return submitted_several(outcomes, self._clock.now(), person.id)

    def _find_other(self, person: Actor, other: str | None) -> Actor | None:
        if other is None or other == person.id:
            return None
        try:
            return self._directory.actor(other, None)
        except NotAllowed as refusal:
            problem = "; ".join(refusal.reasons)
            raise InvalidInput("on_behalf_of", problem, "Choose somebody else.") from refusal
