"""What the story proves at its end: fifty more races, and a record that was changed behind Countersign's back.

Invariant: nothing is claimed that wasn't counted in the store. The races have a store of their own, and the change is
put back.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from core.actor import Actor
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction
from core.clock import new_id
from core.directory import FixedDirectory
from core.errors import Refused
from core.policy import parse_policy
from core.request import RequestId, RequestStatus
from core.services import RequestService
from core.stores.opening import open_stores
from playground.story import AIKO, JON, MIRA, MovableClock, name_of

RACES: Final = 50
_FOR: Final = timedelta(hours=1)
_POLICY: Final = b"""\
version: 1
profiles: {prod: {description: Production account, channel: C0ACCESS1}}
approval:
  - {name: engineers, profiles: [prod], requesters: [U0MIRA], approvers: [U0JON, U0AIKO], max_duration: 4h}
"""


def race_again(folder: Path, count: int = RACES) -> str:
    """Let Jon and Aiko race for this many requests. Says how many decisions the audit trail has, and whose."""
    clock, policy = MovableClock(), parse_policy(_POLICY, "the races' policy")
    url, keyring = f"sqlite:///{folder / 'races.db'}", AuditKeyring.from_text(new_id() + new_id())
    with closing(open_stores(url, keyring=keyring, clock=clock)) as stores, ThreadPoolExecutor(2) as threads:
        service = RequestService(stores, policy, clock, directory=FixedDirectory())
        for number in range(count):
            request = service.submit(MIRA, "prod", _FOR, f"Race {number + 1} of {count}")
            # In turn, so that neither has the better start.
            pair = (JON, AIKO) if number % 2 else (AIKO, JON)
            _press_together(threads, pair, partial(service.approve, RequestId(request.id)))
        decided = [each for each in stores.requests.iterate() if each.status is RequestStatus.APPROVED]
        entries = [each for each in stores.audit.export() if each.event == AuditAction.REQUEST_APPROVED]
    twice = len(entries) - len({entry.chain for entry in entries})
    firsts = Counter(name_of(request.approver or "") for request in decided)
    jon, aiko = (firsts[name_of(each.id)] for each in (JON, AIKO))
    return f"{len(decided)} of {count} decided, {twice} of them twice; Jon was first in {jon}, Aiko in {aiko}"


def _press_together(threads: ThreadPoolExecutor, pair: tuple[Actor, Actor], approve: Callable[[Actor], object]) -> None:
    start = threading.Barrier(len(pair))

    def press(approver: Actor) -> None:
        start.wait()
        try:
            approve(approver)
        except Refused:
            # Who comes second; the store is asked afterwards.
            return

    list(threads.map(press, pair))


@contextmanager
def changed_behind_its_back(database: Path) -> Iterator[str]:
    """Name another approver in the database, as its owner could; put it back at the end. Says what was changed."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        key, body = connection.execute("SELECT id, body FROM requests WHERE body LIKE '%approver%' LIMIT 1").fetchone()
        approver = json.loads(body)["approver"]
        old, new = (JON.id, AIKO.id) if approver == JON.id else (AIKO.id, JON.id)
        forged = body.replace(old, new)
        connection.execute("UPDATE requests SET body = ? WHERE id = ?", (forged, key))
        try:
            yield f"REQUEST#{key} now says that {name_of(new)} approved it, not {name_of(old)}"
        finally:
            connection.execute("UPDATE requests SET body = ? WHERE id = ?", (body, key))
