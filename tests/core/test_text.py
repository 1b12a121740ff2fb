from __future__ import annotations

import itertools
import json
import unicodedata
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.text import check_text, clean_text, quoted

DIRECTION_MARKS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ENGLAND: Final = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
HIDDEN: Final = frozenset(
    chr(each)
    for each in (
        *(0xAD, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)),
        *(*range(0xFE00, 0xFE10), *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080), *range(0xE0100, 0xE01F0)),
    )
)


def tagged(text: str) -> str:
    """The text in Unicode's tags, which no font shows."""
    return "".join(chr(0xE0000 + ord(each)) for each in text)


any_text = st.text(st.characters(), max_size=60)
nasty = st.text(
    st.sampled_from(
        "ab \t\n\r\x00\x7f\x85\u200b\u200e\u202e\u2028\u3164\ud800\ufe0f\u0301"
        "\u200d\u2066\u0627\u0915\U0001f3f4\U0001f525\U000e0067\U000e007f\ufe00"
    ),
    max_size=30,
)
hiding = st.lists(
    st.sampled_from([*"ab1# ", "\u0627", "\u0915", "🔥", "\U0001f3f4", ENGLAND, *sorted(HIDDEN)]), max_size=20
).map("".join)


def clean(text: object, at_least: int = 3, at_most: int = 20) -> str:
    return clean_text("reason", text, at_least=at_least, at_most=at_most)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("dup", "dup"),
        ("  dup \n", "dup"),
        ("\u00a0\u2003dup\u2028", "dup"),
        ("two\r\nlines", "two\nlines"),
        ("a\tb", "a\tb"),
        ("déjà vu", "déjà vu"),
        ("日本語", "日本語"),
        ("مرحبا\u200f!", "مرحبا\u200f!"),
        ("👩\u200d🚒!!", "👩\u200d🚒!!"),
        ("<!channel>", "<!channel>"),
        *((f"abc{mark}d", "abcd") for mark in DIRECTION_MARKS),
        ("adm\u200din \u200eac\u200cce\u00adss", "admin access"),
        ("x" * 19 + "\u200b\u200bx", "x" * 20),
        ("prod" + tagged("delete it"), "prod"),
        ("a\ufe00\ufe01\ufe02bc\U000e0100", "abc"),
        ("🔥🔥🔥\ufe0f\ufe0f\ufe01", "🔥🔥🔥\ufe0f"),
        (ENGLAND + " wins", ENGLAND + " wins"),
        ("\U0001f3f4" + tagged("ustx") + "\U000e007f flag", "\U0001f3f4 flag"),
        ("\u0645\u06cc\u200c\u062e\u0645", "\u0645\u06cc\u200c\u062e\u0645"),
        ("क्\u200dष \u0915\u094d\u200c\u0937", "क्\u200dष \u0915\u094d\u200c\u0937"),
        ("❤\ufe0f\u200d🔥 1\ufe0f\u20e3", "❤\ufe0f\u200d🔥 1\ufe0f\u20e3"),
        ("👩🏽\u200d🚒!!", "👩🏽\u200d🚒!!"),
        ("x" * 20, "x" * 20),
        (" " * 30 + "x" * 20, "x" * 20),
    ],
)
def test_typed_text_is_kept_as_written(written: str, kept: str) -> None:
    assert clean(written) == kept


@pytest.mark.parametrize(
    ("written", "problem", "fix"),
    [
        (None, "this is not text", "Write 3 to 20 characters."),
        (b"bytes", "this is not text", "Write 3 to 20 characters."),
        ("", "it is empty", "Write 3 to 20 characters."),
        (" \n\t ", "it is empty", "Write 3 to 20 characters."),
        ("\u200b\u200c\u200d\u2060\ufeff", "it is empty", "Write 3 to 20 characters."),
        ("\u115f\u1160\u3164\uffa0", "it is empty", "Write 3 to 20 characters."),
        ("\u2800\u2800\u2800", "it is empty", "Write 3 to 20 characters."),
        ("\ufe0f\u034f\ufe00", "it is empty", "Write 3 to 20 characters."),
        ("ab", "it has 2 characters", "Write at least 3, so that a reader can understand."),
        ("ab\u200b\u200b", "it has 2 characters", "Write at least 3, so that a reader can understand."),
        ("a\u3164\u2800b", "it has 2 characters", "Write at least 3, so that a reader can understand."),
        ("x" * 21, "it has 21 characters", "Shorten it to 20."),
        ("red\x1b[31m", "it contains the control character U+001B", "Remove it;"),
        ("a\x00b", "it contains the control character U+0000", "Remove it;"),
        ("a\x85b", "it contains the control character U+0085", "Remove it;"),
        ("a\rb", "it contains the control character U+000D", "Remove it;"),
        ("abc\udc80", "it contains the control character U+DC80", "Remove it;"),
    ],
)
def test_unreadable_or_deceptive_text_is_refused_with_the_fix(written: object, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        clean(written)
    assert (refusal.value.field, refusal.value.problem) == ("reason", problem)
    assert refusal.value.fix.startswith(fix)


@given(text=any_text | nasty)
@example("\x85\ufe00\n00")
def test_accepted_text_is_stripped_bounded_harmless_and_stable(text: str) -> None:
    try:
        kept = clean(text)
    except InvalidInput:
        return
    assert kept == kept.strip()
    assert 3 <= len(kept) <= 20
    assert not set(kept) & set(DIRECTION_MARKS)
    assert {character for character in kept if unicodedata.category(character) in {"Cc", "Cs"}} <= {"\n", "\t"}
    assert clean(kept) == kept
    kept.encode()


@given(text=any_text | nasty | hiding)
def test_cleaning_removes_nothing_visible_and_hides_nothing(text: str) -> None:
    try:
        kept = clean_text("reason", text, at_least=0, at_most=1000)
    except InvalidInput:
        return
    typed = text.replace("\r\n", "\n")
    assert [each for each in kept if each not in HIDDEN] == [
        each for each in clean_surroundings(typed) if each not in HIDDEN
    ]
    assert (
        clean_text("reason", kept, at_least=0, at_most=1000) == kept == check_text("r", kept, at_least=0, at_most=1000)
    )
    rest = kept.replace(ENGLAND, "")
    assert not any(0xE0000 <= ord(each) < 0xE0080 for each in rest)
    for before, after in itertools.pairwise(rest):
        assert not (before in HIDDEN and after in HIDDEN - {"\u200d", "\u200c"}), "no row of what nobody sees"
        assert not (
            before.isascii() and before not in "0123456789#*" and after in HIDDEN - {"\u200e", "\u200f", "\u061c"}
        )


def clean_surroundings(text: str) -> str:
    """The text without white space around what can be seen."""
    return "".join(each for each in text if each not in HIDDEN).strip()


@pytest.mark.parametrize("mark", DIRECTION_MARKS)
def test_stored_text_with_a_reversing_mark_is_refused(mark: str) -> None:
    with pytest.raises(InvalidInput, match="control character"):
        check_text("reason", f"abc{mark}d", at_least=3, at_most=20)


def test_stored_text_of_an_older_version_is_kept_as_it_is() -> None:
    stored = "prod" + tagged("delete it") + "\u200b"
    assert check_text("reason", stored, at_least=3, at_most=20) == stored


@given(text=any_text | nasty)
@example("forged\n2026-01-15 ERROR something else")
@example("\x7f\x1b]0;title\x07")
@example('"')
def test_quoted_is_one_printable_ascii_line_that_says_the_same(text: str) -> None:
    line = quoted(text)
    assert line.isascii()
    assert line.isprintable()
    assert (line[0], line[-1]) == ('"', '"')
    assert json.loads(line) == text
