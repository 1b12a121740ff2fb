"""What a webhook and a Lambda function are asked, and what they may answer: the same JSON for both.

Invariant: an order names its right, grant and generation, and has the same id when it is sent again. An answer that
isn't exactly one of the defined ones counts as none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.access.right import Right, parse_right_key, right_key
from core.clock import format_time, new_id
from core.errors import InvalidInput
from core.targets.base import (
    Absent,
    Given,
    Held,
    InProgress,
    Later,
    OperationKey,
    Polled,
    Seen,
    Taken,
    TargetRefused,
    Unknown,
)
from core.targets.words import one_line

MAX_ANSWER_BYTES: Final = 65_536
PAUSE: Final = timedelta(seconds=10)
_MAX_PAUSE: Final = timedelta(hours=1)
_PENDING: Final = "pending"


class State(StrEnum):
    """What a receiver can say about an order."""

    HELD = "held"
    ABSENT = "absent"
    PENDING = "pending"
    """It works on it; ask with `inspect`."""
    SUPERSEDED = "superseded"
    """It has seen a newer generation, and did nothing."""
    LATER = "later"
    """It did nothing, and wants to be asked again."""
    REFUSED = "refused"
    """It did nothing, and will say the same again."""


@dataclass(frozen=True, slots=True)
class Order:
    """One message to a receiver."""

    id: str
    op: str
    right: Right
    key: OperationKey | None = None
    until: datetime | None = None

    @classmethod
    def give(cls, right: Right, until: datetime, key: OperationKey) -> Order:
        """Give this right."""
        return cls(f"{key}-give", "give", right, key, until)

    @classmethod
    def take(cls, right: Right, key: OperationKey) -> Order:
        """Take it away."""
        return cls(f"{key}-take", "take", right, key)

    @classmethod
    def inspect(cls, right: Right) -> Order:
        """Say whether it is held. Each look has an id of its own: the answer is never an older one."""
        return cls(f"{new_id()}-inspect", "inspect", right)

    def body(self) -> bytes:
        """The order as JSON."""
        right = self.right
        written = {
            "id": self.id,
            "op": self.op,
            "grant": self.key.grant if self.key else None,
            "generation": self.key.generation if self.key else None,
            "until": format_time(self.until) if self.until else None,
            "right": {
                "target": right.target,
                "resource": right.resource,
                "level": right.level,
                "principal": right.principal,
            },
        }
        return json.dumps({name: value for name, value in written.items() if value is not None}).encode()


@dataclass(frozen=True, slots=True)
class ReceiverReply:
    """What a receiver said. `retry_after` is when it wants to be asked again."""

    state: State
    reason: str = ""
    stood_before: bool = False
    retry_after: timedelta | None = None


def read_reply(body: bytes) -> ReceiverReply | None:
    """The answer in this JSON; None if it is none. Unknown fields are left alone: receivers may be newer."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    said = found.get("state") if isinstance(found, dict) else None
    if not isinstance(said, str) or said not in set(State):
        return None
    stood_before = found.get("stood_before") is True
    pause = _read_pause(found.get("retry_after_seconds"))
    return ReceiverReply(State(said), one_line(found.get("reason")), stood_before, pause)


def as_given(reply: ReceiverReply, order: Order, name: str) -> Given:
    """What the reply means after a give."""
    if reply.state is State.HELD:
        return Held(reply.stood_before)
    if reply.state is State.ABSENT:
        return Unknown(f"{name} answered a give with absent")
    return _open_end(reply, order, name)


def as_taken(reply: ReceiverReply, order: Order, name: str) -> Taken:
    """What the reply means after a take."""
    if reply.state is State.ABSENT:
        return Absent()
    if reply.state is State.HELD:
        return Unknown(f"{name} answered a take with held")
    return _open_end(reply, order, name)


def as_seen(reply: ReceiverReply, order: Order, name: str) -> Seen:
    """What the reply means after a look."""
    if reply.state is State.HELD:
        return Held()
    if reply.state is State.ABSENT:
        return Absent()
    found = _open_end(reply, order, name)
    return (
        Later(reply.retry_after or PAUSE, problem=f"{name} is working on it")
        if isinstance(found, InProgress)
        else found
    )


def as_polled(reply: ReceiverReply, order: Order, name: str) -> Polled:
    """What the reply means after a look at something that was pending."""
    return InProgress(token_of(order.right)) if reply.state is State.PENDING else as_seen(reply, order, name)


def token_of(right: Right) -> str:
    """A token by which the same right is inspected."""
    return f"{_PENDING}:{right_key(right)}"


def right_of_token(token: str) -> Right | None:
    """The right of such a token; None if it isn't one."""
    prefix, _, key = token.partition(":")
    try:
        return parse_right_key(key) if prefix == _PENDING else None
    except InvalidInput:
        return None


def _read_pause(seconds: object) -> timedelta | None:
    # NaN and infinity are numbers to Python's JSON, too; `>=` is false for the one and min() bounds the other.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        return None
    return timedelta(seconds=min(max(seconds, 1), _MAX_PAUSE.total_seconds()))


def _open_end(reply: ReceiverReply, order: Order, name: str) -> InProgress | Later | TargetRefused:
    if reply.state is State.PENDING:
        return InProgress(token_of(order.right))
    said = f": {reply.reason.rstrip('.')}" if reply.reason else ""
    if reply.state is State.SUPERSEDED:
        return Later(PAUSE, problem=f"{name} has already seen a newer step for this right")
    if reply.state is State.LATER:
        return Later(reply.retry_after or PAUSE, problem=f"{name} asks to wait{said}")
    return TargetRefused(f"{name} refused{said or ' without a reason. Look at its log'}.")
