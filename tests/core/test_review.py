"""A review's follow-up link: a web address that everybody may see, or nothing."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.review import clean_follow_up


@pytest.mark.parametrize(
    "link", ["https://incidents.example/13", "http://wiki.intern:8080/INC-13?a=b#c", "https://[2001:db8::1]/13"]
)
def test_web_address_is_kept_as_typed(link: str) -> None:
    assert clean_follow_up(f" {link} ") == link


@pytest.mark.parametrize("link", [None, "", "   "])
def test_missing_link_is_none(link: str | None) -> None:
    assert clean_follow_up(link) is None


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "slack://open?team=T0",
        "data:text/html,hello",
        "//incidents.example/13",
        "incidents.example/13",
        "https://",
        "https:incidents.example",
        "https://[bad/13",
        "https://incidents.example:99999/13",
        "https://incidents.example/13 and more",
        "INC-13 in the tracker",
    ],
)
def test_anything_but_a_web_address_is_refused(link: str) -> None:
    with pytest.raises(InvalidInput, match="not a web address") as refusal:
        clean_follow_up(link)
    assert refusal.value.field == "follow-up link"


def test_link_with_a_password_is_refused_and_not_quoted() -> None:
    with pytest.raises(InvalidInput, match="user name or a password") as refusal:
        clean_follow_up("https://jon:hunter22@incidents.example/13")
    assert "hunter22" not in str(refusal.value)
