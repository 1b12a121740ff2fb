"""The server as a whole: who may talk to it, how it ends, and what a restart keeps."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from slack_sdk import WebClient
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from localslack.faults import Stall
from localslack.server import LocalSlack
from tests.localslack.people import ACCESS, ANN, BEN, Json, card, form, home

if TYPE_CHECKING:
    from pathlib import Path

    from slack_bolt import App

    from tests.harness.clock import FrozenClock

_BODY = urlencode({"command": "/access", "user_id": ANN, "channel_id": ACCESS, "team_id": "T0LOCAL01"}).encode()
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class TestSignatures:
    def test_that_are_right_get_in(self, slack: LocalSlack, app: App) -> None:
        @app.command("/access")
        def access(ack: Any) -> None:  # noqa: ANN401  Bolt hands it over.
            ack("In.")

        reply = slack.post_raw(_BODY, {**_FORM, **slack.sign_body(_BODY, int(time.time()))})

        assert (reply.status, reply.body) == (200, "In.")

    def test_that_are_wrong_old_or_missing_do_not(self, slack: LocalSlack, app: App) -> None:
        del app
        now = int(time.time())
        forged = {**slack.sign_body(_BODY, now), "X-Slack-Signature": "v0=" + "0" * 64}
        for_another_body = slack.sign_body(b"other", now)

        for headers in (forged, for_another_body, slack.sign_body(_BODY, now - 301), {}):
            assert slack.post_raw(_BODY, {**_FORM, **headers}).status == 401

    def test_also_cover_the_challenge_for_the_url(self, slack: LocalSlack, app: App) -> None:
        del app
        assert slack.verify_request_url()


class TestEndpoints:
    def get(self, slack: LocalSlack, **headers: str) -> int:
        connection = http.client.HTTPConnection(slack.url.removeprefix("http://"))
        connection.request("POST", "/api/api.test", headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def test_are_shut_to_pages_of_other_origins_and_to_other_names(self, slack: LocalSlack) -> None:
        assert self.get(slack) == 200
        assert self.get(slack, Origin=slack.url) == 200
        assert self.get(slack, Origin="https://evil.example") == 403
        assert self.get(slack, Origin="null") == 403
        assert self.get(slack, Host="evil.example") == 403

    def test_may_have_others_beside_them(self, clock: FrozenClock) -> None:
        page = Route("/", lambda _: PlainTextResponse("the page"))
        with LocalSlack(clock, routes=[page]) as slack:
            connection = http.client.HTTPConnection(slack.url.removeprefix("http://"))
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"the page"
            connection.close()


class TestEnding:
    def test_lets_go_of_stalled_calls_and_leaves_no_thread(self, clock: FrozenClock) -> None:
        before = set(threading.enumerate())
        stall = Stall()
        with ThreadPoolExecutor(1) as pool:
            with LocalSlack(clock) as slack:
                slack.faults.next(stall)
                call = pool.submit(WebClient(slack.bot_token, base_url=slack.api_url).auth_test)
                assert stall.reached.wait(10)
            assert call.result()["ok"]
        assert set(threading.enumerate()) <= before

    def test_twice_is_as_good_as_once(self, clock: FrozenClock) -> None:
        slack = LocalSlack(clock)
        slack.stop()
        slack.stop()


class TestListeners:
    def test_hear_every_change_in_order(self, slack: LocalSlack, client: WebClient) -> None:
        heard: list[Json] = []
        unsubscribe = slack.subscribe(heard.append)
        ts = client.chat_postMessage(channel=ACCESS, text="one")["ts"]
        client.chat_update(channel=ACCESS, ts=ts, text="two")
        client.views_publish(user_id=ANN, view=home())
        client.chat_delete(channel=ACCESS, ts=ts)
        unsubscribe()
        client.chat_postMessage(channel=ACCESS, text="unheard")

        changes = ["message", "message_changed", "home", "message_deleted"]
        assert [event["type"] for event in heard] == [kind for change in changes for kind in (change, "api_call")]
        assert [event["number"] for event in heard] == sorted(event["number"] for event in heard)

    def test_that_wait_too_long_are_reported(self, slack: LocalSlack) -> None:
        with pytest.raises(TimeoutError):
            slack.wait_until(lambda: False, seconds=0)


class TestRestarts:
    def test_keep_everything_that_can_be_seen(
        self, slack: LocalSlack, client: WebClient, clock: FrozenClock, tmp_path: Path
    ) -> None:
        client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())
        client.chat_postEphemeral(channel=ACCESS, user=ANN, text="psst")
        client.views_publish(user_id=BEN, view=home())
        trigger = slack.run_command(ANN, ACCESS, "/access").payload["trigger_id"]
        client.views_open(trigger_id=trigger, view=form())
        slack.save(tmp_path / "slack.json")

        with LocalSlack(clock) as again:
            again.load(tmp_path / "slack.json")
            assert again.messages(ACCESS) == slack.messages(ACCESS)
            assert again.ephemerals(ANN) == slack.ephemerals(ANN)
            assert (again.home(BEN), again.modal(ANN)) == (slack.home(BEN), slack.modal(ANN))
            later = WebClient(again.bot_token, base_url=again.api_url).chat_postMessage(channel=ACCESS, text="later")
            assert later["ts"] > slack.messages(ACCESS)[-1].ts

    def test_refuse_a_file_that_is_something_else(self, slack: LocalSlack, tmp_path: Path) -> None:
        (tmp_path / "slack.json").write_text('{"people": 1}')

        with pytest.raises(ValueError, match="people"):
            slack.load(tmp_path / "slack.json")


def test_wrong_answer_of_the_app_is_reported_as_slack_shows_it(slack: LocalSlack, app: App) -> None:
    @app.command("/access")
    def access() -> None:
        raise RuntimeError("no")

    assert slack.run_command(ANN, ACCESS, "/access").failure == "http_service_error"
