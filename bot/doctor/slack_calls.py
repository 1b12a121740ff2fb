"""A call to Slack on an operator's behalf: patient with rate limits, and with one error for whatever goes wrong.

Invariant: of Slack's answers, only error codes are quoted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import SecretStr
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.slack.client import DirectClient
from bot.slack.errors import UNREADABLE, SlackToken, read_error
from core.clock import Clock
from core.tls import trusted_context

CALL_TIMEOUT_SECONDS: Final = 10


class Unanswered(Exception):
    """Slack refused or did not answer. `problem` says which, `fix` what an operator can do."""

    def __init__(self, problem: str, fix: str, *, is_unreachable: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.is_unreachable = is_unreachable


class PatientSlack:
    """Slack's Web API with one token. `asking` belongs around each call and the reading of its answer."""

    def __init__(self, token: SecretStr, api_url: str, clock: Clock) -> None:
        self._clock = clock
        self._api_url = api_url
        # An operator would rather wait than run the command again.
        patient = [RateLimitErrorRetryHandler(max_retry_count=2)]
        self.client = DirectClient(
            token.get_secret_value(),
            base_url=api_url,
            timeout=CALL_TIMEOUT_SECONDS,
            ssl=trusted_context(),
            retry_handlers=list(patient),
        )

    @contextmanager
    def asking(self, token: SlackToken = SlackToken.BOT) -> Iterator[None]:
        """Raises Unanswered for whatever a call, or reading its answer, raises."""
        try:
            yield
        except UNREADABLE as error:
            failure = read_error(error, self._clock.now(), token)
            if isinstance(error, SlackApiError):
                raise Unanswered(f"Slack answered {failure.label}", failure.fix) from error
            fix = f"Check that this machine can reach {self._api_url}, through its proxy if it uses one."
            problem = f"no usable answer from Slack ({failure.label})"
            raise Unanswered(problem, fix, is_unreachable=True) from error
