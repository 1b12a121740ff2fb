"""How long the reconciler waits for what: leases, looks, pauses and alarms.

Invariant: a lease outlives the longest call by more than two clocks may differ, so a worker that takes over a lease
finds no call under way; a pause is never longer than five minutes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

LEASE: Final = timedelta(seconds=60)
CALL_TIMEOUT: Final = timedelta(seconds=25)
"""The longest time that one call of a target may take, with all that it does within; targets set their clients so."""
CLOCK_MARGIN: Final = timedelta(seconds=15)
"""How far the clocks of two instances may differ."""
SETTLE: Final = timedelta(seconds=60)
"""After this time a list shows what was changed, and a call whose answer was lost has no more effect."""
LOOK_PAUSE: Final = timedelta(seconds=5)
"""Between two looks at what is expected to change."""
REPEAT_AFTER: Final = timedelta(seconds=20)
"""How long a call whose answer was lost is looked for before it is repeated."""
FRESH: Final = timedelta(seconds=30)
"""How old a look may be on which the first give rests: it says whether the right stood before."""
LEFT_TO_NEWER: Final = timedelta(seconds=5)
"""How long a right rests that only a newer version may give. Short: the newer instances share its next time."""
LOOK_EVERY: Final = timedelta(minutes=30)
"""Between two looks at what is held."""
LAST_LOOK: Final = timedelta(hours=1)
"""How long after the take the last look comes. Until then, what comes back is taken again."""
FIRST_PAUSE: Final = timedelta(seconds=2)
MAX_PAUSE: Final = timedelta(minutes=5)
MAX_POLL_PAUSE: Final = timedelta(seconds=15)
OPERATION_TIMEOUT: Final = timedelta(minutes=15)
"""How long an operation may be under way in a target before it counts as lost."""
ALERT_AFTER_FAILURES: Final = 2
ALERT_AFTER: Final = timedelta(minutes=5)
"""How long a revoke may be due before it counts as failing, even if the target only says "later"."""
ALERT_EVERY: Final = timedelta(hours=1)
TELL_DELAY: Final = timedelta(minutes=2)
TELL_EMERGENCY_DELAY: Final = timedelta(seconds=45)
"""How long opening may take before people are told. An emergency hears within a minute."""
