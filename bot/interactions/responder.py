"""Answers every interaction: decide, acknowledge, reply, in that order.

Invariant: every interaction gets one answer, and it is true. It is acknowledged after its change was committed, or with
a notice that nothing is known yet, or that nothing was recorded. An action that needs a form decided nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from slack_bolt import Ack

from bot.interactions.decision_queue import Decided, DecisionQueue, Overloaded, Pending
from bot.interactions.interaction import Interaction, Surface
from bot.interactions.reply_sender import ReplySender
from bot.views.block_kit import Block, Message
from bot.views.replies import (
    BROKEN,
    FORM,
    NO_FORM,
    NOT_RECORDED_YET,
    OVERLOADED,
    explain,
    explain_in_field,
    notice,
    reply,
)
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

_log = logging.getLogger("countersign.bot")


@dataclass(frozen=True, slots=True)
class FormToOpen:
    """An outcome: nothing was decided, and the person has to fill in this form first."""

    view: Block


Work = Callable[[], Message]
WorkOrForm = Callable[[], Message | FormToOpen]
"""What decides, or finds that a form is needed first."""


class CommitHooks(Protocol):
    """What happens beside the reply, soon and on other threads. Nothing here is waited for, and nothing raises."""

    def committed(self) -> None:
        """A change may have been committed: deliver its notifications now instead of in the next round."""
        ...

    def found_stale(self, record: str, interaction: Interaction) -> None:
        """A button was clicked that could no longer work: refresh the record's card, and the clicked message."""
        ...

    def acted_at_home(self, interaction: Interaction, message: Message) -> None:
        """A button was clicked in a Home tab: show its outcome there, where it was clicked."""
        ...


@dataclass(frozen=True, slots=True)
class InteractionOutcome:
    """What an interaction came to. `mistake` is the name of the form's field that it is about.

    With a `form`, the message is what to say where it can't be opened.
    """

    message: Message
    stale_record: str | None = None
    mistake: str | None = None
    form: Block | None = None


class Responder:
    """What all listeners share. Safe for threads."""

    def __init__(self, queue: DecisionQueue, replies: ReplySender, hooks: CommitHooks, clock: Clock) -> None:
        self._queue = queue
        self._replies = replies
        self._hooks = hooks
        self._clock = clock

    def respond_to_command(
        self, ack: Ack, interaction: Interaction, work: WorkOrForm, *, not_yet: str = NOT_RECORDED_YET
    ) -> None:
        """Acknowledge a slash command with its outcome, which only this person sees, or open the form that it needs."""
        outcome = self._decide(interaction, work, lambda late: self._reply_to_command(interaction, late), not_yet)
        if outcome.form is not None:
            ack()
            self._reply_to_command(interaction, outcome)
            return
        message = outcome.message
        ack(text=message.text, blocks=list(message.blocks), response_type="ephemeral")

    def respond_to_action(self, ack: Ack, interaction: Interaction, work: WorkOrForm) -> None:
        """Acknowledge a button, then reply with the outcome where it was clicked, or open the form that it needs."""
        outcome = self._decide(interaction, work, lambda late: self._reply_to_action(interaction, late))
        ack()
        self._reply_to_action(interaction, outcome)

    def respond_with_page(self, ack: Ack, interaction: Interaction, work: Work) -> None:
        """Acknowledge a button that shows another page in place of its own."""

        def show(outcome: InteractionOutcome) -> None:
            self._replies.reply(interaction, outcome.message, in_place=interaction.surface is Surface.EPHEMERAL)

        outcome = self._decide(interaction, work, show)
        ack()
        show(outcome)

    def respond_to_view(
        self,
        ack: Ack,
        interaction: Interaction,
        work: WorkOrForm,
        fields: Collection[str],
        *,
        not_yet: str = NOT_RECORDED_YET,
    ) -> None:
        """Acknowledge a form: show the outcome in its place, or a mistake under the field that has it, one of `fields`.

        `not_yet` is the notice while the store doesn't answer.
        """
        answer = self._queue.decide(
            lambda: self._outcome(interaction, work, fields),
            person=interaction.user_id,
            is_emergency=interaction.is_emergency,
            received_at=interaction.received_at,
            on_late=lambda late: self._replies.update_form(interaction, late.message, late.form),
        )
        match answer:
            case Decided(InteractionOutcome(message, _, str(mistake))):
                ack(response_action="errors", errors={mistake: message.text})
            case Decided(outcome):
                ack(response_action="update", view=outcome.form or notice(outcome.message))
                self._refresh(interaction, outcome)
            case Pending():
                ack(response_action="update", view=notice(reply(not_yet)))
            case Overloaded():
                ack(response_action="errors", errors={list(fields)[-1]: OVERLOADED})

    def open_form(self, ack: Ack, interaction: Interaction, make: Callable[[], Block]) -> None:
        """Acknowledge, then open a form made from cached answers: a trigger lives for three seconds, and opens once."""
        ack()
        self._open_form(interaction, make)

    def _open_form(self, interaction: Interaction, make: Callable[[], Block]) -> None:
        self._replies.open_form(interaction, make, lambda error: explain(error, self._clock.now(), interaction.user_id))

    def _decide(
        self,
        interaction: Interaction,
        work: WorkOrForm,
        on_late: Callable[[InteractionOutcome], None],
        not_yet: str = NOT_RECORDED_YET,
    ) -> InteractionOutcome:
        answer = self._queue.decide(
            lambda: self._outcome(interaction, work),
            person=interaction.user_id,
            is_emergency=interaction.is_emergency,
            received_at=interaction.received_at,
            on_late=on_late,
        )
        match answer:
            case Decided(outcome):
                return outcome
            case Pending():
                return InteractionOutcome(reply(not_yet))
            case Overloaded():
                return InteractionOutcome(reply(OVERLOADED))

    def _reply_to_command(self, interaction: Interaction, outcome: InteractionOutcome) -> None:
        if (form := outcome.form) is not None:
            self._open_form(interaction, lambda: form)
        else:
            self._replies.reply(interaction, outcome.message)

    def _reply_to_action(self, interaction: Interaction, outcome: InteractionOutcome) -> None:
        self._refresh(interaction, outcome)
        if (form := outcome.form) is not None:
            self._open_form(interaction, lambda: form)
        elif interaction.surface is Surface.HOME:
            self._hooks.acted_at_home(interaction, outcome.message)
        else:
            self._replies.reply(interaction, outcome.message)

    def _refresh(self, interaction: Interaction, outcome: InteractionOutcome) -> None:
        if outcome.stale_record is not None:
            self._hooks.found_stale(outcome.stale_record, interaction)

    def _outcome(self, interaction: Interaction, work: WorkOrForm, fields: Collection[str] = ()) -> InteractionOutcome:
        try:
            done = work()
        except CountersignError as error:
            if isinstance(error, StoreError):
                note_store_error(error)
            stale = error.record if isinstance(error, InvalidStateTransition) else None
            if (field := _field_of(error, fields)) is not None:
                return InteractionOutcome(reply(explain_in_field(error, interaction.user_id)), mistake=field)
            return InteractionOutcome(explain(error, self._clock.now(), interaction.user_id), stale_record=stale)
        except Exception:  # noqa: BLE001 - see below
            # The app's error handler: a bug is answered too, and ends no thread.
            _log.exception("a click could not be decided")
            return InteractionOutcome(reply(BROKEN))
        if isinstance(done, FormToOpen):
            return InteractionOutcome(reply(NO_FORM), form=done.view)
        self._hooks.committed()
        return InteractionOutcome(done)


def note_store_error(error: StoreError) -> None:
    """Log for the operators why a click could not be decided: the person who clicked can't fix it."""
    _log.error("a click could not be decided: %s: %s", type(error).__name__, error)


def _field_of(error: CountersignError, fields: Collection[str]) -> str | None:
    """The field under which a form shows the mistake and keeps what was typed; None: the form can't help any more."""
    match error:
        case InvalidInput() if error.field in fields:
            return error.field
        case NotAllowed() if FORM not in error.unmet:
            return next((name for name in error.unmet if name in fields), next(iter(fields), None))
        case CodeRefused() | LimitReached(limit=mfa.LIMIT) if mfa.FIELD in fields:
            return mfa.FIELD
        case LimitReached():
            return next(iter(fields), None)
        case StoreUnavailable(is_outcome_unknown=False):
            return next(reversed(list(fields)), None)
    return None
