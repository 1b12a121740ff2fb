"""The address of a card: where Slack has it, and none while that isn't known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from bot.notifications.card_links import CardLinks
from core.stores.messages import MessageRef

if TYPE_CHECKING:
    from pathlib import Path

    from core.stores.base import Stores

WORKSPACE, CHAIN = "https://acme.slack.com/", "REQUEST#00000000000000a1"


def test_card_has_an_address_once_it_is_posted(stores: Stores) -> None:
    links = CardLinks(stores.messages, WORKSPACE)
    assert links.find(CHAIN) is None
    stores.messages.save_message(CHAIN, "reply", MessageRef(channel="C0ACCESS", ts="1768449225.000200"))
    assert links.find(CHAIN) is None
    stores.messages.save_message(CHAIN, "card", MessageRef(channel="C0ACCESS", ts="1768449225.000100"))

    assert links.find(CHAIN) == "https://acme.slack.com/archives/C0ACCESS/p1768449225000100"
    assert CardLinks(stores.messages, None).find(CHAIN) is None


def test_card_whose_place_cannot_be_read_has_no_address(stores: Stores, tmp_path: Path) -> None:
    links = CardLinks(stores.messages, WORKSPACE)
    stores.messages.save_message(CHAIN, "card", MessageRef(channel="C0ACCESS", ts="1768449225.000100"))
    with closing(sqlite3.connect(tmp_path / "countersign.db")) as connection, connection:
        connection.execute("UPDATE places SET ts = ''")

    assert links.find(CHAIN) is None
