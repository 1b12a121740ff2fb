"""The desk where clicks are answered: decide, acknowledge, reply, in that order.

Invariant: every click gets one answer, and it is true. It is acknowledged after its change was committed, or with
words that say that nothing is known yet, or that nothing was recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from slack_bolt import Ack

from bot.interactions.decision_queue import DecisionQueue, Full, Known, NotKnownYet
from bot.interactions.interaction import Click, Surface
from bot.interactions.reply_sender import Replies
from bot.views.block_kit import Block, Message
from bot.views.replies import BROKEN, NOT_RECORDED_YET, TOO_BUSY, explain, explain_in_field, notice, reply
from core import mfa
from core.clock import Clock
from core.errors import (
    CodeRefused,
    CountersignError,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    NotAllowed,
    StoreError,
    StoreUnavailable,
)
from core.stores.messages import Place

_log = logging.getLogger("countersign.bot")
Work = Callable[[], Message]


class Aftermath(Protocol):
    """What happens beside the answer, soon and on other threads. Nothing here is waited for, and nothing raises."""

    def committed(self) -> None:
        """A change may have been committed: tell of it now instead of at the next round."""
        ...

    def found_stale(self, record: str, message: Place | None) -> None:
        """Somebody pressed a button that could not work any more: show the record's card anew."""
        ...

    def acted_at_home(self, user_id: str, message: Message) -> None:
        """Somebody pressed a button in their Home tab: show them there what it did."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one act has come to. `mistake` is the name of the form's field that it is about."""

    message: Message
    stale_record: str | None = None
    mistake: str | None = None


class Desk:
    """What all listeners share. Safe for threads."""

    def __init__(self, queue: DecisionQueue, replies: Replies, aftermath: Aftermath, clock: Clock) -> None:
        self._queue = queue
        self._replies = replies
        self._aftermath = aftermath
        self._clock = clock

    def answer_command(self, ack: Ack, click: Click, work: Work, *, not_yet: str = NOT_RECORDED_YET) -> None:
        """Acknowledge a slash command with its outcome, which only this person sees."""
        outcome = self._decide(click, work, lambda late: self._replies.tell(click, late.message), not_yet)
        said = outcome.message
        ack(text=said.text, blocks=list(said.blocks), response_type="ephemeral")

    def answer_press(self, ack: Ack, click: Click, work: Work) -> None:
        """Acknowledge a button, then tell this person the outcome where they pressed it."""
        outcome = self._decide(click, work, lambda late: self._tell_press(click, late))
        ack()
        self._tell_press(click, outcome)

    def turn_page(self, ack: Ack, click: Click, work: Work) -> None:
        """Acknowledge a button that shows another page in place of the one that it stands on."""

        def turn(outcome: Outcome) -> None:
            self._replies.tell(click, outcome.message, in_place=click.surface is Surface.EPHEMERAL)

        outcome = self._decide(click, work, turn)
        ack()
        turn(outcome)

    def answer_form(
        self, ack: Ack, click: Click, work: Work, fields: Collection[str], *, not_yet: str = NOT_RECORDED_YET
    ) -> None:
        """Acknowledge a form: say the outcome in its place, or a mistake under the one of its `fields` that has it.

        `not_yet` is what is said while the store does not answer.
        """
        answer = self._queue.decide(
            lambda: self._outcome(click, work, fields),
            received_at=click.received_at,
            tell_late=lambda late: self._replies.update_form(click, late.message),
        )
        match answer:
            case Known(Outcome(message, _, str(mistake))):
                ack(response_action="errors", errors={mistake: message.text})
            case Known(outcome):
                ack(response_action="update", view=notice(outcome.message))
                self._show_anew(click, outcome)
            case NotKnownYet():
                ack(response_action="update", view=notice(reply(not_yet)))
            case Full():
                ack(response_action="errors", errors={list(fields)[-1]: TOO_BUSY})

    def open_form(self, ack: Ack, click: Click, make: Callable[[], Block]) -> None:
        """Acknowledge, then open a form made of what is at hand: a trigger lives for three seconds, and opens once."""
        ack()
        self._replies.open_form(click, make, lambda error: explain(error, self._clock.now(), click.user_id))

    def _decide(
        self, click: Click, work: Work, tell_late: Callable[[Outcome], None], not_yet: str = NOT_RECORDED_YET
    ) -> Outcome:
        answer = self._queue.decide(
            lambda: self._outcome(click, work), received_at=click.received_at, tell_late=tell_late
        )
        match answer:
            case Known(outcome):
                return outcome
            case NotKnownYet():
                return Outcome(reply(not_yet))
            case Full():
                return Outcome(reply(TOO_BUSY))

    def _tell_press(self, click: Click, outcome: Outcome) -> None:
        self._show_anew(click, outcome)
        if click.surface is Surface.HOME:
            self._aftermath.acted_at_home(click.user_id, outcome.message)
        else:
            self._replies.tell(click, outcome.message)

    def _show_anew(self, click: Click, outcome: Outcome) -> None:
        if outcome.stale_record is not None:
            self._aftermath.found_stale(outcome.stale_record, click.message)

    def _outcome(self, click: Click, work: Work, fields: Collection[str] = ()) -> Outcome:
        try:
            message = work()
        except CountersignError as error:
            if isinstance(error, StoreError):
                note_store_error(error)
            stale = error.record if isinstance(error, InvalidStateTransition) else None
            if (field := _field_of(error, fields)) is not None:
                return Outcome(reply(explain_in_field(error, click.user_id)), mistake=field)
            return Outcome(explain(error, self._clock.now(), click.user_id), stale_record=stale)
        except Exception:  # noqa: BLE001 - see below
            # The app's error handler: a bug is answered too, never in silence, and it ends no thread.
            _log.exception("a click could not be decided")
            return Outcome(reply(BROKEN))
        self._aftermath.committed()
        return Outcome(message)


def note_store_error(error: StoreError) -> None:
    """Tell the operators why a click could not be decided: the person who clicked can mend nothing of it."""
    _log.error("a click could not be decided: %s: %s", type(error).__name__, error)


def _field_of(error: CountersignError, fields: Collection[str]) -> str | None:
    """The field under which a form says what is wrong and keeps what was typed; None: the form is of no use now."""
    match error:
        case InvalidInput() if error.field in fields:
            return error.field
        case NotAllowed():
            return next((name for name in error.unmet if name in fields), next(iter(fields), None))
        case CodeRefused() | LimitReached(limit=mfa.LIMIT) if mfa.FIELD in fields:
            return mfa.FIELD
        case LimitReached():
            return next(iter(fields), None)
        case StoreUnavailable(is_outcome_unknown=False):
            return next(reversed(list(fields)), None)
    return None
