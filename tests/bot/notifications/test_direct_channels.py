"""The channels of direct messages: Slack is asked once for each person, and again where a channel is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.notifications import direct_channels
from bot.notifications.direct_channels import DirectChannels
from localslack.faults import Refuse
from tests.bot.notifications.harness import CHANNEL
from tests.core.services.harness import ANN, EVE, RITA

if TYPE_CHECKING:
    from tests.bot.notifications.harness import Office


def opened(office: Office) -> int:
    return sum(call.method == "conversations.open" for call in office.slack.calls)


def ask_and_deny(office: Office) -> None:
    request = office.submit()
    office.deliver()
    office.deny(request, ANN)


def test_channel_of_a_person_is_asked_for_once(office: Office) -> None:
    for _ in range(3):
        ask_and_deny(office)
        office.deliver()

    assert len(office.directs()) == 3
    assert opened(office) == 1


def test_message_is_sent_where_a_new_channel_took_its_place(office: Office) -> None:
    ask_and_deny(office)
    office.deliver()
    ask_and_deny(office)
    gone = office.slack.dm(RITA.id)[0].channel
    office.slack.faults.next(
        Refuse("channel_not_found"), "chat.postMessage", where=lambda sent: sent["channel"] == gone
    )
    office.deliver()

    assert len(office.directs()) == 2
    assert opened(office) == 2
    assert office.parked() == []


def test_channel_that_took_no_message_is_not_kept(office: Office) -> None:
    ask_and_deny(office)
    office.slack.faults.next(Refuse("ratelimited"), "chat.postMessage", where=lambda sent: sent["channel"] != CHANNEL)
    office.deliver_all()

    assert len(office.directs()) == 1
    assert opened(office) == 2


def test_channels_are_bounded_and_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_channels, "MAX_KNOWN", 2)
    channels = DirectChannels()
    channels.note(ANN.id, "D1")
    channels.note(RITA.id, "D2")
    channels.note(ANN.id, "D1")
    channels.note(EVE.id, "D3")

    assert [channels.known(each) for each in (ANN.id, RITA.id, EVE.id)] == ["D1", None, "D3"]
    channels.forget(ANN.id)
    assert channels.known(ANN.id) is None
