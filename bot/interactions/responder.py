"""Answers every interaction: decide, acknowledge, reply, in that order.

Invariant: every interaction gets one answer, and it is true. It is acknowledged after its change was committed, or with
a notice that nothing is known yet, or that nothing was recorded. An action that needs a form decided nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Protocol

from slack_bolt import Ack

from bot.interactions.decision_queue import Decided, DecisionQueue, Overloaded, Pending
from bot.interactions.form_origin import read_origin
from bot.interactions.interaction import Interaction, Surface
from bot.interactions.outcome import FormToOpen, InteractionOutcome, Work, WorkOrForm, note_store_error, refused
from bot.interactions.reply_sender import ReplySender
from bot.observability.tracing import INTERACTION, NO_TRACER, Tracer
from bot.views.block_kit import Block, Message, divider
from bot.views.pagination import ListPlace
from bot.views.replies import BROKEN, NO_FORM, NOT_RECORDED_YET, OVERLOADED, notice, reply
from core.clock import Clock
from core.errors import CountersignError

__all__ = ["CommitHooks", "FormToOpen", "InteractionOutcome", "Responder", "note_store_error"]

_log = logging.getLogger("countersign.bot")


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


class Responder:
    """What all listeners share. Safe for threads."""

    def __init__(
        self,
        queue: DecisionQueue,
        replies: ReplySender,
        hooks: CommitHooks,
        clock: Clock,
        *,
        link_to_card: Callable[[str], str | None] = lambda _: None,
        draw_list: Callable[[Interaction, ListPlace], Message | None] = lambda *_: None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """`link_to_card` gives the address of a record's card; `draw_list` the page of a list as it is now."""
        self._link_to_card = link_to_card
        self._tracer = tracer
        self._draw_list = draw_list
        self._queue = queue
        self._replies = replies
        self._hooks = hooks
        self._clock = clock

    def now(self) -> datetime:
        """What time it is."""
        return self._clock.now()

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

    def respond_to_action(
        self, ack: Ack, interaction: Interaction, work: WorkOrForm, *, not_yet: str = NOT_RECORDED_YET
    ) -> None:
        """Acknowledge a button, then reply with the outcome where it was clicked, or open the form that it needs.

        A list in a message that only this person sees is drawn anew, with the outcome above it.
        """
        outcome = self._decide(interaction, work, lambda late: self._reply_to_action(interaction, late), not_yet)
        ack()
        self._reply_to_action(interaction, outcome)

    def show(self, ack: Ack, interaction: Interaction, work: Work) -> None:
        """Acknowledge a button that only shows something, then show it beside the message it is on."""

        def reply_beside(outcome: InteractionOutcome) -> None:
            self._refresh(interaction, outcome)
            if interaction.surface is Surface.HOME:
                self._hooks.acted_at_home(interaction, outcome.message)
            else:
                self._replies.reply(interaction, outcome.message)

        outcome = self._decide(interaction, work, reply_beside)
        ack()
        reply_beside(outcome)

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
        closes: bool = False,
    ) -> None:
        """Acknowledge a form: show the outcome in its place, or a mistake under the field that has it, one of `fields`.

        With `closes`, a form whose work is done closes, and the outcome appears where the form was opened. `not_yet` is
        the notice while the store doesn't answer: it stays, and becomes the outcome.
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
            case Decided(outcome) if closes and outcome.is_done:
                ack(response_action="clear")
                self._reply_to_form(interaction, outcome)
            case Decided(outcome):
                view = self._replies.shown(outcome.form or notice(outcome.message))
                known = {"external_id": interaction.external_id} if interaction.external_id else {}
                ack(response_action="update", view=view | known)
                self._refresh(interaction, outcome)
            case Pending():
                ack(response_action="update", view=notice(reply(not_yet)))
            case Overloaded():
                ack(response_action="errors", errors={list(fields)[-1]: OVERLOADED})

    def open_form(self, ack: Ack, interaction: Interaction, make: Callable[[], Block]) -> None:
        """Acknowledge, then open a form made from cached answers: a trigger lives for three seconds, and opens once."""
        ack()
        self._open_form(interaction, make)

    def redraw_form(self, ack: Ack, interaction: Interaction, make: Callable[[], Block]) -> None:
        """Acknowledge a choice in a form, then draw the form again with what depends on the choice.

        Where it can't be drawn, the form stays as it is: what it holds is judged when it's submitted.
        """
        ack()
        self._replies.redraw_form(interaction, make)

    def _open_form(self, interaction: Interaction, make: Callable[[], Block]) -> None:
        self._replies.open_form(
            interaction, make, lambda error: self._reply_to_action(interaction, self._refused(interaction, error))
        )

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
        elif interaction.surface is Surface.EPHEMERAL:
            self._reply_in_ephemeral(interaction, outcome)
        else:
            self._replies.reply(interaction, outcome.message)

    def _reply_in_ephemeral(self, interaction: Interaction, outcome: InteractionOutcome) -> None:
        """Reply in the message whose button was clicked, so that no button stays that can't work any more."""
        place, message = interaction.listed, outcome.message
        if place is not None:
            self._replies.reply_in_place(interaction, lambda: self._list_with(interaction, place, message), message)
        else:
            is_over = outcome.is_done or outcome.stale_record is not None
            self._replies.reply(interaction, message, in_place=is_over)

    def _list_with(self, interaction: Interaction, place: ListPlace, outcome: Message) -> Message:
        """The list as it is now, under the outcome; only the outcome where there is no such list any more."""
        page = self._draw_list(interaction, place)
        if page is None:
            return outcome
        return Message(text=f"{outcome.text} {page.text}", blocks=(*outcome.blocks, divider(), *page.blocks))

    def _reply_to_form(self, interaction: Interaction, outcome: InteractionOutcome) -> None:
        """Show the outcome of a form that was closed where the form was opened."""
        opener, origin = self._replies.opener_of(interaction), read_origin(interaction.external_id)
        if origin is not None and origin.is_home:
            self._hooks.acted_at_home(opener or interaction, outcome.message)
        elif opener is not None and opener.response_url is not None:
            self._reply_to_action(opener, outcome)
        else:
            self._replies.reply_beside(interaction, outcome.message)

    def _refresh(self, interaction: Interaction, outcome: InteractionOutcome) -> None:
        if outcome.stale_record is not None:
            self._hooks.found_stale(outcome.stale_record, interaction)

    def _outcome(self, interaction: Interaction, work: WorkOrForm, fields: Collection[str] = ()) -> InteractionOutcome:
        try:
            with self._tracer.span("decision", {INTERACTION: interaction.name}):
                done = work()
        except CountersignError as error:
            return self._refused(interaction, error, fields)
        except Exception:  # noqa: BLE001 - see below
            # The app's error handler: a bug is answered too, and ends no thread.
            _log.exception("a click could not be decided")
            return InteractionOutcome(reply(BROKEN))
        if isinstance(done, FormToOpen):
            return InteractionOutcome(reply(NO_FORM), form=done.view)
        self._hooks.committed()
        return InteractionOutcome(done, is_done=True)

    def _refused(
        self, interaction: Interaction, error: CountersignError, fields: Collection[str] = ()
    ) -> InteractionOutcome:
        return refused(interaction, error, fields, self._clock.now(), self._link_to_card)
