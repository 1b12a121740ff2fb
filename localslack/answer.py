"""The outcome of one interaction: the acknowledgement, and what the person sees.

Invariant: an answer distinguishes "the app accepted it", "the app reported errors" and "Slack shows a failure".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from localslack.app_transport import PayloadKind
from localslack.records import Json, SlackMessage, View


@dataclass(frozen=True, slots=True)
class Answer:
    """One interaction and its acknowledgement.

    `status` is None if no acknowledgement came, or if the client sent nothing (`was_sent` is False). `failure` is what
    Slack shows the person: `operation_timeout`, `dispatch_failed`, `http_service_error`, or what was wrong with the
    acknowledgement. `errors` are those shown in the modal, by block_id. `message` is the one that the acknowledgement
    itself posted, ephemeral or to the channel; `options` are those that a searched menu shows. `view` is the person's
    top modal right after the acknowledgement. To see what the app does later, use `LocalSlack.wait_until`.
    """

    kind: PayloadKind
    payload: Json
    status: int | None = None
    body: str = ""
    seconds: float = 0.0
    was_late: bool = False
    was_sent: bool = True
    failure: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    message: SlackMessage | None = None
    view: View | None = None
    options: tuple[Json, ...] = ()
    deliveries: int = 1

    @property
    def is_accepted(self) -> bool:
        """Whether the app acknowledged in time and reported no errors."""
        return self.was_sent and self.failure is None and not self.errors

    @property
    def text(self) -> str:
        """The text of the message that the acknowledgement posted, or ""."""
        return "" if self.message is None else self.message.text
