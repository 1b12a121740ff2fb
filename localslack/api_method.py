"""What the local Slack knows of each method of the Web API before it carries it out.

Invariant: a method is described in one place: what it does, which scopes it asks for, how often it may be called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from localslack.api_request import ApiRequest
from localslack.backend import Backend
from localslack.rate_limits import Pace
from localslack.records import Json

Act: TypeAlias = Callable[[Backend, ApiRequest], Json]


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """One method. `act` gives the answer less its `ok`, or raises SlackRefusal.

    `scopes`: one of them is enough. `for_app_token`: it wants the xapp token, the others the bot's.
    `is_paced_by_channel`: its pace holds for each channel by itself.
    """

    act: Act
    scopes: tuple[str, ...]
    pace: Pace
    for_app_token: bool = False
    is_paced_by_channel: bool = False
