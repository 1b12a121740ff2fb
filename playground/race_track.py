"""Many races, one after the other, in a workspace of their own: two people press one button, and the store is asked.

Invariant: nothing is counted from messages. Every press is a signed request to the real bot, and who decided is read
from the records and the audit trail, which is verified at the end. The workspace is deleted afterwards.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.audit.findings import Tally
from core.audit.keyring import AuditKeyring
from core.audit.trail import AuditAction
from core.audit.verification import verify_trail
from core.clock import SystemClock, new_id
from core.policy import parse_policy
from core.request import Request, RequestStatus
from core.stores.base import Stores
from core.stores.opening import open_stores
from localslack.answer import Answer
from localslack.records import Json, SlackMessage
from localslack.refusals import NotOnScreen
from localslack.server import LocalSlack
from playground.people import ACCESS, APPROVERS, MIRA, populate
from playground.real_bot import find_port, start_bot

MAX_RACES: Final = 100
_PATIENCE_SECONDS: Final = 20.0
_APPROVE: Final = "request:approve"
_POLICY: Final = f"""\
version: 1
profiles: {{prod: {{description: Nothing is opened here, channel: {ACCESS}}}}}
approval:
  - {{name: prod, profiles: [prod], requesters: [{MIRA}], approvers: [{", ".join(APPROVERS)}], max_duration: 1h}}
""".encode()


@dataclass(slots=True)
class RaceResults:
    """What came out so far. `seconds` are those from both presses to both acknowledgements."""

    wins: Counter[str] = field(default_factory=Counter)
    decided_once: int = 0
    decided_twice: int = 0
    undecided: int = 0
    learnt: int = 0
    """How many of those who came second read who was first."""
    seconds: list[float] = field(default_factory=list)

    def to_json(self) -> Json:
        """The tally as the page shows it."""
        ordered = sorted(self.seconds)
        return {
            "races": len(ordered),
            "wins": {person: self.wins[person] for person in APPROVERS},
            "once": self.decided_once,
            "twice": self.decided_twice,
            "undecided": self.undecided,
            "learnt": self.learnt,
            "median_seconds": ordered[len(ordered) // 2] if ordered else None,
        }


class RaceTrack:
    """Runs races; `publish` is called with the tally after each. Only one run at a time. Safe for threads."""

    def __init__(self, manifest: dict[str, Any], publish: Callable[[Json], None]) -> None:
        self._manifest = manifest
        self._publish = publish
        self._running = threading.Lock()
        self._stopping = threading.Event()

    def run(self, count: int) -> Json:
        """Run this many races. Returns the tally, with what verifying the trail found. Raises NotOnScreen."""
        if not 0 < count <= MAX_RACES:
            raise NotOnScreen(f"between 1 and {MAX_RACES} races at once")
        if not self._running.acquire(blocking=False):
            raise NotOnScreen("the races are running already")
        try:
            with ExitStack() as stack:
                result = self._run_on(stack, count)
        except TimeoutError as error:
            raise NotOnScreen("a card didn't appear in time, so the races ended early; run them again") from error
        finally:
            self._running.release()
        # Only now can the next ones begin.
        self._publish(result)
        return result

    def stop(self) -> None:
        """End a run after the race that is on, and wait for it. Idempotent."""
        self._stopping.set()
        with self._running:
            pass

    def _run_on(self, stack: ExitStack, count: int) -> Json:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-races-")))
        clock, keyring = SystemClock(), AuditKeyring.from_text(new_id() + new_id())
        url = f"sqlite:///{folder / 'races.db'}"
        stores = stack.enter_context(closing(open_stores(url, keyring=keyring, clock=clock)))
        slack = LocalSlack(manifest=self._manifest)
        stack.callback(slack.stop)
        populate(slack.workspace)
        policy = parse_policy(_POLICY, "the races' policy")
        bot = start_bot(slack, None, stores, policy, clock, api_port=find_port(0))
        stack.callback(bot.lifecycle.stop)
        pressers = stack.enter_context(ThreadPoolExecutor(len(APPROVERS), thread_name_prefix="race"))
        races, began = _Races(slack, stores, pressers), time.monotonic()
        for number in range(1, count + 1):
            if self._stopping.is_set():
                break
            races.run(number, count)
            self._publish({**races.results.to_json(), "count": count})
        tally = Tally()
        findings = [finding.text for finding in verify_trail(stores, keyring, clock.now(), tally)]
        took = {"count": count, "seconds": time.monotonic() - began}
        return {**races.results.to_json(), **took, "entries": tally.entries, "findings": findings}


@dataclass(frozen=True, slots=True)
class _Races:
    slack: LocalSlack
    stores: Stores
    pressers: ThreadPoolExecutor
    results: RaceResults = field(default_factory=RaceResults)

    def run(self, number: int, count: int) -> None:
        """Ask for access, press Approve as both at once, and look into the store."""
        slack = self.slack
        why = f"Race {number} of {count}"
        slack.run_command(MIRA, ACCESS, "/access", f"prod 15m {why}")
        (card, *_) = slack.wait_until(lambda: self._find_cards(why), _PATIENCE_SECONDS)
        start = threading.Barrier(len(APPROVERS))

        def press(person: str) -> Answer:
            start.wait()
            return slack.press(person, card, _APPROVE)

        began = time.monotonic()
        list(self.pressers.map(press, APPROVERS))
        self.results.seconds.append(time.monotonic() - began)
        self._count(self._read_decided(), number)

    def _count(self, request: Request, number: int) -> None:
        results = self.results
        decisions = [
            entry for entry in self.stores.audit.get_chain(request.chain)
            if entry.event == AuditAction.REQUEST_APPROVED
        ]  # fmt: skip
        is_decided = request.status is RequestStatus.APPROVED and len(decisions) == 1
        results.decided_once += is_decided
        results.decided_twice += len(decisions) > 1
        results.undecided += not decisions
        if not is_decided or request.approver is None:
            return
        results.wins[request.approver] += 1
        (second,) = (person for person in APPROVERS if person != request.approver)
        # Each race has one who came second, so they have read as many answers as they lost races.
        lost = number - results.wins[second]
        with suppress(TimeoutError):
            results.learnt += bool(self.slack.wait_until(lambda: len(self._read_by(second)) >= lost, _PATIENCE_SECONDS))

    def _read_by(self, person: str) -> list[SlackMessage]:
        return [
            each for each in self.slack.ephemerals(person, ACCESS) if "already approved" in f"{each.text}{each.blocks}"
        ]

    def _find_cards(self, why: str) -> list[SlackMessage]:
        return [each for each in self.slack.messages(ACCESS) if why in str(each.all_blocks)]

    def _read_decided(self) -> Request:
        # On a slow disk both presses are acknowledged before either is decided.
        with suppress(TimeoutError):
            self.slack.wait_until(lambda: self._newest().status is not RequestStatus.PENDING, _PATIENCE_SECONDS)
        return self._newest()

    def _newest(self) -> Request:
        return max(self.stores.requests.iterate(), key=lambda request: request.created_at)
