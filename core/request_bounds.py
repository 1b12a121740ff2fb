"""The bounds of a request: how long access may be, how long the wait for a decision, how many approvals.

Invariant: a policy may be stricter, never wider; the record itself refuses what is out of these bounds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from core.actor import ValidServiceName
from core.duration import check_duration, format_duration
from core.errors import InvalidInput
from core.text import text_rule

MAX_DURATION: Final = timedelta(hours=8)
DEFAULT_DURATION: Final = timedelta(hours=1)
DEFAULT_DECIDE_WITHIN: Final = timedelta(hours=24)
MAX_DECIDE_WITHIN: Final = timedelta(days=7)
"""The longest wait that a policy may set. It bounds how far back a look-up of access must go."""
MAX_STARTS_WITHIN: Final = MAX_DECIDE_WITHIN
"""How far ahead access may start at most. No further than the longest wait: the wait ends with the start."""
OLDEST_LIVE: Final = MAX_STARTS_WITHIN + MAX_DURATION
"""How long ago access was decided, at most, that can have time left: it may have opened long after."""
MIN_LEAD: Final = timedelta(minutes=5)
"""How long before its start a request is made at least: what starts sooner is better asked for as access from now."""
MIN_GRANTED: Final = timedelta(minutes=1)
"""The least time that a vote can give, unless less was asked: what is shorter can't be used."""
MAX_APPROVALS: Final = 10
JUSTIFICATION_LENGTH: Final = (10, 500)
Justification = Annotated[
    str, text_rule("justification", at_least=JUSTIFICATION_LENGTH[0], at_most=JUSTIFICATION_LENGTH[1])
]
ServiceLabel = ValidServiceName
"""The service, of the requester's, that a request is for."""
DeviceLabel = Annotated[str, text_rule("device", at_least=1, at_most=80)]
"""The name of the terminal that a request was made on."""
TicketLabel = Annotated[str, text_rule("ticket", at_least=1, at_most=80)]
"""The ticket that a request is for, as its policy writes them."""
TicketProblem = Annotated[str, text_rule("ticket_problem", at_least=1, at_most=200)]
"""Why the ticket couldn't be checked."""
FIXED_WHEN_MADE: Final = (
    "requester", "profile", "justification", "duration", "rule", "rights", "service", "device", "required_approvals",
    "created_at", "expires_at", "asked_by", "bundle", "starts_at", "ticket",
)  # fmt: skip
"""What people decide on: it never changes."""


def check_bounds(duration: timedelta, decide_within: timedelta, required_approvals: int) -> None:
    """Raises InvalidInput, naming what is out of bounds."""
    check_duration("duration", duration, MAX_DURATION)
    check_duration("time to decide", decide_within, MAX_DECIDE_WITHIN)
    if not 1 <= required_approvals <= MAX_APPROVALS:
        fix = f"Ask for 1 to {MAX_APPROVALS}."
        raise InvalidInput("required approvals", f"{required_approvals} is out of bounds", fix)


def find_shorter(given: timedelta | None, asked: timedelta) -> timedelta | None:
    """What a vote gives, if it is less than was asked; None when it gives all of it.

    Raises InvalidInput for more than was asked, and for less than a minute.
    """
    if given is None or given == asked:
        return None
    least = min(MIN_GRANTED, asked)
    if not least <= given <= asked:
        fix = f"Approve {format_duration(least)} to {format_duration(asked)}: never more than was asked for."
        raise InvalidInput("duration", f"{format_duration(given)} is out of bounds", fix)
    return given
