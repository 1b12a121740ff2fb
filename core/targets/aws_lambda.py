"""A target behind a Lambda function: each order is the payload of one synchronous Invoke.

Invariant: an order is sent once per call. A function that raised may have done something first, so that is Unknown.
IAM says who may invoke the function; no public address and no secret is needed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError

from core.access.right import Right
from core.targets.aws_calls import AwsCalls, CallFailed, open_client
from core.targets.base import Given, Later, OperationKey, Polled, Seen, Taken, TargetRefused, Unknown
from core.targets.call_pace import CallPace
from core.targets.exchange import (
    MAX_ANSWER_BYTES,
    Order,
    ReceiverReply,
    as_given,
    as_polled,
    as_seen,
    as_taken,
    read_reply,
    right_of_token,
)

REPLY_SECONDS: Final = 18.0
"""How long a function may run; with connecting and the pace it stays within CALL_TIMEOUT."""
CALLS_PER_SECOND: Final = 20.0
FIXES: Final = {
    "AccessDeniedException": "Allow Countersign's role to call lambda:InvokeFunction on this function.",
    "ResourceNotFoundException": "Check the function's name and region.",
}
"""What people can do about an error of AWS."""


class LambdaTarget:
    """A `core.targets.base.Target` of the operator's own making. Safe for threads.

    `function` is a name or an ARN. `ends_sessions` and `residual` are what its operator says about it.
    """

    def __init__(
        self, calls: AwsCalls, function: str, *, ends_sessions: bool = False, residual: timedelta = timedelta(0)
    ) -> None:
        self._calls = calls
        self._function = function
        self._ends_sessions = ends_sessions
        self._residual = residual
        self._name = f"the function {function.rpartition(':')[2]}"

    @classmethod
    def open(
        cls, region: str, function: str, *, ends_sessions: bool = False, residual: timedelta = timedelta(0)
    ) -> LambdaTarget:
        """The target, with a client of its own. Nothing is called yet."""
        client = open_client("lambda", region, reply_seconds=REPLY_SECONDS)
        calls = AwsCalls(client, CallPace(CALLS_PER_SECOND, burst=20), "Lambda", FIXES)
        return cls(calls, function, ends_sessions=ends_sessions, residual=residual)

    @property
    def ends_sessions(self) -> bool:
        """What the operator says."""
        return self._ends_sessions

    def residual(self, right: Right) -> timedelta:
        """What the operator says."""
        del right
        return self._residual

    def inspect(self, right: Right) -> Seen:
        """Whether the function says that the right is held."""
        order = Order.inspect(right)
        reply = self._invoke(order)
        return as_seen(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def give(self, right: Right, until: datetime, key: OperationKey) -> Given:
        """Order it to give the right."""
        order = Order.give(right, until, key)
        reply = self._invoke(order)
        return as_given(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def take(self, right: Right, key: OperationKey) -> Taken:
        """Order it to take the right away."""
        order = Order.take(right, key)
        reply = self._invoke(order)
        return as_taken(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def poll(self, token: str) -> Polled:
        """Inspect what was pending."""
        right = right_of_token(token)
        if right is None:
            return TargetRefused("This isn't a token of a Lambda function.")
        order = Order.inspect(right)
        reply = self._invoke(order)
        return as_polled(reply, order, self._name) if isinstance(reply, ReceiverReply) else reply

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._calls.client.close()

    def _invoke(self, order: Order) -> ReceiverReply | Later | TargetRefused | Unknown:
        try:
            answer = self._calls.write(
                "invoke", FunctionName=self._function, InvocationType="RequestResponse", Payload=order.body()
            )
            body = answer["Payload"].read(MAX_ANSWER_BYTES + 1)
        except CallFailed as failed:
            return failed.answer()
        except (BotoCoreError, OSError) as error:
            return Unknown(f"{self._name} gave no answer: {type(error).__name__}")
        if answer.get("FunctionError"):
            return Unknown(f"{self._name} failed. Look at its log")
        reply = read_reply(body) if len(body) <= MAX_ANSWER_BYTES else None
        return reply or Unknown(f"{self._name} answered without saying what is held")
