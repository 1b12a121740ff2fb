"""The steps of one delivery: what was done before, what is done now, and what failed.

Invariant: a step that was saved as done is never repeated, and a failed step doesn't block the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from bot.notifications.plan import DirectMessage, Post
from bot.notifications.posted import PostedMessages
from bot.notifications.slack_calls import SlackCalls
from core.actor import UserId
from core.errors import DeliveryFailed
from core.preferences import DmKind
from core.stores.messages import MessageRef

WantsDm = Callable[[UserId, DmKind | None], bool]
"""Whether a person wants this kind of direct message; None is what can't be muted."""
POST: Final = "post:"
"""What the names of separate messages begin with."""


class Steps:
    """The steps of one delivery; what they post is saved under `chain`."""

    def __init__(self, posted: PostedMessages, chain: str, wants: WantsDm = lambda _person, _kind: True) -> None:
        self._posted = posted
        self._chain = chain
        self._wants = wants
        self.done = posted.of(chain)
        self.failures: list[DeliveryFailed] = []

    def run(self, step: Callable[[], MessageRef | None]) -> MessageRef | None:
        """Run a step that may be repeated. Returns what it posted."""
        try:
            return step()
        except DeliveryFailed as failure:
            self.failures.append(failure)
            return None

    def run_once(self, name: str, step: Callable[[], MessageRef]) -> None:
        """Run a step unless it was done before, and save that it was done."""
        if name not in self.done and (posted := self.run(step)) is not None:
            self._posted.save(self._chain, name, posted)

    def send(self, calls: SlackCalls, directs: Sequence[DirectMessage]) -> None:
        """Send each direct message that wasn't sent before and that its person wants."""
        for direct in self.wanted(directs):
            self.run_once(direct_step(direct), partial(_send, calls, direct))

    def wanted(self, directs: Sequence[DirectMessage]) -> list[DirectMessage]:
        """Those that weren't muted. What was sent already isn't asked about."""
        return [each for each in directs if direct_step(each) in self.done or self._wants(each.user, each.kind)]

    def post(self, calls: SlackCalls, posts: Sequence[Post]) -> None:
        """Post each separate message that wasn't posted before."""
        for post in posts:
            self.run_once(post_step(post), partial(post_message, calls, post))

    def raise_failures(self) -> None:
        """Raise one DeliveryFailed for all that failed: final only if each is, retried after the longest pause."""
        if not self.failures:
            return
        problems = dict.fromkeys(failure.problem for failure in self.failures)
        pauses = [failure.retry_after or timedelta() for failure in self.failures]
        is_final = all(failure.is_final for failure in self.failures)
        raise DeliveryFailed(" ".join(problems), is_final=is_final, retry_after=max(pauses) or None)


def direct_step(direct: DirectMessage) -> str:
    """The name under which a direct message is saved as sent."""
    return f"dm:{direct.name}:{direct.user}"


def post_step(post: Post) -> str:
    """The name under which a separate message is saved as posted."""
    return f"{POST}{post.name}:{post.channel}"


def post_message(calls: SlackCalls, post: Post) -> MessageRef:
    """Post a separate message. Raises SlackFailed."""
    return calls.post(post.channel, post.message, "a post")


def _send(calls: SlackCalls, direct: DirectMessage) -> MessageRef:
    return calls.post_direct(direct.user, direct.message, f"the direct message to {direct.user}")
