"""The Slack sink: cards, replies in their threads and direct messages, from committed audit entries.

Invariant: a step that was noted as done is never done again, and a step that failed keeps no other one from being
done. What is shown is the record as it is now; delivery/cards.py says why two instances cannot leave an old card
behind. Slack has no idempotency key: a message is posted twice only when its answer, or this process, was lost between
Slack and our store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final

from slack_sdk import WebClient

from bot.notifications.break_glass_plan import break_glass_teller, tell_refusal
from bot.notifications.cards import CARD, CLOSED, Cards, copy_name
from bot.notifications.plan import Direct, Post, Teller
from bot.notifications.posted import Progress
from bot.notifications.request_plan import request_teller
from bot.notifications.slack_calls import DELIVERY_SECONDS, SlackCalls
from bot.slack.errors import SlackFailed
from core.audit.trail import REFUSALS_KIND, AuditEntry
from core.break_glass import BreakGlassEvent
from core.clock import Clock
from core.errors import DeliveryFailed, InvalidInput, NotFound, StoreError
from core.policy import PolicySource
from core.record import Record
from core.request import Request
from core.stores.base import Stores
from core.stores.messages import Place

NAME: Final = "slack"
_log = logging.getLogger("countersign.slack")


class SlackSink:
    """Tells in Slack what happened to a record. Safe for threads and for any number of instances.

    `client` must not repeat calls by itself; see `slack_calls.open_client`. No call begins later than `seconds` after
    its delivery began.
    """

    def __init__(
        self,
        client: WebClient,
        stores: Stores,
        policy: PolicySource,
        clock: Clock,
        *,
        seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self._client = client
        self._policy = policy
        self._clock = clock
        self._seconds = seconds
        self._progress = Progress(stores.messages)
        self._cards = Cards(self._progress, policy, clock)
        self._tellers: Mapping[str, Teller[Any]] = {
            BreakGlassEvent.KIND: break_glass_teller(stores.break_glass),
            Request.KIND: request_teller(stores.requests),
        }

    @property
    def name(self) -> str:
        """The sink's name."""
        return NAME

    def deliver(self, entry: AuditEntry) -> None:
        """Bring the card up to date, and add what the entry has to tell. Raises DeliveryFailed.

        An event that has no telling is told to nobody.
        """
        kind, _, record_id = entry.chain.partition("#")
        if kind == REFUSALS_KIND:
            self._tell_refusal(entry)
            return
        teller = self._tellers.get(kind)
        if teller is None or entry.event not in teller.tellings:
            return
        with _explaining(entry.chain):
            self._tell(entry, teller, teller.load(record_id))

    def refresh(self, record_chain: str, *, clicked: Place | None = None) -> None:
        """Rewrite a record's card after a click on one that was out of date, and the clicked one if it is another.

        Posts nothing and raises nothing: what goes wrong is logged, and the next such click comes here again.
        """
        kind, _, record_id = record_chain.partition("#")
        teller = self._tellers.get(kind)
        if teller is None:
            return
        try:
            with _explaining(record_chain):
                self._cards.refresh(self._calls(record_chain), teller, teller.load(record_id), clicked)
        except DeliveryFailed as failure:
            _log.warning("a card was not refreshed: %s", failure.problem)

    def _tell(self, entry: AuditEntry, teller: Teller[Any], record: Record) -> None:
        calls, steps = self._calls(entry.chain), _Steps(self._progress, entry.chain)
        telling = teller.tellings[entry.event](entry, record, self._policy.current())
        place = self._show(calls, steps, teller, record)
        reply = telling.reply
        if reply is not None and place is not None:
            steps.take_once(f"thread:{entry.seq}", lambda: calls.post(place.channel, reply, "a reply", thread=place))
        steps.send(calls, telling.directs)
        for post in telling.posts:
            steps.take_once(f"post:{post.name}:{post.channel}", partial(_post, calls, post))
        if not steps.failures:
            return
        failure = _together(steps.failures)
        # If this fails, the entry that owes it says so.
        steps.send(calls, telling.ahead)
        raise failure

    def _show(self, calls: SlackCalls, steps: _Steps, teller: Teller[Any], record: Record) -> Place | None:
        """Bring the card up to date, and its copies; the place of the card, as far as it has one."""
        known = steps.done.get(CARD)
        place = steps.take(lambda: self._cards.show(calls, teller, record, known)) or known
        for channel in teller.copies_in(record):
            if place is None or channel != place.channel:
                steps.take(partial(self._copy, calls, teller, record, steps.done.get(copy_name(channel)), channel))
        return place

    def _copy(
        self, calls: SlackCalls, teller: Teller[Any], record: Record, place: Place | None, channel: str
    ) -> Place | None:
        """A copy of the card. Where the bot was not invited there is none: the profile's channel has the card."""
        try:
            return self._cards.show(calls, teller, record, place, copy_in=channel)
        except SlackFailed as failure:
            if failure.code not in CLOSED:
                raise
            _log.info("%s: no card in %s, where it was declared: %s", record.chain, channel, failure.code)
            return None

    def _tell_refusal(self, entry: AuditEntry) -> None:
        # One step, and nothing to note about it: that it was done, the outbox notes.
        post = tell_refusal(entry, self._policy.current())
        if post is not None:
            _post(self._calls(entry.chain), post)

    def _calls(self, chain: str) -> SlackCalls:
        return SlackCalls(self._client, self._clock, chain, self._seconds)


class _Steps:
    """The steps of one delivery: what was done before, and what failed. A failed step keeps no other one back."""

    def __init__(self, progress: Progress, chain: str) -> None:
        self._progress = progress
        self._chain = chain
        self.done = progress.of(chain)
        self.failures: list[DeliveryFailed] = []

    def take(self, step: Callable[[], Place | None]) -> Place | None:
        """Take a step that may be taken again; what it posted."""
        try:
            return step()
        except DeliveryFailed as failure:
            self.failures.append(failure)
            return None

    def take_once(self, name: str, step: Callable[[], Place]) -> None:
        """Take a step unless it was taken, and note that it was."""
        if name not in self.done and (posted := self.take(step)) is not None:
            self._progress.note(self._chain, name, posted)

    def send(self, calls: SlackCalls, directs: Sequence[Direct]) -> None:
        """Send each direct message that was not sent."""
        for direct in directs:
            self.take_once(f"dm:{direct.name}:{direct.user}", partial(_send, calls, direct))


def _send(calls: SlackCalls, direct: Direct) -> Place:
    what = f"the direct message to {direct.user}"
    return calls.post(calls.open_direct(direct.user, what), direct.message, what)


def _post(calls: SlackCalls, post: Post) -> Place:
    return calls.post(post.channel, post.message, "a post")


def _together(failures: Sequence[DeliveryFailed]) -> DeliveryFailed:
    """One failure for all: final only if each of them is, and no earlier than the last one wants to be asked again."""
    problems = dict.fromkeys(failure.problem for failure in failures)
    pauses = [failure.retry_after or timedelta() for failure in failures]
    return DeliveryFailed(
        " ".join(problems), is_final=all(failure.is_final for failure in failures), retry_after=max(pauses) or None
    )


@contextmanager
def _explaining(chain: str) -> Iterator[None]:
    """Turns what the store says into DeliveryFailed."""
    try:
        yield
    except (NotFound, InvalidInput) as error:
        raise DeliveryFailed(f"{chain}: the record is gone, so there is nothing to show.", is_final=True) from error
    except StoreError as error:
        raise DeliveryFailed(f"{chain}: {error}") from error
