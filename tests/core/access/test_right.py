"""A right is a value with one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.access.right import MAX_KEY_LENGTH, Right, check_right, parse_right_key, right_key
from core.errors import InvalidInput

parts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
rights = st.builds(Right, target=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
                   resource=parts, level=parts, principal=parts)  # fmt: skip


@given(rights)
def test_key_reads_back_as_the_same_right(right: Right) -> None:
    assert parse_right_key(right_key(right)) == right
    assert hash(parse_right_key(right_key(right))) == hash(right)


@given(rights, rights)
def test_two_rights_have_one_key_only_if_they_are_equal(first: Right, second: Right) -> None:
    assert (right_key(first) == right_key(second)) == (first == second)


def test_key_is_stable() -> None:
    right = Right(target="aws", resource="111122223333", level="arn:aws:sso:::permissionSet/a|b", principal="50%")
    assert right_key(right) == "aws|111122223333|arn:aws:sso:::permissionSet/a%7Cb|50%25"


@pytest.mark.parametrize(
    "text",
    ["", "aws|1|admin", "aws|1|admin|ann|x", "aws|1|admin|", "aws|%31|admin|ann", "aws|1|a%7cb|ann", "aws|1|a b|ann",
     "-aws|1|admin|ann", "aws|1|admin|änn", None, 5],
)  # fmt: skip
def test_other_spelling_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput):
        parse_right_key(text)


@pytest.mark.parametrize(
    "part", [{"target": "a" * 65}, {"resource": "r" * 257}, {"level": ""}, {"principal": "a\nb"}, {"principal": 5}]
)
def test_parts_have_bounds(part: dict[str, object]) -> None:
    fine = {"target": "aws", "resource": "1", "level": "admin", "principal": "ann"}
    with pytest.raises((InvalidInput, ValidationError)):
        Right(**{**fine, **part})  # type: ignore[arg-type]


def test_key_fits_into_a_table() -> None:
    long = Right(target="aws", resource="|" * 256, level="x" * 256, principal="y" * 256)
    assert len(right_key(long)) > MAX_KEY_LENGTH
    with pytest.raises(InvalidInput):
        check_right(long)
