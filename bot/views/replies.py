"""Replies to one person: what happened, whether anything changed, and what to do next.

Invariant: each answer is true of the record at the moment it was read, names who decided and when, and blames nobody.
"""

from __future__ import annotations

import re
from datetime import datetime

from bot.slack.app_surface import ACCESS
from bot.views.block_kit import (
    Block,
    Message,
    actions,
    button,
    code,
    escape,
    label,
    length,
    mention,
    moment,
    mrkdwn,
    relative_time,
    with_own_times,
)
from bot.views.request.card import DECLARE_INSTEAD, cancel_button_for
from bot.views.request.window import needed_by, starting, window
from core import mfa
from core.access.grant_status import GrantStatus
from core.access.pairing_bounds import WRONG_CODES
from core.errors import (
    BrokenChain,
    BrokenSeal,
    CodeRefused,
    CountersignError,
    InvalidInput,
    InvalidStateTransition,
    LimitReached,
    MalformedRecord,
    NotAllowed,
    NotFound,
    NotKnown,
    StoreUnavailable,
)
from core.open_requests import COOLDOWN_AFTER_DENIAL, OPEN_REQUEST, OPEN_REQUESTS
from core.record import NewerRecord
from core.request import Request, RequestStatus
from core.services.vote import ApprovalFormNeeded
from core.usage import LIVE_EVENT

_UNCHANGED = "Nothing was changed."
_UNUSABLE = (
    f"Countersign can't use its store. {_UNCHANGED} Trying again won't help: tell the people who run Countersign."
)
FORM = "form"
"""The condition that the approver saw the request as it is recorded: no field can fix what is wrong with it."""
_ID = re.compile(r"\b[UWS](?=[A-Z]*[0-9])[A-Z0-9]{4,31}\b")
"""How Slack's ids look in a policy's sentence. A profile that looks like one is shown as a name that Slack lacks."""
NOT_RECORDED_YET = "This isn't recorded yet: the store is slow. You'll get the outcome as soon as it's known."
BROKEN = (
    "Something went wrong in Countersign, and it's not known whether this was recorded. Check the card before you try "
    "again."
)
FORM_NOT_YET = "The form isn't ready yet: the store is slow. Nothing was changed. If it doesn't open soon, try again."
NO_FORM = "The form didn't open because Slack was slow. Nothing was changed. Try again."
NOTHING_TO_REQUEST = "There are no profiles you can request: no policy rule covers you. Ask a policy owner to add you."
OUT_OF_DATE = "This comes from another version of Countersign. Nothing was changed. Use the newest message."
REPLIES_LEFT_OUT = "Slack is slow, so some replies to you were left out. The cards show what was recorded."
OVERLOADED = "Countersign is overloaded. Nothing was recorded; try again in a moment."
_CANCEL_FIRST = f"To change it, cancel it first: press Cancel in the list.\n`{ACCESS} mine`"
_LIMITS = {
    "cooldown": "This profile is in its cooldown ({value})",
    "quota per user": "You've used up your quota ({value})",
    "quota per profile": "The quota of this profile is used up ({value})",
    OPEN_REQUESTS: "You have {value} open requests for this profile, which is the limit; cancel one you don't need",
    COOLDOWN_AFTER_DENIAL: "Your last request for this profile was denied, so you have to wait ({value})",
    mfa.LIMIT: "Too many wrong codes ({value})",
    WRONG_CODES: "Too many wrong codes ({value})",
}
"""What each limit means to the person whom it stops."""
_MEANINGS: dict[str, str] = {
    RequestStatus.EXPIRED: "expired",
    GrantStatus.ENDING: "was already ended",
    GrantStatus.FAILED: "could not be opened",
}
"""What a status means to the person who comes too late; the others read as they are."""


def notice(message: Message) -> Block:
    """A modal view with a message, in place of the form that was sent."""
    return {
        "type": "modal",
        "title": label("Countersign", 24),
        "close": label("Close", 24),
        "blocks": list(message.blocks),
    }


def reply(text: str) -> Message:
    """A reply of one paragraph."""
    return Message(text=text, blocks=(mrkdwn(text),))


def explain(error: CountersignError, now: datetime, reader: str = "") -> Message:
    """What an error means to the person who clicked or sent the form: `reader`, who is addressed as "you"."""
    return reply(_sentence(error, now, reader))


def explain_in_field(error: CountersignError, reader: str = "") -> str:
    """The same for the line under a form's field, which Slack shows as it is: no mentions, no times of the reader's."""
    # Nor code: its backticks would be read as they are.
    return _field_sentence(error, reader).replace("`", "")


def cancelled(request: Request) -> Message:
    """What a cancellation came to."""
    return reply(f"Your request for {code(request.profile)} is cancelled.")


def not_requestable(profile: str) -> str:
    """There is no form for this profile, which was named."""
    return (
        f"You can't request {code(profile)}: no policy rule covers you for it. {_UNCHANGED} Ask a policy owner to add "
        "you."
    )


def submitted(request: Request, *, may_declare: bool = False, hours: str = "") -> Message:
    """What a request came to so far. `may_declare`: this person can break the glass for it, and gets the button.

    `hours` says that its approvers can't approve it yet.
    """
    done = f"You requested {code(request.profile)} for {length(request.duration)}{starting(request)}"
    if request.status is RequestStatus.APPROVED:
        by, when = mention(request.approver or ""), "now, " if request.starts_at is None else ""
        opens = f"the access opens {when}{window(request)}. You'll get a message as soon as it's open."
        has = opens if request.rights else f"you have access {window(request)}."
        return reply(f"{done}. It was approved immediately by {by}: {has}")
    needs = "one approval" if request.required_approvals == 1 else f"{request.required_approvals} approvals"
    until = f"{needed_by(request)}. {hours}" if hours else f"{needed_by(request)}."
    line = f"{done}. It needs {needs} {until} You'll be notified of the outcome."
    buttons = [cancel_button_for(request.id)]
    buttons += [button("Break the glass instead…", DECLARE_INSTEAD, request.id)] if may_declare else []
    return Message(text=line, blocks=(mrkdwn(line), actions(f"submitted:{request.id}", *buttons)))


def already_open(profile: str, reached: LimitReached, link: str | None) -> Message:
    """Nothing was requested: this person has that already. `link` is the address of its card, if it is known."""
    which = code(reached.value) if link is None else f"<{link}|{escape(reached.value)}>"
    line = f"You already have this request open: {which} for {code(profile)}, until {moment(reached.ends_at)}."
    return reply(f"{line} {_UNCHANGED} {_CANCEL_FIRST}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _to_reader(reason: str, reader: str) -> str:
    if not reader:
        return reason
    return reason.replace(f"{reader} is ", "you are ").replace(f"{reader} was ", "you were ").replace(reader, "you")


def with_people(reason: str, reader: str) -> str:
    """A policy's sentence in mrkdwn: people and user groups as Slack shows them, times in the reader's own zone."""
    named = _ID.sub(
        lambda found: f"<!subteam^{found[0]}>" if found[0][0] == "S" else f"<@{found[0]}>",
        escape(_to_reader(reason, reader)),
    )
    return with_own_times(named)


def _sentence(error: CountersignError, now: datetime, reader: str) -> str:
    match error:
        case InvalidStateTransition():
            text = _already(error, now)
        case NotKnown():
            reasons = "; ".join(with_people(each, reader) for each in error.reasons)
            text = f"{_capital(reasons)}. {_UNCHANGED}{_again(error)}"
        case NotAllowed():
            text = _not_allowed(error, reader)
        case ApprovalFormNeeded():
            text = f"Approving this takes a form. {_UNCHANGED} Press Approve again."
        case LimitReached():
            text = f"{_limit(error, moment(error.ends_at))}\n{_UNCHANGED}"
        case CodeRefused():
            text = f"{_code_refused(error)} {_UNCHANGED}"
        case NewerRecord():
            made = f"A newer version of Countersign made this {error.noun}."
            text = f"{made} {_UNCHANGED} Press again, or finish the upgrade."
        case NotFound():
            text = f"This record no longer exists. {_UNCHANGED}"
        case InvalidInput():
            # A line to copy never runs into our words.
            gap = "\n" if "\n" in error.fix else " "
            text = f"{escape(_capital(error.problem))}. {_UNCHANGED}{gap}{escape(error.fix)}"
        case _:
            text = _store_failed(error)
    return text


def _store_failed(error: CountersignError) -> str:
    match error:
        case StoreUnavailable():
            return _unavailable(error)
        case BrokenSeal() | BrokenChain():
            return _changed_in_store(error)
        case _:
            return _UNUSABLE


def _unavailable(error: StoreUnavailable) -> str:
    if error.is_outcome_unknown:
        return (
            "The store didn't answer, so it's not known whether this was recorded. Check the card before you try again."
        )
    return f"The store can't be reached. {_UNCHANGED} Try again in a minute."


def _changed_in_store(error: BrokenSeal | BrokenChain) -> str:
    if isinstance(error, BrokenSeal) and error.is_ledger:
        return (
            f"What the store has about your requests or codes was changed without Countersign. {_UNCHANGED} Tell your "
            "security team: you can try again once an operator has run `countersign ledgers rebuild`."
        )
    return (
        f"This record was changed in the store without Countersign, so nobody can decide on it. {_UNCHANGED} Tell your "
        "security team. If access is still needed, make a new request."
    )


def _not_allowed(error: NotAllowed, reader: str) -> str:
    if error.action == "cancel" and not error.unmet:
        return f"Only the person who requested this can cancel it. {_UNCHANGED} An approver can deny it."
    if FORM in error.unmet:
        return f"The request isn't what this form showed. {_UNCHANGED} Press Approve again to see it as it is now."
    return f"You can't do this: {'; '.join(with_people(each, reader) for each in error.reasons)}. {_UNCHANGED}"


def _field_sentence(error: CountersignError, reader: str) -> str:
    match error:
        case InvalidInput():
            return f"{_capital(error.problem)}. {error.fix}"
        case NotKnown():
            reasons = "; ".join(_to_reader(reason, reader) for reason in error.reasons)
            return f"{_capital(reasons)}.{_again(error)}"
        case NotAllowed():
            return f"{_capital('; '.join(_to_reader(reason, reader) for reason in error.reasons))}."
        case LimitReached():
            return _limit(error, f"{error.ends_at:%Y-%m-%d %H:%M} UTC")
        case CodeRefused():
            return _code_refused(error)
    return _store_failed_in_field(error)


def _store_failed_in_field(error: CountersignError) -> str:
    if isinstance(error, MalformedRecord):
        return _store_failed(error)
    return f"The store can't be reached. {_UNCHANGED} What you typed is still here: try again in a minute."


def _again(error: NotKnown) -> str:
    return "" if any("try again" in reason for reason in error.reasons) else " Try again in a minute."


def _limit(error: LimitReached, until: str) -> str:
    if error.limit == LIVE_EVENT:
        return f"You already have this access through break-glass event {code(error.value)} until {until}."
    if error.limit == OPEN_REQUEST:
        return f"You already have this request open: {code(error.value)}, until {until}. {_CANCEL_FIRST}"
    text = _LIMITS.get(error.limit, "Limit reached: {limit} ({value})").format(limit=error.limit, value=error.value)
    return f"{escape(text)}. You can try again after {until}."


def _code_refused(error: CodeRefused) -> str:
    if error.problem == "used":
        return "This code was already used. Wait until your app shows the next one."
    if error.problem == "blocked":
        return "Too many wrong codes within a week. Ask an operator to run `countersign mfa unlock` for you."
    return f"Wrong code; {error.tries_left} {'attempt' if error.tries_left == 1 else 'attempts'} left."


def _already(error: InvalidStateTransition, now: datetime) -> str:
    # For an approval that gave no access, who approved it isn't what people have to know.
    if error.reason is not None and (error.decided_by is None or error.status == RequestStatus.APPROVED):
        return f"This can't be done now: it's {escape(error.status)}, and {escape(error.reason)}. {_UNCHANGED}"
    by = f" by {mention(error.decided_by)}" if error.decided_by else ""
    when = f" {relative_time(error.decided_at, now)}" if error.decided_at else ""
    what = _MEANINGS.get(error.status, f"was already {escape(error.status)}")
    return f"This {what}{by}{when}. {_UNCHANGED}"
