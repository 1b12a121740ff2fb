"""The menus of profiles: their options while somebody searches, and the fields that depend on what is chosen.

Invariant: a search finds what this person may ask for, and nothing else; it decides nothing. A form that is drawn again
keeps all that was filled in, and never takes the place of what has become of it meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from slack_bolt import Ack, App

from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.interaction import Interaction, read_interaction
from bot.interactions.offers import break_glass_offers, request_offers, search_profiles
from bot.interactions.request_queries import RequestQueries
from bot.interactions.responder import Responder
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_dict, get_str
from bot.views.block_kit import Block
from bot.views.break_glass import form as break_glass
from bot.views.inputs import MAX_OPTIONS
from bot.views.request import form as request
from core.actor import Actor
from core.errors import CountersignError
from core.policy import Policy, PolicySource
from core.services.membership import Judging

MAX_QUERY: int = 200
"""So much of what somebody types is looked at."""
_log = logging.getLogger("countersign.bot")


class ProfileMenus:
    """What Slack sends about the menus of profiles in both forms. Safe for threads."""

    def __init__(
        self,
        responder: Responder,
        policy: PolicySource,
        directory: SlackDirectory,
        requests: RequestQueries,
        events: BreakGlassQueries,
    ) -> None:
        self._responder = responder
        self._policy = policy
        self._directory = directory
        self._requests = requests
        self._events = events

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.options(request.PROFILE)(self.on_search_to_request)
        app.options(break_glass.PROFILE)(self.on_search_to_declare)
        app.action(request.PROFILE)(self.on_chosen_to_request)
        app.action(break_glass.PROFILE)(self.on_chosen_to_declare)

    def on_search_to_request(self, ack: Ack, body: Payload, context: Payload) -> None:
        """Somebody searches the profiles that they can request."""

        def find(policy: Policy, person: Actor, query: str) -> Iterator[Block]:
            return map(request.profile_option, request_offers(policy, person, search_profiles(policy, query)))

        self._answer_search(ack, body, context, find, to_declare=False)

    def on_search_to_declare(self, ack: Ack, body: Payload, context: Payload) -> None:
        """Somebody searches the profiles for which they can break the glass."""

        def find(policy: Policy, person: Actor, query: str) -> Iterator[Block]:
            return map(break_glass.profile_option, break_glass_offers(policy, person, search_profiles(policy, query)))

        self._answer_search(ack, body, context, find, to_declare=True)

    def on_chosen_to_request(self, ack: Ack, body: Payload, context: Payload) -> None:
        """Other profiles are chosen: what the form offers below depends on them."""
        interaction, view = read_interaction(body, context), get_dict(body, "view")
        self._responder.redraw_form(
            ack,
            interaction,
            lambda: self._requests.form(self._known(interaction), request.read_begun_form(view)),
        )

    def on_chosen_to_declare(self, ack: Ack, body: Payload, context: Payload) -> None:
        """Another profile is chosen: what the form offers below depends on it."""
        interaction, view = read_interaction(body, context, is_emergency=True), get_dict(body, "view")

        def draw() -> Block:
            begun, origin = break_glass.read_begun_break_glass(view)
            return self._events.form(self._known(interaction), origin, begun=begun)

        self._responder.redraw_form(ack, interaction, draw)

    def _answer_search(
        self,
        ack: Ack,
        body: Payload,
        context: Payload,
        find: Callable[[Policy, Actor, str], Iterator[Block]],
        *,
        to_declare: bool,
    ) -> None:
        interaction = read_interaction(body, context, is_emergency=to_declare)
        options: Sequence[Block] = ()
        try:
            people = Judging(self._policy.current(), self._directory)
            policy = people.policy
            needed = policy.needed_to_declare if to_declare else policy.needed_to_request
            person = people.ask(self._known(interaction), needed)
            query = (get_str(body, "value") or "")[:MAX_QUERY]
            options = tuple(islice(find(policy, person, query), MAX_OPTIONS))
        except CountersignError as error:
            # A menu has no room for a reason: it shows that nothing was found, and submitting says more.
            _log.warning("a search for profiles could not be answered: %s", error)
        ack(options=options)

    def _known(self, interaction: Interaction) -> Actor:
        # A cached answer is good enough for a menu; a person not looked up yet is looked up now, for a second at most.
        return self._directory.known(interaction.user_id) or self._directory.actor(
            interaction.user_id, interaction.team_id
        )
