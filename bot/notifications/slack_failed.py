"""What happens to a notification that Slack didn't accept.

Invariant: a temporary error is retried with the outbox's growing pauses, or when Slack says. An error that an operator
must fix is retried every ten minutes, so that delivery resumes automatically. If retrying can't help, the entry is
parked at once; after a hundred attempts, any entry is parked. Nothing is dropped, and each problem names what was not
delivered and the fix.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bot.slack.errors import ErrorKind, SlackError, read_error
from bot.slack.retry_after import FIX_PAUSE
from core.errors import DeliveryFailed

_RETRIED: Final = frozenset({ErrorKind.TEMPORARY, ErrorKind.OPERATOR})
_OUT_OF_TIME: Final = SlackError(
    "no time left", ErrorKind.TEMPORARY, "Slack is slow to answer; the rest is sent with the next try.", is_general=True
)


class SlackFailed(DeliveryFailed):
    """A call to Slack failed. The sink reposts a card that is gone, and stops calling after a general error."""

    def __init__(self, doing: str, error: SlackError) -> None:
        pause = FIX_PAUSE if error.kind is ErrorKind.OPERATOR else error.retry_after
        super().__init__(f"{doing}: {error.label}. {error.fix}", is_final=error.kind not in _RETRIED, retry_after=pause)
        self.code = error.code
        self.is_general = error.is_general
        self.is_temporary = error.kind is ErrorKind.TEMPORARY


class SharedChannel(DeliveryFailed):
    """A copy was not posted: people of another organization may see the channel, or Slack didn't say."""

    def __init__(self, channel: str) -> None:
        super().__init__(f"{channel} may be shared with another organization", is_final=True)


def refused(doing: str, error: Exception, now: datetime) -> SlackFailed:
    """An UNREADABLE error as a failed delivery. `doing` says what was not delivered, and where."""
    return SlackFailed(doing, read_error(error, now))


def out_of_time(doing: str) -> SlackFailed:
    """The failure for a call that didn't start because the delivery's time was used up."""
    return SlackFailed(doing, _OUT_OF_TIME)
