"""Slack: access that takes effect, on cards, in threads, in direct messages, in lists and in the security channel.

Invariant: each state that reads differently is here, made from grants as the stores keep them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.views.access import alarms, notices
from bot.views.access.list import AccessListKind, AccessRow, access_list_page
from bot.views.access.replies import (
    access_ended,
    access_revoked,
    cannot_extend,
    nothing_to_end,
    nothing_to_revoke,
)
from bot.views.access.target_words import by_hand, find_way_in
from bot.views.break_glass import notices as break_glass_notices
from bot.views.break_glass import replies as break_glass_replies
from bot.views.break_glass.card import break_glass_card
from bot.views.break_glass.list import BreakGlassListKind, EventRow, event_list_page
from bot.views.replies import submitted
from bot.views.request import notices as request_notices
from bot.views.request.card import request_card
from bot.views.request.list import ListKind, RequestRow, list_page
from bot.views.request.replies import voted
from core.access.grant import Grant
from core.access.right import Right
from core.access.summary import AccessSummary, summarize
from core.actor import CLOCK, DeciderId
from core.policy.target_config import AwsRoleConfig, IdentityCenterConfig
from tests.builders import APPROVER, HOUR, INVOKER, PROD, REQUESTER, REVIEWER
from tests.texts import records
from tests.texts.records import LATER, MINUTE, NOW, PLACE
from tests.texts.writing import Text, write_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from bot.views.block_kit import Message
    from core.request import Request

_INSTANCE: Final = "ssoins-0123456789abcdef"
_USER: Final = "90676a1b2c-11111111-2222-3333-4444-555555555555"
_GROUP: Final = "90676a1b2c-99999999-2222-3333-4444-555555555555"
_CENTER: Final = IdentityCenterConfig(
    type="identity-center",
    region="eu-west-1",
    instance=f"arn:aws:sso:::instance/{_INSTANCE}",
    identity_store="d-1234567890",
    portal="https://d-1234567890.awsapps.com/start",
)
_TARGETS: Final = {"aws": _CENTER}
_LEVEL: Final = f"arn:aws:sso:::permissionSet/{_INSTANCE}/ps-0123456789abcdef"
_ASSIGNMENT: Final = Right(target="aws", resource="111122223333", level=_LEVEL, principal=_USER)
_OTHER: Final = Right(target="aws", resource="444455556666", level=_LEVEL, principal=_USER)
_MEMBER: Final = Right(target="aws", resource=_GROUP, level="member", principal=_USER)
_READERS: Final = Right(target="warehouse", resource="main", level="readers", principal="ann")
_REFUSAL: Final = "The account 111122223333 is suspended"
_END: Final = LATER + HOUR
_FALLBACKS: Final = ("Call the duty manager: +49 30 123456.",)


def slack_access() -> Iterator[Text]:
    """All of them."""
    yield from _on("Slack: the card of a request with access", _request_cards())
    yield from _on("Slack: the card of a break-glass event with access", _event_cards())
    yield from _on("Slack: what becomes of access, in the thread and to the grantee", _notices())
    yield from _on("Slack: access, in the security channel", _alarms())
    yield from _on("Slack: the list of access", _lists())
    yield from _on("Slack: the answer about access", _replies())


def _on(surface: str, messages: Iterator[tuple[str, Message]]) -> Iterator[Text]:
    return (Text(surface, title, write_message(message)) for title, message in messages)


def _grant(right: Right = _ASSIGNMENT, source: str = "") -> Grant:
    return Grant.make(
        grantee=INVOKER if source else REQUESTER,
        profile=PROD,
        right=right,
        source=source or f"REQUEST#{records.REQUEST}",
        decided_by=DeciderId(INVOKER if source else APPROVER),
        justification="Deploy the fix",
        starts_at=LATER,
        ends_at=_END,
        now=LATER,
    )


def _revoked(by: str = APPROVER) -> Grant:
    return _grant().open(LATER).end_early(DeciderId(by), LATER + 20 * MINUTE, "The incident is over")


def _cancelled() -> Grant:
    return _grant().end_early(DeciderId(APPROVER), NOW, "The window is moved")


def _access(grants: Sequence[Grant], at: datetime) -> AccessSummary:
    access = summarize(grants, at)
    assert access is not None
    return access


def _states() -> Mapping[str, AccessSummary]:
    soon, mid = LATER + MINUTE, LATER + 20 * MINUTE
    opened, other = _grant().open(LATER), _grant(_OTHER)
    refused = other.fail(soon, _REFUSAL)
    stood = _grant().open(LATER, stood_before=True)
    return {
        "scheduled": _access([_grant()], NOW),
        "scheduled, cancelled by the person": _access([_grant().end_early(DeciderId(REQUESTER), NOW, "Done")], NOW),
        "scheduled, cancelled by an approver": _access([_cancelled()], NOW),
        "scheduled, was cancelled": _access([_cancelled().close(NOW)], NOW),
        "opening": _access([_grant()], soon),
        "opening, takes long": _access([_grant().tell_delay(soon)], soon),
        "opening, one of two is open": _access([opened, other], soon),
        "open": _access([opened], soon),
        "open in two accounts": _access([opened, other.open(soon)], soon),
        "open, a group": _access([_grant(_MEMBER).open(LATER)], soon),
        "partly open": _access([opened, refused], soon),
        "open, and was there before": _access([stood], soon),
        "could not be opened": _access([_grant().fail(soon, _REFUSAL)], soon),
        "closing, its time passed": _access([opened.expire(_END)], _END),
        "closing, overdue": _access([opened.expire(_END)], _END + 5 * MINUTE),
        "closing, ended by an approver": _access([_revoked()], mid),
        "closing, the person is done": _access([_revoked(REQUESTER)], mid),
        "closing, the person left": _access([_revoked(CLOCK)], mid),
        "closed, with residue": _access([_revoked().close(mid, residual_until=mid + HOUR)], mid),
        "closed": _access([opened.expire(_END).close(_END)], _END),
        "closed, and stays": _access([stood.expire(_END).close(_END, is_kept=True)], _END),
        "closed, kept for other access": _access([opened.expire(_END).close(_END, is_kept=True)], _END),
        "closed, never open": _access([_grant().end_early(DeciderId(REQUESTER), soon, "I'm done").close(soon)], soon),
    }


def _emergencies() -> Mapping[str, AccessSummary]:
    chain, soon = f"BREAKGLASS#{records.EVENT}", LATER + MINUTE
    grant = _grant(source=chain)
    return {
        "opening, takes long": _access([grant.tell_delay(soon)], soon),
        "open": _access([grant.open(LATER)], soon),
        "could not be opened": _access([grant.fail(soon, _REFUSAL)], soon),
    }


def _approved() -> Request:
    return records.approved_by_one().replace(rights=(_ASSIGNMENT,))


def _request_cards() -> Iterator[tuple[str, Message]]:
    for title, access in _states().items():
        way_in = find_way_in(_TARGETS, access)
        yield title, request_card(_approved(), _now(access), access=access, way_in=way_in)
    yield "the state isn't known", request_card(_approved(), LATER)


def _event_cards() -> Iterator[tuple[str, Message]]:
    event = records.active(rights=(_ASSIGNMENT,))
    for title, access in _emergencies().items():
        way_in = find_way_in(_TARGETS, access)
        yield title, break_glass_card(event, LATER, access=access, way_in=way_in, fallbacks=_FALLBACKS)
    unknown = records.active(access_problem="aws: no user has the name ann")
    yield "the person is unknown", break_glass_card(unknown, LATER, fallbacks=_FALLBACKS)
    partly = unknown.replace(rights=(_ASSIGNMENT,))
    yield "unknown at one target", break_glass_card(partly, LATER, access=_emergencies()["open"])


def _notices() -> Iterator[tuple[str, Message]]:
    states, emergencies = _states(), _emergencies()
    for title in ("open", "partly open", "could not be opened"):
        yield f"{title}, in the thread", notices.settled(states[title], LATER)
    for title in ("open", "partly open", "open, and was there before"):
        way_in = find_way_in(_TARGETS, states[title])
        yield f"{title}, to the grantee", notices.opened_for_grantee(states[title], way_in, PLACE)
    role = AwsRoleConfig(type="aws-role", role="arn:aws:iam::111122223333:role/ops", region="eu-west-1")
    way_in = find_way_in({"aws": role}, states["open"])
    yield "open, a role, to the grantee", notices.opened_for_grantee(states["open"], way_in, PLACE)
    yield "could not be opened, to the grantee", notices.failed_for_grantee(states["could not be opened"], PLACE)
    failed = emergencies["could not be opened"]
    yield "could not be opened, an emergency", notices.failed_for_grantee(failed, PLACE, _FALLBACKS)
    yield "could not be opened, an emergency without fallback", notices.failed_for_grantee(failed, PLACE)
    for title in ("could not be opened", "partly open"):
        yield f"{title}, to those who approved", notices.failed_for_approver(states[title], PLACE)
    delayed, urgent = states["opening, takes long"], emergencies["opening, takes long"]
    yield "takes long, in the thread", notices.delayed(delayed, "no answer from AWS")
    yield "takes long, to the grantee", notices.delayed_for_grantee(delayed, None, PLACE)
    yield "takes long, an emergency", notices.delayed_for_grantee(urgent, "no answer", PLACE, _FALLBACKS)
    for title in ("closing, ended by an approver", "closing, the person is done", "closing, the person left"):
        yield f"{title}, in the thread", notices.ended_early(states[title])
    for title in ("closing, ended by an approver", "closed, with residue"):
        yield f"{title}, to the grantee", notices.ended_early_for_grantee(states[title], LATER, PLACE)
    for title in ("closed", "closed, with residue", "closed, kept for other access"):
        yield f"{title}, in the thread", notices.closed(states[title], LATER)
    for title in ("closed, with residue", "closed, and stays"):
        yield f"{title}, to the grantee", notices.closed_for_grantee(states[title], LATER, PLACE)
    yield "soon over", notices.ending_soon(states["open"], PLACE)
    yield "approved, in the thread", request_notices.ended(_approved(), states["opening"])
    yield "approved, to the requester", request_notices.outcome(_approved(), PLACE, states["opening"])
    closed = records.closed(REVIEWER)
    for title in ("closing, its time passed", "closed", "closed, and stays", "closed, never open"):
        yield f"an event is closed: {title}", break_glass_notices.ended(closed, states[title])
    yield "an event expired", break_glass_notices.ended(records.ended(), states["closing, its time passed"])
    unknown = records.active(access_problem="aws: no user has the name ann")
    yield "the person is unknown", break_glass_notices.access_problem(unknown, _FALLBACKS, PLACE)


def _alarms() -> Iterator[tuple[str, Message]]:
    states = _states()
    access = states["closing, overdue"]
    for title, rights in {"an assignment": (_ASSIGNMENT,), "a group and a webhook": (_MEMBER, _READERS)}.items():
        hands = [by_hand(_TARGETS, right) for right in rights]
        failed = alarms.FailedRevoke(access, hands, _END, 3, "no answer from AWS")
        yield f"can't be removed: {title}", alarms.revoke_failing(failed, PLACE)
    later = alarms.FailedRevoke(access, [by_hand(_TARGETS, _ASSIGNMENT)], _END)
    yield "can't be removed: the target says later", alarms.revoke_failing(later, PLACE)
    yield "can't be removed, in the thread", alarms.revoke_failing_in_thread(later)
    for title in ("closed, with residue", "closed, and stays"):
        yield f"removed at last: {title}", alarms.removed_at_last(states[title], LATER, PLACE)
    yield "removed by hand", alarms.removed_elsewhere(states["open"], _ASSIGNMENT, LATER, PLACE)
    yield "left alone", alarms.left_alone(states["closed"], _ASSIGNMENT, LATER, PLACE)
    yield "came back", alarms.came_back(states["closed"], _ASSIGNMENT, LATER, PLACE)
    for is_removed in (True, False):
        yield "changed by hand, in the thread", alarms.drift_in_thread(_ASSIGNMENT, is_removed=is_removed)


def _lists() -> Iterator[tuple[str, Message]]:
    rows = [
        AccessRow(access, may_end=index % 2 == 0, may_revoke=True) for index, access in enumerate(_states().values())
    ]
    for start in range(0, len(rows), 8):
        page = start // 8 + 1
        yield (
            f"page {page}",
            access_list_page(
                AccessListKind.LIVE, rows[start : start + 8], page=page, has_more=start + 8 < len(rows), now=LATER
            ),
        )
    yield (
        "an emergency",
        access_list_page(AccessListKind.LIVE, [AccessRow(_emergencies()["open"])], page=1, has_more=False, now=LATER),
    )
    for page in (1, 2):
        yield f"nothing on page {page}", access_list_page(AccessListKind.LIVE, [], page=page, has_more=False, now=LATER)
    mine = RequestRow(_approved(), may_cancel=True, access=_states()["open"])
    yield "/access mine", list_page(ListKind.MINE, [mine], page=1, has_more=False, now=LATER)
    event = EventRow(records.active(), _END, may_close=True, access=_emergencies()["open"])
    yield "/breakglass active", event_list_page(BreakGlassListKind.ACTIVE, [event], page=1, has_more=False, now=LATER)


def _replies() -> Iterator[tuple[str, Message]]:
    states = _states()
    yield "I'm done", access_ended(states["closing, the person is done"])
    yield "I'm done, and it is gone", access_ended(states["closed"])
    yield "revoked", access_revoked([states["closing, ended by an approver"]], REQUESTER)
    yield "revoked, several", access_revoked([states["closing, ended by an approver"]] * 2, REQUESTER)
    yield "Cancel access, before it opens", access_ended(states["scheduled, cancelled by the person"])
    yield "revoked, before it opens", access_revoked([states["scheduled, cancelled by an approver"]], REQUESTER)
    yield "extend: it opens later", cannot_extend(states["scheduled"])
    yield "nothing to end", nothing_to_end()
    yield "nothing to revoke", nothing_to_revoke(REQUESTER)
    yield "extend: it is over", cannot_extend(states["closed"])
    yield "extend: break-glass", cannot_extend(_emergencies()["open"])
    yield "Approve, the last vote", voted(_approved())
    yield "/access, approved by the policy", submitted(_approved().model_copy(update={"approver": "policy:prod"}))
    event = records.active(rights=(_ASSIGNMENT,))
    yield "/breakglass", break_glass_replies.declared(event)
    unknown = records.active(access_problem="aws: no user has the name ann")
    yield "/breakglass, the person is unknown", break_glass_replies.declared(unknown, _FALLBACKS)
    yield "Close", break_glass_replies.closed(records.closed().replace(rights=(_ASSIGNMENT,)))


def _now(access: AccessSummary) -> datetime:
    return access.closed_at or LATER + 20 * MINUTE
