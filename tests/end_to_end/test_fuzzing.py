"""Payloads of every shape, well signed: each is answered, none raises, and none does what the policy does not allow.

Invariant: whatever was sent, each request was asked for by somebody who may ask, and decided by somebody who may.
"""

from __future__ import annotations

import copy
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.views.request.card import APPROVE, DENY, MORE
from core.actor import is_person
from core.request import RequestStatus
from tests.end_to_end.harness import AIKO, GUEST, JON, MIRA, ROBOT, SAM, STRANGER, Harness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.request import Request

Json = dict[str, Any]
MEMBERS: Final = {MIRA, JON, AIKO, SAM}
MAY_ASK: Final = {"prod": {MIRA, JON, AIKO}, "vault": MEMBERS, "staging": MEMBERS}
MAY_DECIDE: Final = {"prod": {JON, AIKO, MIRA}, "vault": {JON, AIKO, SAM}, "staging": {JON, AIKO}}
ODD_TEXT: Final = [
    *(
        "",
        " ",
        "\0",
        "\ud7ff\u202e",
        "<!channel>",
        "<https://evil.example|prod>",
        "../../etc/passwd",
        "{{7*7}}",
        "%s%n",
    ),
    *("x" * 4_000, "\N{PILE OF POO}" * 1_000, "0" * 16, "prod", "mine 99", "pending 2", "prod 1h " + "y" * 3_000),
    *(GUEST, ROBOT, STRANGER, "USLACKBOT", "T0ELSE", APPROVE, DENY, MORE, "request:form", "mine:1", "pending:100"),
    *sorted(MEMBERS),
]
ODD: Final = st.one_of(
    st.sampled_from(ODD_TEXT),
    st.text(max_size=40),
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.just([]),
    st.just({}),
    st.lists(st.sampled_from(ODD_TEXT), max_size=3),
    st.dictionaries(st.sampled_from(["id", "value", "type", "text", "user"]), st.sampled_from(ODD_TEXT), max_size=3),
)

OTHER_BUTTONS: Final = {
    "request:confirm": "{id}",
    "request:again": "{id}",
    "request:ask": "{id}",
    "request:answer": "1:{id}",
    "request:cancel": "{id}",
    "home:show:mine": "mine:1",
    "home:notify": "form",
}
OTHER_FORMS: Final[list[tuple[str, str, Json]]] = [
    ("request:ask_form", "{id}", {"question": {"answer": {"value": "Which ticket is this for?"}}}),
    ("request:answer_form", "1:{id}", {"answer": {"answer": {"value": "INC-12"}}}),
    ("notify:form", "", {"kinds": {"answer": {"selected_options": [{"value": "decisions"}]}}}),
    ("request:form", "", {
        "profile": {"request:profile": {"selected_options": [{"value": "staging"}, {"value": "vault"}]}},
        "duration": {"answer": {"selected_option": {"value": "1h"}}},
        "justification": {"answer": {"value": "to fuzz it thoroughly"}},
        "on_behalf_of": {"answer": {"selected_user": AIKO}},
    }),
]  # fmt: skip
IN_A_LIST: Final = {"type": "message", "is_ephemeral": True, "channel_id": "C0ACCESS1", "message_ts": "1.2"}


class Theatre:
    """A harness with one payload of each kind, as the real client sent it."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        slack = harness.slack
        request = harness.ask()
        card = harness.card(request)
        self.samples = [
            ("slash_commands", harness.access(JON, "vault 1h to see what is in there").payload),
            ("slash_commands", harness.access(JON, "").payload),
            ("slash_commands", harness.access(JON, f"revoke <@{MIRA}|mira> she left the team").payload),
            ("slash_commands", harness.access(JON, f"end {request.id}").payload),
            ("interactive", slack.submit(JON, harness.modal(JON), _filled_in()).payload),
            ("interactive", slack.press(GUEST, card, APPROVE).payload),
            ("interactive", slack.press(AIKO, card, DENY).payload),
            ("interactive", slack.submit(AIKO, harness.modal(AIKO), {"reason": {"answer": "no, not now"}}).payload),
            ("interactive", slack.shortcut(SAM, "request_access").payload),
            ("interactive", slack.press(SAM, card, MORE, f"comment:{request.id}").payload),
            ("interactive", slack.press(JON, harness.home(JON), "home:ask").payload),
            ("events_api", slack.open_home(SAM).payload),
            ("events_api", slack.send_event({"type": "user_change", "user": {"id": SAM}}).payload),
            ("events_api", slack.send_event({"type": "subteam_updated", "subteam": {"id": "S0ENG"}}).payload),
        ]
        self.samples += _asked_well(self.samples, request)


def _asked_well(samples: list[tuple[str, Json]], request: Request) -> Iterator[tuple[str, Json]]:
    """The other buttons, menus and forms, in payloads like those that the client sent."""
    (form,) = [sample for _, sample in samples if sample.get("view", {}).get("callback_id") == "request:form"]
    (button,) = [sample for _, sample in samples if sample.get("actions", [{}])[0].get("action_id") == APPROVE]
    for action_id, value in OTHER_BUTTONS.items():
        pressed = button["actions"][0] | {"action_id": action_id, "value": value.format(id=request.id)}
        yield "interactive", button | {"user": {"id": JON}, "actions": [pressed]}
        yield "interactive", button | {"user": {"id": MIRA}, "actions": [pressed], "container": IN_A_LIST}
    for callback_id, metadata, values in OTHER_FORMS:
        about = {"callback_id": callback_id, "private_metadata": metadata.format(id=request.id)}
        yield "interactive", form | {"view": form["view"] | about | {"state": {"values": values}}}
    menu = {"type": "multi_static_select", "block_id": "profile", "selected_options": [{"value": "vault"}]}
    for action_id in ("request:profile", "break_glass:profile"):
        seen = {"user": {"id": SAM}, "view": form["view"], "container": {"type": "view"}, "trigger_id": "1.2.3"}
        chosen = {"type": "block_actions", "actions": [menu | {"action_id": action_id}]}
        searched = {"type": "block_suggestion", "action_id": action_id, "block_id": "profile", "value": "pro"}
        yield from (("interactive", seen | chosen), ("interactive", seen | searched))


def _filled_in() -> Json:
    return {
        "profile": {"request:profile": "prod"},
        "duration": {"answer": "1h"},
        "justification": {"answer": "to fuzz it thoroughly"},
    }


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    from core.stores.commit import StoreSettings  # noqa: PLC0415 - beside what it is used for
    from core.stores.sqlite import SqliteStores  # noqa: PLC0415
    from tests.harness.clock import FrozenClock  # noqa: PLC0415

    path: Path = tmp_path_factory.mktemp("fuzzing") / "countersign.db"
    clock = FrozenClock()
    stores = SqliteStores(str(path), StoreSettings(clock=clock))
    with Harness(stores, clock) as harness:
        yield Theatre(harness)
    stores.close()


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path to everything inside a payload."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def spoil(payload: Json, path: tuple[str | int, ...], value: object, *, is_gone: bool) -> None:
    """Put something else at a place, or take away what is there."""
    target: Any = payload
    for key in path[:-1]:
        target = target[key]
    if is_gone:
        del target[path[-1]]
    else:
        target[path[-1]] = value


@st.composite
def spoilings(draw: st.DrawFn) -> tuple[int, list[tuple[int, object, bool]]]:
    """Which sample, and what is spoiled in it: the places by number, counted round."""
    number = draw(st.integers(0, 99))
    return number, draw(st.lists(st.tuples(st.integers(0, 10_000), ODD, st.booleans()), min_size=1, max_size=4))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(spoiling=spoilings())
def test_payload_of_any_shape_is_answered_and_does_no_harm(
    theatre: Theatre, caplog: pytest.LogCaptureFixture, spoiling: tuple[int, list[tuple[int, object, bool]]]
) -> None:
    number, changes = spoiling
    kind, sample = theatre.samples[number % len(theatre.samples)]
    payload = copy.deepcopy(sample)
    for place, value, is_gone in changes:
        found = list(places(payload))
        if found:
            spoil(payload, found[place % len(found)], value, is_gone=is_gone)
    caplog.clear()

    answer = theatre.harness.slack.send_forged(kind, payload)  # type: ignore[arg-type]

    assert answer.status in {200, 400, 404}, (answer.status, answer.body)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert_policy_holds(theatre.harness)


def assert_policy_holds(harness: Harness) -> None:
    """Nobody asked or decided whom the policy does not let."""
    for request in harness.stores.requests.iterate():
        assert request.requester in MAY_ASK[request.profile]
        assert request.asked_by is None or request.asked_by in MAY_ASK[request.profile]
        deciders = {vote.approver for vote in request.approvals} | {each.asker for each in request.questions}
        if request.status in {RequestStatus.APPROVED, RequestStatus.DENIED} and is_person(request.approver or ""):
            deciders.add(request.approver)  # type: ignore[arg-type]
        assert deciders <= MAY_DECIDE[request.profile] - {request.requester, request.asked_by}
        assert not (deciders and request.is_unconfirmed)


NO_PAYLOADS: Final = [
    *(b"", b"\xff\xfe\0", b"payload=", b"payload=%7B", b"payload=[]", b"payload=null", b"payload=1", b'{"type":'),
    *(b"[]", b"payload=%7B%7D", b"{}", b"command=%2Faccess", b"command=%2Faccess&user_id=U0MIRA&text=%00"),
    b"ssl_check=1",
]


@pytest.mark.parametrize("body", NO_PAYLOADS)
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/json", "text/plain", ""])
def test_body_that_is_no_payload_is_refused_without_an_error(
    theatre: Theatre, caplog: pytest.LogCaptureFixture, body: bytes, content_type: str
) -> None:
    slack = theatre.harness.slack
    caplog.clear()
    now = int(time.time())
    reply = slack.post_raw(body, {**slack.sign_body(body, now), "content-type": content_type})

    assert reply.status in {200, 400, 401, 404}, (reply.status, reply.body)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_overlong_place_of_a_click_stops_no_decision(harness: Harness) -> None:
    request = harness.ask()
    payload = copy.deepcopy(harness.slack.press(GUEST, harness.card(request), APPROVE).payload)
    payload["user"]["id"] = JON
    payload["container"] |= {"channel_id": "C" * 101, "message_ts": "1" * 101}

    assert harness.slack.send_forged("interactive", payload).status == 200
    assert harness.status(request) is RequestStatus.APPROVED


def test_click_that_names_two_people_changes_nothing(harness: Harness) -> None:
    request = harness.ask()
    payload = copy.deepcopy(harness.slack.press(GUEST, harness.card(request), APPROVE).payload)
    payload["user"]["id"], payload["user_id"] = JON, AIKO

    assert harness.slack.send_forged("interactive", payload).status == 400
    assert harness.status(request) is RequestStatus.PENDING


def test_payload_as_it_was_sent_is_answered(theatre: Theatre) -> None:
    answers = [theatre.harness.slack.send_forged(kind, sample) for kind, sample in theatre.samples]  # type: ignore[arg-type]

    assert {answer.status for answer in answers} == {200}
