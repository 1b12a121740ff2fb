"""What people say to each other about a request, in Slack: confirm, ask, answer; and ask again for what has ended.

Invariant: like every listener, each reads an interaction and makes one service call, through the responder. A form is
drawn from the record, for somebody who may send it.
"""

from __future__ import annotations

from collections.abc import Callable

from slack_bolt import Ack, App

from bot.interactions.asking_queries import AskingQueries
from bot.interactions.interaction import Interaction, read_interaction, read_pressed_id
from bot.interactions.naming import naming
from bot.interactions.request_queries import RequestQueries
from bot.interactions.responder import FormToOpen, Responder
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.asking.again import AGAIN
from bot.views.asking.confirm import CONFIRM, confirmed
from bot.views.asking.question import (
    ANSWER,
    ANSWER_CALLBACK,
    ANSWER_FIELD,
    ASK,
    ASK_CALLBACK,
    QUESTION_FIELD,
    answer_form,
    answer_sent,
    ask_form,
    question_sent,
    read_answer_form,
    read_ask_form,
    read_question,
)
from bot.views.block_kit import Message
from bot.views.replies import already_open, submitted
from bot.views.request.form import BegunRequest
from core.actor import Actor
from core.errors import InvalidInput, LimitReached, NotAllowed, NotKnown
from core.open_requests import OPEN_REQUEST
from core.request import Request, RequestId
from core.services import RequestService
from core.services.again import AskAgain


class AskingInteractions:
    """What Slack sends when people confirm, ask and answer. `lists` draws the form to request access."""

    def __init__(
        self,
        responder: Responder,
        service: RequestService,
        again: AskAgain,
        queries: AskingQueries,
        lists: RequestQueries,
        directory: SlackDirectory,
        link_to_card: Callable[[str], str | None],
    ) -> None:
        self._queries = queries
        self._link_to_card = link_to_card
        self._responder = responder
        self._service = service
        self._again = again
        self._lists = lists
        self._directory = directory

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.action(CONFIRM)(self.on_confirm)
        app.action(AGAIN)(self.on_again)
        app.action(ASK)(self.on_ask)
        app.view(ASK_CALLBACK)(self.on_ask_form)
        app.action(ANSWER)(self.on_answer)
        app.view(ANSWER_CALLBACK)(self.on_answer_form)

    def on_confirm(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Confirm was clicked, in the message to the person who gets the access."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            with naming(RequestId(read_pressed_id(action))) as request_id:
                return confirmed(self._service.confirm(request_id, self._actor(interaction)))

        self._responder.respond_to_action(ack, interaction, decide)

    def on_again(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Request again was clicked: request it, or open the form filled in if that isn't possible as it was."""
        interaction = read_interaction(body, context)

        def decide() -> Message | FormToOpen:
            person = self._actor(interaction)
            with naming(RequestId(read_pressed_id(action))) as request_id:
                earlier = self._again.find(request_id, person)
                try:
                    # A trigger belongs to one press: the same press delivered twice has the same one.
                    made = self._again.again(request_id, person, interaction.trigger_id or None)
                    return submitted(made, hours=self._lists.closed_hours(made))
                except LimitReached as reached:
                    if reached.limit != OPEN_REQUEST:
                        raise
                    return already_open(earlier.profile, reached, self._link_to_card(f"{Request.KIND}#{reached.value}"))
                except NotKnown:
                    raise
                except (InvalidInput, NotAllowed):
                    if not self._queries.may_request(person, earlier.profile):
                        raise
                    ticket = earlier.ticket or ""
                    begun = BegunRequest((earlier.profile,), earlier.duration, earlier.own_words, ticket=ticket)
                    return FormToOpen(self._lists.form(person, begun))

        self._responder.respond_to_action(ack, interaction, decide)

    def on_ask(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Ask a question was chosen on a card: show the request, and take the question."""
        interaction = read_interaction(body, context)
        self._responder.respond_to_action(ack, interaction, lambda: self.form_to_ask(interaction, action))

    def form_to_ask(self, interaction: Interaction, action: Payload) -> FormToOpen:
        """The form to ask a question, for somebody who may decide on the request."""
        with naming(RequestId(read_pressed_id(action))) as request_id:
            return FormToOpen(ask_form(self._queries.to_ask(request_id, self._actor(interaction))))

    def on_ask_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The question was submitted."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            named, text = read_ask_form(get_dict(body, "view"))
            with naming(named) as request_id:
                return question_sent(self._service.ask(request_id, self._actor(interaction), text))

        self._responder.respond_to_view(ack, interaction, decide, (QUESTION_FIELD,), closes=True)

    def on_answer(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Answer was clicked, under a question: show the question, and take the answer."""
        interaction = read_interaction(body, context)

        def show() -> FormToOpen:
            named, number = read_question(get_str(action, "value"))
            with naming(named) as request_id:
                return FormToOpen(answer_form(*self._queries.to_answer(request_id, number, self._actor(interaction))))

        self._responder.respond_to_action(ack, interaction, show)

    def on_answer_form(self, ack: Ack, body: Payload, context: Payload) -> None:
        """The answer was submitted."""
        interaction = read_interaction(body, context)

        def decide() -> Message:
            named, number, text = read_answer_form(get_dict(body, "view"))
            with naming(named) as request_id:
                return answer_sent(self._service.answer(request_id, self._actor(interaction), number, text), number)

        self._responder.respond_to_view(ack, interaction, decide, (ANSWER_FIELD,), closes=True)

    def _actor(self, interaction: Interaction) -> Actor:
        return self._directory.actor(interaction.user_id, interaction.team_id)
