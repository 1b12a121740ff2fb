"""The Web API through the real client: what it does, and how it says no."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.http_retry.builtin_interval_calculators import FixedValueRetryIntervalCalculator
from slack_sdk.webhook import WebhookClient

from localslack.faults import Delay, HangUp, RateLimited, Refuse, ServerError, Stall
from localslack.records import Channel, Person
from tests.localslack.people import ACCESS, ANN, BEN, GUEST, OLD, SECRET, Json, card, form, home

if TYPE_CHECKING:
    from localslack.server import LocalSlack
    from tests.harness.clock import FrozenClock


def refusal(client: WebClient, method: str, **arguments: Any) -> Json:  # noqa: ANN401  As api_call takes them.
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, json=arguments)
    answer: Json = refused.value.response.data
    return answer


def error(client: WebClient, method: str, **arguments: Any) -> str:  # noqa: ANN401  As api_call takes them.
    return str(refusal(client, method, **arguments)["error"])


class TestTokens:
    def test_say_who_the_bot_is_and_what_it_may(self, slack: LocalSlack, client: WebClient) -> None:
        answer = client.auth_test()

        assert (answer["user_id"], answer["team_id"]) == (slack.backend.app.bot_user, slack.workspace.team.id)
        assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")

    def test_that_are_missing_wrong_revoked_or_of_the_other_kind(self, slack: LocalSlack, client: WebClient) -> None:
        assert error(WebClient(base_url=slack.api_url), "auth.test") == "not_authed"
        assert error(WebClient("xoxb-wrong", base_url=slack.api_url), "auth.test") == "invalid_auth"
        assert error(client, "apps.connections.open") == "not_allowed_token_type"
        slack.backend.revoke()
        assert error(client, "chat.postMessage", channel=ACCESS, text="x") == "token_revoked"

    def test_lack_scopes(self, slack: LocalSlack, client: WebClient) -> None:
        slack.backend.app = replace(slack.backend.app, scopes=frozenset({"chat:write", "users:read"}))

        answer = refusal(client, "usergroups.list")

        assert (answer["error"], answer["needed"]) == ("missing_scope", "usergroups:read")
        assert error(client, "conversations.info", channel=ACCESS) == "missing_scope"
        assert "email" not in client.users_info(user=ANN)["user"]["profile"]

    def test_are_not_in_the_log(self, slack: LocalSlack, client: WebClient) -> None:
        client.users_info(user=ANN, token=slack.bot_token)

        assert slack.bot_token not in repr(slack.calls)
        assert slack.calls[-1].arguments == {"user": ANN}


class TestMessages:
    def test_are_posted_changed_and_deleted(self, slack: LocalSlack, client: WebClient) -> None:
        posted = client.chat_postMessage(channel="#access-prod", text="a card", blocks=card())
        ts = posted["ts"]
        assert posted["channel"] == ACCESS
        assert posted["message"]["blocks"][0]["text"]["verbatim"] is False
        assert client.chat_getPermalink(channel=ACCESS, message_ts=ts)["permalink"].endswith(ts.replace(".", ""))

        client.chat_update(channel=ACCESS, ts=ts, text="done")
        (changed,) = slack.messages(ACCESS)
        assert (changed.text, changed.blocks, changed.ts) == ("done", (), ts)

        client.chat_delete(channel=ACCESS, ts=ts)
        assert slack.messages(ACCESS) == []
        assert error(client, "chat.update", channel=ACCESS, ts=ts, text="x") == "message_not_found"
        assert error(client, "chat.delete", channel=ACCESS, ts=ts) == "message_not_found"

    def test_have_a_growing_ts_even_if_the_clock_goes_back(
        self, slack: LocalSlack, client: WebClient, clock: FrozenClock
    ) -> None:
        first = client.chat_postMessage(channel=ACCESS, text="1")["ts"]
        clock.advance(-timedelta(hours=1))
        second = client.chat_postMessage(channel=ACCESS, text="2")["ts"]

        assert first < second
        assert [message.text for message in slack.messages(ACCESS)] == ["1", "2"]

    def test_stand_in_threads_and_keep_metadata(self, client: WebClient) -> None:
        root = client.chat_postMessage(
            channel=ACCESS, text="card", metadata={"event_type": "card", "event_payload": {"key": "r1-1"}}
        )["ts"]
        client.chat_postMessage(channel=ACCESS, text="reply", thread_ts=root)

        history = client.conversations_history(channel=ACCESS, include_all_metadata=True)["messages"]
        assert [(m["text"], m["metadata"]["event_payload"]) for m in history] == [("card", {"key": "r1-1"})]
        replies = client.conversations_replies(channel=ACCESS, ts=root)["messages"]
        assert [m["text"] for m in replies] == ["card", "reply"]
        assert error(client, "chat.postMessage", channel=ACCESS, text="x", thread_ts="1.2") == "thread_not_found"

    def test_reach_a_person_directly(self, slack: LocalSlack, client: WebClient) -> None:
        channel = client.conversations_open(users=ANN)["channel"]["id"]
        client.chat_postMessage(channel=channel, text="one")
        client.chat_postMessage(channel=ANN, text="two")

        assert [message.text for message in slack.dm(ANN)] == ["one", "two"]

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
            ({"channel": SECRET, "text": "x"}, "channel_not_found"),
            ({"channel": OLD, "text": "x"}, "is_archived"),
            ({"channel": ACCESS}, "no_text"),
            ({"channel": ACCESS, "text": ""}, "no_text"),
            ({"channel": ACCESS, "text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks"),
            ({"channel": ACCESS, "text": "x", "blocks": "nonsense"}, "invalid_blocks_format"),
            ({"text": "x"}, "invalid_arguments"),
        ],
    )
    def test_are_refused_with_slacks_own_words(self, client: WebClient, arguments: Json, expected: str) -> None:
        assert error(client, "chat.postMessage", **arguments) == expected

    def test_are_refused_where_the_bot_is_no_member(self, slack: LocalSlack, client: WebClient) -> None:
        slack.workspace.add(Channel(id="C0OPEN", name="open", members=(ANN,)))
        assert client.chat_postMessage(channel="C0OPEN", text="x")["ok"]

        slack.backend.app = replace(slack.backend.app, scopes=slack.backend.app.scopes - {"chat:write.public"})

        assert error(client, "chat.postMessage", channel="C0OPEN", text="x") == "not_in_channel"

    def test_may_be_too_long(self, slack: LocalSlack, client: WebClient) -> None:
        ts = client.chat_postMessage(channel=ACCESS, text="x" * 40_001)["ts"]
        assert len(slack.messages(ACCESS)[0].text) == 40_000

        assert client.chat_update(channel=ACCESS, ts=ts, text="x" * 4_000)["ok"]
        assert error(client, "chat.update", channel=ACCESS, ts=ts, text="x" * 4_001) == "msg_too_long"
        long = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}} for _ in range(4)]
        assert client.chat_postMessage(channel=ACCESS, text="x", blocks=long[:3])["ok"]
        assert error(client, "chat.postMessage", channel=ACCESS, text="x", blocks=long) == "msg_blocks_too_long"

    def test_of_others_are_not_the_bots_to_change(self, slack: LocalSlack, client: WebClient) -> None:
        from localslack.records import SlackMessage  # noqa: PLC0415

        said = slack.workspace.post_message(
            SlackMessage(ts=slack.workspace.new_ts(), channel=ACCESS, user=ANN, text="hi")
        )

        assert error(client, "chat.update", channel=ACCESS, ts=said.ts, text="x") == "cant_update_message"
        assert error(client, "chat.delete", channel=ACCESS, ts=said.ts) == "cant_delete_message"

    def test_for_one_person_alone_need_that_person_there(self, slack: LocalSlack, client: WebClient) -> None:
        client.chat_postEphemeral(channel=ACCESS, user=ANN, text="psst")

        (whisper,) = slack.ephemerals(ANN)
        assert error(client, "chat.postEphemeral", channel=ACCESS, user=GUEST, text="x") == "user_not_in_channel"
        assert error(client, "chat.update", channel=ACCESS, ts=whisper.ts, text="x") == "message_not_found"


class TestDirectory:
    def test_shows_people_as_slack_does(self, slack: LocalSlack, client: WebClient) -> None:
        slack.workspace.add(Person(id="U0GONE", name="gone", deleted=True))

        assert client.users_info(user=GUEST)["user"]["is_restricted"] is True
        assert client.users_info(user=ANN)["user"]["profile"]["email"] == "ann@example.com"
        gone = client.users_info(user="U0GONE")["user"]
        assert (gone["deleted"], "is_restricted" in gone) == (True, False)
        assert client.users_lookupByEmail(email="BEN@example.com")["user"]["id"] == BEN
        assert error(client, "users.info", user="U0NOBODY") == "user_not_found"
        assert error(client, "conversations.open", users="U0GONE") == "user_disabled"

    @pytest.mark.parametrize(
        "person",
        [
            Person(id="U0GONE", name="gone", email="x@example.com", deleted=True),
            Person(id="U0BOT", name="bot", email="x@example.com", is_bot=True),
            Person(id="U0FAR", name="far", email="x@example.com", team_id="T0FAR", is_stranger=True),
        ],
        ids=lambda person: person.name,
    )
    def test_finds_only_active_people_of_the_workspace_by_mail(
        self, slack: LocalSlack, client: WebClient, person: Person
    ) -> None:
        slack.workspace.add(person)

        assert error(client, "users.lookupByEmail", email="x@example.com") == "users_not_found"
        assert error(client, "users.lookupByEmail") == "invalid_arguments"

    def test_finds_nobody_by_mail_without_the_scope(self, slack: LocalSlack, client: WebClient) -> None:
        app = slack.backend.app
        slack.backend.app = replace(app, scopes=app.scopes - {"users:read.email"})

        assert error(client, "users.lookupByEmail", email="ben@example.com") == "missing_scope"
        assert "email" not in client.users_info(user=BEN)["user"]["profile"]

    def test_comes_in_pages(self, slack: LocalSlack, client: WebClient) -> None:
        # The client hands out one object that changes from page to page.
        assert [len(page["members"]) for page in client.users_list(limit=3)] == [3, 1]
        assert error(client, "users.list", cursor="?") == "invalid_cursor"
        assert len(slack.calls_of("users.list")) == 3

    def test_knows_groups_and_channels(self, client: WebClient) -> None:
        assert client.usergroups_list(include_users=True)["usergroups"][0]["users"] == [BEN]
        assert client.usergroups_users_list(usergroup="S0SRE")["users"] == [BEN]
        assert error(client, "usergroups.users.list", usergroup="S0NONE") == "no_such_subteam"
        assert client.conversations_info(channel=OLD)["channel"]["is_archived"] is True
        assert ANN in client.conversations_members(channel=ACCESS)["members"]
        assert error(client, "conversations.info", channel=SECRET) == "channel_not_found"
        assert error(client, "chat.getPermalink", channel=SECRET, message_ts="1.000001") == "channel_not_found"
        names = [channel["name"] for channel in client.conversations_list(exclude_archived=True)["channels"]]
        assert names == ["access-prod"]


class TestViews:
    def test_publish_under_a_hash(self, slack: LocalSlack, client: WebClient) -> None:
        first = client.views_publish(user_id=ANN, view=home("one"))["view"]
        client.views_publish(user_id=ANN, view=home("two"), hash=first["hash"])

        assert error(client, "views.publish", user_id=ANN, view=home(), hash=first["hash"]) == "hash_conflict"
        assert error(client, "views.publish", user_id="U0NOBODY", view=home()) == "user_not_found"
        shown = slack.home(ANN)
        assert shown is not None
        assert (shown.id, shown.blocks[0]["text"]["text"]) == (first["id"], "two")

    def test_need_the_home_tab(self, slack: LocalSlack, client: WebClient) -> None:
        slack.backend.app = replace(slack.backend.app, has_home_tab=False)

        assert error(client, "views.publish", user_id=ANN, view=home()) == "not_enabled"

    def test_that_are_closed_cannot_be_updated(self, client: WebClient) -> None:
        assert error(client, "views.update", view_id="V0", view=form()) == "view_not_found"
        assert error(client, "views.update", view=form()) == "invalid_arguments"

    def test_have_external_ids_of_their_own(self, slack: LocalSlack, client: WebClient) -> None:
        client.views_publish(user_id=ANN, view={**home(), "external_id": "mine"})

        again = {**home(), "external_id": "mine"}
        assert error(client, "views.publish", user_id=BEN, view=again) == "duplicate_external_id"
        client.views_update(external_id="mine", view=home("by its name"))
        shown = slack.home(ANN)
        assert shown is not None
        assert shown.blocks[0]["text"]["text"] == "by its name"


class TestRequests:
    def post(self, slack: LocalSlack, body: bytes, **headers: str) -> Json:
        connection = http.client.HTTPConnection(slack.url.removeprefix("http://"))
        token = {"Authorization": f"Bearer {slack.bot_token}"}
        connection.request("POST", "/api/chat.postMessage", body, {**token, **headers})
        answer: Json = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def test_come_as_forms_too(self, slack: LocalSlack) -> None:
        body = urlencode({"channel": ACCESS, "text": "x", "blocks": json.dumps(card())}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

        assert self.post(slack, body, **kind)["ok"] is True

    @pytest.mark.parametrize(
        ("body", "kind", "expected"),
        [
            (b"{", "application/json", "invalid_json"),
            (b"[]", "application/json", "json_not_object"),
            (b"x", "text/plain", "invalid_post_type"),
        ],
    )
    def test_that_cannot_be_read_are_refused(self, slack: LocalSlack, body: bytes, kind: str, expected: str) -> None:
        assert self.post(slack, body, **{"Content-Type": kind})["error"] == expected

    def test_for_unknown_methods_are_refused(self, client: WebClient) -> None:
        assert error(client, "chat.sing") == "unknown_method"


class TestRateLimits:
    def test_hold_for_each_channel_and_say_when_to_come_back(
        self, slack: LocalSlack, client: WebClient, clock: FrozenClock
    ) -> None:
        slack.backend.limits.is_on = True
        for _ in range(3):
            client.chat_postMessage(channel=ACCESS, text="x")

        with pytest.raises(SlackApiError) as refused:
            client.chat_postMessage(channel=ACCESS, text="x")

        assert (refused.value.response.status_code, refused.value.response["error"]) == (429, "ratelimited")
        assert refused.value.response.headers["Retry-After"] == "3"
        assert client.chat_postMessage(channel=ANN, text="another channel")["ok"]
        clock.advance(timedelta(seconds=3))
        assert client.chat_postMessage(channel=ACCESS, text="x")["ok"]

    def test_are_met_by_the_clients_own_retry(self, slack: LocalSlack) -> None:
        patient = WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[RateLimitErrorRetryHandler()])
        slack.faults.next(RateLimited(retry_after=0), "chat.postMessage")

        assert patient.chat_postMessage(channel=ACCESS, text="x")["ok"]

        assert [call.status for call in slack.calls_of("chat.postMessage")] == [429, 200]
        assert len(slack.messages(ACCESS)) == 1


class TestFaults:
    def test_answer_instead_of_the_method(self, slack: LocalSlack, client: WebClient) -> None:
        slack.faults.next(Refuse("internal_error"), "chat.postMessage")
        slack.faults.next(ServerError(503), "chat.postMessage", times=2)

        assert error(client, "chat.postMessage", channel=ACCESS, text="x") == "internal_error"
        for _ in range(2):
            assert client.users_info(user=ANN)["ok"]
            with pytest.raises(SlackApiError):
                client.chat_postMessage(channel=ACCESS, text="x")
        assert client.chat_postMessage(channel=ACCESS, text="x")["ok"]

    def test_hit_only_the_calls_they_are_meant_for(self, slack: LocalSlack, client: WebClient) -> None:
        slack.faults.next(Refuse("fatal_error"), times=None, where=lambda arguments: arguments.get("text") == "b")

        assert client.chat_postMessage(channel=ACCESS, text="a")["ok"]
        assert error(client, "chat.postMessage", channel=ACCESS, text="b") == "fatal_error"
        slack.faults.clear()
        assert client.chat_postMessage(channel=ACCESS, text="b")["ok"]

    @pytest.mark.parametrize("after_effect", [False, True])
    def test_drop_the_connection_before_or_after_the_effect(
        self, slack: LocalSlack, client: WebClient, *, after_effect: bool
    ) -> None:
        slack.faults.next(HangUp(after_effect=after_effect), "chat.postMessage")

        with pytest.raises(OSError, match=r"reset|closed|aborted"):
            client.chat_postMessage(channel=ACCESS, text="x")

        assert len(slack.messages(ACCESS)) == int(after_effect)
        assert [call.status for call in slack.calls] == [None]

    def test_let_the_clients_retry_post_twice(self, slack: LocalSlack) -> None:
        """The danger that SLACK_FACTS names: a lost answer is retried as if nothing had happened."""
        from slack_sdk.http_retry import ConnectionErrorRetryHandler  # noqa: PLC0415

        at_once = ConnectionErrorRetryHandler(interval_calculator=FixedValueRetryIntervalCalculator(0))
        eager = WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[at_once])
        slack.faults.next(HangUp(after_effect=True), "chat.postMessage")

        eager.chat_postMessage(channel=ACCESS, text="x")

        assert len(slack.messages(ACCESS)) == 2

    @pytest.mark.parametrize("after_effect", [False, True])
    def test_stall_until_they_are_released(self, slack: LocalSlack, client: WebClient, *, after_effect: bool) -> None:
        stall = Stall(after_effect=after_effect)
        slack.faults.next(stall, "chat.postMessage", times=None)

        with ThreadPoolExecutor(1) as pool:
            posting = pool.submit(client.chat_postMessage, channel=ACCESS, text="x")
            assert stall.reached.wait(10)
            assert client.users_info(user=ANN)["ok"]
            assert len(slack.messages(ACCESS)) == int(after_effect)
            stall.release()

            assert posting.result()["ok"]
        assert len(slack.messages(ACCESS)) == 1

    @pytest.mark.parametrize("is_lost", [False, True])
    def test_delay_until_they_are_withdrawn(self, slack: LocalSlack, client: WebClient, *, is_lost: bool) -> None:
        delay = Delay(600, is_lost=is_lost)
        slack.faults.next(Refuse("fatal_error"), "chat.postMessage", times=None)
        slack.faults.next(delay, "chat.postMessage", times=None, is_first=True)
        with ThreadPoolExecutor(1) as pool:
            posting = pool.submit(client.chat_postMessage, channel=ACCESS, text="x")
            assert delay.reached.wait(10)
            slack.faults.withdraw(delay)
            assert isinstance(posting.exception(), OSError) is is_lost
        assert len(slack.messages(ACCESS)) == int(not is_lost)
        assert error(client, "chat.postMessage", channel=ACCESS, text="x") == "fatal_error"

    def test_delay_is_over_in_time(self, slack: LocalSlack, client: WebClient) -> None:
        slack.faults.next(Delay(0.01), "chat.postMessage")
        assert client.chat_postMessage(channel=ACCESS, text="x")["ok"]

    def test_hit_response_urls_too(self, slack: LocalSlack) -> None:
        url = WebhookClient(slack.run_command(ANN, ACCESS, "/access").payload["response_url"])
        slack.faults.next(ServerError(500), "response_url")
        slack.faults.next(Refuse("channel_is_archived"), "response_url")
        slack.faults.next(Delay(0.01), "response_url")

        assert [url.send(text="x").status_code for _ in range(4)] == [500, 400, 200, 200]
