"""Slack: forms, the errors under their fields, and the notices shown instead of them.

Invariant: each form is drawn from offers and records of the snapshot, and read back with a mistake in every field.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bot.views.break_glass import follow_up_forms
from bot.views.break_glass.form import (
    BegunBreakGlass,
    BreakGlassDraft,
    BreakGlassOffer,
    Origin,
    begun_by,
    break_glass_form,
    fields_of,
    read_begun_break_glass,
    read_break_glass_form,
)
from bot.views.inputs import fill_in, fits_menu
from bot.views.replies import explain_in_field, notice, reply
from bot.views.request import decision_forms
from bot.views.request.form import BegunRequest, Offer, read_begun_form, read_request_form, request_form
from bot.views.request.form import fields_of as request_fields_of
from core.actor import ProfileName
from core.break_glass import ReasonCode
from core.errors import InvalidInput
from core.policy.decision import ApprovalNeeds
from core.review import Verdict
from tests.builders import HOUR, PROD, STAGING
from tests.texts import records
from tests.texts.records import CHANNEL, REQUEST
from tests.texts.writing import Text, write_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PEOPLE: Final = tuple(f"U0PERSON{number}" for number in range(1, 8))
_OFFERS: Final = (
    Offer(PROD, "Production account", 4 * HOUR, 2, ("S0SRE", "ann@example.com")),
    Offer(STAGING, "", HOUR, 1, _PEOPLE),
)
_MANY: Final = tuple(Offer(ProfileName(f"team-{number}"), "", HOUR, 1, ("S0SRE",)) for number in range(101))
_EMERGENCIES: Final = (
    BreakGlassOffer(PROD, "Production account", tuple(ReasonCode), 2 * HOUR, needs_code=True),
    BreakGlassOffer(STAGING, "", (ReasonCode.INCIDENT,), HOUR, needs_code=False),
)
_ALL_NEEDS: Final = ApprovalNeeds(confirm=True, code=True, comment=True)


def slack_forms() -> Iterator[Text]:
    """All forms."""
    surface = "Slack: forms"
    for title, view in _forms().items():
        yield Text(surface, title, write_view(view))
    _read_begun()
    filled_in = _answers(profile="prod", duration="1h", justification="Deploy the fix for INC-12")
    assert read_request_form(filled_in["state"]["values"]).profiles == (PROD,)
    surface = "Slack: forms that are sent without what they need, under the field"
    for title, read in _MISTAKES.items():
        try:
            read()
        except InvalidInput as error:
            yield Text(surface, title, f"{error.field}: {explain_in_field(error)}")
        else:
            raise AssertionError(f"{title} was taken")


def _read_begun() -> None:
    """What somebody has chosen so far is read back, to draw the form again."""
    view = _answers(profile=PROD, duration="1h", justification="It is down", reason="incident")
    assert read_begun_form(view) == BegunRequest((PROD,), HOUR, "It is down", is_redrawn=True)
    assert request_fields_of(view) == ("profile", "duration", "justification")
    draft = BreakGlassDraft(PROD, ReasonCode.INCIDENT, HOUR, "It is down")
    begun, origin = read_begun_break_glass(view)
    assert (begun, origin) == (replace(begun_by(draft), is_redrawn=True), Origin())
    assert fits_menu(records.NOW)


def _forms() -> dict[str, Any]:
    typed = BegunBreakGlass(PROD, ReasonCode.SECURITY, HOUR, "Somebody uses the old deploy key")
    return {
        "request access": request_form(_OFFERS),
        "request access, to extend it": request_form(
            _OFFERS[:1], BegunRequest((PROD,), extended=records.pending(), until=records.pending().expires_at)
        ),
        "request access, to extend it, with other words": request_form(
            _OFFERS[:1], BegunRequest((PROD,), 2 * HOUR, "The migration takes longer", extended=records.pending())
        ),
        "request access, with what was typed": request_form(
            _OFFERS, BegunRequest((PROD, "vault"), 9 * HOUR, "Deploy the fix", unread=("0h", "prdo"))
        ),
        "request access, two profiles chosen": request_form(
            _OFFERS, BegunRequest((PROD, STAGING), HOUR, "Deploy the fix", "U0PERSON1", is_redrawn=True)
        ),
        "request access, which may start later": request_form(
            [replace(_OFFERS[0], starts_within=48 * HOUR)], BegunRequest((PROD,), starts=records.NOW + 24 * HOUR)
        ),
        "request access, which can't start later": request_form(
            _OFFERS, BegunRequest((PROD,), HOUR, "at 22:00 it fails", starts=records.NOW + 24 * HOUR)
        ),
        "request access, with a ticket": request_form(
            [replace(_OFFERS[0], ticket="INC-123")], BegunRequest((PROD,), HOUR, "Deploy the fix", ticket="INC-12")
        ),
        "request access, of more than a hundred": request_form(_MANY),
        "break the glass, another profile typed": break_glass_form(
            _EMERGENCIES, Origin(CHANNEL), begun=BegunBreakGlass("vault", None, 9 * HOUR, "It is down", ("incidnt",))
        ),
        "approve with a comment": decision_forms.approve_form(records.pending(), ApprovalNeeds()),
        "approve, with everything a rule can want": decision_forms.approve_form(records.half_approved(), _ALL_NEEDS),
        "deny": decision_forms.deny_form(records.pending()),
        "break the glass": break_glass_form(_EMERGENCIES, Origin(CHANNEL)),
        "break the glass, with what was typed": break_glass_form(_EMERGENCIES[:1], Origin(CHANNEL), begun=typed),
        "break the glass, not later": break_glass_form(
            _EMERGENCIES[:1], Origin(CHANNEL), begun=BegunBreakGlass(PROD, justification="tomorrow 22:00 it expires")
        ),
        "break the glass, in the place of a request": break_glass_form(
            _EMERGENCIES[:1], Origin(instead_of=REQUEST), replaced=records.pending()
        ),
        "close": follow_up_forms.close_form(records.active()),
        "close, begun": fill_in(follow_up_forms.close_form(records.active()), "reason", "The replica took over"),
        "review": follow_up_forms.review_form(records.closed()),
        "a notice in the place of a form": notice(reply("Denied.")),
    }


def _answers(**values: str) -> dict[str, Any]:
    """What Slack sends for a form that was filled in."""
    chosen = {name: {"answer": {"selected_option": {"value": value}, "value": value}} for name, value in values.items()}
    return {"state": {"values": chosen}, "private_metadata": "{}"}


def _read_emergency(**values: str) -> object:
    view = _answers(**values)
    assert "profile" in fields_of(view)
    return read_break_glass_form(view)


def _read_approval(metadata: str) -> object:
    view = _answers(comment="Go ahead", code="123456") | {"private_metadata": metadata}
    assert "code" in decision_forms.fields_of(view)
    return decision_forms.read_approve_form(view)


_NO_MOMENT: Final = {"starts_at": {"answer": {"selected_date_time": "soon"}}}
_MISTAKES: Final[dict[str, Callable[[], object]]] = {
    "request access, no profile": lambda: read_request_form(_answers()["state"]["values"]),
    "request access, no duration": lambda: read_request_form(_answers(profile="prod")["state"]["values"]),
    "request access, no time to start": lambda: read_request_form(
        {**_answers(profile="prod", duration="1h")["state"]["values"], **_NO_MOMENT}
    ),
    "break the glass, no profile": _read_emergency,
    "break the glass, no reason": lambda: _read_emergency(profile="prod"),
    "break the glass, no duration": lambda: _read_emergency(profile="prod", reason="incident"),
    "review, no verdict": lambda: follow_up_forms.read_review_form(_answers()),
    "review of nothing": lambda: follow_up_forms.read_review_form(
        _answers(verdict=Verdict.JUSTIFIED, notes="The runbook left no other way")
    ),
    "close of nothing": lambda: follow_up_forms.read_close_form(_answers(reason="It is over")),
    "denial of nothing": lambda: decision_forms.read_deny_form(_answers(reason="not today")),
    "approval of nothing": lambda: _read_approval(""),
    "approval of what wasn't shown": lambda: _read_approval(f"{REQUEST}:shown"),
}
