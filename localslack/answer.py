"""What came of one thing that a person did: the acknowledgement, and what they see of it.

Invariant: an answer tells apart "the app agreed", "the app said what is wrong" and "Slack shows a failure".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from localslack.delivery import Kind
from localslack.records import Json, Message, View


@dataclass(frozen=True, slots=True)
class Answer:
    """One interaction and its acknowledgement.

    `status` is None when no acknowledgement came, and when the client did not send anything (`was_sent` is False).
    `failure` is what Slack shows the person: `operation_timeout`, `dispatch_failed`, `http_service_error`, or the word
    for what was wrong with the acknowledgement. `errors` are shown in the form, by block_id. `message` is what the
    acknowledgement itself made to be seen, ephemeral or for the channel. `view` is the modal on top of the person's
    screen right after the acknowledgement. What the app does later, see with `LocalSlack.wait_until`.
    """

    kind: Kind
    payload: Json
    status: int | None = None
    body: str = ""
    seconds: float = 0.0
    was_late: bool = False
    was_sent: bool = True
    failure: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    message: Message | None = None
    view: View | None = None
    deliveries: int = 1

    @property
    def is_accepted(self) -> bool:
        """Whether the app acknowledged in time and found nothing wrong."""
        return self.was_sent and self.failure is None and not self.errors

    @property
    def text(self) -> str:
        """The text that the acknowledgement made to be seen, or ""."""
        return "" if self.message is None else self.message.text
