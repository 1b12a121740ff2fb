"""End what a closed event left open: an older version of Countersign closes an event and knows nothing of its access.

Invariant: only access of an event that was closed before its time is ended. Each closed event is looked at once, while
the access that it gave could still have time; a pass costs what was closed within hours.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from core.access.grant import Grant
from core.break_glass import MAX_DURATION, BreakGlassEvent, EventStatus
from core.clock import Clock, is_trusted
from core.errors import CountersignError, InvalidStateTransition, StoreUnavailable
from core.services.ending import EarlyEnds, Ending
from core.services.granting import is_open
from core.services.membership import Judging
from core.services.open_access import read_grants
from core.stores.base import Stores
from core.stores.record_store import iterate_newest_first

CLOSED: Final = "Its break-glass event was closed"
_CLOCKS: Final = timedelta(hours=1)
"""Room for clocks that differ."""
_log = logging.getLogger("countersign.access")


class LeftOpen:
    """Ends what closed events left open. For one caller at a time."""

    def __init__(self, stores: Stores, clock: Clock, ends: EarlyEnds) -> None:
        self._stores = stores
        self._clock = clock
        self._ends = ends
        self._settled: dict[str, datetime] = {}

    def end(self, people: Judging) -> tuple[Grant, ...]:
        """End it, by the clock. Returns the grants of the events in question. Raises StoreUnavailable."""
        now, ended = self._clock.now(), list[Grant]()
        if not is_trusted(self._clock):
            return ()
        self._settled = {event: until for event, until in self._settled.items() if until > now}
        closed = iterate_newest_first(
            self._stores.break_glass, "status", EventStatus.CLOSED, now - MAX_DURATION - _CLOCKS
        )
        for event in closed:
            if event.rights and event.expires_at > now and event.id not in self._settled:
                ended += self._end(event, Ending(None, CLOSED, people, lambda _record: None), now)
        return tuple(ended)

    def _end(self, event: BreakGlassEvent, ending: Ending, now: datetime) -> tuple[Grant, ...]:
        if not any(is_open(grant, now) for grant in read_grants(self._stores, event)):
            self._settled[event.id] = event.expires_at
            return ()
        try:
            ended = self._ends.end(event.chain, ending, None)
        except StoreUnavailable:
            raise
        except InvalidStateTransition:
            # Somebody else was quicker.
            return ()
        except CountersignError:
            _log.exception("%s was closed, and the access that it gave could not be ended", event.chain)
            return ()
        _log.error(
            "%s was closed by a version of Countersign that left its access open; it ends now: upgrade every instance",
            event.chain,
        )
        return ended
