"""The tools that an agent can use over the Model Context Protocol: ask for access, look at it, end it.

Invariant: no tool gives a credential or a token, because what a tool gives ends up in a transcript. An agent asks; a
person in Slack decides. No tool waits for that; each answer says when to ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from bot.api.models import AccessInfo, NewRequest, ProfileInfo, RequestInfo
from bot.terminal.client import ApiClient
from bot.terminal.errors import ServerRefused
from bot.terminal.waiting import Outcome, outcome_of
from core.errors import CountersignError
from core.targets.words import one_line

POLL_AFTER_SECONDS: Final = 15
_ASSUME: Final = "assume"
_INSTRUCTIONS: Final = (
    "Ask for temporary access to a profile. A person decides in Slack, which can take minutes: after request_access, "
    "call get_request again after poll_after_seconds until status is no longer waiting. Say honestly why access is "
    "needed; people read it. Credentials are never returned: when access is granted, run commands as `use` says. "
    "End access with end_access as soon as it isn't needed any more."
)
_SENTENCES: Final = {
    Outcome.WAITING: "It was approved; access is opening.",
    Outcome.GRANTED: "It was approved, and access is open.",
    Outcome.DENIED: "It was denied.",
    Outcome.EXPIRED: "Nobody decided in time. Ask again only if it is still needed.",
    Outcome.CANCELLED: "It was cancelled.",
    Outcome.FAILED: "It was approved, but access could not be opened.",
    Outcome.ENDED: "Access is over.",
}
Result = TypeVar("Result")


class ProfileForAgent(BaseModel):
    """A profile that can be requested."""

    name: str
    description: str | None
    max_duration_minutes: int
    required_approvals: int
    ticket: str | None = Field(default=None, description="An example of the ticket that `why` has to name, if any.")


class ProfilesForAgent(BaseModel):
    """All profiles that can be requested."""

    profiles: list[ProfileForAgent]


class RequestForAgent(BaseModel):
    """A request and what became of it. `status` is waiting, granted, denied, expired, cancelled, failed or ended."""

    id: str
    profile: str
    status: str
    detail: str = Field(description="What happened, in a sentence.")
    access_ends_at: str | None = None
    poll_after_seconds: int | None = Field(default=None, description="Call get_request again after so many seconds.")
    use: str | None = Field(default=None, description="How to use the access.")


ProfileArgument = Annotated[str, Field(description="A name that list_profiles gave.")]
DurationArgument = Annotated[str, Field(description="As short as the work allows, such as 30m or 1h30m.")]
WhyArgument = Annotated[str, Field(description="What is going to be done with the access, for the people who decide.")]
RequestArgument = Annotated[str, Field(description="The id of a request of yours.")]


class AgentTools:
    """The tools. Each opens a client of its own, because tools run on several threads."""

    def __init__(
        self, connect: Callable[[], ApiClient], submit: Callable[[ApiClient, NewRequest], RequestInfo]
    ) -> None:
        self._connect = connect
        self._submit = submit

    def list_profiles(self) -> ProfilesForAgent:
        """List the profiles that can be requested, with their longest duration."""
        found = _answer(lambda: self._connect().profiles()).profiles
        return ProfilesForAgent(profiles=[_describe_profile(each) for each in found])

    def request_access(self, profile: ProfileArgument, duration: DurationArgument, why: WhyArgument) -> RequestForAgent:
        """Ask for access. It returns at once; a person in Slack decides. Repeating a lost call makes no second one."""
        asked = _answer(partial(NewRequest, profile=profile, duration=duration, justification=why))
        return _describe(_answer(lambda: self._submit(self._connect(), asked)))

    def get_request(self, request_id: RequestArgument) -> RequestForAgent:
        """Look at a request: whether it is still waiting, granted, or not."""
        return _describe(_answer(lambda: self._connect().request(request_id)))

    def end_access(self, request_id: RequestArgument) -> RequestForAgent:
        """End the access of a request early, or cancel the request if nobody has decided yet."""
        client = _answer(self._connect)
        found = _answer(lambda: client.request(request_id))
        if outcome_of(found) is Outcome.WAITING and found.access is None:
            return _describe(_answer(lambda: client.cancel(found.id)))
        return _describe(_answer(lambda: client.end_request(found.id)))


def open_mcp_server(
    connect: Callable[[], ApiClient], submit: Callable[[ApiClient, NewRequest], RequestInfo], version: str
) -> MCPServer:
    """The server with the four tools. Nothing is sent and nothing runs yet."""
    tools = AgentTools(connect, submit)
    server = MCPServer("countersign", instructions=_INSTRUCTIONS, version=version, log_level="WARNING")
    reading, asking = ToolAnnotations(read_only_hint=True), ToolAnnotations(destructive_hint=False)
    server.tool(annotations=reading)(tools.list_profiles)
    server.tool(annotations=asking)(tools.request_access)
    server.tool(annotations=reading)(tools.get_request)
    server.tool(annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=True))(tools.end_access)
    return server


def _answer(call: Callable[[], Result]) -> Result:
    """What the call gives; its errors become sentences that an agent can act on."""
    try:
        return call()
    except ServerRefused as error:
        reasons = [text for each in error.problem.reasons if (text := one_line(each)) not in error.problem.detail]
        raise ToolError(". ".join([error.problem.detail.rstrip("."), *reasons])) from None
    except CountersignError as error:
        raise ToolError(str(error)) from None
    except ValueError:
        raise ToolError("An argument is empty or too long. Nothing was asked for.") from None


def _describe_profile(profile: ProfileInfo) -> ProfileForAgent:
    return ProfileForAgent(
        name=profile.name,
        description=profile.description,
        max_duration_minutes=profile.max_duration_seconds // 60,
        required_approvals=profile.required_approvals,
        ticket=profile.ticket,
    )


def _describe(request: RequestInfo) -> RequestForAgent:
    outcome = outcome_of(request)
    ends_at = request.access.until if request.access is not None else request.access_ends_at
    is_granted, is_waiting = outcome is Outcome.GRANTED, outcome is Outcome.WAITING
    return RequestForAgent(
        id=request.id,
        profile=request.profile,
        status=outcome.value,
        detail=_sentence(request, outcome),
        access_ends_at=ends_at.isoformat() if ends_at is not None and is_granted else None,
        poll_after_seconds=POLL_AFTER_SECONDS if is_waiting else None,
        use=_use(request.profile, request.access) if is_granted else None,
    )


def _sentence(request: RequestInfo, outcome: Outcome) -> str:
    if outcome is Outcome.WAITING and request.decided_by is None:
        return "Nobody has decided yet."
    if outcome is Outcome.DENIED and request.comment:
        return f"It was denied: {one_line(request.comment)}"
    return _SENTENCES[outcome]


def _use(profile: str, access: AccessInfo | None) -> str | None:
    if access is None or not any(right.level == _ASSUME for right in access.rights):
        return None
    return f"Run commands with: countersign exec {profile} -- COMMAND. Never print credentials."
