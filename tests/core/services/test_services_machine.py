"""Both services on SQLite under every order of use cases, against a model of a few lines; the trail must verify."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple, rule

from core.actor import Actor
from core.audit.keyring import AuditKeyring
from core.audit.verification import verify_trail
from core.break_glass import EventId, ReasonCode
from core.directory import FixedDirectory
from core.errors import Refused
from core.request import RequestId
from core.review import Verdict
from core.services import BreakGlassService, RequestService
from core.stores import open_stores
from tests.builders import HOUR, PROD, STAGING
from tests.core.services.harness import ANN, BOB, CLEO, EVE, RITA, STRANGER, ChangingPolicy
from tests.harness.clock import FrozenClock
from tests.harness.keys import AUDIT_KEY

WHY = "The checkout is down, INC-12"
APPROVERS = (ANN, BOB, CLEO)
people = st.sampled_from([RITA, EVE, STRANGER, *APPROVERS])


@dataclass
class RequestDraft:
    """A request as the model knows it."""

    id: RequestId
    requester: Actor
    profile: str
    needed: int
    deadline: datetime
    status: str = "pending"
    votes: set[str] = field(default_factory=set)
    decided_by: str | None = None
    reminder_at: datetime | None = None
    is_reminded: bool = False
    entries: int = 1


@dataclass
class Broken:
    """A break-glass event as the model knows it."""

    id: EventId
    invoker: Actor
    profile: str
    at: datetime
    ends_at: datetime
    status: str = "active"
    ended_by: str | None = None
    reviewer: str | None = None
    is_asked: bool = False
    reminded_at: datetime | None = None
    entries: int = 1

    @property
    def is_waived(self) -> bool:
        """True when somebody else closed it: then no limit counts it."""
        return self.ended_by is not None and self.ended_by != self.invoker.id

    @property
    def cooldown(self) -> timedelta:
        """How long after its end its invoker may not break the glass for its profile again."""
        return timedelta() if self.is_waived else HOUR / 2


class ServicesMachine(RuleBasedStateMachine):
    """The clock only goes forward here; the machines of the records let it go back."""

    asked = Bundle("asked")
    broken = Bundle("broken")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.clock = FrozenClock()
        self.keyring = AuditKeyring.from_text(AUDIT_KEY)
        url = f"sqlite:///{Path(self._folder.name)}/countersign.db"
        self.stores = open_stores(url, keyring=self.keyring, clock=self.clock)
        self.requests = RequestService(self.stores, ChangingPolicy(), self.clock, directory=FixedDirectory())
        self.break_glass = BreakGlassService(self.stores, ChangingPolicy(), self.clock, directory=FixedDirectory())
        self.all_asked: list[RequestDraft] = []
        self.all_broken: list[Broken] = []

    def teardown(self) -> None:
        """Whatever happened: the trail verifies, and each chain is as long as its record's story."""
        self.stores.refusals.flush()
        assert list(verify_trail(self.stores, self.keyring, self.clock.now())) == []
        stories = [(f"REQUEST#{each.id}", each.entries) for each in self.all_asked]
        stories += [(f"BREAKGLASS#{each.id}", each.entries) for each in self.all_broken]
        assert [(chain, len(self.stores.audit.get_chain(chain))) for chain, _ in stories] == stories
        self.stores.close()
        self._folder.cleanup()

    @rule(step=st.sampled_from([timedelta(microseconds=1), HOUR / 4, HOUR, 24 * HOUR, 72 * HOUR]))
    def wait(self, step: timedelta) -> None:
        self.clock.advance(step)

    # Requests

    @rule(target=asked, requester=st.sampled_from([RITA, ANN]), profile=st.sampled_from([PROD, STAGING]))
    def submit(self, requester: Actor, profile: str) -> RequestDraft | MultipleResults[RequestDraft]:
        mine = [each for each in self.all_asked if (each.requester, each.profile) == (requester, profile)]
        if any(each.status == "pending" and not self._is_late(each) for each in mine):
            assert not _is_done(lambda: self.requests.submit(requester, profile, HOUR, WHY))
            return multiple()
        request = self.requests.submit(requester, profile, HOUR, WHY)
        needed, wait = (2, 24 * HOUR) if profile == PROD else (1, 2 * HOUR)
        made = RequestDraft(RequestId(request.id), requester, profile, needed, self.clock.now() + wait)
        made.reminder_at = self.clock.now() + 3 * HOUR if profile == PROD else None
        self.all_asked.append(made)
        return made

    @rule(made=asked, who=people)
    def approve(self, made: RequestDraft, who: Actor) -> None:
        self._expire_if_late(made)
        is_repeated = who.id in made.votes and made.status in {"pending", "approved"}
        is_allowed = is_repeated or (made.status == "pending" and who in APPROVERS and who != made.requester)
        assert _is_done(lambda: self.requests.approve(made.id, who)) == is_allowed
        if is_allowed and not is_repeated:
            made.votes.add(who.id)
            made.entries += 1
            if len(made.votes) == made.needed:
                made.status, made.decided_by = "approved", who.id

    @rule(made=asked, who=people)
    def deny(self, made: RequestDraft, who: Actor) -> None:
        self._expire_if_late(made)
        is_repeated = (made.status, made.decided_by) == ("denied", who.id)
        is_allowed = is_repeated or (made.status == "pending" and who in APPROVERS and who != made.requester)
        assert _is_done(lambda: self.requests.deny(made.id, who, "not today")) == is_allowed
        if is_allowed and not is_repeated:
            made.status, made.decided_by, made.entries = "denied", who.id, made.entries + 1

    @rule(made=asked, who=people)
    def cancel(self, made: RequestDraft, who: Actor) -> None:
        self._expire_if_late(made)
        is_allowed = who == made.requester and made.status in {"pending", "cancelled"}
        assert _is_done(lambda: self.requests.cancel(made.id, who)) == is_allowed
        if is_allowed and made.status == "pending":
            made.status, made.entries = "cancelled", made.entries + 1

    # Break-glass events

    @rule(target=broken, who=st.sampled_from(APPROVERS), profile=st.sampled_from([PROD, STAGING]))
    def invoke(self, who: Actor, profile: str) -> Broken | None:
        now = self.clock.now()
        mine = [each for each in self.all_broken if each.invoker == who]
        here = [each for each in self.all_broken if each.profile == profile]
        day = now - 24 * HOUR
        is_allowed = (
            all(now >= each.ends_at + each.cooldown for each in mine if each.profile == profile)
            and sum(each.at > day and not each.is_waived for each in mine) < 3
            and sum(each.at > day and not each.is_waived for each in here) < 4
        )
        results: list[Broken] = []

        def use() -> None:
            event = self.break_glass.invoke(who, profile, ReasonCode.INCIDENT, WHY, HOUR)
            results.append(Broken(EventId(event.id), who, profile, now, now + HOUR))

        assert _is_done(use) == is_allowed
        self.all_broken += results
        return results[0] if results else None

    @rule(made=broken.filter(lambda made: made is not None), who=people)
    def close(self, made: Broken, who: Actor) -> None:
        self._end_if_late(made)
        is_repeated = (made.status, made.ended_by) == ("closed", who.id)
        is_allowed = is_repeated or (made.status == "active" and (who == made.invoker or who in APPROVERS))
        assert _is_done(lambda: self.break_glass.close(made.id, who, "it is up again")) == is_allowed
        if is_allowed and not is_repeated:
            made.status, made.ended_by, made.ends_at = "closed", who.id, self.clock.now()
            made.entries += 1

    @rule(made=broken.filter(lambda made: made is not None), who=people)
    def review(self, made: Broken, who: Actor) -> None:
        self._end_if_late(made)
        may = who in APPROVERS and who != made.invoker and made.status != "active"
        is_allowed = may and made.reviewer in {None, who.id}
        notes = "Nothing else would have helped"
        assert _is_done(lambda: self.break_glass.review(made.id, who, Verdict.JUSTIFIED, notes)) == is_allowed
        if is_allowed and made.reviewer is None:
            made.reviewer, made.entries = who.id, made.entries + 1

    # Time

    @rule()
    def sweep(self) -> None:
        overdue = {each.id for each in self.all_asked if self._is_late(each)}
        ended = {each.id for each in self.all_broken if each.status == "active" and self.clock.now() >= each.ends_at}
        assert {request.id for request in self.requests.expire_due()} == overdue
        assert {event.id for event in self.break_glass.expire_due()} == ended
        for made in self.all_asked:
            self._expire_if_late(made)
        for each in self.all_broken:
            self._end_if_late(each)

    @rule()
    def follow_up(self) -> None:
        now = self.clock.now()
        asked = [each for each in self.all_broken if each.status == "active" and not each.is_asked]
        asked = [each for each in asked if each.ends_at - HOUR / 6 <= now < each.ends_at]
        waiting = [each for each in self.all_broken if each.status != "active" and each.reviewer is None]
        due = [each for each in waiting if now >= (each.reminded_at or each.ends_at) + 72 * HOUR]
        assert {event.id for event in self.break_glass.ask_due()} == {each.id for each in asked}
        assert {event.id for event in self.break_glass.remind_due()} == {each.id for each in due}
        for each in asked:
            each.is_asked, each.entries = True, each.entries + 1
        for each in due:
            each.reminded_at, each.entries = now, each.entries + 1

    @rule()
    def remind(self) -> None:
        due = [each for each in self.all_asked if self._waits_for_reminder(each)]
        assert {request.id for request in self.requests.remind_due()} == {each.id for each in due}
        for made in due:
            made.is_reminded, made.entries = True, made.entries + 1

    @invariant()
    def every_record_is_what_the_model_says(self) -> None:
        for made in self.all_asked:
            request = self.stores.requests.get(made.id)
            assert (request.status, request.approver) == (made.status, made.decided_by)
            assert {approval.approver for approval in request.approvals} == made.votes
            assert (request.reminded_at is not None) == made.is_reminded
        for each in self.all_broken:
            event = self.stores.break_glass.get(each.id)
            reviewer = event.review.reviewer if event.review is not None else None
            assert (event.status, event.closed_by, reviewer) == (each.status, each.ended_by, each.reviewer)

    @invariant()
    def access_is_what_the_model_says(self) -> None:
        now = self.clock.now()
        for who in APPROVERS:
            live = {
                each.id
                for each in self.all_broken
                if (each.invoker, each.profile) == (who, PROD) and now < each.ends_at
            }
            usage = self.break_glass.find_access(who.id, PROD)
            assert ({usage.event_id} if usage is not None else set()) == live

    def _is_late(self, made: RequestDraft) -> bool:
        return made.status == "pending" and self.clock.now() >= made.deadline

    def _waits_for_reminder(self, made: RequestDraft) -> bool:
        is_waiting = made.status == "pending" and not self._is_late(made) and not made.is_reminded
        return is_waiting and made.reminder_at is not None and self.clock.now() >= made.reminder_at

    def _expire_if_late(self, made: RequestDraft) -> None:
        if self._is_late(made):
            made.status, made.entries = "expired", made.entries + 1

    def _end_if_late(self, made: Broken) -> None:
        if made.status == "active" and self.clock.now() >= made.ends_at:
            made.status, made.entries = "expired", made.entries + 1


def _is_done(use: Callable[[], object]) -> bool:
    try:
        use()
    except Refused:
        return False
    return True


TestServicesMachine = ServicesMachine.TestCase
TestServicesMachine.settings = settings(max_examples=25, stateful_step_count=25)
