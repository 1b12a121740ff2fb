"""Draws the page of a list anew, in the message that somebody has open, after a button on it was pressed.

Invariant: what is drawn is what this person can see now; which list and page it was comes from the button, and gives no
right.
"""

from __future__ import annotations

from bot.interactions.access_queries import AccessQueries
from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.interaction import Interaction
from bot.interactions.request_queries import RequestQueries
from bot.slack.directory import SlackDirectory
from bot.views.access.list import AccessListKind
from bot.views.block_kit import Message
from bot.views.break_glass.list import BreakGlassListKind
from bot.views.pagination import ListPlace
from bot.views.request.list import ListKind


class OpenLists:
    """Reads lists for one person. Safe for threads."""

    def __init__(
        self,
        requests: RequestQueries,
        events: BreakGlassQueries,
        access: AccessQueries,
        directory: SlackDirectory,
    ) -> None:
        self._requests = requests
        self._events = events
        self._access = access
        self._directory = directory

    def draw(self, interaction: Interaction, place: ListPlace) -> Message | None:
        """The page as it is now; None for a list of another version. Raises NotAllowed, StoreError."""
        person, word = self._directory.actor(interaction.user_id, interaction.team_id), place.kind
        if word in set(ListKind):
            return self._requests.page(ListKind(word), person, place.page)
        if word in set(BreakGlassListKind):
            return self._events.page(BreakGlassListKind(word), person, place.page)
        if word in set(AccessListKind):
            return self._access.page(AccessListKind(word), person, place.page)
        return None
