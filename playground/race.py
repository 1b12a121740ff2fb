"""Two people press one button at the same moment.

Invariant: the race is true. Each press is its own thread with its own copy of the same screen; both wait at a barrier
and then go the whole way to the app. Who won is read from the audit trail.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.audit.trail import REFUSED, AuditEntry
from localslack.records import Json
from localslack.server import LocalSlack
from playground.action_log import ActionLog
from playground.evidence import Evidence
from playground.page_acts import PageActs, Press, told


@dataclass(frozen=True, slots=True)
class Race:
    """Lets people press at once."""

    slack: LocalSlack
    log: ActionLog
    acts: PageActs
    evidence: Evidence

    def run(self, press: Press, people: tuple[str, ...]) -> Json:
        """Press as all of them; each one's acknowledgement and audit entry. Raises NotOnScreen, SlackRefusal."""
        seen = self.acts.where(press)
        act = self.log.begin(f"Pressed by {len(people)} at once", *people)
        start = threading.Barrier(len(people))

        def run_as(person: str) -> Json:
            start.wait()
            with self.log.doing(act):
                answer = self.slack.press(person, seen, press.action_id, press.value, block_id=press.block_id)
            return told(answer)

        with ThreadPoolExecutor(len(people), thread_name_prefix="race") as threads:
            answers = list(threads.map(run_as, people))
        entries = self.evidence.entries_since(act.at)
        lanes = [_lane(person, answer, entries) for person, answer in zip(people, answers, strict=True)]
        return {"act": act.number, "lanes": sorted(lanes, key=lambda lane: bool(lane["was_refused"]))}


def _lane(person: str, answer: Json, entries: list[AuditEntry]) -> Json:
    own = next((entry for entry in entries if entry.actor == person), None)
    lane = {"person": person, **answer, "event": None, "outcome": None, "was_refused": own is None, "details": {}}
    if own is None:
        return lane
    refused = own.outcome == REFUSED
    return {**lane, "event": own.event, "outcome": own.outcome, "was_refused": refused, "details": own.details}
