"""The conditions of a policy statement, as IAM judges them.

Invariant: all operators and keys of a block must be met (AND), one value of each is enough (OR), and a key that the
request doesn't have fails the operator, unless it is negated or ends in IfExists ("IAM JSON policy elements:
Condition").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

Context = Mapping[str, tuple[str, ...]]
"""The request's context: condition keys in lowercase, since IAM ignores their case."""
Conditions = tuple[tuple[str, str, tuple[str, ...]], ...]
"""Operator, key, values."""
_EPOCH: Final = re.compile(r"\d{1,13}")


def are_met(conditions: Conditions, context: Context) -> bool:
    """Whether a statement's whole condition block is met."""
    return all(_is_met(operator, values, context.get(key.lower())) for operator, key, values in conditions)


def find_problem(operator: str, values: tuple[str, ...]) -> str | None:
    """Why IAM would refuse such a condition when it is written, None if it wouldn't."""
    plain, _, _ = _parts(operator)
    if plain == "Null":
        return None if set(values) <= {"true", "false"} else "Null takes true or false"
    if plain not in _OPERATORS:
        return f"Invalid Condition type : {operator}."
    try:
        for value in values:
            _READERS[plain](value)
    except ValueError:
        return f"The value for {operator} is invalid"
    return None


def is_like(pattern: str, value: str) -> bool:
    """Whether a value is like a pattern with `*` for any text and `?` for one character. Case counts."""
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _is_met(operator: str, values: tuple[str, ...], held: tuple[str, ...] | None) -> bool:
    plain, is_optional, quantifier = _parts(operator)
    if plain == "Null":
        return (held is None) == (values[0] == "true")
    if held is None:
        # Rule (IAM guide, "Condition operators"): a missing key fails, but for …IfExists, negations and ForAllValues.
        return is_optional or plain in _NEGATED or quantifier == "ForAllValues"
    compare, read = _OPERATORS[plain], _READERS[plain]
    wanted = [read(value) for value in values]

    def fits(one: str) -> bool:
        met = [compare(read(one), each) for each in wanted]
        # Rule: of a negated operator, no value may match (NOR); of the others, one is enough (OR).
        return all(met) if plain in _NEGATED else any(met)

    return all(fits(one) for one in held) if quantifier == "ForAllValues" else any(fits(one) for one in held)


def _parts(operator: str) -> tuple[str, bool, str]:
    quantifier, colon, rest = operator.rpartition(":")
    plain = rest.removesuffix("IfExists")
    known = not colon or quantifier in {"ForAnyValue", "ForAllValues"}
    return plain if known else operator, plain != rest, quantifier


def _read_date(text: str) -> datetime:
    # Rule: ISO 8601 of W3C, or seconds since the epoch.
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _read_bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


_Compare = Callable[..., bool]
_OPERATORS: Final[dict[str, _Compare]] = {
    "StringEquals": lambda held, wanted: held == wanted,
    "StringNotEquals": lambda held, wanted: held != wanted,
    "StringEqualsIgnoreCase": lambda held, wanted: held.lower() == wanted.lower(),
    "StringNotEqualsIgnoreCase": lambda held, wanted: held.lower() != wanted.lower(),
    "StringLike": lambda held, wanted: is_like(wanted, held),
    "StringNotLike": lambda held, wanted: not is_like(wanted, held),
    "ArnEquals": lambda held, wanted: is_like(wanted, held),
    "ArnLike": lambda held, wanted: is_like(wanted, held),
    "ArnNotEquals": lambda held, wanted: not is_like(wanted, held),
    "ArnNotLike": lambda held, wanted: not is_like(wanted, held),
    "Bool": lambda held, wanted: held == wanted,
    **{
        f"{kind}{name}": compare
        for kind in ("Date", "Numeric")
        for name, compare in {
            "Equals": lambda held, wanted: held == wanted,
            "NotEquals": lambda held, wanted: held != wanted,
            "LessThan": lambda held, wanted: held < wanted,
            "LessThanEquals": lambda held, wanted: held <= wanted,
            "GreaterThan": lambda held, wanted: held > wanted,
            "GreaterThanEquals": lambda held, wanted: held >= wanted,
        }.items()
    },
}
_NEGATED: Final = frozenset(name for name in _OPERATORS if "Not" in name)
_READERS: Final[dict[str, Callable[[str], object]]] = {
    name: _read_date if name.startswith("Date") else float if name.startswith("Numeric") else str for name in _OPERATORS
} | {"Bool": _read_bool}
