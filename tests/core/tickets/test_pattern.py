"""The form of tickets: what a pattern may be, and which tickets a text names."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.tickets.base import MAX_TICKET_LENGTH
from core.tickets.pattern import check_pattern, find_tickets, matches, write_example


@pytest.mark.parametrize(
    ("pattern", "example"),
    [
        (r"INC-\d+", "INC-123"),
        (r"(INC|CHG)-\d{4,8}", "INC-1234"),
        (r"[A-Z][A-Z0-9_]+-[1-9][0-9]{0,6}", "AAAA-1"),
        (r"#\d+", "#123"),
        (r"SR\.\d{3}(?:-\w+)?", "SR.123"),
        (r"\w+-\d+-\d+", "aaa-123-123"),
    ],
)
def test_pattern_has_an_example_that_matches_it(pattern: str, example: str) -> None:
    assert write_example(check_pattern(pattern)) == example
    assert matches(pattern, example)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"(\d+)+", "it repeats a group"),
        (r"(a|a)*x", "it repeats a group"),
        (r"(?:\w{1,9}){2,}", "it repeats a group"),
        (r"\d+\d+\d+\d+x", "in too many ways"),
        ("a?" * 30 + "x", "in too many ways"),
        ("(A|A)" * 19 + "x", "in too many ways"),
        ("a{1,9}" * 6, "in too many ways"),
        (r"(a)\1", r"it has \1"),
        ("INC-(?=x)", "it has '?'"),
        ("(?i)inc", "it has '?'"),
        (".+", "it has '.'"),
        (r"\S+", r"it has \S"),
        ("[^a]+", "a class that can't be used"),
        ("[z-a]", "it is not a regular expression"),
        ("^INC$", "it has ^"),
        ("a++", "it has ++"),
        ("INC-<", "it has '<'"),
        ("INC- 1", "it has ' '"),
        ("(INC", "a ( that nothing closes"),
        ("INC)", "a ) that nothing opens"),
        ("a|", "an empty part"),
        ("x?", "it also matches nothing"),
        ("x{81}", "it has {81}"),
        ("x{9,2}", "it has {9,2}"),
        ("", "it has 0 characters"),
        ("x" * 101, "it has 101 characters"),
    ],
)
def test_pattern_that_could_harm_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match="pattern: ") as refusal:
        check_pattern(pattern)
    assert problem in refusal.value.problem
    assert refusal.value.fix


@pytest.mark.parametrize(
    ("text", "tickets"),
    [
        ("Deploy the fix for INC-12.", ("INC-12",)),
        ("(INC-12): INC-12, *INC-13*", ("INC-12", "INC-13")),
        ("see https://example.atlassian.net/browse/INC-12?focusedId=1", ("INC-12",)),
        ("INC-12/INC-13", ("INC-12", "INC-13")),
        ("XINC-12 INC-12x INC-12-3 inc-12 INC-\u0661", ()),
        ("x" * 10_000, ()),
        ("", ()),
    ],
)
def test_tickets_of_a_text_are_found_as_words(text: str, tickets: tuple[str, ...]) -> None:
    assert find_tickets(r"INC-\d+", text) == tickets


def test_what_is_too_long_is_no_ticket() -> None:
    assert matches(r"\d+", "1" * MAX_TICKET_LENGTH)
    assert not matches(r"\d+", "1" * (MAX_TICKET_LENGTH + 1))
