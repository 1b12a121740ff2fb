"""Cards: one message for each record, or one in each of its channels, updated until it shows the current record.

Invariant: the last writer shows the current state. Each writer reads the record with its grants, writes the card, reads
both again, and writes again if they changed meanwhile. So after the last write that reaches Slack, no writer found a
newer record; and a later change has its own entry in the outbox, which updates the card once more. Whatever two
instances do at the same time, the card ends up showing the record.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from bot.notifications.plan import Notifier, ShownRecord
from bot.notifications.posted import PostedMessages
from bot.notifications.slack_calls import SlackCalls
from bot.notifications.slack_failed import SharedChannel, SlackFailed
from bot.slack.errors import CHANNEL_CLOSED, MESSAGE_GONE
from bot.slack.retry_after import FIX_PAUSE
from core.clock import Clock
from core.errors import DeliveryFailed, InvalidInput
from core.policy import PolicySource
from core.stores.messages import MessageRef

CARD: Final = "card"
"""The name under which a card's MessageRef is stored."""
_log = logging.getLogger("countersign.slack")


class Cards:
    """The cards of all records. Safe for threads and for any number of instances."""

    def __init__(self, posted: PostedMessages, policy: PolicySource, clock: Clock) -> None:
        self._posted = posted
        self._policy = policy
        self._clock = clock

    def show(
        self,
        calls: SlackCalls,
        notifier: Notifier[Any],
        shown: ShownRecord[Any],
        ref: MessageRef | None,
        *,
        copy_in: str | None = None,
    ) -> MessageRef:
        """Update the record's card at `ref`, or post it if there is none. Returns the card's MessageRef.

        With `copy_in`, the copy in that channel, and `ref` is the copy's. Raises SharedChannel when a copy may not be
        posted there, and DeliveryFailed, NotFound, StoreError.
        """
        while True:
            ref = self._put(calls, notifier, shown, ref, copy_in)
            newer = notifier.load(shown.record.id)
            if newer.version == shown.version:
                return ref
            shown = newer

    def refresh(
        self, calls: SlackCalls, notifier: Notifier[Any], shown: ShownRecord[Any], clicked: MessageRef | None
    ) -> frozenset[MessageRef]:
        """Update the record's card, and the clicked message if that is a different one. Posts nothing.

        A message that is gone is skipped; returns those. Raises SlackFailed, NotFound, StoreError.
        """
        known = [ref for name, ref in self._posted.of(shown.record.chain).items() if _is_card(name)]
        refs = list(dict.fromkeys(each for each in (*known, clicked) if each is not None))
        while True:
            gone = self._rewrite_all(calls, notifier, shown, refs)
            newer = notifier.load(shown.record.id)
            if newer.version == shown.version:
                return gone
            shown = newer

    def _rewrite_all(
        self, calls: SlackCalls, notifier: Notifier[Any], shown: ShownRecord[Any], refs: Sequence[MessageRef]
    ) -> frozenset[MessageRef]:
        card = notifier.draw(shown, self._policy.current(), self._clock.now())
        gone = set[MessageRef]()
        for ref in refs:
            try:
                calls.rewrite(ref, card, "the card")
            except SlackFailed as failure:
                if failure.code not in MESSAGE_GONE:
                    raise
                _log.info("%s: a card is gone from %s: %s", shown.record.chain, ref.channel, failure.code)
                gone.add(ref)
        return frozenset(gone)

    def _put(
        self,
        calls: SlackCalls,
        notifier: Notifier[Any],
        shown: ShownRecord[Any],
        ref: MessageRef | None,
        copy_in: str | None,
    ) -> MessageRef:
        card = notifier.draw(shown, self._policy.current(), self._clock.now())
        if ref is not None:
            try:
                calls.rewrite(ref, card, "the card")
            except SlackFailed as failure:
                if not self._is_lost(shown, ref, failure, copy_in):
                    raise
            else:
                return ref
        if copy_in is not None and not calls.is_internal(copy_in):
            raise SharedChannel(copy_in)
        posted = calls.post(copy_in or self._channel_of(shown), card, "the card")
        self._posted.save(shown.record.chain, CARD if copy_in is None else copy_name(copy_in), posted, instead_of=ref)
        return posted

    def _is_lost(self, shown: ShownRecord[Any], ref: MessageRef, failure: SlackFailed, copy_in: str | None) -> bool:
        if failure.code in MESSAGE_GONE:
            return True
        # If the policy names another channel by now, the card moves there.
        return failure.code in CHANNEL_CLOSED and copy_in is None and self._channel_of(shown) != ref.channel

    def _channel_of(self, shown: ShownRecord[Any]) -> str:
        try:
            return self._policy.current().profile(shown.record.profile).channel
        except InvalidInput as error:
            problem = (
                f"{shown.record.chain}: the card has no channel: {error.problem}. Add the profile back to the policy."
            )
            raise DeliveryFailed(problem, retry_after=FIX_PAUSE) from error


def copy_name(channel: str) -> str:
    """The name under which the MessageRef of a card's copy is stored."""
    return f"{CARD}:{channel}"


def _is_card(name: str) -> bool:
    return name == CARD or name.startswith(f"{CARD}:")
