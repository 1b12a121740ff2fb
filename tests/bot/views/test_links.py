"""Links in people's text: those to hosts that the policy trusts, and nothing that only looks like one."""

from __future__ import annotations

import json

import pytest

from bot.views.block_kit import Message, mrkdwn, user_text
from bot.views.links import MAX_LINKS, CardPlace, card_link, linked, split_links, where_with_id, with_link
from core.request import JUSTIFICATION_LENGTH
from localslack.block_kit import check_message_blocks

HOST = "tickets.example.com"
LINK = f"https://{HOST}/browse/INC-12"


def links_in(text: str, *hosts: str) -> list[str]:
    parts = split_links(text, hosts or (HOST,))
    assert "".join(part for part, _ in parts) == text
    return [part for part, is_link in parts if is_link]


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (LINK, LINK),
        (f"See {LINK}.", LINK),
        (f"({LINK})", LINK),
        (f"see: {LINK}, please", LINK),
        (f"«{LINK}»\nthanks", LINK),
        (f"{LINK}\u00a0now", LINK),
        (f"https://{HOST}", f"https://{HOST}"),
        (f"https://{HOST}/a_(b)?q=1&r=%C3%A9#c", f"https://{HOST}/a_(b)?q=1&r=%C3%A9#c"),
        (f"https://{HOST.upper()}/X", f"https://{HOST.upper()}/X"),
        (f"https://{HOST}/@evil.example", f"https://{HOST}/@evil.example"),
    ],
)
def test_link_to_a_trusted_host_is_found_in_a_sentence(text: str, link: str) -> None:
    assert links_in(text) == [link]


@pytest.mark.parametrize(
    "text",
    [
        f"http://{HOST}/x",
        "https://evil.example/x",
        f"https://{HOST}.evil.example/x",
        f"https://evil.example/{LINK}",
        f"https://sub.{HOST}/x",
        f"https://{HOST}@evil.example/x",
        f"https://{HOST}:x@evil.example/x",
        f"https://user@{HOST}/x",
        f"https://{HOST}:8443/x",
        f"https://{HOST}:443/x",
        f"https://{HOST}./x",
        f"https://{HOST}\\@evil.example/x",
        f"https:\\\\{HOST}/x",
        f"https:/{HOST}/x",
        f"https:///{HOST}/x",
        f"https://{HOST}?@evil.example",
        f"https://{HOST}#@evil.example",
        f"https://{HOST}%2eevil.example/x",
        f"https://{HOST}&amp;.evil.example/x",
        f"https://{HOST}/x?a=1&lt;b",
        f"https://{HOST}/x?a=1&lt;b=2",
        f"https://{HOST}/x&#64;y",
        f"https://{HOST}/x|evil",
        "https://tickets.\u0435xample.com/x",
        "https://tickets.example.com\u3002evil.example/x",
        "https://tickets.example.com\u2044evil.example/x",
        "https://tic\u212aets.example.com/x",
        "https://ticket\u017f.example.com/x",
        f"http\u017f://{HOST}/x",
        f"https://{HOST}/\u202emoc",
        f"https://{HOST}/é",
        f"xhttps://{HOST}/x",
        f"javascript:https://{HOST}/x".replace(":https", "_https"),
        f"https://{HOST} .evil.example".replace(f"{HOST} ", f"{HOST}\u200b"),
    ],
)
def test_what_only_looks_like_a_trusted_link_stays_text(text: str) -> None:
    assert links_in(text) == []


def test_nothing_is_a_link_without_hosts() -> None:
    assert split_links(LINK, ()) == [(LINK, False)]
    message = Message("", (user_text(LINK, "Why:"),))
    assert linked(message, ()) == message
    assert linked(message, ("other.example",)) == message


def test_linked_text_is_valid_at_the_longest_input() -> None:
    text = (f"{LINK} " * 40)[: JUSTIFICATION_LENGTH[1]]
    ours = mrkdwn(f"See {LINK}")
    shown = linked(Message("", (ours, user_text(text, "Why:"))), (HOST,)).blocks

    check_message_blocks(list(shown))
    assert shown[0] == ours
    (section,) = shown[1]["elements"]
    assert [each["type"] for each in section["elements"]].count("link") == MAX_LINKS
    assert "".join(each.get("text", each.get("url")) for each in section["elements"]) == f"Why: {text}"


def test_message_leads_to_its_card_or_names_the_record() -> None:
    url = "https://acme.slack.com/archives/C0ACCESS1/p1768450800000100"
    known = json.dumps(where_with_id(CardPlace("C0ACCESS1", url), "0" * 16))
    assert f"<{url}|Open the card> in <#C0ACCESS1>" in known
    assert "0" * 16 not in known.replace(url, "")
    assert "0" * 16 in json.dumps(where_with_id(CardPlace("C0ACCESS1"), "0" * 16))
    assert with_link(Message("", ()), None) == Message("", ())


@pytest.mark.parametrize(
    "url", ["http://acme.slack.com/x", "https://a|b", "https://a>b", "https://a b", "javascript:1"]
)
def test_address_that_is_not_slacks_becomes_no_link(url: str) -> None:
    assert card_link(url) == ""
