"""The menus of both forms: any number of profiles is found, and what is chosen draws the rest of the form again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from bot.observability.metrics import Transport
from core.break_glass import EventStatus
from core.request import RequestStatus
from tests.end_to_end.harness import ACCESS, AIKO, EMERGENCY, JON, MIRA, SAM, WHY, Harness, said, text_of, walk_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.stores.base import Stores
    from localslack.records import View
    from tests.harness.clock import FrozenClock

MANY: Final = "\n".join(
    f"  team-{number}: {{channel: {ACCESS}, description: Team no. {number}}}" for number in range(150)
)
POLICY: Final = f"""\
version: 1
groups: {{leads: [{JON}, {AIKO}]}}
profiles:
  prod: {{channel: {ACCESS}, description: The whole shop}}
  vault: {{channel: {ACCESS}, description: Secrets of the shop}}
{MANY}
approval:
  - {{name: vault, profiles: [vault], requesters: [{SAM}], approvers: [group:leads], max_duration: 1h}}
  - {{name: prod, profiles: [prod], approvers: [group:leads], max_duration: 3h}}
  - {{name: teams, profiles: ["team-*"], approvers: [group:leads], max_duration: 45m}}
break_glass:
  - {{name: prod, profiles: [prod], users: [{SAM}], allowed_reason_codes: [incident], max_duration: 2h}}
  - {{name: vault, profiles: [vault], users: [{SAM}], max_duration: 20m}}
""".encode()


@pytest.fixture(params=list(Transport))
def on_each_transport(request: pytest.FixtureRequest, stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock, transport=request.param, policy=POLICY) as harness:
        yield harness


@pytest.fixture
def many(stores: Stores, clock: FrozenClock) -> Iterator[Harness]:
    with Harness(stores, clock, policy=POLICY) as harness:
        yield harness


def element(view: View, block_id: str) -> dict[str, object]:
    return next(block["element"] for block in view.blocks if block["block_id"] == block_id)


def lengths(view: View) -> list[str]:
    options = element(view, "duration")["options"]
    assert isinstance(options, list)
    return [option["value"] for option in options]


def last_reply(harness: Harness, user: str) -> str:
    return text_of(harness.slack.wait_until(lambda: harness.slack.ephemerals(user))[-1])


def redrawn(harness: Harness, user: str, before: View) -> View:
    def look() -> View | None:
        view = harness.slack.modal(user)
        return view if view is not None and view.hash != before.hash else None

    view = harness.slack.wait_until(look)
    assert view is not None
    return view


def test_profile_beyond_the_first_hundred_is_found_and_requested(on_each_transport: Harness) -> None:
    harness, slack = on_each_transport, on_each_transport.slack
    harness.access(MIRA, "")
    form = harness.modal(MIRA)

    assert len(slack.search(MIRA, form, "request:profile").options) == 100
    found = slack.search(MIRA, form, "request:profile", "no. 149")
    assert [option["value"] for option in found.options] == ["team-149"]
    slack.press(MIRA, form, "request:profile", ["team-149"], typed={"justification": {"answer": WHY}})
    form = redrawn(harness, MIRA, form)
    assert lengths(form) == ["15m", "30m", "45m"]
    assert slack.submit(MIRA, form).errors == {}

    (request,) = harness.stores.requests.iterate()
    assert (request.profile, request.duration.seconds, request.justification) == ("team-149", 45 * 60, WHY)


def test_search_finds_only_what_this_person_may_request(many: Harness) -> None:
    found = {}
    for user in (MIRA, SAM):
        many.access(user, "")
        answer = many.slack.search(user, many.modal(user), "request:profile", "shop")
        found[user] = [option["value"] for option in answer.options]

    assert found == {MIRA: ["prod"], SAM: ["prod", "vault"]}


def test_several_profiles_are_requested_for_the_time_all_allow(many: Harness) -> None:
    many.access(MIRA, f"prod team-7 2h {WHY}")
    form = many.modal(MIRA)

    assert lengths(form)[-1] == "45m"
    assert "You asked for 2h. The longest here is 45m." in walk_text(form.content)
    many.slack.submit(MIRA, form)

    requests = list(many.stores.requests.iterate())
    assert sorted(request.profile for request in requests) == ["prod", "team-7"]
    assert len({request.bundle for request in requests}) == 1
    assert "You requested 2 profiles. Each is decided separately:" in last_reply(many, MIRA)


def test_request_for_somebody_else_waits_for_them(many: Harness) -> None:
    many.access(SAM, f"prod {WHY}")
    many.slack.submit(SAM, many.modal(SAM), {"on_behalf_of": {"answer": MIRA}})

    (request,) = many.stores.requests.iterate()
    assert (request.requester, request.asked_by, request.status) == (MIRA, SAM, RequestStatus.PENDING)
    assert "confirm" in last_reply(many, SAM)


def test_choosing_draws_what_depends_on_it_and_keeps_the_rest(many: Harness) -> None:
    many.break_glass(SAM, "the site is down, INC-13")
    form = many.modal(SAM)

    assert lengths(form)[-1] == "2h"
    assert element(form, "justification")["initial_value"] == "the site is down, INC-13"
    many.slack.press(SAM, form, "break_glass:profile", "vault", typed={"reason": {"answer": "security"}})
    form = redrawn(many, SAM, form)
    assert lengths(form) == ["15m", "20m"]
    many.slack.press(SAM, form, "break_glass:profile", "prod")
    form = redrawn(many, SAM, form)

    # `security` isn't a reason for prod, so it's gone; the text stays.
    assert [option["value"] for option in element(form, "reason")["options"]] == ["incident"]  # type: ignore[attr-defined]
    assert form.values["justification"]["answer"]["value"] == "the site is down, INC-13"


def test_late_drawing_changes_nothing(many: Harness) -> None:
    many.access(MIRA, f"prod {WHY}")
    old = many.modal(MIRA)
    many.slack.press(MIRA, old, "request:profile", ["prod"])
    form = redrawn(many, MIRA, old)
    # From a screen that is behind: what has become of the form meanwhile stays.
    many.slack.press(MIRA, old, "request:profile", ["prod"])

    many.slack.wait_until(
        lambda: [call for call in many.slack.calls_of("views.update") if call.error == "hash_conflict"]
    )
    assert many.modal(MIRA).hash == form.hash
    assert form.content["external_id"] == old.content["external_id"]


def test_wrong_reason_opens_the_form_with_the_words(many: Harness) -> None:
    many.break_glass(SAM, f"prod security 1h {EMERGENCY}")
    form = many.modal(SAM)

    assert "left out: `security`" in " ".join(walk_text(form.content))
    assert element(form, "justification")["initial_value"] == EMERGENCY


def test_close_needs_no_id_for_the_only_live_event(many: Harness) -> None:
    assert "You have no live break-glass event" in said(many.break_glass(SAM, "close"))
    many.break_glass(SAM, f"prod incident 1h {EMERGENCY}")
    many.break_glass(SAM, f"vault incident 15m {EMERGENCY}")

    which = said(many.break_glass(SAM, "close it is up again"))
    assert all(f"/breakglass close {event.id} it is up again" in which for event in many.stores.break_glass.iterate())
    assert "Closed." in said(many.break_glass(SAM, "close vault the secret was rotated"))
    many.break_glass(SAM, "close")
    many.slack.submit(SAM, many.modal(SAM), {"reason": {"answer": "the replica took over"}})

    assert {event.status for event in many.stores.break_glass.iterate()} == {EventStatus.CLOSED}


def test_help_lists_what_this_person_can_do(many: Harness) -> None:
    sams, jons = said(many.break_glass(SAM, "help")), said(many.break_glass(JON, "help"))

    assert "prod the checkout is down" in sams
    assert "reviews" not in sams
    assert "No break-glass rule covers you" in jons
    assert "reviews" in jons
    assert "revoke" not in said(many.access(MIRA, "help"))
