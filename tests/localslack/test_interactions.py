from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from localslack.records import Person
from localslack.refusals import NotOnScreen, SlackRefusal
from localslack.server import LocalSlack
from tests.localslack.bolt_over_http import BoltOverHttp
from tests.localslack.people import ACCESS, ANN, BEN, SECRET, Json, button, card, form, home, option, words

if TYPE_CHECKING:
    from localslack.records import View
    from tests.harness.clock import FrozenClock


def open_form(slack: LocalSlack, app: App, view: Json | None = None) -> View:
    @app.shortcut("ask")
    def ask(ack: Ack, shortcut: Json, client: WebClient) -> None:
        client.views_open(trigger_id=shortcut["trigger_id"], view=view or form())
        ack()

    assert slack.shortcut(ANN, "ask").is_accepted
    shown = slack.modal(ANN)
    assert shown is not None
    return shown


class TestCommands:
    def test_are_answered_to_their_author_alone(self, slack: LocalSlack, app: App) -> None:
        @app.command("/access")
        def access(ack: Ack, command: Json) -> None:
            ack(f"You asked for {command['text']}")

        answer = slack.run_command(ANN, ACCESS, "/access", "prod 2h why")

        assert (answer.status, answer.is_accepted, answer.text) == (200, True, "You asked for prod 2h why")
        assert slack.ephemerals(ANN, ACCESS) == [answer.message]
        assert slack.ephemerals(BEN) == slack.messages(ACCESS) == []

    def test_may_answer_the_channel_with_blocks(self, slack: LocalSlack, app: App) -> None:
        @app.command("/access")
        def access(ack: Ack) -> None:
            ack(blocks=card(), text="", response_type="in_channel")

        slack.run_command(ANN, ACCESS, "/access")

        assert [message.blocks[1]["block_id"] for message in slack.messages(ACCESS)] == ["decide"]

    def test_carry_everything_that_slack_sends(self, slack: LocalSlack, app: App) -> None:
        seen: list[Json] = []

        @app.command("/access")
        def access(ack: Ack, body: Json) -> None:
            seen.append(body)
            ack()

        slack.run_command(ANN, SECRET, "/access", "a & b=c")

        assert (seen[0]["text"], seen[0]["user_id"], seen[0]["channel_name"]) == ("a & b=c", ANN, "privategroup")
        assert set(seen[0]) == {
            "token", "team_id", "team_domain", "channel_id", "channel_name", "user_id", "user_name", "command", "text",
            "api_app_id", "is_enterprise_install", "response_url", "trigger_id",
        }  # fmt: skip

    def test_that_the_app_does_not_know_fail(self, slack: LocalSlack, app: App) -> None:
        del app
        answer = slack.run_command(ANN, ACCESS, "/nobody")

        assert (answer.status, answer.failure) == (404, "http_client_error")

    def test_with_broken_blocks_show_a_failure(self, slack: LocalSlack, app: App) -> None:
        @app.command("/access")
        def access(ack: Ack) -> None:
            ack(text="", blocks=[{"type": "section"}])

        assert "must define either `text` or `fields`" in str(slack.run_command(ANN, ACCESS, "/access").failure)

    def test_answered_too_late_count_as_failed_although_they_go_on(self, clock: FrozenClock) -> None:
        end, done = threading.Event(), threading.Event()
        with LocalSlack(clock, timeout_seconds=0.2) as slack:
            slack.workspace.add(Person(id=ANN, name="ann"))
            app = App(signing_secret=slack.signing_secret, client=WebClient(slack.bot_token, base_url=slack.api_url))

            @app.command("/slow")
            def slow(ack: Ack) -> None:
                end.wait()
                ack()
                done.set()

            with BoltOverHttp(app) as served:
                slack.use_http(served.url)
                answer = slack.run_command(ANN, slack.workspace.direct(ANN).id, "/slow")
                assert (answer.was_late, answer.failure, answer.status) == (True, "operation_timeout", None)
                end.set()
                assert done.wait(10)
            app.listener_runner.listener_executor.shutdown()

    def test_escape_mentions_when_the_manifest_asks_for_it(self, clock: FrozenClock) -> None:
        manifest = {"features": {"slash_commands": [{"command": "/access", "should_escape": True}]}}
        with LocalSlack(clock, manifest=manifest) as slack:
            slack.workspace.add(Person(id=ANN, name="ann"), Person(id=BEN, name="ben.b"))
            here = slack.workspace.direct(ANN).id

            answer = slack.run_command(ANN, here, "/access", "for @ben.b and @nobody, mail a@ben.b")

            assert answer.payload["text"] == "for <@U0BEN|ben.b> and @nobody, mail a@ben.b"
            with pytest.raises(NotOnScreen):
                slack.run_command(ANN, here, "/other")
            with pytest.raises(NotOnScreen):
                slack.shortcut(ANN, "other")

    def test_of_people_and_in_channels_that_nobody_knows_are_refused(self, slack: LocalSlack) -> None:
        with pytest.raises(SlackRefusal, match="user_not_found"):
            slack.run_command("U0NOBODY", ACCESS, "/access")
        with pytest.raises(SlackRefusal, match="channel_not_found"):
            slack.run_command(ANN, "C0NOWHERE", "/access")

    def test_reach_nobody_where_no_app_listens(self, slack: LocalSlack) -> None:
        assert slack.run_command(ANN, ACCESS, "/access").failure == "dispatch_failed"
        slack.use_http("http://127.0.0.1:9/slack/events")
        assert slack.run_command(ANN, ACCESS, "/access").failure == "dispatch_failed"

    def test_are_cut_off_from_an_app_that_dies(self, slack: LocalSlack, app: App) -> None:
        reached, may_answer = threading.Event(), threading.Event()

        @app.command("/access")
        def access(ack: Ack) -> None:
            reached.set()
            may_answer.wait(10)
            ack("Too late")

        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(slack.run_command, ANN, ACCESS, "/access")
            assert reached.wait(10)
            slack.cut_app()
            assert asked.result().failure == "dispatch_failed"
            may_answer.set()
        assert slack.ephemerals(ANN) == []


class TestButtons:
    def test_in_a_message_say_who_where_and_what(self, slack: LocalSlack, app: App, client: WebClient) -> None:
        seen: list[Json] = []

        @app.action("approve")
        def approve(ack: Ack, body: Json, client: WebClient) -> None:
            seen.append(body)
            client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text="approved by ben")
            ack()

        client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())
        answer = slack.press(BEN, slack.messages(ACCESS)[0], "approve")

        assert answer.is_accepted
        (body,) = seen
        assert body["user"] == {"id": BEN, "username": "ben", "name": "ben", "team_id": slack.workspace.team.id}
        assert body["container"]["message_ts"] == body["message"]["ts"] == slack.messages(ACCESS)[0].ts
        assert body["message"]["blocks"][1]["elements"][0]["text"] == {**words("Approve"), "emoji": True}
        action = body["actions"][0]
        assert (action["type"], action["block_id"], action["value"]) == ("button", "decide", "r1")
        assert {"action_ts", "text"} < action.keys()
        assert (body["enterprise"], body["is_enterprise_install"]) == (None, False)
        (updated,) = slack.messages(ACCESS)
        assert (updated.text, updated.blocks) == ("approved by ben", ())

    def test_of_an_old_copy_send_what_was_seen(self, slack: LocalSlack, app: App, client: WebClient) -> None:
        @app.action("approve")
        def approve(ack: Ack) -> None:
            ack()

        client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())
        old = slack.messages(ACCESS)[0]
        client.chat_update(channel=ACCESS, ts=old.ts, text="done")

        answer = slack.press(BEN, old, "approve")

        assert answer.payload["message"]["text"] == "a card"
        with pytest.raises(NotOnScreen):
            slack.press(BEN, slack.messages(ACCESS)[0], "approve")

    def test_of_each_of_the_latest_versions_are_accepted(self, slack: LocalSlack, app: App, client: WebClient) -> None:
        app.action("approve")(lambda ack: ack())
        ts = client.chat_postMessage(channel=ACCESS, text="1", blocks=card())["ts"]
        for number in range(2, 30):
            client.chat_update(channel=ACCESS, ts=ts, text=f"{number}", blocks=card())
        versions = slack.workspace.message_versions(ACCESS, ts)

        assert [each.text for each in versions] == [f"{number}" for number in range(29, 8, -1)]
        answer = slack.press(BEN, versions[-1], "approve")
        assert answer.is_accepted
        assert answer.payload["message"]["text"] == "9"
        assert slack.workspace.message_versions(ACCESS, "0.0") == []

    def test_in_an_ephemeral_message_come_without_it(self, slack: LocalSlack, app: App, client: WebClient) -> None:
        seen: list[Json] = []

        @app.action("approve")
        def approve(ack: Ack, body: Json, respond: Respond) -> None:
            seen.append(body)
            ack()
            respond(text="", delete_original=True)

        client.chat_postEphemeral(channel=ACCESS, user=ANN, text="a card", blocks=card())
        whisper = slack.ephemerals(ANN, ACCESS)[0]
        slack.press(ANN, whisper, "approve")

        slack.wait_until(lambda: not slack.ephemerals(ANN))
        assert "message" not in seen[0]
        assert seen[0]["container"]["is_ephemeral"] is True
        with pytest.raises(NotOnScreen):
            slack.press(BEN, whisper, "approve")

    def test_with_one_action_id_are_distinguished_by_value_or_block(
        self, slack: LocalSlack, app: App, client: WebClient
    ) -> None:
        @app.action("approve")
        def approve(ack: Ack) -> None:
            ack()

        rows = [
            {"type": "actions", "block_id": f"row{n}", "elements": [button("Approve", "approve", f"r{n}")]}
            for n in (1, 2)
        ]
        client.chat_postMessage(channel=ACCESS, text="a list", blocks=rows)
        listed = slack.messages(ACCESS)[0]

        assert slack.press(BEN, listed, "approve", "r2").payload["actions"][0]["block_id"] == "row2"
        assert slack.press(BEN, listed, "approve", block_id="row1").payload["actions"][0]["value"] == "r1"
        with pytest.raises(NotOnScreen, match="2 elements"):
            slack.press(BEN, listed, "approve")

    def test_pressed_by_two_at_once_both_arrive(self, slack: LocalSlack, app: App, client: WebClient) -> None:
        both = threading.Barrier(2)

        @app.action("approve")
        def approve(ack: Ack) -> None:
            both.wait(10)
            ack()

        client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())
        shown = slack.messages(ACCESS)[0]
        with ThreadPoolExecutor(2) as people:
            answers = list(people.map(lambda user: slack.press(user, shown, "approve"), (ANN, BEN)))

        assert [answer.is_accepted for answer in answers] == [True, True]

    def test_delivered_again_send_the_very_same(self, slack: LocalSlack, app: App, client: WebClient) -> None:
        seen: list[Json] = []

        @app.action("approve")
        def approve(ack: Ack, body: Json) -> None:
            seen.append(body)
            ack()

        client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())
        slack.redeliver(slack.press(BEN, slack.messages(ACCESS)[0], "approve"))

        assert seen[0] == seen[1]

    def test_menus_send_the_chosen_option(self, slack: LocalSlack, app: App, client: WebClient) -> None:
        @app.action("more")
        def more(ack: Ack) -> None:
            ack()

        overflow = {"type": "overflow", "action_id": "more", "options": [option("cancel"), option("remind")]}
        block = {"type": "section", "text": words("a card"), "accessory": overflow}
        client.chat_postMessage(channel=ACCESS, text="a card", blocks=[block])
        shown = slack.messages(ACCESS)[0]

        action = slack.press(BEN, shown, "more", "remind").payload["actions"][0]

        assert action["selected_option"]["value"] == "remind"
        with pytest.raises(NotOnScreen, match="isn't an option"):
            slack.press(BEN, shown, "more", "explode")

    def test_of_a_stranger_come_from_their_own_workspace(self, slack: LocalSlack, client: WebClient) -> None:
        slack.workspace.add(Person(id="U0FAR", name="far", team_id="T0FAR", is_stranger=True))
        client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())

        payload = slack.press("U0FAR", slack.messages(ACCESS)[0], "approve").payload

        assert payload["team"]["id"] == payload["user"]["team_id"] == "T0FAR"


class TestForms:
    def test_open_from_a_trigger_and_send_what_was_typed(self, slack: LocalSlack, app: App) -> None:
        seen: list[Json] = []

        @app.view("ask")
        def sent(ack: Ack, view: Json) -> None:
            seen.append(view)
            ack()

        view = open_form(slack, app)
        answer = slack.submit(ANN, view, {"profile": {"pick": "prod"}, "why": {"text": "for INC-12"}})

        assert answer.is_accepted
        assert answer.view is slack.modal(ANN) is None
        values = seen[0]["state"]["values"]
        assert values["profile"]["pick"]["selected_option"]["value"] == "prod"
        assert values["why"]["text"] == {"type": "plain_text_input", "value": "for INC-12"}
        assert seen[0]["root_view_id"] == view.id

    def test_show_mistakes_in_their_fields_and_keep_what_was_typed(self, slack: LocalSlack, app: App) -> None:
        @app.view("ask")
        def sent(ack: Ack) -> None:
            ack(response_action="errors", errors={"why": "Say more."})

        view = open_form(slack, app)
        answer = slack.submit(ANN, view, {"profile": {"pick": "prod"}, "why": {"text": "x"}})

        assert answer.errors == {"why": "Say more."}
        assert not answer.is_accepted
        assert answer.view is not None
        assert answer.view.values["why"]["text"]["value"] == "x"

    def test_are_held_back_by_the_client_while_a_field_is_invalid(self, slack: LocalSlack, app: App) -> None:
        view = open_form(slack, app)

        answer = slack.submit(ANN, view, {"why": {"text": "x" * 501}})

        assert not answer.was_sent
        assert answer.errors == {
            "profile": "Please complete this required field.",
            "why": "Please enter no more than 500 characters.",
        }

    @pytest.mark.parametrize(
        "told",
        [
            {"response_action": "errors", "errors": {"nowhere": "?"}},
            {"response_action": "update", "view": {"type": "modal"}},
            {"response_action": "dance"},
        ],
    )
    def test_stay_open_when_slack_does_not_understand_the_answer(
        self, slack: LocalSlack, app: App, told: dict[str, Any]
    ) -> None:
        @app.view("ask")
        def sent(ack: Ack) -> None:
            ack(**told)

        view = open_form(slack, app)
        answer = slack.submit(ANN, view, {"profile": {"pick": "prod"}, "why": {"text": "x"}})

        assert str(answer.failure).startswith("invalid_response_action")
        assert slack.modal(ANN) is not None

    def test_may_turn_into_another_view_or_clear_everything(self, slack: LocalSlack, app: App) -> None:
        @app.view("ask")
        def sent(ack: Ack) -> None:
            ack(response_action="push", view=form("sure", private_metadata="r1"))

        @app.view("sure")
        def sure(ack: Ack, view: Json) -> None:
            assert view["private_metadata"] == "r1"
            ack(response_action="clear")

        typed = {"profile": {"pick": "prod"}, "why": {"text": "x"}}
        pushed = slack.submit(ANN, open_form(slack, app), typed).view
        assert pushed is not None
        assert pushed.previous_view_id == pushed.root_view_id

        assert slack.submit(ANN, pushed, typed).view is None

    def test_update_under_their_hash_and_keep_what_was_typed(
        self, slack: LocalSlack, app: App, client: WebClient
    ) -> None:
        @app.action("approve")
        def approve(ack: Ack, body: Json) -> None:
            assert body["view"]["state"]["values"]["why"]["text"]["value"] == "half a"
            ack()

        check = {"type": "actions", "block_id": "check", "elements": [button("Check", "approve")]}
        blocks = form()["blocks"]
        view = open_form(slack, app, form(blocks=[*blocks, check]))
        slack.press(ANN, view, "approve", typed={"why": {"text": "half a"}})
        client.views_update(view_id=view.id, hash=view.hash, view=form(blocks=blocks))

        updated = slack.modal(ANN)
        assert updated is not None
        assert updated.values["why"]["text"]["value"] == "half a"
        assert updated.hash != view.hash

    def test_say_when_they_are_closed_if_asked_to(self, slack: LocalSlack, app: App) -> None:
        seen: list[Json] = []

        @app.view_closed("ask")
        def closed(ack: Ack, body: Json) -> None:
            seen.append(body)
            ack()

        view = open_form(slack, app, form(notify_on_close=True))
        (answer,) = slack.close(ANN, view)

        assert answer.is_accepted
        assert seen[0]["is_cleared"] is False
        assert slack.modal(ANN) is None
        with pytest.raises(SlackRefusal, match="view_not_found"):
            slack.submit(ANN, view)

    def test_refuse_fields_and_options_that_are_not_there(self, slack: LocalSlack, app: App) -> None:
        view = open_form(slack, app)

        with pytest.raises(NotOnScreen, match="no field"):
            slack.submit(ANN, view, {"nowhere": {"text": "x"}})
        with pytest.raises(NotOnScreen, match="isn't an option"):
            slack.submit(ANN, view, {"profile": {"pick": "root"}})

    def test_give_a_response_url_for_the_chosen_channel(self, slack: LocalSlack, app: App) -> None:
        @app.view("ask")
        def sent(ack: Ack, respond: Respond) -> None:
            ack()
            respond("Here it is", response_type="in_channel")

        where = {"type": "conversations_select", "action_id": "pick", "response_url_enabled": True}
        block = {"type": "input", "block_id": "where", "label": words("Where"), "element": where}
        slack.submit(ANN, open_form(slack, app, form(blocks=[block])), {"where": {"pick": ACCESS}})

        assert slack.wait_until(lambda: slack.messages(ACCESS))[0].text == "Here it is"


class TestHome:
    def test_is_published_when_it_is_opened(self, slack: LocalSlack, app: App) -> None:
        seen: list[Json] = []

        @app.event("app_home_opened")
        def opened(event: Json, client: WebClient) -> None:
            seen.append(event)
            client.views_publish(user_id=event["user"], view=home())

        assert slack.open_home(ANN).is_accepted
        shown = slack.wait_until(lambda: slack.home(ANN))
        assert shown is not None
        slack.open_home(ANN)
        slack.wait_until(lambda: len(seen) == 2)

        assert shown.blocks[0]["text"]["text"] == "Nothing waits for you"
        assert "view" not in seen[0]
        assert seen[1]["view"]["id"] == shown.id
        assert seen[1]["channel"] == slack.workspace.direct(ANN).id

    def test_retries_say_so_in_their_headers(self, slack: LocalSlack, app: App) -> None:
        seen: list[str | None] = []

        @app.event("app_home_opened")
        def opened(request: Any) -> None:  # noqa: ANN401  Bolt hands its request over by this name.
            seen.append(request.headers.get("x-slack-retry-num", [None])[0])

        slack.redeliver(slack.open_home(ANN))

        slack.wait_until(lambda: len(seen) == 2)
        assert set(seen) == {None, "1"}

    def test_events_that_nobody_subscribed_to_are_not_sent(self, clock: FrozenClock) -> None:
        manifest = {"features": {"app_home": {"home_tab_enabled": True}}}
        with LocalSlack(clock, manifest=manifest) as slack:
            slack.workspace.add(Person(id=ANN, name="ann"))
            assert not slack.open_home(ANN).was_sent
        with LocalSlack(clock, manifest={}) as slack, pytest.raises(NotOnScreen):
            slack.open_home(ANN)
