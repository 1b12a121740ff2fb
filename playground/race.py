"""Several people press the same button at the same moment.

Invariant: the race is real. Each person has a thread and sees the same message; all wait at a barrier, then each sends
a request to the app. The winner is read from the audit trail.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from core.access.grant import Grant
from core.audit.trail import REFUSED, AuditEntry
from localslack.records import Json
from localslack.server import LocalSlack
from playground.action_log import ActionLog
from playground.evidence import Evidence
from playground.page_interactions import PageInteractions, PressElement, answer_json

_GRANTS: Final = f"{Grant.KIND}#"


@dataclass(frozen=True, slots=True)
class Race:
    """Runs races."""

    slack: LocalSlack
    log: ActionLog
    interactions: PageInteractions
    evidence: Evidence

    def run(self, press: PressElement, people: tuple[str, ...]) -> Json:
        """Press as each of `people` at once. Returns their acknowledgements and audit entries.

        Raises NotOnScreen or SlackRefusal.
        """
        seen = self.interactions.where(press)
        action = self.log.begin(f"Pressed by {len(people)} at once", *people)
        start = threading.Barrier(len(people))

        def run_as(person: str) -> Json:
            start.wait()
            with self.log.recording(action):
                answer = self.slack.press(person, seen, press.action_id, press.value, block_id=press.block_id)
            return answer_json(answer)

        with ThreadPoolExecutor(len(people), thread_name_prefix="race") as threads:
            answers = list(threads.map(run_as, people))
        entries = self.evidence.entries_since(action.at)
        lanes = [_lane(person, answer, entries) for person, answer in zip(people, answers, strict=True)]
        since = action.at.timestamp()
        return {
            "act": action.number,
            "since": since,
            "lanes": sorted(lanes, key=lambda lane: bool(lane["was_refused"])),
        }


def _lane(person: str, answer: Json, entries: list[AuditEntry]) -> Json:
    # What they decided makes grants, too, in the same transaction.
    own = next((entry for entry in entries if entry.actor == person and not entry.chain.startswith(_GRANTS)), None)
    lane = {"person": person, **answer, "event": None, "outcome": None, "was_refused": own is None, "details": {}}
    if own is None:
        return lane
    was_refused = own.outcome == REFUSED
    return {**lane, "event": own.event, "outcome": own.outcome, "was_refused": was_refused, "details": own.details}
