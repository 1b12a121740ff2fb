"""The panel "Chaos": a Slack that is slow or failing, a store that is, a bot that is killed, a clock that is off.

Invariant: what is switched on lasts until it is switched off, everything is put back to normal, or the playground ends;
nothing of it is saved.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from localslack.faults import Delay, Fault, RateLimited, ServerError
from localslack.records import Json
from localslack.server import LocalSlack
from playground.bot_process import BotProcess
from playground.bots_clock import SkewedClock
from playground.gated_stores import StoreTrouble

SLOW_SLACK_SECONDS: Final = 4.0
"""More than the three seconds that Slack gives an app to open a form."""
_SILENT_SECONDS: Final = 30.0
"""Longer than the bot waits for any call."""
_RETRY_AFTER_SECONDS: Final = 5
MAX_MINUTES_OFF: Final = 60


class SlackTrouble(StrEnum):
    """How Slack answers the bot."""

    NONE = "none"
    SLOW = "slow"
    RATE_LIMITED = "rate_limited"
    FAILING = "failing"
    SILENT = "silent"


class _ChaosRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SwitchSlack(_ChaosRequest):
    """Let Slack answer like this."""

    do: Literal["slack"]
    trouble: SlackTrouble


class SwitchStore(_ChaosRequest):
    """Let the store answer like this."""

    do: Literal["store"]
    trouble: StoreTrouble


class SetClockOff(_ChaosRequest):
    """Set the clock of the bot's machine ahead or behind."""

    do: Literal["clock"]
    minutes: Annotated[int, Field(strict=True, ge=-MAX_MINUTES_OFF, le=MAX_MINUTES_OFF)]


class KillBot(_ChaosRequest):
    """End the bot at once."""

    do: Literal["kill"]


class ArmKill(_ChaosRequest):
    """End the bot at the next decision: when it's stored, and nobody has been answered yet."""

    do: Literal["arm"]
    is_armed: Annotated[bool, Field(strict=True)]


class StartBot(_ChaosRequest):
    """Start it again."""

    do: Literal["start"]


class BackToNormal(_ChaosRequest):
    """Switch everything off, and start the bot if it was killed."""

    do: Literal["normal"]


_Asked: TypeAlias = Annotated[
    SwitchSlack | SwitchStore | SetClockOff | KillBot | ArmKill | StartBot | BackToNormal, Field(discriminator="do")
]
_REQUEST: Final[TypeAdapter[_Asked]] = TypeAdapter(_Asked)


class Chaos:
    """Safe for threads."""

    def __init__(
        self, slack: LocalSlack, bot: BotProcess, clock: SkewedClock, on_change: Callable[[Json], None]
    ) -> None:
        self._slack = slack
        self._bot = bot
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._trouble = SlackTrouble.NONE
        self._fault: Fault | None = None

    def carry_out(self, body: object) -> Json:
        """Do what the page asks. Raises the errors of a bot that can't start, and pydantic's ValidationError."""
        asked = _REQUEST.validate_python(body)
        with self._lock:
            try:
                self._switch(asked)
            finally:
                self._publish()
            return self.show()

    def show(self) -> Json:
        """What is switched on now."""
        minutes = round(self._clock.skew.total_seconds() / 60)
        return {
            "slack": self._trouble,
            "store": self._bot.store_trouble,
            "minutes": minutes,
            "is_running": self._bot.is_running,
            "is_armed": self._bot.is_armed,
            "count": sum(
                (
                    self._trouble is not SlackTrouble.NONE,
                    self._bot.store_trouble is not StoreTrouble.NONE,
                    minutes != 0,
                    self._bot.is_armed or not self._bot.is_running,
                )
            ),
        }

    def _publish(self) -> None:
        self._on_change(self.show())

    def _switch(self, asked: _Asked) -> None:
        match asked:
            case SwitchSlack(trouble=trouble):
                self._switch_slack(trouble)
            case SwitchStore(trouble=store):
                self._bot.set_store_trouble(store)
            case SetClockOff(minutes=minutes):
                self._clock.set_skew(timedelta(minutes=minutes))
            case KillBot():
                self._bot.kill()
            case ArmKill(is_armed=is_armed):
                self._bot.arm(self._publish if is_armed else None)
            case StartBot():
                self._bot.start()
            case BackToNormal():
                self._switch_slack(SlackTrouble.NONE)
                self._bot.set_store_trouble(StoreTrouble.NONE)
                self._bot.arm(None)
                self._clock.set_skew(timedelta())
                self._bot.start()

    def _switch_slack(self, trouble: SlackTrouble) -> None:
        if self._fault is not None:
            self._slack.faults.withdraw(self._fault)
        self._trouble, self._fault = trouble, _fault_of(trouble)
        if self._fault is not None:
            self._slack.faults.next(self._fault, times=None)


def _fault_of(trouble: SlackTrouble) -> Fault | None:
    match trouble:
        case SlackTrouble.NONE:
            return None
        case SlackTrouble.SLOW:
            return Delay(SLOW_SLACK_SECONDS)
        case SlackTrouble.RATE_LIMITED:
            return RateLimited(_RETRY_AFTER_SECONDS)
        case SlackTrouble.FAILING:
            return ServerError(500)
        case SlackTrouble.SILENT:
            return Delay(_SILENT_SECONDS, is_lost=True)
