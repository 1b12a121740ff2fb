from __future__ import annotations

import json
import unicodedata
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.text import clean_text, quoted

DIRECTION_MARKS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
any_text = st.text(st.characters(), max_size=60)
nasty = st.text(st.sampled_from("ab \t\n\r\x00\x7f\x85\u200b\u200e\u202e\u2028\u3164\ud800\ufe0f\u0301"), max_size=30)


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
        ("x" * 19 + "\u200b\u200bx", "it has 22 characters", "Shorten it to 20."),
        ("red\x1b[31m", "it contains the control character U+001B", "Remove it;"),
        ("a\x00b", "it contains the control character U+0000", "Remove it;"),
        ("a\x85b", "it contains the control character U+0085", "Remove it;"),
        ("a\rb", "it contains the control character U+000D", "Remove it;"),
        ("abc\udc80", "it contains the control character U+DC80", "Remove it;"),
        *(
            (f"abc{mark}d", f"it contains the control character U+{ord(mark):04X}", "Remove it;")
            for mark in DIRECTION_MARKS
        ),
    ],
)
def test_unreadable_or_deceptive_text_is_refused_with_the_fix(written: object, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        clean(written)
    assert (refusal.value.field, refusal.value.problem) == ("reason", problem)
    assert refusal.value.fix.startswith(fix)


@given(text=any_text | nasty)
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
