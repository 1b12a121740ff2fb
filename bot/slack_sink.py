"""The Slack sink: cards, replies in their threads and direct messages, from committed audit entries.

Invariant: a step that was noted as done is never done again, and a step that failed keeps no other one from being
done. What is shown is the record as it is now; bot/cards.py says why two instances cannot leave an old card behind.
Slack has no idempotency key: a message is posted twice only when its answer, or this process, was lost between Slack
and our store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final

from slack_sdk import WebClient

from bot.cards import CARD, Cards
from bot.progress import Progress
from bot.request_teller import request_teller
from bot.slack_calls import DELIVERY_SECONDS, SlackCalls
from bot.telling import Direct, Teller
from core.audit import AuditEntry
from core.clock import Clock
from core.errors import DeliveryFailed, InvalidInput, NotFound, StoreError
from core.policy import PolicySource
from core.record import Record
from core.request import Request
from core.stores.base import Stores
from core.stores.places import Place

NAME: Final = "slack"
_log = logging.getLogger("countersign.slack")


class SlackSink:
    """Tells in Slack what happened to a record. Safe for threads and for any number of instances.

    `client` must not repeat calls by itself; see `bot.slack_calls.open_client`. No call begins later than `seconds`
    after its delivery began.
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
        self._progress = Progress(stores.audit)
        self._cards = Cards(self._progress, policy, clock)
        self._tellers: Mapping[str, Teller[Any]] = {Request.KIND: request_teller(stores.requests)}

    @property
    def name(self) -> str:
        """The sink's name."""
        return NAME

    def deliver(self, entry: AuditEntry) -> None:
        """Bring the card up to date, and add what the entry has to tell. Raises DeliveryFailed.

        An event that has no telling is told to nobody.
        """
        kind, _, record_id = entry.chain.partition("#")
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
        chain, calls = entry.chain, self._calls(entry.chain)
        done, failures = self._progress.of(chain), list[DeliveryFailed]()
        telling = teller.tellings[entry.event](entry, record, self._policy.current())

        def take(step: Callable[[], Place]) -> Place | None:
            try:
                return step()
            except DeliveryFailed as failure:
                failures.append(failure)
                return None

        def take_once(name: str, step: Callable[[], Place]) -> None:
            if name not in done and (posted := take(step)) is not None:
                self._progress.note(chain, name, posted)

        place = take(lambda: self._cards.show(calls, teller, record, done.get(CARD))) or done.get(CARD)
        reply = telling.reply
        if reply is not None and place is not None:
            take_once(f"thread:{entry.seq}", lambda: calls.post(place.channel, reply, "a reply", thread=place))
        for direct in telling.directs:
            take_once(f"dm:{direct.name}:{direct.user}", partial(_send, calls, direct))
        if not failures:
            return
        failure = _together(failures)
        for direct in telling.ahead:
            # If this fails, the entry that owes it says so.
            take_once(f"dm:{direct.name}:{direct.user}", partial(_send, calls, direct))
        raise failure

    def _calls(self, chain: str) -> SlackCalls:
        return SlackCalls(self._client, self._clock, chain, self._seconds)


def _send(calls: SlackCalls, direct: Direct) -> Place:
    what = f"the direct message to {direct.user}"
    return calls.post(calls.open_direct(direct.user, what), direct.message, what)


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
