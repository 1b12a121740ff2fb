"""Judges people in one use case: by one version of the policy, on answers that are newer than what changed.

Invariant: the policy version is taken once, and stays through retries and while Slack is asked. A user group or a
schedule is asked about only when the version needs it to decide. What stays not known decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeVar

from core.actor import Actor, Need, UserGroupId, UserId, is_user_group
from core.approval import Approval
from core.break_glass import BreakGlassEvent
from core.directory import Directory, DirectoryNotes
from core.errors import NotAllowed, NotKnown
from core.on_call import Duty, OnCallName, is_on_call_name, schedule_of
from core.policy import Decision, Policy, RequestDecision
from core.policy.decision import GivenWithVote
from core.request import Request

D = TypeVar("D", bound=Decision)
T = TypeVar("T")
_NOT_CONFIRMED: Final = "Slack couldn't confirm that {who} is still a member"
_GONE: Final = "{who} can't act here any more: {reason}"
_ASKER_LOST: Final = (
    "so what {asker} asked for can't be approved; deny it, or let {requester} cancel it and request it themselves"
)
_NO_MEMBER: Final = "no longer an active member of the workspace"
_NO_APPROVER: Final = "no longer an approver of rule {rule}"
_REQUESTER: Final = "the same person as the requester"
VOTED: Final = "vote"
"""The source of a duty that is as it was when somebody voted."""
_TWICE: Final = "the same person as another approver"


@dataclass(slots=True)
class _Answers:
    """What one person was asked about, and what the directory answered."""

    groups: dict[UserGroupId, bool] = field(default_factory=dict)
    duties: dict[OnCallName, Duty] = field(default_factory=dict)
    asked: frozenset[Need] = frozenset()

    def credit(self, name: OnCallName, at: datetime) -> None:
        """The person was on call when they voted, which is what counts for that vote."""
        self.asked |= {name}
        self.duties[name] = Duty(
            name=name,
            is_on_call=None,
            may_approve=True,
            source=VOTED,
            schedule=schedule_of(name),
            answered_at=at,
        )

    def add_to(self, person: Actor) -> Actor:
        """The person, with these answers."""
        return person.with_memberships(self.groups).with_duties(self.duties)


class Judging:
    """The people of one use case. Not safe for threads: each use case has its own."""

    def __init__(self, policy: Policy, directory: Directory, notes: DirectoryNotes | None = None) -> None:
        self.policy = policy
        self._directory = directory
        self._notes = notes or DirectoryNotes()
        self._answers: dict[UserId, _Answers] = {}

    def noting(self, read: tuple[T, DirectoryNotes]) -> T:
        """What was read; from now on, answers that are older than the changes noted beside it don't count."""
        found, self._notes = read
        self._answers = {}
        return found

    def judge(self, person: Actor, judge: Callable[[Actor], D]) -> D:
        """The decision about a person who was confirmed already, once all is known that the directory can say.

        Raises NotAllowed and NotKnown when they have changed since, and can't be confirmed again.
        """
        return judge(self.ask(self._confirm(person), lambda known: judge(known).needs))

    def ask(self, person: Actor, find_needed: Callable[[Actor], frozenset[Need]]) -> Actor:
        """The person with every answer that is needed and that the directory knows. Never raises.

        Each question is asked once, however many records of one use case it is about.
        """
        known = self._answers.setdefault(person.id, _Answers())
        person = known.add_to(person)
        while needs := find_needed(person) - known.asked:
            known.asked |= needs
            groups = {UserGroupId(each) for each in needs if is_user_group(each)}
            schedules = {OnCallName(each) for each in needs if is_on_call_name(each)}
            if groups:
                answers = self._directory.memberships(person.id, groups, self._notes)
                known.groups |= {group: answers[group] for group in groups & answers.keys()}
            if schedules:
                duties = self._directory.duties(person.id, schedules)
                known.duties |= {name: duties[name] for name in schedules & duties.keys() if self._means(duties[name])}
            person = known.add_to(person)
        return person

    def _means(self, duty: Duty) -> bool:
        """Whether it is about what this version means by the schedule: another one may have come into force since."""
        return duty.definition in {"", self.policy.document.digest_schedule(duty.name)}

    def judge_decider(
        self,
        action: Literal["approve", "deny"],
        request: Request,
        person: Actor,
        now: datetime,
        given: GivenWithVote | None = None,
    ) -> Decision:
        """May this person decide on this request at this moment, with what came with an approval?"""
        waits_since = self.policy.waiting.urgent_since(request) if not request.awaits_confirmation else None
        if not {request.requester, request.asked_by}.isdisjoint(self.policy.ids_of(person.id)):
            # They can't decide, and the refusal names whom to ask, which depends on whether they are on call.
            self.ask(person, lambda known: self.policy.notifications.schedules_of(request.rule) - known.duties.keys())
        return self.judge(
            person,
            lambda known: self.policy.judge_decider(
                action,
                known,
                profile=request.profile,
                rule=request.rule,
                requester=request.requester,
                given=given,
                asked_by=request.asked_by,
                waits_since=waits_since,
                now=now,
            ),
        )

    def judge_close(self, event: BreakGlassEvent, person: Actor) -> Decision:
        """May this person close this event, and see its timeline?"""
        return self.judge(
            person, lambda known: self.policy.judge_close(known, profile=event.profile, invoker=event.invoker)
        )

    def judge_review(self, event: BreakGlassEvent, person: Actor) -> Decision:
        """May this person review this event?"""
        return self.judge(
            person, lambda known: self.policy.judge_review(known, profile=event.profile, invoker=event.invoker)
        )

    def judge_revoke(self, record: Request | BreakGlassEvent, person: Actor) -> Decision:
        """May this person end the access that this record gave?"""
        kind = record.KIND
        return self.judge(
            person,
            lambda known: self.policy.judge_revoke(known, profile=record.profile, rule=record.rule, source_kind=kind),
        )

    def judge_live(self, viewer: Actor, profile: str) -> Decision:
        """May this person see who has access to this profile now?"""
        return self.judge(viewer, lambda known: self.policy.judge_live(known, profile))

    def require_known(self, person: Actor, needed: frozenset[Need]) -> None:
        """Raises NotKnown when these user groups or schedules are needed, although they were asked about."""
        if needed:
            said = self.policy.document.named_people().describe_unknown(person.id, needed)
            raise NotKnown("act", (said,), groups=tuple(sorted(needed)))

    def judge_waiting(self, request: Request) -> RequestDecision:
        """May the requester still have what they requested?

        Raises NotAllowed when they are no longer a member, NotKnown when nobody could say.
        """
        return self.judge(
            self.find_requester(request),
            lambda known: self.policy.judge_waiting(
                known, profile=request.profile, rule=request.rule, duration=request.duration, ahead=request.ahead
            ),
        )

    def find_requester(self, request: Request) -> Actor:
        """Who asked, as the directory knows them now. Raises NotAllowed, NotKnown."""
        return self._find(request.requester, "approve").model_copy(update={"service": request.service})

    def require_asker(self, request: Request) -> None:
        """Raises NotAllowed when who asked on behalf of the requester may no longer do so, NotKnown if nobody knows."""
        if request.asked_by is not None:
            try:
                asker = self._find(request.asked_by, "approve")
                self.judge(asker, lambda known: self.policy.judge_asking(known, request.profile)).require()
            except NotKnown:
                raise
            except NotAllowed as refusal:
                fix = _ASKER_LOST.format(asker=request.asked_by, requester=request.requester)
                raise NotAllowed("approve", (*refusal.reasons, fix), request.rule, ("asker",)) from refusal

    def find_lapsed(self, request: Request, voter: UserId) -> dict[UserId, str]:
        """Those whose earlier votes no longer count beside this voter's, each with the reason.

        Raises NotKnown when nobody could say.
        """
        lapsed: dict[UserId, str] = {}
        counted = set(self.policy.ids_of(voter))
        for vote in request.counting_approvals:
            reason = self._why_lapsed(request, vote)
            if reason is None and vote.approver in counted:
                reason = _TWICE
            if reason is not None:
                lapsed[vote.approver] = reason
            else:
                counted |= set(self.policy.ids_of(vote.approver))
        return lapsed

    def find_vote(self, request: Request, voter: UserId) -> UserId:
        """The id under which this person's vote counts already; their own if there is none."""
        return next((each for each in self.policy.ids_of(voter) if request.has_approval_by(each)), voter)

    def _why_lapsed(self, request: Request, vote: Approval) -> str | None:
        # Steps and hours as they were when they voted: a vote doesn't lapse because the day is over, nor because a
        # shift is, nor while a schedule can't be asked.
        if vote.on_call is not None:
            self._answers.setdefault(vote.approver, _Answers()).credit(vote.on_call, vote.at)
        try:
            self.judge_decider("approve", request, self._find(vote.approver, "approve"), vote.at).require()
        except NotKnown:
            raise
        except NotAllowed as refusal:
            if not refusal.unmet:
                return _NO_MEMBER
            return _REQUESTER if "two people" in refusal.unmet else _NO_APPROVER.format(rule=request.rule)
        return None

    def _find(self, user_id: UserId, action: str) -> Actor:
        """Somebody else than the person who acts. The reasons of a refusal are about them, not to them."""
        try:
            return self._directory.person(user_id, self._notes)
        except NotKnown as unknown:
            raise NotKnown(action, (_NOT_CONFIRMED.format(who=user_id),)) from unknown
        except NotAllowed as refusal:
            raise NotAllowed(action, (_GONE.format(who=user_id, reason="; ".join(refusal.reasons)),)) from refusal

    def _confirm(self, person: Actor) -> Actor:
        """The same person, confirmed after their last change, and without answers that may be too old.

        A user group may have changed; and who is on call is asked at the moment of the decision.
        """
        current = {group: is_in for group, is_in in person.memberships.items() if not self._notes.changed_at(group)}
        service = person.service
        if self._notes.changed_at(person.id) is not None:
            person = self._directory.person(person.id, self._notes)
        return person.model_copy(update={"memberships": current, "duties": {}, "service": service})
