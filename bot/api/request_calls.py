"""The calls about requests: which profiles there are, ask, look, wait, cancel, end.

Invariant: a device sees and changes the requests of its person, or of its service, and of nobody else: anything else is
answered as if it weren't there. What is decided, the services decide, as for Slack.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from bot.api.calls import Call, Handler
from bot.api.infos import FindName, describe_person, describe_request, version_of
from bot.api.models import (
    IDEMPOTENCY_KEY,
    NewRequest,
    PersonInfo,
    ProfileInfo,
    ProfileList,
    RequestInfo,
    RequestList,
)
from bot.api.problems import Problem, ProblemCode
from bot.api.refusals import ApiRefusal, not_found
from core.access.device import DeviceUser
from core.access.grant import Grant
from core.clock import Clock
from core.directory import Directory
from core.duration import parse_duration
from core.policy import Policy, PolicySource
from core.policy.target_config import AwsRoleConfig
from core.request import JUSTIFICATION_LENGTH, Request, RequestId, RequestStatus
from core.services import GrantService, RequestService
from core.services.granting import grant_ids_of
from core.services.membership import Judging
from core.stores.base import Stores
from core.text import clean_text

PAGE_SIZE: Final = 20
_MAX_READ: Final = 100
_OTHER_BODY: Final = "This Idempotency-Key was used for another request. Nothing was changed. Use a new key."


@dataclass(frozen=True, slots=True)
class RequestCalls:
    """Safe for threads."""

    stores: Stores
    policy: PolicySource
    clock: Clock
    directory: Directory
    requests: RequestService
    grants: GrantService
    find_name: FindName

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by the names of their endpoints."""
        return {
            "list_profiles": self.list_profiles,
            "submit_request": self.submit,
            "list_requests": self.list_own,
            "get_request": self.get,
            "cancel_request": self.cancel,
            "end_request": self.end,
        }

    def list_profiles(self, call: Call) -> ProfileList:
        """What this device can request, under which terms."""
        people = Judging(self.policy.current(), self.directory)
        policy, actor = people.policy, people.ask(call.caller.actor, people.policy.needed_to_request)
        found: list[ProfileInfo] = []
        for profile in policy.requestable_profiles(actor):
            terms = policy.terms_for(profile.name, actor)
            if terms is None:
                continue
            targets = [policy.targets[each.target] for each in policy.access_of(profile.name)]
            approvers = policy.notifications.deciders_of(terms.name)
            found.append(
                ProfileInfo(
                    name=profile.name,
                    description=profile.description or None,
                    max_duration_seconds=int(terms.max_duration.total_seconds()),
                    required_approvals=terms.required_approvals,
                    starts_within_seconds=_seconds(terms.starts_within),
                    ticket=terms.ticket.example if terms.ticket is not None else None,
                    approvers=self._people(str(each) for each in approvers if each.value != actor.id),
                    has_access=bool(targets),
                    has_credentials=any(isinstance(each, AwsRoleConfig) for each in targets),
                )
            )
        return ProfileList(profiles=tuple(found))

    def submit(self, call: Call) -> RequestInfo:
        """Request access. The same key from the same device gives the same request."""
        user, body = call.caller, call.body
        if not isinstance(body, NewRequest):
            raise TypeError(body)
        duration = parse_duration(body.duration)
        key = call.get(IDEMPOTENCY_KEY)
        request = self.requests.submit(
            user.actor,
            body.profile,
            duration,
            body.justification,
            idempotency_key=f"{user.device.id}\0{key}" if key is not None else None,
            device=user.device.name,
            device_id=user.device.id,
            starts_at=body.starts_at,
            ticket=body.ticket,
        )
        least, most = JUSTIFICATION_LENGTH
        words = clean_text("justification", body.justification, at_least=least, at_most=most)
        asked = (body.profile, duration, words, body.starts_at)
        is_same = (request.profile, request.duration, request.justification, request.starts_at) == asked
        if not is_same or (body.ticket is not None and (request.ticket or "") not in body.ticket):
            # As draft-ietf-httpapi-idempotency-key-header has it.
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            raise ApiRefusal(
                Problem.of(
                    ProblemCode.CONFLICT, "The key was used already", _OTHER_BODY, status=status, existing=request.id
                )
            )
        return self._describe(request, user)

    def list_own(self, call: Call) -> RequestList:
        """A page of the device's own requests, newest first."""
        user = call.caller
        page = self.stores.requests.list_by_requester(user.actor.id, limit=PAGE_SIZE, cursor=call.get("cursor"))
        mine = [each for each in page.items if self._sees(each, user)]
        grants, now = self._grants_of(mine), self.clock.now()
        described = (describe_request(each, grants[each.id], now, self.find_name) for each in mine)
        return RequestList(requests=tuple(described), next=page.cursor)

    def get(self, call: Call) -> RequestInfo:
        """One request. The app waits, where `wait` says so."""
        return self._describe(self._own(call), call.caller)

    def cancel(self, call: Call) -> RequestInfo:
        """Take it back."""
        request = self._own(call)
        return self._describe(self.requests.cancel(RequestId(request.id), call.caller.actor), call.caller)

    def end(self, call: Call) -> RequestInfo:
        """I'm done: end its access."""
        request = self._own(call)
        grants = self.grants.end(request.chain, call.caller.actor)
        return self._describe(request, call.caller, grants)

    def versions(self, request_ids: Collection[str]) -> Mapping[str, str]:
        """The version of each of these requests as it is now, for those that wait."""
        ids, found = sorted(request_ids), list[Request]()
        for start in range(0, len(ids), _MAX_READ):
            found += self.stores.requests.get_each(ids[start : start + _MAX_READ])
        grants, now = self._grants_of(found), self.clock.now()
        return {each.id: version_of(each, grants[each.id], now) for each in found}

    def _own(self, call: Call) -> Request:
        request = self.stores.requests.get(RequestId(call.parameters["id"]))
        if not self._sees(request, call.caller):
            raise ApiRefusal(not_found())
        return request

    def _sees(self, request: Request, user: DeviceUser) -> bool:
        ids = self.policy.current().ids_of(user.actor.id)
        return request.requester in ids and _is_of(request, user)

    def _describe(self, request: Request, user: DeviceUser, grants: Iterable[Grant] | None = None) -> RequestInfo:
        known = tuple(grants) if grants is not None else tuple(self._grants_of([request])[request.id])
        policy = self.policy.current()
        approvers: tuple[str, ...] = ()
        if request.status is RequestStatus.PENDING:
            approvers = _approvers(policy, request, user)
        return describe_request(request, known, self.clock.now(), self.find_name, approvers)

    def _grants_of(self, requests: Collection[Request]) -> dict[str, list[Grant]]:
        """The grants of each of these requests, by its id. One read for each hundred."""
        ids = [each for request in requests for each in grant_ids_of(request)]
        by_chain: dict[str, list[Grant]] = {request.chain: [] for request in requests}
        for start in range(0, len(ids), _MAX_READ):
            for grant in self.stores.access.get_each(ids[start : start + _MAX_READ]):
                by_chain[grant.source].append(grant)
        return {request.id: by_chain[request.chain] for request in requests}

    def _people(self, ids: Iterable[str]) -> tuple[PersonInfo, ...]:
        return tuple(describe_person(each, self.find_name) for each in sorted(ids))


def _approvers(policy: Policy, request: Request, user: DeviceUser) -> tuple[str, ...]:
    own = policy.ids_of(user.actor.id)
    named = {str(each) for each in policy.notifications.deciders_of(request.rule)}
    voted = {each.approver for each in request.counting_approvals}
    return tuple(sorted(named - voted - set(own)))


def _is_of(request: Request, user: DeviceUser) -> bool:
    """A service sees its own requests only; a person sees theirs, and those of the services that they own."""
    return user.service is None or request.service == user.service


def _seconds(duration: timedelta | None) -> int | None:
    return int(duration.total_seconds()) if duration is not None else None
