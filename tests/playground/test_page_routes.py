"""The page's routes: only the page itself may ask, in JSON, for what a person could do in Slack."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from core.request import RequestStatus
from playground.folder import Folder
from playground.playground import open_playground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playground.playground import Playground

ASK = {"act": "command", "person": "U0MIRA", "channel": "C0ACCESS", "text": "/access prod 1h Deploy the fix for INC-12"}

TYPED = {"do": "run", "person": "U0MIRA", "line": "countersign login"}


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with Folder(tmp_path_factory.mktemp("playground")) as folder, open_playground(folder, port=0) as running:
        yield running


def _ask(
    playground: Playground, path: str, asked: object = None, *, body: bytes | None = None, **headers: str | None
) -> tuple[int, dict[str, str], bytes]:
    """Send a request as our own page does, but for the headers that are given (None leaves one out)."""
    where = urlsplit(playground.url).netloc
    sent = {
        "Host": where,
        "Origin": f"http://{where}",
        "Content-Type": "application/json",
        "Sec-Fetch-Site": "same-origin",
    }
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in {**sent, **changed}.items() if value is not None}
    connection = http.client.HTTPConnection(where, timeout=120)
    try:
        content = body if body is not None else None if asked is None else json.dumps(asked).encode()
        connection.request("GET" if content is None else "POST", path, content, sent)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def _count(playground: Playground) -> int:
    return sum(1 for _ in playground.stores.requests.iterate())


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/page/races", {"count": "1"}),
        ("/page/races", {"count": True}),
        ("/page/races", {"count": 1.5}),
        ("/page/clock", {"seconds": "60"}),
        ("/page/clock", {"seconds": True}),
        ("/page/race", {"people": "U0JON"}),
        ("/page/race", {"people": []}),
        ("/page/race", {"people": ["U0JON"] * 11}),
    ],
)
def test_what_is_of_another_type_is_refused(playground: Playground, path: str, asked: dict[str, object]) -> None:
    status, _, said = _ask(playground, path, asked)
    assert (status, b"invalid request" in said) == (400, True)
    assert b"block_id" not in said


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": None},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
    ids=str,
)
def test_no_other_page_can_act(playground: Playground, headers: dict[str, str | None]) -> None:
    before = _count(playground)
    for path in ("/page/acts", "/page/race", "/page/clock", "/page/aws", "/page/terminal", "/page/panels/chaos"):
        status, _, _ = _ask(playground, path, ASK, body=None, **headers)
        assert status == 403
    assert _ask(playground, "/page/terminal", TYPED, body=None, **headers)[0] == 403
    assert _count(playground) == before
    assert playground.terminals.show() == {}


@pytest.mark.parametrize("path", ["/page/stream", "/page/acts/last", "/page/acts/1", "/page/deadlines"])
@pytest.mark.parametrize(
    "headers", [{"Sec_Fetch_Site": "cross-site", "Origin": None}, {"Origin": "http://evil.example"}], ids=str
)
def test_no_other_page_can_look(playground: Playground, path: str, headers: dict[str, str | None]) -> None:
    assert _ask(playground, path, None, body=None, **headers)[0] == 403


def test_form_of_another_site_cannot_pass_for_json(playground: Playground) -> None:
    before = _count(playground)
    body = json.dumps(ASK).encode()
    assert _ask(playground, "/page/acts", body=body, Content_Type="text/plain")[0] == 415
    assert _ask(playground, "/page/acts", body=body, Content_Type=None)[0] == 415
    assert _ask(playground, "/page/terminal", body=json.dumps(TYPED).encode(), Content_Type="text/plain")[0] == 415
    assert playground.terminals.show() == {}
    assert _count(playground) == before


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"act": "fly", "person": "U0MIRA"},
        {**ASK, "more": 1},
        {key: value for key, value in ASK.items() if key != "person"},
        {"act": "command", "person": "U0MIRA", "channel": "C0ACCESS", "text": "/access " + "x" * 9000},
        [],
        "act",
    ],
    ids=lambda asked: str(asked)[:40],
)
def test_invalid_act_is_refused_whole(playground: Playground, asked: object) -> None:
    before = _count(playground)
    status, _, body = _ask(playground, "/page/acts", asked)
    assert status == 400
    assert json.loads(body)["problem"]
    assert _count(playground) == before


@pytest.mark.parametrize(
    "asked",
    [
        {**ASK, "person": "U0NOBODY"},
        {**ASK, "channel": "C0NOWHERE"},
        {**ASK, "text": "/nothing"},
        {"act": "press", "person": "U0MIRA", "channel": "C0ACCESS", "ts": "1.0", "block_id": "b", "action_id": "a"},
        {"act": "submit", "person": "U0MIRA", "view": "V0GONE"},
    ],
    ids=lambda asked: str(asked)[:60],
)
def test_missing_path_is_reported(playground: Playground, asked: object) -> None:
    status, _, body = _ask(playground, "/page/acts", asked)
    assert status == 409
    assert json.loads(body)["problem"]


@pytest.mark.parametrize("seconds", [-1, 0, 10**9, "soon", None, float("nan"), float("inf")])
def test_clock_takes_only_a_step_forward(playground: Playground, seconds: object) -> None:
    before = playground.clock.ahead
    assert _ask(playground, "/page/clock", {"seconds": seconds})[0] in {400, 409}
    assert playground.clock.ahead == before


def test_oversized_body_is_not_read(playground: Playground) -> None:
    assert _ask(playground, "/page/acts", body=b" " * 400_000)[0] == 413


@pytest.mark.parametrize(
    "path", ["/../folder.py", "/..%2ffolder.py", "/js/..%2f..%2ffolder.py", "/%2e%2e/folder.py", "/policy.yml"]
)
def test_only_the_pages_own_files_are_served(playground: Playground, path: str) -> None:
    assert _ask(playground, path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/js/main.js", "/css/frame.css", "/vendor/htm-preact-3.1.1.js"])
def test_every_file_keeps_to_itself_and_is_never_stale(playground: Playground, path: str) -> None:
    status, headers, _ = _ask(playground, path)
    assert status == 200
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"


def test_press_on_an_earlier_version_reaches_the_bot(playground: Playground) -> None:
    slack = playground.slack
    _ask(playground, "/page/acts", {**ASK, "channel": "C0STAGING", "text": "/access staging 2h Rehearse the release"})
    (card, *_) = slack.wait_until(lambda: [each for each in slack.messages("C0STAGING") if each.all_blocks])
    block = next(block for block in card.all_blocks if block["type"] == "actions")
    approve = {"block_id": block["block_id"], "action_id": "request:approve", "value": block["elements"][0]["value"]}
    press = {"act": "press", "channel": card.channel, "ts": card.ts, **approve}
    assert _ask(playground, "/page/acts", {**press, "person": "U0JON"})[0] == 200
    slack.wait_until(lambda: "request:approve" not in str(slack.messages("C0STAGING")[0].all_blocks))

    # Aiko's screen still shows the button that Jon pressed.
    status, _, body = _ask(playground, "/page/acts", {**press, "person": "U0AIKO"})
    assert (status, json.loads(body)["failure"]) == (200, None)
    # A slow store is said first.
    slack.wait_until(
        lambda: any("already approved by <@U0JON>" in each.text for each in slack.ephemerals("U0AIKO", "C0STAGING"))
    )


def test_act_reports_what_went_over_the_wire_and_what_stores_say(playground: Playground) -> None:
    status, _, body = _ask(playground, "/page/acts", ASK)
    assert (status, json.loads(body)["failure"]) == (200, None)
    slack = playground.slack
    card = slack.wait_until(lambda: [message for message in slack.messages("C0ACCESS") if message.blocks])[-1]
    told: dict[str, Any] = json.loads(_ask(playground, "/page/acts/last")[2])
    assert told["title"] == ASK["text"]
    assert told["interactions"][0]["payload"]["command"] == "/access"
    assert told["interactions"][0]["status"] == 200
    assert "chat.postMessage" in [call["method"] for call in told["calls"]]
    assert [entry["event"] for entry in told["entries"]] == ["request_submitted"]
    (shown,) = told["records"]
    assert (shown["record"]["status"], len(shown["history"])) == ("pending", 1)

    # A second act has its own evidence, and what it was about is found by the button's value.
    block = next(block for block in card.blocks if block["type"] == "actions")
    press = {"block_id": block["block_id"], "action_id": block["elements"][0]["action_id"]}
    asked = {"act": "press", "person": "U0MIRA", "channel": card.channel, "ts": card.ts, **press}
    assert _ask(playground, "/page/acts", {**asked, "value": block["elements"][0]["value"]})[0] == 200
    refused = json.loads(_ask(playground, "/page/acts/last")[2])
    assert [(entry["event"], entry["outcome"]) for entry in refused["entries"]] == [("approve_refused", "refused")]
    assert refused["records"][0]["record"]["id"] == shown["record"]["id"]
    assert playground.stores.requests.get(shown["record"]["id"]).status is RequestStatus.PENDING
    earlier = json.loads(_ask(playground, f"/page/acts/{told['number']}")[2])
    assert [entry["event"] for entry in earlier["entries"]] == ["request_submitted"]


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("/page/panels/nothing", {"do": "show"}, 409),
        ("/page/panels/chaos", {"do": "slack", "trouble": "on fire"}, 400),
        ("/page/panels/chaos", {"do": "clock", "minutes": 100_000}, 400),
        ("/page/panels/chaos", {"do": "clock", "minutes": True}, 400),
        ("/page/panels/tamper", {"do": "change", "table": "audit"}, 400),
        ("/page/panels/policy", {"do": "save", "text": "x", "base": "../policy.yml"}, 400),
        ("/page/panels/policy", {"do": "save", "text": "\ud800", "base": "0" * 64}, 400),
    ],
    ids=str,
)
def test_panel_takes_only_what_it_knows(playground: Playground, path: str, asked: object, status: int) -> None:
    before = playground.panels.show()
    assert _ask(playground, path, asked)[0] == status
    assert playground.panels.show() == before


def test_everything_back_to_normal_leaves_nothing_on(playground: Playground) -> None:
    before = playground.panels.show()["chaos"]
    assert before["count"] == 0
    for asked in (
        {"do": "slack", "trouble": "slow"},
        {"do": "store", "trouble": "slow"},
        {"do": "clock", "minutes": -10},
        {"do": "arm", "is_armed": True},
    ):
        assert _ask(playground, "/page/panels/chaos", asked)[0] == 200
    assert playground.panels.show()["chaos"]["count"] == 4
    assert _ask(playground, "/page/panels/chaos", {"do": "normal"})[0] == 200
    assert playground.panels.show()["chaos"] == before
    assert _ask(playground, "/page/acts", ASK)[0] == 200
