"""Judges people in one use case: by one version of the policy, on answers that are newer than what changed.

Invariant: the policy version is taken once, and stays through retries and while Slack is asked. A user group is asked
about only when the version needs it to decide. What stays not known decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from core.actor import Actor, UserGroupId, UserId
from core.directory import Directory, DirectoryNotes
from core.errors import NotAllowed, NotKnown
from core.policy import Decision, Policy, RequestDecision
from core.request import Request

D = TypeVar("D", bound=Decision)
T = TypeVar("T")
NOT_CONFIRMED = "Slack couldn't confirm that {who} is still a member; try again in a minute"
_GONE = "{who} can't act here any more: {reason}"
_NO_MEMBER = "no longer an active member"
_NO_APPROVER = "no longer an approver of rule {rule}"
_REQUESTER = "the same person as the requester"
_TWICE = "the same person as {other}, who approved too"


class Judging:
    """The people of one use case. Not safe for threads: each use case has its own."""

    def __init__(self, policy: Policy, directory: Directory, notes: DirectoryNotes | None = None) -> None:
        self.policy = policy
        self._directory = directory
        self._notes = notes or DirectoryNotes()

    def noting(self, read: tuple[T, DirectoryNotes]) -> T:
        """What was read; from now on, answers that are older than the changes noted beside it don't count."""
        found, self._notes = read
        return found

    def judge(self, person: Actor, judge: Callable[[Actor], D]) -> D:
        """The decision about a person who was confirmed already, once all is known that the directory can say.

        Raises NotAllowed and NotKnown when they have changed since, and can't be confirmed again.
        """
        person, asked = self._confirm(person), frozenset[UserGroupId]()
        decision = judge(person)
        while needs := decision.needs - asked:
            asked |= needs
            answers = self._directory.memberships(person.id, needs, self._notes)
            person = person.with_memberships({group: answers[group] for group in needs & answers.keys()})
            decision = judge(person)
        return decision

    def complete(self, person: Actor, find_needed: Callable[[Actor], frozenset[UserGroupId]]) -> Actor:
        """The person with all that is needed and known: for showing what they may do, not for deciding."""
        asked = frozenset[UserGroupId]()
        while needs := find_needed(person) - asked:
            asked |= needs
            answers = self._directory.memberships(person.id, needs, self._notes)
            person = person.with_memberships({group: answers[group] for group in needs & answers.keys()})
        return person

    def judge_decider(self, action: Literal["approve", "deny"], request: Request, person: Actor) -> Decision:
        """May this person decide on this request?"""
        return self.judge(
            person,
            lambda known: self.policy.judge_decider(
                action, known, profile=request.profile, rule=request.rule, requester=request.requester
            ),
        )

    def judge_waiting(self, request: Request) -> RequestDecision:
        """May the requester still have what they requested?

        Raises NotAllowed when they are no longer a member, NotKnown when nobody could say.
        """
        requester = self._find(request.requester, "approve")
        return self.judge(
            requester,
            lambda known: self.policy.judge_waiting(
                known, profile=request.profile, rule=request.rule, duration=request.duration
            ),
        )

    def find_lapsed(self, request: Request, voter: UserId) -> dict[UserId, str]:
        """Of the earlier votes, those that no longer count beside this voter's, each with the reason.

        Raises NotKnown when nobody could say.
        """
        lapsed: dict[UserId, str] = {}
        counted = dict.fromkeys(self.policy.ids_of(voter), voter)
        for vote in request.counting_approvals:
            reason = self._why_lapsed(request, vote.approver)
            if reason is None and (other := counted.get(vote.approver)) is not None:
                reason = _TWICE.format(other=other)
            if reason is not None:
                lapsed[vote.approver] = reason
            counted |= dict.fromkeys(self.policy.ids_of(vote.approver), vote.approver)
        return lapsed

    def _why_lapsed(self, request: Request, voter: UserId) -> str | None:
        try:
            decision = self.judge_decider("approve", request, self._find(voter, "approve"))
            decision.require()
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
            raise NotKnown(action, (NOT_CONFIRMED.format(who=user_id),)) from unknown
        except NotAllowed as refusal:
            reason = "; ".join(refusal.reasons)
            raise NotAllowed(action, (_GONE.format(who=user_id, reason=reason),)) from refusal

    def _confirm(self, person: Actor) -> Actor:
        """The same person, confirmed after their last change, and without answers about groups that changed."""
        if self._notes.changed_at(person.id) is not None:
            known = person.memberships
            person = self._directory.person(person.id, self._notes).with_memberships(known)
        current = {group: is_in for group, is_in in person.memberships.items() if not self._notes.changed_at(group)}
        return person if len(current) == len(person.memberships) else person.model_copy(update={"memberships": current})
