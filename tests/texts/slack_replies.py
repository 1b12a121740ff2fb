"""Slack: the reply to one person after an action: it is done, not known yet, or a line has a mistake.

Invariant: a sentence that a module has as a constant is found by looking, so that a new one can't be forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.interactions import interaction
from bot.interactions.commands.access import parse_access
from bot.interactions.commands.breakglass import parse_break_glass
from bot.interactions.commands.tokens import parse_once
from bot.slack import directory, membership
from bot.views import replies
from bot.views.access import choice
from bot.views.access.choice import RevokedAccess
from bot.views.break_glass import replies as break_glass_replies
from bot.views.break_glass.close_line import nothing_to_close, which_to_close
from bot.views.break_glass.list import BreakGlassListKind, EventRow
from bot.views.help import ALL_ABILITIES, Abilities, access_help, break_glass_help
from bot.views.pagination import one_of, read_page_button
from bot.views.replies import explain
from bot.views.request import replies as request_replies
from bot.views.request.waiting import WaitingTerms, closed_hours
from bot.views.too_long import is_about_duration, is_about_start, other_start, too_long
from core.errors import InvalidInput, LimitReached, NotAllowed, StoreMisconfigured, StoreUnavailable
from core.open_requests import OPEN_REQUEST
from core.policy.time_window import TimeWindow
from core.request import Request
from tests.builders import APPROVER, PROD
from tests.texts import records
from tests.texts.records import EVENT, LATER, MINUTE, NOW, REQUEST
from tests.texts.writing import Text, write_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from bot.views.block_kit import Message


def slack_replies() -> Iterator[Text]:
    """All of them."""
    for title, message in _outcomes():
        yield Text("Slack: the answer to an act", title, write_message(message))
    for module in (replies, request_replies, break_glass_replies, membership, directory):
        for name, sentence in sentences_of(module):
            yield Text("Slack: the answer where nothing was done", name.strip("_").lower().replace("_", " "), sentence)
    for title, read in _BUTTONS.items():
        yield Text("Slack: buttons that lead nowhere", title, _answer(parse_once(_call, read)))
    yield from _typed("/access", parse_access, _ACCESS)
    yield from _typed("/breakglass", parse_break_glass, _BREAK_GLASS)


def _about_open_access() -> Iterator[tuple[str, Message]]:
    ended = RevokedAccess(f"REQUEST#{REQUEST}", "prod")
    failed = RevokedAccess(
        f"BREAKGLASS#{EVENT}", "vault", "The store did not answer: TimeoutError. Nothing was changed."
    )
    yield "/access end, of another profile", choice.no_access_named("prod")
    yield "/access extend, nothing is open", choice.nothing_to_extend(None, "")
    yield "/access extend, not this profile", choice.nothing_to_extend("prod", "2h the migration takes longer")
    yield "/access revoke @person", choice.person_revoked(APPROVER, [ended])
    yield "/access revoke @person, some of it", choice.person_revoked(APPROVER, [ended, failed])
    yield "/access extend, of a profile that nobody may request", replies.reply(replies.not_requestable("prod"))
    more = "To name another one, add its profile or its id:\n`/access end prod`"
    events = [EventRow(records.active(), records.active().expires_at, may_close=True)] * 2
    yield (
        "/access end, more than one",
        choice.which_access("Which access are you done with?", [], events, LATER, more=more),
    )


def sentences_of(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The constants of a module that are sentences."""
    for name, value in vars(module).items():
        if isinstance(value, str) and value.count(" ") > 3 and not name.startswith("__"):
            yield name, value


def _outcomes() -> Iterator[tuple[str, Message]]:
    request: Request = records.pending()
    at_once = request.approve(APPROVER, LATER, None)
    yield "/access, pending", replies.submitted(request)
    yield "/access, pending, two votes", replies.submitted(records.pending(2))
    yield "/access, pending, may break the glass", replies.submitted(request, may_declare=True)
    hours = TimeWindow.model_validate({"days": ["sun"], "hours": "22:00-23:00", "timezone": "UTC"})
    shut = {
        "outside of the approver hours": WaitingTerms(hours=hours),
        "outside of the approver hours, somebody is on call": WaitingTerms(hours=hours, anytime="`on-call:primary`"),
    }
    for title, terms in shut.items():
        yield f"/access, pending, {title}", replies.submitted(request, hours=closed_hours(terms, request, NOW))
    later = records.scheduled()
    yield "/access, pending, starts later", replies.submitted(later)
    at_its_start = later.approve(APPROVER, LATER, None)
    yield (
        "/access, starts later, approved by the policy",
        replies.submitted(at_its_start.model_copy(update={"approver": "policy:prod"})),
    )
    yield "Approve, the last vote, starts later", request_replies.voted(at_its_start)
    open_until = LimitReached(OPEN_REQUEST, request.id, request.expires_at)
    link = "https://acme.slack.com/archives/C0ACCESS1/p1768449225000100"
    yield "/access, this is open already", replies.already_open(request.profile, open_until, link)
    yield "/access, this is open already, without a link", replies.already_open(request.profile, open_until, None)
    by_rule = at_once.model_copy(update={"approver": "policy:prod"})
    yield "/access, approved by the policy", replies.submitted(by_rule)
    yield from _about_lines()
    yield "Approve, the last vote", request_replies.voted(at_once)
    yield "Approve, one more is needed", request_replies.voted(records.half_approved())
    yield "Approve, an earlier vote lapsed", request_replies.voted(records.half_approved_again())
    yield "Approve, two more are needed", request_replies.voted(records.pending(2))
    at = records.half_approved().approvals[0].at
    yield "Approve, pressed again", request_replies.voted(records.half_approved(), APPROVER, at + MINUTE)
    yield "Approve, of the requester", request_replies.own_request(REQUEST)
    next_ = (
        "ask S0LEADS1, who may decide under rule prod too; who is on call in backup may decide once it has waited 10m"
    )
    yield "Approve, of the requester who is on call", request_replies.own_request(REQUEST, next_)
    yield "Deny", request_replies.denied(records.denied())
    yield "Cancel", replies.cancelled(records.cancelled())
    yield "/breakglass", break_glass_replies.declared(records.active())
    yield "/breakglass, once more after the end", break_glass_replies.declared(records.closed())
    yield "Close", break_glass_replies.closed(records.closed())
    yield "Review", break_glass_replies.review_recorded(records.reviewed())
    yield from _about_open_access()
    for title, error in {
        "outcome unknown": StoreUnavailable("TimeoutError", is_outcome_unknown=True),
        "unavailable": StoreUnavailable("TimeoutError"),
        "misconfigured": StoreMisconfigured("A table is missing", "Run `countersign tables create`"),
    }.items():
        yield f"/breakglass, the store is {title}", break_glass_replies.without_store(error, ())
    fallbacks = ("Runbook: https://wiki.example.com/break-glass", "Call +49 30 1234567")
    error = StoreUnavailable("TimeoutError")
    yield "/breakglass, no store, but a fallback", break_glass_replies.without_store(error, fallbacks)


def _about_lines() -> Iterator[tuple[str, Message]]:
    """Lines that ask for too long, or close without an id, and the help."""
    refusal = NotAllowed("submit", ("9h is longer than the 4h that are allowed",), "prod", ("duration",))
    words = (PROD, "4h", "deploy the fix for INC-12")
    assert is_about_duration(refusal)
    yield "/access, too long", too_long(refusal, "/access", *words, now=NOW, reader="")
    too_far = NotAllowed(
        "submit", ("rule prod allows a start up to 2d ahead, and this one is 3d ahead",), None, ("start",)
    )
    assert is_about_start(too_far)
    line = (PROD, "2h", "tomorrow 22:00", "deploy the fix for INC-12")
    yield "/access, starts too far ahead", other_start(too_far, "/access", *line, now=NOW, reader="")
    yield "/breakglass close, several are live", which_to_close((records.active(), records.active()), "")
    yield "/breakglass close, nothing is live", nothing_to_close(None)
    yield "/breakglass close prod, nothing is live", nothing_to_close(PROD)
    for title, can in {
        "everything": ALL_ABILITIES,
        "nothing": Abilities(may_request=False, may_decide=False, may_declare=False, is_admin=False),
        "requesting": Abilities(may_request=True, may_decide=False, may_declare=False, is_admin=False),
    }.items():
        yield f"/access help, for {title}", access_help(can)
        yield f"/breakglass help, for {title}", break_glass_help(can)


_BUTTONS: Final[dict[str, Callable[[], object]]] = {
    "a payload of nobody": lambda: interaction.read_interaction({}, {}),
    "a button without an id": lambda: interaction.read_pressed_id({"value": "nothing"}),
    "a page that no list has": lambda: read_page_button(
        BreakGlassListKind, "active:0", one_of("/breakglass active", "/breakglass reviews")
    ),
    "another's request": break_glass_replies.refuse_other_requester,
}


def _typed(command: str, parse: Callable[..., object], lines: tuple[object, ...]) -> Iterator[Text]:
    for line in lines:
        title = f"{command} {line}" if isinstance(line, str) else f"{command} (not text)"
        yield Text(f"Slack: mistakes in {command}", title[:120], _answer(parse_once(parse, line)))


def _call(read: object, _: object) -> object:
    assert callable(read)
    return read()


def _answer(mistake: object) -> str:
    assert isinstance(mistake, InvalidInput), mistake
    return write_message(explain(mistake, NOW))


_LONG: Final = "x" * 501
_TOO_LONG: Final = "x" * 3001
_ACCESS: Final[tuple[object, ...]] = (
    7,
    "mien",
    "mine first",
    f"prod {_TOO_LONG}",
    "live now",
    "revok 0123456789abcdef it is over",
    "end prod I am done",
    "end #ops",
    "extend prod 0h",
    f"extend prod {_LONG}",
    "revoke",
    "revoke 0123456789abcdef",
    "revoke <@U0ANN|ann>",
    "revoke @ann left the team",
    "revoke prod it is over",
)
_BREAK_GLASS: Final[tuple[object, ...]] = (
    7,
    "activ",
    "active now",
    "reviews -1",
    "close 00000000000000e",
    f"prod {_TOO_LONG}",
)
