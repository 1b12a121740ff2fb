"""Every error class with sample fields, and its sentence in a terminal, in a log, in Slack, and under a field.

Invariant: `SAMPLES` has an error of each class that can be raised; `test_texts.py` looks for those that are missing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ValidationError

from bot.api.callers import NO_TOKEN, too_large
from bot.api.refusals import ApiRefusal, broken, busy, rate_limited, to_problem, unauthorized
from bot.notifications.slack_failed import SharedChannel, SlackFailed
from bot.observability.metrics import TurnedAway
from bot.settings import InvalidSettings
from bot.slack.coalescing_cache import TooManyLookups
from bot.slack.errors import ERRORS
from bot.slack.installation import SlackUnreachable
from bot.terminal.errors import TerminalError
from bot.transport.dispatcher import NotTaken
from bot.views.replies import explain, explain_in_field
from core.access.credentials import AccessEnded, IssuerUnavailable, NothingOpen
from core.access.device import DeviceEnded, DeviceExists, DeviceNotFound, DeviceStatus, TokenRefused
from core.access.pairing import PairingExpired, PairingRefused, PairingTooFast, PairingUnknown, PairingWaiting
from core.access.pairing_bounds import OPEN_PAIRINGS, WRONG_CODES
from core.access.principals import PrincipalUnavailable, PrincipalUnknown
from core.access.session import SessionExists, SessionNotFound
from core.break_glass import ReasonCode
from core.errors import (
    AlreadyExists,
    BrokenChain,
    BrokenSeal,
    CodeRefused,
    ConcurrentModification,
    CountersignError,
    DeliveryFailed,
    EventExists,
    EventNotFound,
    FixedFactChanged,
    GrantExists,
    GrantNotFound,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    MalformedRecord,
    NotAllowed,
    NotFound,
    NotKnown,
    Refused,
    RequestExists,
    RequestNotFound,
    StoreError,
    StoreMisconfigured,
    StoreUnavailable,
    TicketNotKnown,
)
from core.invalid_policy import InvalidPolicy, PolicyProblem
from core.open_requests import COOLDOWN_AFTER_DENIAL, OPEN_REQUEST, OPEN_REQUESTS
from core.policy.decision import ApprovalNeeds
from core.record import NewerRecord
from core.review import Verdict
from core.schedules.base import ScheduleRefused, ScheduleUnavailable
from core.services.ending import DECISION_ONLY, ENDED, NEVER_OPENED, NO_ACCESS, NO_TIME_LEFT
from core.services.grants import NOT_YOURS
from core.services.vote import ACCESS_CHANGED, NOT_AS_SHOWN, PERSON_CHANGED, ApprovalFormNeeded
from tests.builders import APPROVER, HOUR, INVOKER, REQUESTER, STAGING
from tests.core.policy.test_escalation import ANN, HOURS, NIGHT, TWO_STEPS, judge, policy
from tests.core.stores.device_bench import a_device
from tests.texts import records
from tests.texts.records import AFTER, EVENT, LATER, NOW, POLICY, REQUEST
from tests.texts.terminal import TERMINAL_SAMPLES, with_fixed_times
from tests.texts.writing import Text, write_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.actor import Actor, UserId


class _Stored(BaseModel):
    duration: int


def _malformed() -> MalformedRecord:
    try:
        _Stored.model_validate({"duration": "an hour"})
    except ValidationError as error:
        return MalformedRecord.from_error("REQUEST#00000000000000a1", error)
    raise AssertionError


def _raised(act: Callable[[], object]) -> CountersignError:
    try:
        act()
    except CountersignError as error:
        return error
    raise AssertionError


_VERDICT: Final = Verdict.JUSTIFIED
_CHAIN: Final = records.pending().chain
_UNAVAILABLE: Final = "ProvisionedThroughputExceededException"
ROOTS: Final = (CountersignError, Refused, StoreError, TerminalError)
"""What nobody raises: only what stands below them."""
_SHOWN_IN_FIELDS: Final = (InvalidInput, NotAllowed, CodeRefused, LimitReached, StoreUnavailable)
SAMPLES: Final[dict[str, CountersignError]] = {
    "input": InvalidInput("duration", "5h has too many hours", "Write at most 4h."),
    "policy": InvalidPolicy(
        "policy.yml", (PolicyProblem(7, "approval[0].approvers", "approvers is missing", "Add approvers."),)
    ),
    "policy, two mistakes": InvalidPolicy(
        "policy.yml", (PolicyProblem(7, "a", "a is wrong", "Fix a."), PolicyProblem(8, "b", "b is wrong", "Fix b."))
    ),
    "not allowed": NotAllowed("request", ("U0REQUESTER is not among the requesters", "2h is too long"), "prod"),
    "not as shown": NotAllowed("approve", (NOT_AS_SHOWN,), "prod", ("form",)),
    "approval needs a form": ApprovalFormNeeded(records.pending(), ApprovalNeeds(confirm=True)),
    "ticket: none": InvalidInput(
        "ticket",
        "this needs a ticket, and you named none",
        "Name one like INC-123, in the justification or as the ticket.",
    ),
    "ticket: closed": NotAllowed("request", ("INC-12 is closed (Done); name another one",), "prod", ("ticket",)),
    "ticket: somebody else's": NotAllowed(
        "request",
        (
            (
                f"INC-12 is somebody else's ticket: it isn't assigned to {REQUESTER}, wasn't reported by {REQUESTER} "
                f"and doesn't mention {REQUESTER}; name another one"
            ),
        ),
        "prod",
        ("ticket",),
    ),
    "ticket: closed before the last approval": NotAllowed(
        "approve",
        ("INC-12 is closed (Done); deny the request, or let U0REQUESTER cancel it and request access anew",),
        "prod",
        ("ticket",),
    ),
    "ticket: not checked": TicketNotKnown(
        "request",
        ("INC-12 couldn't be checked: Jira (example.atlassian.net) gave no answer (TimeoutError)",),
        "prod",
    ),
    "not known: a user group": NotKnown(
        "request", ("Slack couldn't say whether U0REQUESTER is in S0ENGINEERS",), groups=("S0ENGINEERS",)
    ),
    "not known: a schedule": NotKnown(
        "break glass",
        ("PagerDuty couldn't say who is on call in primary, among the users of rule on-call",),
        groups=("on-call:primary",),
    ),
    "not known: a person": NotKnown("act", ("Slack couldn't confirm who you are; please try again in a minute",)),
    "access changed since the request": NotAllowed(
        "approve",
        (ACCESS_CHANGED.format(profile="prod", right="aws|111122223333|admin|rita"),),
        "prod",
        ("access",),
    ),
    "another person since the request": NotAllowed(
        "approve",
        (PERSON_CHANGED.format(requester=REQUESTER, principal="ann", target="warehouse"),),
        "prod",
        ("access",),
    ),
    "end, somebody else's": NotAllowed("end", (NOT_YOURS,)),
    "unknown at a target": PrincipalUnknown(
        "aws",
        "Countersign doesn't know which Identity Center user U0REQUESTER is. "
        "Ask a policy owner to add them to `people:` in the policy.",
    ),
    "a target can't say now": PrincipalUnavailable("aws", "AWS didn't answer"),
    "wrong code": CodeRefused("wrong", 3),
    "wrong code, one attempt left": CodeRefused("wrong", 1),
    "used code": CodeRefused("used", 5),
    "too many wrong codes": CodeRefused("blocked", 0),
    "too many calls of the API": ApiRefusal(rate_limited(5)),
    "access ended": AccessEnded("prod", LATER + HOUR),
    "nothing open": NothingOpen("prod", "Request it with `/access prod`."),
    "still opening": NothingOpen("prod", "Try again in a moment.", is_opening=True),
    "no credentials now": IssuerUnavailable("STS gave no answer: ReadTimeoutError", "Try again in a moment."),
    "token of no device": TokenRefused(),
    "device revoked": DeviceEnded(a_device(REQUESTER, NOW), DeviceStatus.REVOKED),
    "device expired": DeviceEnded(a_device(REQUESTER, NOW), DeviceStatus.EXPIRED),
    "wrong pairing code": PairingUnknown(4),
    "wrong pairing code, one attempt left": PairingUnknown(1),
    "pairing code is over": PairingExpired(),
    "pairing code was used": PairingExpired("was used already"),
    "pairing refused": PairingRefused(),
    "pairing waits": PairingWaiting(),
    "pairing asked for too often": PairingTooFast(),
    "limit: wrong pairing codes": LimitReached(WRONG_CODES, "5 in 15m", LATER + HOUR),
    "limit: open pairings": LimitReached(OPEN_PAIRINGS, "200", LATER),
    "limit: already open": LimitReached("live event", str(EVENT), LATER + HOUR),
    "limit: cooldown": LimitReached("cooldown", "30m", LATER + HOUR),
    "limit: quota per user": LimitReached("quota per user", "3 in 1d", LATER + HOUR),
    "limit: quota per profile": LimitReached("quota per profile", "10 in 1d", LATER + HOUR),
    "limit: open request": LimitReached(OPEN_REQUEST, REQUEST, LATER + HOUR),
    "limit: open requests": LimitReached(OPEN_REQUESTS, "3", LATER + HOUR),
    "limit: cooldown after a denial": LimitReached(COOLDOWN_AFTER_DENIAL, "15m", LATER + HOUR),
    "limit: wrong codes": LimitReached("wrong codes", "5 in 15m", LATER + HOUR),
    "already approved": _raised(lambda: records.approved_by_one().deny(APPROVER, LATER, "no")),
    "already denied": _raised(lambda: records.denied().approve(APPROVER, LATER)),
    "already cancelled": _raised(lambda: records.cancelled().approve(APPROVER, LATER)),
    "already expired": _raised(lambda: records.expired().approve(APPROVER, AFTER)),
    "deadline passed": _raised(lambda: records.pending().approve(APPROVER, AFTER)),
    "not expired yet": _raised(lambda: records.pending().expire(LATER)),
    "already closed": _raised(lambda: records.closed().close(APPROVER, LATER, "It is over")),
    "event expired": _raised(lambda: records.ended().close(APPROVER, AFTER, "It is over")),
    "event not expired yet": _raised(lambda: records.active().expire(LATER)),
    "review before the end": _raised(lambda: records.active().add_review(APPROVER, LATER, _VERDICT, "Ten letters")),
    "already reviewed": _raised(lambda: records.reviewed().add_review(APPROVER, AFTER, _VERDICT, "Ten letters")),
    "access ended by somebody": InvalidStateTransition(_CHAIN, ENDED, ENDED, decided_by=APPROVER, decided_at=NOW),
    "access ended by the clock": InvalidStateTransition(_CHAIN, ENDED, ENDED, decided_by="clock", decided_at=NOW),
    "access is over": InvalidStateTransition(_CHAIN, ENDED, ENDED, decided_at=NOW, reason=NO_TIME_LEFT),
    "access never opened": InvalidStateTransition(_CHAIN, "failed", ENDED, reason=NEVER_OPENED),
    "access that nobody opens": InvalidStateTransition(
        _CHAIN, "approved", ENDED, decided_by=APPROVER, decided_at=NOW, reason=DECISION_ONLY
    ),
    "no access yet": InvalidStateTransition(_CHAIN, "pending", ENDED, reason=NO_ACCESS),
    "not found": NotFound("00000000000000a1"),
    "request not found": RequestNotFound(REQUEST),
    "event not found": EventNotFound(EVENT),
    "grant not found": GrantNotFound("00000000000000a1"),
    "grant exists": GrantExists("00000000000000a1"),
    "device not found": DeviceNotFound("00000000000000a1"),
    "device exists": DeviceExists("00000000000000a1"),
    "session exists": SessionExists("00000000000000a1"),
    "no such session": SessionNotFound("00000000000000a1"),
    "exists": AlreadyExists(REQUEST),
    "newer record": NewerRecord(_CHAIN, "request"),
    "request exists": RequestExists(REQUEST),
    "event exists": EventExists(EVENT),
    "broken chain": BrokenChain(_CHAIN),
    "broken seal": BrokenSeal(_CHAIN, "its seal doesn't match its content"),
    "broken seal of a ledger": BrokenSeal("LEDGER#OPEN#U0RITA#prod", "its seal doesn't match its content"),
    "concurrent modification": ConcurrentModification(_CHAIN),
    "fixed fact changed": FixedFactChanged(_CHAIN, ("approver", "decided_at")),
    "malformed record": _malformed(),
    "store misconfigured": StoreMisconfigured("The table cs-requests is missing", "Run `countersign tables create`"),
    "store unavailable": StoreUnavailable(_UNAVAILABLE),
    "store unavailable, outcome unknown": StoreUnavailable(_UNAVAILABLE, is_outcome_unknown=True),
    "schedule unavailable": ScheduleUnavailable("PagerDuty answered 503"),
    "schedule refused": ScheduleRefused("PagerDuty has no schedule PABC123", "Copy its id from its address."),
    "delivery failed": DeliveryFailed("the webhook of hooks.example.com: 503", retry_after=timedelta(minutes=1)),
    "Slack failed": SlackFailed(f"{_CHAIN}: a reply", ERRORS["not_in_channel"]),
    "shared channel": SharedChannel("C0ACCESS1"),
    "Slack unreachable": SlackUnreachable("TimeoutError"),
    "too many lookups": TooManyLookups(),
    **{f"not taken: {each.name.lower()}": NotTaken(each) for each in TurnedAway},
    "settings": InvalidSettings([InvalidInput(name, "it is not set", "Set it.") for name in ("A_NAME", "ANOTHER")]),
    **TERMINAL_SAMPLES,
}


def errors() -> Iterator[Text]:
    """What the command line and a log say of each; then what Slack says."""
    said = {
        title: with_fixed_times(str(each)) if title in TERMINAL_SAMPLES else str(each)
        for title, each in SAMPLES.items()
    }
    yield from _together("Errors: in a terminal and in a log", said)
    in_slack = {title: each for title, each in SAMPLES.items() if title not in TERMINAL_SAMPLES}
    answers = {title: write_message(explain(each, AFTER)) for title, each in in_slack.items()}
    yield from _together("Slack: the answer to somebody whose click failed", answers)
    in_fields = {title: each for title, each in SAMPLES.items() if isinstance(each, _SHOWN_IN_FIELDS)}
    lines = {title: explain_in_field(each, REQUESTER) for title, each in in_fields.items()}
    yield from _together("Slack: the line under a field", lines)
    problems = {title: to_problem(each, AFTER) for title, each in SAMPLES.items()}
    problems |= {"no token": unauthorized(NO_TOKEN), "too large": too_large(), "overloaded": busy(), "a bug": broken()}
    written = {title: f"{each.status} {each.code}: {each.title}\n{each.detail}" for title, each in problems.items()}
    yield from _together("The API: its problems", written)
    for title, error in _policy_says_no().items():
        surface = "Slack: what the policy does not allow, to the person who tried"
        yield Text(surface, title, write_message(explain(error, NOW, INVOKER)))
        yield Text(surface, f"{title}, under a field", explain_in_field(error, INVOKER))
    fixes = {code: ERRORS[code].fix for code in sorted(ERRORS)}
    yield from _together("Slack's errors: how an operator fixes each", fixes)


def _together(surface: str, texts: dict[str, str]) -> Iterator[Text]:
    """Each text once, under the titles of all that read so."""
    titles: dict[str, list[str]] = {}
    for title, text in texts.items():
        titles.setdefault(text, []).append(title)
    return (Text(surface, " | ".join(same), text) for text, same in titles.items())


def _policy_says_no() -> dict[str, CountersignError]:
    invoker, requester, approver = map(records.person, (INVOKER, REQUESTER, APPROVER))

    def approve(who: Actor, *, profile: str = "prod", rule: str = "prod", requester: UserId = REQUESTER) -> None:
        POLICY.judge_decider("approve", who, profile=profile, rule=rule, requester=requester).require()

    def break_glass(who: Actor, profile: str) -> None:
        reason = ReasonCode.SECURITY
        POLICY.judge_break_glass(who, profile, reason, 3 * HOUR, NOW, has_mfa=False).require()

    acts: dict[str, Callable[[], object]] = {
        "request, not among the requesters": lambda: POLICY.judge_request(invoker, "prod", HOUR, NOW).require(),
        "request, too long": lambda: POLICY.judge_request(requester, "prod", 5 * HOUR, NOW).require(),
        "request, starts later": lambda: POLICY.judge_request(requester, "prod", HOUR, NOW, LATER).require(),
        "request, no such profile": lambda: POLICY.judge_request(requester, "prd", HOUR, NOW).require(),
        "approve, not an approver": lambda: approve(invoker),
        "approve, one's own": lambda: approve(approver, requester=APPROVER),
        "approve, the rule is gone": lambda: approve(approver, rule="old"),
        "approve, the profile is gone": lambda: approve(approver, profile="old"),
        "approve, the rule covers it no more": lambda: approve(approver, profile=STAGING),
        "approve, outside of the hours": lambda: judge(policy(HOURS), ANN, timedelta(), since=NIGHT).require(),
        "approve, outside of the hours, after a step": lambda: judge(
            policy(f"{HOURS}, {TWO_STEPS}"), ANN, HOUR, since=NIGHT
        ).require(),
        "break glass, no rule": lambda: break_glass(requester, "vault"),
        "break glass, reason, duration and time": lambda: break_glass(invoker, "prod"),
        "break glass, no code": lambda: break_glass(invoker, "vault"),
        "close, another's": lambda: POLICY.judge_close(invoker, profile="prod", invoker=REQUESTER).require(),
        "review, one's own": lambda: POLICY.judge_review(invoker, profile="prod", invoker=INVOKER).require(),
        "cancel, another's": lambda: records.pending().cancel(INVOKER, NOW),
        "review, one's own event": lambda: records.ended().add_review(INVOKER, AFTER, _VERDICT, "Ten letters"),
    }
    return {title: _raised(each) for title, each in acts.items()}
