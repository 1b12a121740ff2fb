"""Submits what a person filled in or typed: one profile or several, for themselves or for somebody else.

Invariant: who gets the access is confirmed as a member by Slack, as everybody who acts is. Of several profiles, each
gets its own answer; the same form delivered again requests nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from bot.slack.directory import SlackDirectory
from bot.views.asking.again import submitted_several
from bot.views.asking.confirm import already_open_for, submitted_for
from bot.views.block_kit import Message
from bot.views.replies import already_open, explain, submitted
from bot.views.request.form import ON_BEHALF_OF, RequestDraft
from core.actor import Actor, check_user_id
from core.clock import Clock
from core.directory import DirectoryNotes
from core.errors import CountersignError, InvalidInput, LimitReached, NotAllowed, NotKnown
from core.open_requests import COOLDOWN_AFTER_DENIAL, OPEN_REQUEST, OPEN_REQUESTS
from core.request import Request
from core.services import RequestService
from core.services.bundle import Submitted
from core.written_time import WrittenTime

_A_LIMIT: Final = "this person has reached a limit for {profile} ({value})"
_THEIR_LIMITS: Final = {
    OPEN_REQUEST: "this person has a request open for {profile}; it has to be decided or cancelled first",
    OPEN_REQUESTS: "this person has {value} open requests for {profile}, which is the limit",
    COOLDOWN_AFTER_DENIAL: "this person's last request for {profile} was denied, so they have to wait ({value})",
}
_NO_MEMBER: Final = "this person can't get access here: {why}"


class DraftSubmission:
    """Makes requests of drafts. Safe for threads.

    `may_declare` says whether a person can break the glass instead, `closed_hours` that nobody can approve it yet.
    """

    def __init__(
        self,
        service: RequestService,
        directory: SlackDirectory,
        clock: Clock,
        link_to_card: Callable[[str], str | None],
        may_declare: Callable[[Actor, str], bool],
        closed_hours: Callable[[Request], str],
    ) -> None:
        self._service = service
        self._directory = directory
        self._clock = clock
        self._link_to_card = link_to_card
        self._may_declare = may_declare
        self._closed_hours = closed_hours

    def submit(self, person: Actor, draft: RequestDraft, key: str | None) -> Message:
        """What became of it, for this person. Raises like RequestService.submit when nothing was requested."""
        other = self._find(person, draft.on_behalf_of)
        done = self._service.submit_several(
            person, draft.profiles, draft.duration, draft.justification, idempotency_key=key, on_behalf_of=other,
            starts_at=self.find_start(person, draft.starts), ticket=draft.ticket,
        )  # fmt: skip
        if len(done) == 1:
            return self._answer(person, done[0], other)
        if other is not None:
            done = tuple(replace(each, refusal=_about_other(each.refusal, each.profile)) for each in done)
        requests = [each.request for each in done if each.request is not None]
        refusals = [each.refusal for each in done if each.refusal is not None]
        if not requests:
            raise refusals[0]
        now = self._clock.now()
        return submitted_several(
            [(each.profile, _became(each)) for each in done],
            [explain(each, now, person.id).text for each in refusals],
            self._closed_hours,
        )

    def find_start(self, person: Actor, starts: WrittenTime | datetime | None) -> datetime | None:
        """The moment of a start, as this person's clock shows what was written. Raises InvalidInput."""
        if isinstance(starts, WrittenTime):
            return starts.resolve(self._directory.zone_of(person.id), self._clock.now())
        return starts

    def _answer(self, person: Actor, done: Submitted, other: Actor | None) -> Message:
        became = _became(done)
        if isinstance(became, LimitReached) and became.limit == OPEN_REQUEST:
            # Not under a field of the form: what is there already is more use than what was typed, and has a link.
            link = self._link_to_card(f"{Request.KIND}#{became.value}")
            if other is not None:
                return already_open_for(other.id, done.profile, became, link)
            return already_open(done.profile, became, link)
        if isinstance(became, CountersignError):
            raise (_about_other(became, done.profile) or became) if other is not None else became
        if became.asked_by is not None:
            return submitted_for(became)
        # Break-glass opens now: it's nothing instead of access that starts later.
        may_declare = became.starts_at is None and self._may_declare(person, became.profile)
        return submitted(became, may_declare=may_declare, hours=self._closed_hours(became))

    def _find(self, person: Actor, other: str | None) -> Actor | None:
        if other is None or other == person.id:
            return None
        try:
            return self._directory.person(check_user_id(other, ON_BEHALF_OF), DirectoryNotes())
        except NotKnown:
            raise
        except NotAllowed as refusal:
            why = _NO_MEMBER.format(why="; ".join(refusal.reasons))
            raise InvalidInput(ON_BEHALF_OF, why, "Choose an active member of this workspace.") from refusal


def _about_other(refusal: CountersignError | None, profile: str) -> CountersignError | None:
    """The refusal, as the person who asks for somebody else reads it: the limits are that person's."""
    if not isinstance(refusal, LimitReached):
        return refusal
    problem = _THEIR_LIMITS.get(refusal.limit, _A_LIMIT).format(value=refusal.value, profile=profile)
    return InvalidInput(ON_BEHALF_OF, problem, f"Try again after {refusal.ends_at:%Y-%m-%d %H:%M} UTC.")


def _became(done: Submitted) -> Request | CountersignError:
    if done.request is not None:
        return done.request
    if done.refusal is None:
        raise ValueError("a profile was requested or refused")
    return done.refusal
