"""What an interaction permits, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from tests.localslack.people import ACCESS, ANN, card, form

if TYPE_CHECKING:
    from slack_sdk import WebClient

    from localslack.server import LocalSlack
    from tests.harness.clock import FrozenClock


def interact(slack: LocalSlack) -> tuple[str, WebhookClient]:
    """A trigger_id and the response_url of a command that no app listened to."""
    payload = slack.run_command(ANN, ACCESS, "/access").payload
    return payload["trigger_id"], WebhookClient(payload["response_url"])


def error_of(refused: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(refused.value.response["error"])


class TestTriggers:
    def test_open_a_modal_up_to_three_seconds_later(
        self, slack: LocalSlack, client: WebClient, clock: FrozenClock
    ) -> None:
        trigger, _ = interact(slack)
        clock.advance(timedelta(seconds=3))

        assert client.views_open(trigger_id=trigger, view=form())["view"]["id"]

    def test_are_expired_after_that(self, slack: LocalSlack, client: WebClient, clock: FrozenClock) -> None:
        trigger, _ = interact(slack)
        clock.advance(timedelta(seconds=3, microseconds=1))

        with pytest.raises(SlackApiError) as refused:
            client.views_open(trigger_id=trigger, view=form())

        assert error_of(refused) == "expired_trigger_id"
        assert slack.modal(ANN) is None

    def test_are_good_for_one_modal(self, slack: LocalSlack, client: WebClient) -> None:
        trigger, _ = interact(slack)
        client.views_open(trigger_id=trigger, view=form())

        with pytest.raises(SlackApiError) as refused:
            client.views_open(trigger_id=trigger, view=form())

        assert error_of(refused) == "exchanged_trigger_id"

    def test_survive_a_view_that_was_refused(self, slack: LocalSlack, client: WebClient) -> None:
        trigger, _ = interact(slack)
        with pytest.raises(SlackApiError) as refused:
            client.views_open(trigger_id=trigger, view={"type": "modal"})
        assert error_of(refused) == "invalid_arguments"

        assert client.views_open(trigger_id=trigger, view=form())["ok"]

    def test_that_nobody_handed_out_are_refused(self, client: WebClient) -> None:
        with pytest.raises(SlackApiError) as refused:
            client.views_open(trigger_id="1.2.3", view=form())

        assert error_of(refused) == "invalid_trigger_id"

    def test_from_a_modal_push_until_three_are_stacked(self, slack: LocalSlack, client: WebClient) -> None:
        trigger, _ = interact(slack)
        with pytest.raises(SlackApiError) as refused:
            client.views_push(trigger_id=trigger, view=form())
        assert error_of(refused) == "not_found"

        client.views_open(trigger_id=trigger, view=form())
        for _ in range(2):
            client.views_push(trigger_id=submitted(slack), view=form())
        with pytest.raises(SlackApiError) as refused:
            client.views_push(trigger_id=submitted(slack), view=form())

        assert error_of(refused) == "push_limit_reached"
        assert len(slack.workspace.modals(ANN)) == 3


def submitted(slack: LocalSlack) -> str:
    """A trigger_id from inside the modal that is on top."""
    view = slack.modal(ANN)
    assert view is not None
    answer = slack.submit(ANN, view, {"profile": {"pick": "prod"}, "why": {"text": "x"}})
    return str(answer.payload["trigger_id"])


class TestResponseUrls:
    def test_answer_five_times(self, slack: LocalSlack) -> None:
        _, url = interact(slack)

        answers = [url.send(text=f"answer {n}") for n in range(6)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 404]
        assert answers[0].body == "ok"
        assert "used_url" in answers[5].body
        assert [message.text for message in slack.ephemerals(ANN, ACCESS)] == [f"answer {n}" for n in range(5)]

    def test_answer_for_thirty_minutes(self, slack: LocalSlack, clock: FrozenClock) -> None:
        _, url = interact(slack)
        clock.advance(timedelta(minutes=30))
        assert url.send(text="just in time").status_code == 200

        clock.advance(timedelta(microseconds=1))
        answer = url.send(text="too late")

        assert (answer.status_code, "Expired url" in answer.body) == (404, True)

    def test_refuse_what_the_web_api_refuses(self, slack: LocalSlack) -> None:
        _, url = interact(slack)

        assert "no_text" in url.send().body
        assert "invalid_blocks" in url.send(text="x", blocks=[{"type": "section"}]).body
        assert url.send(text="x").status_code == 200

    def test_of_a_button_replace_and_delete_its_message(self, slack: LocalSlack, client: WebClient) -> None:
        client.chat_postMessage(channel=ACCESS, text="a card", blocks=card())
        pressed = slack.press(ANN, slack.messages(ACCESS)[0], "approve")
        url = WebhookClient(pressed.payload["response_url"])

        url.send(text="beside it")
        url.send(text="instead of it", replace_original=True)
        assert [message.text for message in slack.messages(ACCESS)] == ["instead of it"]
        assert [message.text for message in slack.ephemerals(ANN)] == ["beside it"]

        url.send(delete_original=True)
        assert slack.messages(ACCESS) == []

    def test_cannot_be_guessed(self, slack: LocalSlack) -> None:
        assert WebhookClient(f"{slack.url}/response/guess").send(text="x").status_code == 404
