"""The panel "On call": who is on call now and next, and a switch that makes the schedules unreachable.

Invariant: it shows what the pretend schedules say, not what Countersign made of it; only the times of the last question
and the last answer are Countersign's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.clock import format_time
from core.on_call import APPROVING_FOR, FRESH_FOR, HAND_OVER_GRACE
from localslack.records import Json
from playground.pretend_on_call import PretendOnCall

_BEFORE: Final = timedelta(hours=12)
_AFTER: Final = timedelta(days=8)
"""What is shown of each schedule. The clock's next move brings more."""


class _OnCallRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MakeAway(_OnCallRequest):
    """Make the schedules unreachable, or reachable again."""

    do: Literal["away"]
    is_away: Annotated[bool, Field(strict=True)]


class LookAgain(_OnCallRequest):
    """Send the schedules again: time has passed."""

    do: Literal["look"]


_Asked: TypeAlias = Annotated[MakeAway | LookAgain, Field(discriminator="do")]
_REQUEST: Final[TypeAdapter[_Asked]] = TypeAdapter(_Asked)


class OnCallPanel:
    """Safe for threads."""

    def __init__(self, on_call: PretendOnCall, on_change: Callable[[Json], None]) -> None:
        self._on_call = on_call
        self._on_change = on_change
        on_call.schedules.watch(self.publish)

    def carry_out(self, body: object) -> Json:
        """Do what the page asks. Raises pydantic's ValidationError."""
        match _REQUEST.validate_python(body):
            case MakeAway(is_away=is_away):
                self._on_call.schedules.set_away(is_away=is_away)
            case LookAgain():
                self.publish()
        return self.show()

    def publish(self) -> None:
        """Send the panel's state to every page."""
        self._on_change(self.show())

    def show(self) -> Json:
        """The schedules around now. Never waits."""
        now, state = self._on_call.clock.now(), self._on_call.schedules.state
        return {
            "is_away": state.is_away,
            "fresh_seconds": FRESH_FOR.total_seconds(),
            "approving_seconds": APPROVING_FOR.total_seconds(),
            "grace_seconds": HAND_OVER_GRACE.total_seconds(),
            "schedules": [
                {
                    "name": name,
                    "asked_at": _format(state.asked_at, rota.schedule),
                    "answered_at": _format(state.answered_at, rota.schedule),
                    "shifts": [
                        {
                            "person": each.person,
                            "starts_at": format_time(each.starts_at),
                            "ends_at": format_time(each.ends_at),
                        }
                        for each in rota.find_shifts(now - _BEFORE, now + _AFTER)
                    ],
                }
                for name, rota in self._on_call.rotas().items()
            ],
        }


def _format(moments: Mapping[str, datetime], name: str) -> str | None:
    moment = moments.get(name)
    return format_time(moment) if moment is not None else None
