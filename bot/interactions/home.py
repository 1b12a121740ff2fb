"""The Home tab, drawn when a person opens it, when they choose a part of it, and after each click in it.

Invariant: only a verified member sees anything in it, and only what is theirs or is waiting for them. What is shown is
in the view and its buttons. An opened tab never replaces a newer one; the answer to a click is always shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from slack_bolt import Ack, App

from bot.interactions.break_glass_queries import BreakGlassQueries
from bot.interactions.device_queries import DeviceQueries
from bot.interactions.interaction import Interaction, read_interaction
from bot.interactions.list_pages import HomeList
from bot.interactions.reply_sender import ReplySender
from bot.interactions.request_queries import RequestQueries
from bot.slack.app_surface import HOME_OPENED
from bot.slack.directory import SlackDirectory
from bot.slack.payloads import Payload, get_str
from bot.views.block_kit import Block, Message
from bot.views.home import (
    MAX_ROWS,
    ROWS_PER_PAGE,
    HomeOutcome,
    HomePage,
    HomeSection,
    home_notice,
    home_tab,
    not_let_in,
)
from bot.views.home_state import (
    OVERVIEW,
    SHOW_ACTIONS,
    HomeFilter,
    HomeState,
    SectionKey,
    read_home_state,
    read_show_button,
)
from bot.views.replies import explain
from core.clock import Clock
from core.errors import CountersignError, NotAllowed, NotKnown

_UNCOUNTED = frozenset({SectionKey.OWN_EVENTS})
"""Beside what a person can review: it waits for others."""


class HomeInteractions:
    """Draws Home tabs. Safe for threads."""

    def __init__(
        self,
        replies: ReplySender,
        requests: RequestQueries,
        events: BreakGlassQueries,
        devices: DeviceQueries,
        directory: SlackDirectory,
        clock: Clock,
    ) -> None:
        self._replies = replies
        self._requests = requests
        self._events = events
        self._devices = devices
        self._directory = directory
        self._clock = clock

    def register(self, app: App) -> None:
        """Register our listeners with Bolt."""
        app.event(HOME_OPENED)(self.on_opened)
        app.action(SHOW_ACTIONS)(self.on_show)

    def on_opened(self, ack: Ack, event: Payload) -> None:
        """A person opened the tab; the event also comes for the Messages tab, which needs nothing."""
        ack()
        user_id = get_str(event, "user")
        if user_id is not None and get_str(event, "tab") in {"home", None}:
            state = read_home_state(get_str(event, "view", "private_metadata"))
            hash_ = get_str(event, "view", "hash")
            self._replies.publish_home(user_id, lambda: self._view(user_id, state, None), hash_=hash_)

    def on_show(self, ack: Ack, body: Payload, action: Payload, context: Payload) -> None:
        """Another part of the tab was chosen, or another page of it."""
        ack()
        self._answer(read_interaction(body, context), read_show_button(get_str(action, "value")))

    def show_outcome(self, interaction: Interaction, message: Message) -> None:
        """Draw the same part of the tab again soon, with what a click in it came to."""
        clicked = interaction.home
        outcome = HomeOutcome(message, clicked.block_id if clicked is not None else "")
        self._answer(interaction, clicked.state if clicked is not None else OVERVIEW, outcome)

    def _answer(self, interaction: Interaction, state: HomeState, outcome: HomeOutcome | None = None) -> None:
        user_id, hash_ = interaction.user_id, interaction.home.hash if interaction.home is not None else None
        self._replies.publish_home(user_id, lambda: self._view(user_id, state, outcome), hash_=hash_, is_answer=True)

    def _view(self, user_id: str, state: HomeState, outcome: HomeOutcome | None) -> Block:
        try:
            # The event doesn't say which workspace the person is from; Slack's answer about them does.
            person = self._directory.actor(user_id, None)
            lists: Iterator[HomeList[Any]] = chain(
                self._events.home_lists(person), self._requests.home_lists(person), self._devices.home_lists(person)
            )
            page = cut_home(tuple(lists), state)
            may_request, may_break = self._requests.may_request(person), self._events.may_declare(person)
        except NotKnown as error:
            return home_notice(explain(error, self._clock.now(), user_id), outcome)
        except NotAllowed as refusal:
            return home_notice(not_let_in(refusal.reasons), outcome)
        except CountersignError as error:
            return home_notice(explain(error, self._clock.now(), user_id), outcome)
        # In hand or not at all: the tab waits for no schedule.
        known = self._directory.known(user_id)
        duties = known.duties.values() if known is not None else ()
        now = self._clock.now()
        return home_tab(page, now, may_request=may_request, may_break=may_break, outcome=outcome, duties=duties)


def cut_home(lists: Sequence[HomeList[Any]], state: HomeState) -> HomePage:
    """The part of these lists that is shown. Raises StoreError: what else the shown rows need is read here."""
    found = sorted(lists, key=lambda each: list(SectionKey).index(each.key))
    counts: dict[HomeFilter, int] = {each: _count(found, each) for each in HomeFilter if each is not HomeFilter.ALL}
    if state.shown is HomeFilter.ALL:
        overview = tuple(each.section(slice(0, MAX_ROWS)) for each in found)
        return HomePage(overview, counts=counts)
    part = [each for each in found if state.shown in each.key.filters]
    pages = max(1, -(-sum(len(each.rows) for each in part) // ROWS_PER_PAGE))
    # The last page, where what was on a later one is gone.
    shown = HomeState(state.shown, min(state.page, pages))
    return HomePage(tuple(_cut(part, shown.page)), shown, pages, counts)


def _count(lists: Sequence[HomeList[Any]], shown: HomeFilter) -> int:
    return sum(
        len(each.rows)
        for each in lists
        if shown in each.key.filters and not (shown is HomeFilter.REVIEW and each.key in _UNCOUNTED)
    )


def _cut(lists: Sequence[HomeList[Any]], page: int) -> Iterator[HomeSection]:
    """The sections of one page: the rows of all lists stand one after the other, as if they were one list."""
    start, end = (page - 1) * ROWS_PER_PAGE, page * ROWS_PER_PAGE
    for each in lists:
        yield each.section(slice(max(0, start), max(0, end)))
        start, end = start - len(each.rows), end - len(each.rows)
