"""`countersign playground` as a process: it says where it is, stops in good order, and says what prevents a start."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core.request import RequestStatus
from core.stores.dynamodb.connection import Connection
from playground.folder import Folder
from playground.people import ACCESS, APPROVERS, MIRA
from playground.playground import open_playground
from tests.harness.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


def _start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  Every word of the command stands here.
        [sys.executable, "-m", "bot.cli", "playground", "--no-browser", "--folder", str(folder), *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def _running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = _start(folder, *options)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found is not None, process.communicate()[1]
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_playground_says_its_address_and_serves_the_page(tmp_path: Path, how: signal.Signals) -> None:
    with _running(tmp_path / "play") as (process, url):
        with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310  It is our own loopback address.
            assert b"Countersign playground" in answer.read()
        process.send_signal(how)
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    assert (tmp_path / "play" / "slack.json").exists()


def test_taken_port_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = _start(tmp_path / "play", "--port", str(taken.getsockname()[1]))
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert shown == ""
    assert re.fullmatch(r"countersign: .*--port.*can't listen on port \d+.*\n", errors)


def test_invalid_store_is_reported_and_nothing_is_left_running(tmp_path: Path) -> None:
    process = _start(tmp_path / "play", "--store", "mysql://somewhere")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "is not a kind of store" in errors


def _events(url: str) -> Iterator[dict[str, Any]]:
    """What the page receives: first everything, then each change."""
    with urllib.request.urlopen(f"{url}page/stream", timeout=120) as stream:  # noqa: S310  It is our own loopback.
        for line in stream:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def _act(url: str, **asked: str) -> None:
    _post(f"{url}page/acts", url, asked)


def _move_clock(url: str, minutes: int) -> None:
    _post(f"{url}page/clock", url, {"seconds": minutes * 60})


def _post(route: str, url: str, asked: object) -> None:
    headers = {"Origin": url.rstrip("/"), "Content-Type": "application/json"}
    request = urllib.request.Request(route, json.dumps(asked).encode(), headers)  # noqa: S310  As above.
    urllib.request.urlopen(request, timeout=120).close()  # noqa: S310  As above.


def test_what_was_opening_at_a_kill_opens_after_the_restart(tmp_path: Path) -> None:
    with _running(tmp_path / "play") as (process, url):
        events = _events(url)
        next(events)
        _act(url, act="command", person=MIRA, channel=ACCESS, text="/access prod 1h Deploy the fix for INC-12")
        card = next(each["message"] for each in events if "request:approve" in str(each.get("message")))
        buttons = next(block for block in card["blocks"] if block["type"] == "actions")
        approve = next(each for each in buttons["elements"] if each["action_id"] == "request:approve")
        pressed = {"block_id": buttons["block_id"], "action_id": approve["action_id"], "value": approve["value"]}
        _act(url, act="press", person=APPROVERS[0], channel=ACCESS, ts=card["ts"], **pressed)
        (opening,) = next(each["aws"]["held"] for each in events if each["type"] == "aws")
        process.kill()
        process.wait()
        assert opening["change"] == "give"

    with _running(tmp_path / "play") as (_, url):
        # The worker that was killed left its lease. It is over by the clock of the playground.
        _move_clock(url, minutes=2)
        (held,) = next(
            each["aws"]["held"]
            for each in _events(url)
            if any(one.get("since") for one in each.get("aws", {}).get("held", ()))
        )
        assert held["principal"] == MIRA


@pytest.mark.engine
@pytest.mark.usefixtures("aws_environment")
def test_playground_runs_on_dynamodb(tmp_path: Path, dynamodb_local_url: str, table_prefix: str) -> None:
    connection = Connection.open("eu-west-1", dynamodb_local_url)
    make_tables(connection.client, table_prefix)
    url = f"dynamodb://eu-west-1/{table_prefix}?endpoint_url={dynamodb_local_url}"
    with Folder(tmp_path) as folder, open_playground(folder, store=url, port=0) as playground:
        slack = playground.slack
        assert slack.run_command(MIRA, ACCESS, "/access", "prod 1h Deploy the fix for INC-12").is_accepted
        card = slack.wait_until(lambda: slack.messages(ACCESS))[-1]
        (request,) = playground.stores.requests.iterate()
        slack.press(APPROVERS[0], card, "request:approve", request.id)
        slack.wait_until(lambda: "Approved" in str(slack.messages(ACCESS)[0].blocks))
        (decided,) = playground.stores.requests.list_by_status(RequestStatus.APPROVED).items
        assert decided.approver == APPROVERS[0]
    assert not list(tmp_path.glob("*.db"))


def test_every_emoji_that_the_bot_writes_is_known_to_the_page() -> None:
    known = set(
        re.findall(r'(?:^|[\s{])"?([a-z0-9_+-]+)"?:', (ROOT / "playground/web/js/emoji.js").read_text(encoding="utf-8"))
    )
    written = {
        name
        for path in (ROOT / "bot").rglob("*.py")
        if "playground" not in path.parts
        for name in re.findall(r"[\"'\s]:([a-z][a-z0-9_]+):[\s\"'*]", path.read_text(encoding="utf-8"))
    }
    assert "hourglass_flowing_sand" in written
    assert written - known == set()


def test_playground_starts_without_the_sdk_of_aws() -> None:
    # It takes half a second to import, and the playground's own store does not need it.
    look = (
        "import sys, bot.cli, playground.cli, playground.playground; print(*{'boto3', 'botocore'} & sys.modules.keys())"
    )
    shown = subprocess.run(  # noqa: S603  Ours.
        [sys.executable, "-c", look], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert shown.stdout == "\n"
