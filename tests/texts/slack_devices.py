"""Slack: paired terminals, what services ask for, and where to find what was done in AWS.

Invariant: each function of these views is called here, in every state that reads differently.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bot.interactions.commands.access import parse_access
from bot.interactions.commands.devices import read_code
from bot.interactions.commands.tokens import parse_once
from bot.views.access.list import AccessListKind, AccessRow, access_list_page
from bot.views.access.notices import failed_for_approver, opened_for_grantee
from bot.views.devices import notices, replies
from bot.views.devices.list import device_page
from bot.views.devices.pairing import CODE, OWN, WHOSE, code_form, pair_form, read_code_form, read_pair_form
from bot.views.inputs import ANSWER
from bot.views.replies import explain, explain_in_field
from bot.views.request.card import request_card
from bot.views.request.list import ListKind, RequestRow, list_page
from bot.views.request.notices import outcome
from bot.views.timeline import request_timeline
from core.access.cloudtrail import find_by_role, find_by_user
from core.access.device import Device, DeviceId, DeviceStatus
from core.access.grant import Grant
from core.access.pairing import Pairing, PairingExpired, PairingRefused, PairingUnknown
from core.access.pairing_bounds import WRONG_CODES
from core.access.right import Right
from core.access.session import Session
from core.access.summary import summarize
from core.actor import DeciderId, ServiceName, UserId
from core.errors import InvalidInput, LimitReached
from core.services.activity import GrantActivity
from core.services.device_ending import EndedDevice
from core.services.timeline import RequestTimeline
from tests.builders import APPROVER, HOUR, PROD, REQUESTER
from tests.texts import records
from tests.texts.records import LATER, NOW, PLACE, REQUEST
from tests.texts.writing import Text, write_message, write_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.views.block_kit import Message
    from core.request import Request

_SERVICE: Final = ServiceName("ci-deploy")
_CODE: Final = "WDJB-MJHT"
_ROLE: Final = Right(
    target="prod-role", resource="arn:aws:iam::111122223333:role/prod-admin", level="assume", principal=REQUESTER
)


def slack_devices() -> Iterator[Text]:
    """All of them."""
    for title, body in (*_forms(), *_messages(), *_commands()):
        yield Text("Slack: terminals, services and AWS's trail", title, body)


def _device(status: DeviceStatus = DeviceStatus.ACTIVE, service: ServiceName | None = None) -> Device:
    is_over = status is DeviceStatus.REVOKED
    return Device(
        id=DeviceId("00000000000000d1"), owner=REQUESTER, name="anns-laptop", agent="countersign/1 (linux)",
        address="192.0.2.7", service=service, token_digest="0" * 64, status=status, confirmed_at=NOW, created_at=NOW,
        updated_at=NOW, expires_at=NOW + 12 * HOUR, revoked_by=DeciderId("U0ADA") if is_over else None,
        revoked_at=LATER if is_over else None, last_used_at=LATER if is_over else None,
    )  # fmt: skip


def _pairing(service: ServiceName | None = None) -> Pairing:
    return Pairing(
        owner="code#WDJBMJHT", code_digest="0" * 64, name="anns-laptop", agent="countersign/1 (linux)",
        address="192.0.2.7", service=service, asked_at=NOW, expires_at=NOW + timedelta(minutes=5),
    )  # fmt: skip


def _grant(service: ServiceName | None = None) -> Grant:
    return Grant.make(
        grantee=REQUESTER, profile=PROD, right=_ROLE, source=f"REQUEST#{REQUEST}", decided_by=DeciderId(APPROVER),
        justification="Deploy the fix for INC-12", starts_at=NOW, ends_at=NOW + 2 * HOUR, now=NOW,
    ).open(NOW).model_copy(update={"service": service})  # fmt: skip


def _session(service: ServiceName | None = None) -> Session:
    made = Session.make(_grant(), device=DeviceId("00000000000000d1"), device_name="anns-laptop", lease=HOUR, now=NOW)
    return made.model_copy(update={"service": service})


def _revoked() -> Session:
    return _session().revoke(UserId("U0ADA"), LATER, "the laptop is lost")


def _request(service: ServiceName | None = None) -> Request:
    known = {"service": service, "device": "runner-7" if service else "anns-laptop", "rights": (_ROLE,)}
    return records.pending().model_copy(update=known)


def _activity() -> tuple[GrantActivity, ...]:
    by_role = find_by_role(
        role=_ROLE.resource, source_identity=_session().source_identity, since=NOW, until=NOW + 2 * HOUR,
        access_key_id="ASIA0123456789ABCDEF",
    )  # fmt: skip
    by_user = find_by_user(
        user_name=None, account="111122223333", since=NOW, until=NOW + HOUR, user_id="u-1",
        identity_store="d-1234567890", region="eu-west-1",
    )  # fmt: skip
    unopened = _grant().model_copy(update={"opened_at": None})
    return (
        GrantActivity(_grant(), by_role), GrantActivity(_grant(), by_user), GrantActivity(_grant(), by_role),
        GrantActivity(_grant(), None), GrantActivity(unopened, None),
    )  # fmt: skip


def _forms() -> Iterator[tuple[str, str]]:
    yield "the form for a code", write_view(code_form())
    yield "the form to pair a terminal", write_view(pair_form(_pairing(), 12 * HOUR))
    yield "the form to pair a machine for a service", write_view(pair_form(_pairing(_SERVICE), HOUR))
    read_code_form({"state": {"values": {CODE: {ANSWER: {"value": _CODE}}}}})
    answered = {WHOSE: {ANSWER: {"selected_option": {"value": OWN}}}}
    read_pair_form({"private_metadata": _CODE, "state": {"values": answered}})
    try:
        read_pair_form({"state": {"values": {}}})
    except InvalidInput as error:
        yield "nothing was chosen", explain_in_field(error)


def _messages() -> Iterator[tuple[str, str]]:
    for title, message in _each_message():
        yield title, write_message(message)


def _each_message() -> Iterator[tuple[str, Message]]:
    yield "a new device, to its person", notices.new_device(_device())
    yield "a new device of a service", notices.new_device(_device(service=_SERVICE))
    yield "the same after it was ended", notices.new_device(_device(DeviceStatus.REVOKED))
    yield "a stranger's device, to the security channel", notices.disowned(_device(DeviceStatus.REVOKED))
    yield "an admin ended it, to its person", notices.ended_by_another(_device(DeviceStatus.REVOKED))
    yield "the first credentials, in the thread", notices.credentials_issued(_session())
    yield "the first credentials of a service", notices.credentials_issued(_session(_SERVICE))
    yield "credentials ended early, in the thread", notices.session_revoked(_revoked())
    yield "AWS can't be told, to the security channel", notices.deny_failing(_revoked(), "role: AccessDenied")
    yield "paired", replies.terminal_paired(_pairing())
    yield "paired for a service", replies.terminal_paired(_pairing(_SERVICE))
    yield "refused", replies.pairing_refused(_pairing())
    for refusal in (
        PairingUnknown(4), PairingUnknown(0), PairingExpired(), PairingExpired("was used already"), PairingRefused(),
    ):  # fmt: skip
        yield f"a code that can't be used: {refusal}", replies.explain_pairing(refusal)
    locked = LimitReached(WRONG_CODES, "5 in 15m", LATER)
    yield "pairing is locked", explain(locked, NOW)
    access = summarize([_grant()], LATER)
    assert access is not None
    done = EndedDevice(_device(), (_session(),), (_request(),), (access.source,), ("its requests: no answer",))
    yield "a device was ended", replies.device_ended(EndedDevice(_device()))
    yield "a stranger's device was ended", replies.device_disowned(done, [access], LATER, has_alarm=True)
    yield "no devices", device_page([], page=1, has_more=False, now=LATER)
    devices = [_device(), _device(service=_SERVICE)]
    yield "devices", device_page(devices, page=1, has_more=True, now=LATER)
    rows = [AccessRow(access, sessions=[_session(), _revoked(), _session(), _session()])]
    yield "live access with credentials", access_list_page(AccessListKind.LIVE, rows, page=1, has_more=False, now=LATER)
    yield from _of_services()
    steps = RequestTimeline(_request(), (), (), {}, _activity())
    yield "the timeline of a request, with AWS's queries", request_timeline(steps)


def _of_services() -> Iterator[tuple[str, Message]]:
    yield "a request from a terminal", request_card(_request(), NOW)
    request = _request(_SERVICE)
    yield "a service's request", request_card(request, NOW)
    unopened = request.model_copy(update={"rights": ()})
    yield "a service's request that opens nothing", request_card(unopened, NOW)
    yield (
        "in a list",
        list_page(ListKind.PENDING, [RequestRow(request, may_decide=True)], page=1, has_more=False, now=NOW),
    )
    expired = request.expire(request.expires_at)
    yield "a service's request expired, to its owner", outcome(expired, PLACE)
    access = summarize([_grant(_SERVICE)], LATER)
    assert access is not None
    yield "a service's access is open, to its owner", opened_for_grantee(access, None, PLACE)
    yield "a service's access failed, to its approver", failed_for_approver(access, PLACE)


def _commands() -> Iterator[tuple[str, str]]:
    assert read_code("wdjb mjht") == _CODE
    for text in ("pair 12345678", "pair", f"pair {_CODE}", "devices x", "devices"):
        read = parse_once(parse_access, text)
        yield f"/access {text}", str(explain(read, NOW).text) if isinstance(read, InvalidInput) else repr(read)
