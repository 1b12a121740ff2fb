"""The description of one method of the Web API.

Invariant: a method is described in one place: its handler, the scopes it needs, and its rate limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from localslack.api_request import ApiRequest
from localslack.backend import Backend
from localslack.rate_limits import RateLimitTier
from localslack.records import Json

MethodHandler: TypeAlias = Callable[[Backend, ApiRequest], Json]


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """One method. `handler` returns the answer without `ok`, or raises SlackRefusal.

    `scopes`: any one of them is enough. `for_app_token`: it needs the xapp token instead of the bot token.
    `is_limited_per_channel`: its rate limit is counted for each channel separately.
    """

    handler: MethodHandler
    scopes: tuple[str, ...]
    tier: RateLimitTier
    for_app_token: bool = False
    is_limited_per_channel: bool = False
