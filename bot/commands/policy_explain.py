"""`countersign policy explain`: what the policy decides about one person, by which rule, and why.

Invariant: it calls the same functions that enforce the policy, so its answer is what Slack will say.

Exit codes: 0 allowed, 1 refused or mistakes in the file, 2 the input can't be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypedDict, Unpack

import click

from bot.commands.policy_files import json_option, load_policy_file, plain_errors, policy_option, print_json
from bot.commands.terminal import Ink
from core.actor import Actor, UserId, check_service_name, check_user_group_id, check_user_id
from core.break_glass import ReasonCode
from core.clock import SystemClock, format_time, require_utc
from core.duration import format_duration, parse_duration
from core.errors import InvalidInput
from core.on_call import ON_CALL_PREFIX, FixedRoster, on_call_name
from core.policy import BreakGlassDecision, Condition, Decision, Policy, RequestDecision
from core.policy.access_summary import describe_permission
from core.policy.document import suggest
from core.policy.target_config import IDENTITY_CENTER
from core.policy.ticket_cases import CaseTicket, with_case_ticket

_DIGITS_SHOWN: Final = 12
_REFUSED: Final = 1


class ExplainOptions(TypedDict):
    """What is asked, as it was typed."""

    user: str | None
    service: str | None
    profile: str
    duration: str
    groups: tuple[str, ...]
    on_call: tuple[str, ...]
    email: str | None
    moment: str | None
    reason: str | None
    mfa: bool
    requester: str | None
    waited: str | None
    requester_groups: tuple[str, ...]
    requester_on_call: tuple[str, ...]
    ticket: str | None


@click.command()
@policy_option
@click.option("--user", help="The Slack user id of the person who acts; with --service, its owner if left out.")
@click.option("--service", help="Explain what this service may do, for its owner.")
@click.option("--profile", required=True, help="The profile.")
@click.option("--duration", default="1h", show_default=True, help="The duration, such as 2h or 90m.")
@click.option("--group", "groups", multiple=True, help="A Slack user group that the person is in. Repeatable.")
@click.option("--on-call", "on_call", multiple=True, help="A schedule in which the person is on call. Repeatable.")
@click.option("--email", help="The person's e-mail address, for policies that trust it.")
@click.option("--at", "moment", help="The time of the decision, such as 2026-01-15T10:00:00Z. Default: now.")
@click.option("--break-glass", "reason", help="Explain break-glass with this reason code instead of a request.")
@click.option("--mfa", is_flag=True, help="Assume a verified MFA code.")
@click.option("--as-approver-of", "requester", help="Explain whether the person may decide on this user's request.")
@click.option("--waited", help="How long the request has waited, such as 15m, with --as-approver-of.")
@click.option(
    "--requester-group",
    "requester_groups",
    multiple=True,
    help="A Slack user group that the requester is in. Repeatable.",
)
@click.option(
    "--requester-on-call",
    "requester_on_call",
    multiple=True,
    help="A schedule in which the requester is on call. Repeatable.",
)
@click.option("--ticket", help="Assume a request with this ticket, which is open and the requester's.")
@json_option
def explain(*, policy_path: str, as_json: bool, **given: Unpack[ExplainOptions]) -> None:
    """Show what the policy decides, by which rule, and why."""
    if given["reason"] is not None and given["requester"] is not None:
        raise click.UsageError("--break-glass and --as-approver-of can't be combined. Use one at a time.")
    loaded, _ = load_policy_file(policy_path, as_json=as_json)
    with plain_errors():
        now = _read_moment(given["moment"])
        actor = _find_actor(loaded, given, now)
        decision = _decide(loaded, actor, given, now)
    if as_json:
        print_json(decision.model_dump(mode="json"))
    else:
        for line in _describe(decision, loaded, given["profile"], actor):
            click.echo(line)
    if not decision.is_allowed:
        click.get_current_context().exit(_REFUSED)


def _find_actor(loaded: Policy, given: ExplainOptions, now: datetime) -> Actor:
    person, service = check_user_id(_find_user(loaded, given["user"], given["service"])), given["service"]
    actor = _describe_actor(loaded, person, given["groups"], _Stated(given["on_call"], now))
    acting_for = check_service_name(service) if service is not None else None
    return actor.model_copy(update={"email": given["email"], "service": acting_for})


def _decide(loaded: Policy, actor: Actor, given: ExplainOptions, now: datetime) -> Decision:
    profile, length = given["profile"], parse_duration(given["duration"])
    if given["requester"] is not None:
        stated = _Stated(given["requester_on_call"], now)
        asker = _describe_actor(loaded, check_user_id(given["requester"]), given["requester_groups"], stated)
        waiting = _WaitingRequest(asker, _read_wait(given["waited"]), now)
        return _judge_decider(loaded, actor, profile, length, waiting)
    if given["reason"] is not None:
        reason = _read_reason(given["reason"])
        return loaded.judge_break_glass(actor, profile, reason, length, now, has_mfa=given["mfa"])
    asked, ticket = loaded.judge_request(actor, profile, length, now), given["ticket"]
    return with_case_ticket(loaded, asked, CaseTicket(name=ticket) if ticket else None, actor)


def _judge_decider(
    loaded: Policy, approver: Actor, profile: str, duration: timedelta, request: _WaitingRequest
) -> Decision:
    requester, waits_since = request.requester, request.now - request.waited
    asked = loaded.judge_request(requester, profile, duration, waits_since)
    if asked.rule is None:
        raise InvalidInput(
            "as-approver-of",
            f"{requester.id} may not request {profile}, so there is no request to decide on",
            "Is --requester-group or --requester-on-call missing?",
        )
    return loaded.judge_decider(
        "approve",
        approver,
        profile=profile,
        rule=asked.rule,
        requester=requester.id,
        waits_since=waits_since,
        now=request.now,
    )


def _describe(decision: Decision, loaded: Policy, profile: str, actor: Actor) -> Iterator[str]:
    ink = Ink.of_stdout()
    yield f"{decision.action} {profile}: {'allowed' if decision.is_allowed else 'refused'}"
    yield f"rule: {decision.rule or 'none'}"
    yield from (_describe_condition(each, ink) for each in decision.conditions)
    if isinstance(decision, RequestDecision) and decision.is_allowed:
        yield f"approvals needed: {decision.required_approvals}, from {', '.join(loaded.approvers_for(profile, actor))}"
        yield f"expires if undecided after: {format_duration(decision.decide_within)}"
        if decision.auto_approval is not None:
            yield f"approved automatically: {'yes' if decision.auto_approval.is_allowed else 'no'}"
            yield from (_describe_condition(each, ink) for each in decision.auto_approval.conditions)
    if isinstance(decision, BreakGlassDecision) and decision.is_allowed:
        yield f"limits, checked when the glass is broken: {_describe_limits(decision)}"
    if decision.is_allowed and isinstance(decision, RequestDecision | BreakGlassDecision):
        yield from _describe_access(loaded, profile, actor)
    yield f"policy: {decision.policy_digest[:_DIGITS_SHOWN]}"


def _describe_access(loaded: Policy, profile: str, actor: Actor) -> Iterator[str]:
    """What the person would get, as whom, and who could revoke it besides the approvers."""
    permissions = loaded.access_of(profile)
    if not permissions:
        yield "access: none; a person has to carry the decision out"
        return
    for each in permissions:
        yield f"access: {describe_permission(each)}, for {_describe_principal(loaded, each.target, actor)}"
    yield f"may be revoked by approvers, and by admins: {', '.join(map(str, loaded.document.admins or ())) or 'none'}"


def _describe_principal(loaded: Policy, target: str, actor: Actor) -> str:
    sought = loaded.find_sought(actor, target)
    if sought.mapped is not None:
        return f"{sought.mapped} (from people)"
    if loaded.targets[target].type != IDENTITY_CENTER:
        return sought.slack_id
    if loaded.document.identity.trust_email:
        return f"the user with the e-mail address {sought.email or 'that Slack shows'}"
    return f"nobody: add {sought.slack_id} to people"


def _describe_condition(condition: Condition, ink: Ink) -> str:
    return f"  {ink.met if condition.is_met else ink.unmet} {condition.text}"


def _describe_limits(decision: BreakGlassDecision) -> str:
    limits = decision.limits
    window = format_duration(limits.quota_window)
    said = [
        f"cooldown {format_duration(limits.cooldown)}" if limits.cooldown else "",
        f"{limits.max_per_user} per person in {window}" if limits.max_per_user else "",
        f"{limits.max_per_profile} per profile in {window}" if limits.max_per_profile else "",
    ]
    return ", ".join(filter(None, said)) or "one active event per person and profile"


def _find_user(loaded: Policy, user: str | None, service: str | None) -> str:
    if user is not None:
        return user
    if service is None:
        raise click.UsageError("Missing option '--user'.")
    if service not in loaded.document.services:
        raise InvalidInput(
            "service", f"there is no service {service!r:.60}", suggest(service, tuple(loaded.document.services))
        )
    return loaded.document.services[service].owner


class _WaitingRequest(NamedTuple):
    """A request that waits for its approvers: whose it is, for how long it has waited, and when it is looked at."""

    requester: Actor
    waited: timedelta
    now: datetime


class _Stated(NamedTuple):
    """In which schedules a person is on call, as the options say, at this moment."""

    schedules: tuple[str, ...]
    at: datetime


def _describe_actor(loaded: Policy, person: UserId, groups: tuple[str, ...], stated: _Stated) -> Actor:
    """The person as the options describe them: in these user groups, on call there, and nowhere else."""
    member_of = {check_user_group_id(each) for each in groups}
    memberships = {group: group in member_of for group in member_of | loaded.user_groups()}
    on_call = {on_call_name(each.removeprefix(ON_CALL_PREFIX)): (person,) for each in stated.schedules}
    duties = FixedRoster(on_call, stated.at).duties(person, loaded.document.require_schedules(on_call))
    return Actor(id=person, memberships=memberships, duties=duties)


def _read_moment(text: str | None) -> datetime:
    if text is None:
        return SystemClock().now()
    try:
        return require_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        now = format_time(SystemClock().now())
        raise InvalidInput("at", f"{text!r:.60} is not a time with a time zone", f"Write it like {now}.") from error


def _read_wait(text: str | None) -> timedelta:
    return parse_duration(text, "waited") if text is not None else timedelta()


def _read_reason(text: str) -> ReasonCode:
    try:
        return ReasonCode(text)
    except ValueError as error:
        raise InvalidInput(
            "break-glass", f"{text!r:.60} is not a reason code", f"Use one of: {', '.join(ReasonCode)}."
        ) from error
