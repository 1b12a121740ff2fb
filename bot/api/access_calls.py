"""The calls about open access: list it, end it, get credentials for it.

Invariant: a device sees and ends the access of its person, or of its service, and of nobody else. Ending asks no rule;
whether there are credentials, the service decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bot.api.calls import Call, Handler
from bot.api.infos import FindName, describe_access, describe_credentials, describe_event
from bot.api.models import AccessInfo, AccessList, CredentialsInfo
from bot.api.ports import Credentials
from bot.api.refusals import ApiRefusal, not_found
from bot.interactions.access_queries import AccessQueries
from core.access.device import DeviceUser
from core.access.grant import Grant
from core.access.summary import summarize
from core.break_glass import BreakGlassEvent
from core.clock import Clock
from core.errors import NotFound
from core.request import Request
from core.services import GrantService


@dataclass(frozen=True, slots=True)
class AccessCalls:
    """Safe for threads."""

    queries: AccessQueries
    grants: GrantService
    clock: Clock
    find_name: FindName

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by the names of their endpoints."""
        return {"list_access": self.list_own, "end_access": self.end}

    def list_own(self, call: Call) -> AccessList:
        """What the device's person or service has now."""
        user, now = call.caller, self.clock.now()
        found = self.queries.own(user.actor)
        accesses = [
            describe_access(each, self.find_name, each.service) for each in found.accesses if _is_of(each.service, user)
        ]
        # No service breaks the glass.
        events = [describe_event(each, now, self.find_name) for each in found.events if user.service is None]
        return AccessList(access=(*accesses, *events))

    def end(self, call: Call) -> AccessInfo:
        """I'm done."""
        user = call.caller
        record = self._find(call.parameters["source"])
        is_own = record.person in self.queries.ids_of(user.actor)
        if not (is_own and _is_of(getattr(record, "service", None), user)):
            raise ApiRefusal(not_found())
        return self._describe(record, self.grants.end(record.chain, user.actor))

    def _find(self, named: str) -> Request | BreakGlassEvent:
        kinds = (named,) if "#" in named else (f"{Request.KIND}#{named}", f"{BreakGlassEvent.KIND}#{named}")
        for source in kinds:
            with suppress(NotFound):
                return self.queries.get(source)
        raise ApiRefusal(not_found())

    def _describe(self, record: Request | BreakGlassEvent, grants: Sequence[Grant]) -> AccessInfo:
        now = self.clock.now()
        if (access := summarize(grants, now)) is not None:
            return describe_access(access, self.find_name, getattr(record, "service", None))
        current = self.queries.get(record.chain)
        if isinstance(current, BreakGlassEvent):
            return describe_event(current, now, self.find_name)
        # A request without rights can't be ended: the service said so before.
        raise ApiRefusal(not_found())


@dataclass(frozen=True, slots=True)
class CredentialCalls:
    """Safe for threads."""

    credentials: Credentials

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by the names of their endpoints."""
        return {"issue_credentials": self.issue}

    def issue(self, call: Call) -> CredentialsInfo:
        """AWS credentials for access that is open."""
        return describe_credentials(
            self.credentials.issue(call.caller, call.parameters["profile"], target=call.get("target"))
        )


def _is_of(service: str | None, user: DeviceUser) -> bool:
    return user.service is None or service == user.service
