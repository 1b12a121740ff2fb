"""A process with the packages of one version on its path: does on a store what each line says, and answers with a line.

Invariant: it uses only what every version since 0.1.0 has, so that any release's packages can run it. It knows nothing
of the test that asks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import core
from core.actor import Actor, UserId
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditEntry
from core.audit.verification import verify_trail
from core.break_glass import EventId, ReasonCode
from core.clock import parse_time
from core.directory import FixedDirectory
from core.errors import CountersignError
from core.outbox.outbox import deliver_due
from core.policy import parse_policy
from core.record import Record
from core.request import RequestId
from core.review import Verdict
from core.services import BreakGlassService, RequestService
from core.stores import open_stores

AUDIT_KEY: Final = "an-audit-key-of-more-than-32-characters"
_HOUR: Final = timedelta(hours=1)
_WHY: Final = "to see both versions at work"
Told = dict[str, Any]


class GivenClock:
    """Says what it was given last."""

    def __init__(self) -> None:
        self.at = ""

    def now(self) -> datetime:
        """The time of the order."""
        return parse_time(self.at)


class Places:
    """A sink that remembers where in the trail what it got stands."""

    name = "places"

    def __init__(self) -> None:
        self.got: list[str] = []

    def deliver(self, entry: AuditEntry) -> None:
        """Remember it."""
        self.got.append(f"{entry.chain} {entry.seq}")


class OneVersion:
    """The services of this version on one store."""

    def __init__(self, url: str, policy: str) -> None:
        self.clock = GivenClock()
        self._stores = open_stores(url, keyring=AuditKeyring.from_text(AUDIT_KEY), clock=self.clock)
        source = parse_policy(policy.encode())
        self._requests = RequestService(self._stores, source, self.clock, directory=FixedDirectory())
        self._events = BreakGlassService(self._stores, source, self.clock, directory=FixedDirectory())

    def submit(self, told: Told) -> Record:
        """Ask. `more` is what only a newer version knows."""
        more = dict(told.get("more", {}))
        if "starts_at" in more:
            more["starts_at"] = parse_time(more["starts_at"])
        if "on_behalf_of" in more:
            more["on_behalf_of"] = _person(more["on_behalf_of"])
        return self._requests.submit(_person(told["who"]), told["on"], _HOUR, told.get("why", _WHY), **more)

    def approve(self, told: Told) -> Record:
        """Vote. `minutes` is less time, which only a newer version can give."""
        more: Told = {"duration": timedelta(minutes=told["minutes"])} if "minutes" in told else {}
        return self._requests.approve(RequestId(told["on"]), _person(told["who"]), **more)

    def deny(self, told: Told) -> Record:
        """Deny."""
        return self._requests.deny(RequestId(told["on"]), _person(told["who"]), "not today")

    def cancel(self, told: Told) -> Record:
        """Take the request back."""
        return self._requests.cancel(RequestId(told["on"]), _person(told["who"]))

    def read(self, told: Told) -> Record:
        """Read a request."""
        return self._stores.requests.get(RequestId(told["on"]))

    def invoke(self, told: Told) -> Record:
        """Break the glass."""
        return self._events.invoke(_person(told["who"]), told["on"], ReasonCode.INCIDENT, f"INC-12: {_WHY}", _HOUR)

    def close(self, told: Told) -> Record:
        """End the event."""
        return self._events.close(EventId(told["on"]), _person(told["who"]), "it is over")

    def review(self, told: Told) -> Record:
        """Review the event."""
        notes = "it was needed, and it was short"
        return self._events.review(EventId(told["on"]), _person(told["who"]), Verdict.JUSTIFIED, notes)

    def read_event(self, told: Told) -> Record:
        """Read an event."""
        return self._stores.break_glass.get(EventId(told["on"]))

    def sweep(self, _: Told) -> list[str]:
        """End what is overdue; the ids of what this process ended."""
        return [each.id for each in (*self._requests.expire_due(), *self._events.expire_due())]

    def deliver(self, _: Told) -> list[str]:
        """Deliver what is due; the places of what this process delivered."""
        sink = Places()
        deliver_due(self._stores.outbox, [sink], self.clock)
        return sink.got

    def verify(self, _: Told) -> list[str]:
        """What `audit verify` would find."""
        keyring = AuditKeyring.from_text(AUDIT_KEY)
        return [str(found) for found in verify_trail(self._stores, keyring, self.clock.now())]


def _person(given: str) -> Actor:
    return Actor(id=UserId(given))


def _dump(record: Record) -> Told:
    dumped: Told = record.model_dump(mode="json")
    return dumped


def _answer(do: Callable[[], Any]) -> Told:
    try:
        done = do()
    except CountersignError as error:
        return {"error": type(error).__name__, "said": str(error)}
    return {"done": _dump(done) if isinstance(done, Record) else done}


def main() -> None:
    """Answer until the input ends."""
    where = {"version": version("countersign"), "packages": str(Path(core.__file__).parents[1])}
    opened: dict[str, OneVersion] = {}
    print(json.dumps(where), flush=True)  # noqa: T201 - that is how it answers
    for line in sys.stdin:
        told: Told = json.loads(line)
        url, policy = told["url"], told["policy"]

        def do(told: Told = told, url: str = url, policy: str = policy) -> Any:  # noqa: ANN401 - whatever is asked
            key = url + policy
            if key not in opened:
                opened[key] = OneVersion(url, policy)
            opened[key].clock.at = told["at"]
            return getattr(opened[key], told["do"])(told)

        print(json.dumps(_answer(do), default=str), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
