"""Policy cases: the example's cases hold, a case that fails says why, and a mistake has its line and its fix."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from core.invalid_policy import InvalidPolicy
from core.policy import load_policy
from core.policy.case_source import load_cases, parse_cases
from core.policy.cases import CaseOutcome, judge_cases

ROOT: Final = Path(__file__).parents[3]
EXAMPLE: Final = load_policy(ROOT / "policy.example.yml")
ONE_ACT: Final = "Write exactly one of request, approve and break_glass, with the profile."
HEAD: Final = "version: 1\npeople: {U0ENG: {groups: [S0ENGINEERS]}}\ncases:\n"


def judge(*cases: str) -> tuple[CaseOutcome, ...]:
    """What the example policy makes of these cases, each a line of the file."""
    lines = "".join(f"  - {{{each}}}\n" for each in cases)
    return judge_cases(EXAMPLE, parse_cases((HEAD + lines).encode()).cases)


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidPolicy) as caught:
        parse_cases(text.encode())
    return [f"{each.line} {each.path}: {each.problem}. {each.fix}" for each in caught.value.problems]


def test_cases_of_the_example_hold() -> None:
    outcomes = judge_cases(EXAMPLE, load_cases(ROOT / "policy.example.cases.yml").cases)
    assert [each.differences for each in outcomes] == [()] * 9


@pytest.mark.parametrize(
    ("case", "difference"),
    [
        ("who: U0ENG, request: prod, expect: refused", "expected refused, got allowed"),
        ("who: U0ANN, request: prod, expect: allowed", "expected allowed, got refused"),
        (
            "who: U0ENG, request: prod, expect: {answer: allowed, approvals: 1}",
            "expected approvals 1, got 2",
        ),
        ("who: U0ENG, request: prod, expect: {answer: allowed, rule: other}", "expected rule other, got prod"),
        ("who: U0ENG, request: prod, expect: {answer: allowed, longest: 8h}", "expected longest 8h, got 4h"),
        (
            "who: U0ENG, request: prod, expect: {answer: allowed, automatic: true}",
            "expected automatic true, got false",
        ),
        ("who: U0ENG, request: prd, expect: refused", "profile: there is no profile 'prd'. Did you mean prod?"),
        ("who: U0ENG, approve: prod, of: U0ENG, expect: allowed", "expected allowed, got refused"),
        ("who: U0AB12CD3, approve: prod, of: U0ANN, expect: allowed", "expected allowed, got refused"),
        (
            "who: U0AB12CD3, break_glass: prod, reason: maintenance, mfa: true, expect: allowed",
            "expected allowed, got refused",
        ),
        (
            "who: U0AB12CD3, break_glass: prod, mfa: true, expect: {answer: allowed, because: MFA}",
            "expected a refusal because of 'MFA', got no refusal",
        ),
    ],
)
def test_case_that_fails_says_what_is_different(case: str, difference: str) -> None:
    (outcome,) = judge(case)
    assert difference in outcome.differences
    assert not outcome.is_met


def test_reasons_are_those_of_the_policy() -> None:
    (outcome,) = judge("who: U0ENG, request: prod, for: 8h, expect: allowed")
    assert outcome.reasons == (
        "met: U0ENG is in S0ENGINEERS, among the requesters of rule prod",
        "not met: 8h is longer than the 4h that are allowed",
    )


def test_case_without_a_time_comes_out_the_same_on_every_day() -> None:
    assert judge("who: U0ENG, request: staging, expect: {answer: allowed, automatic: true}")[0].is_met


def test_each_mistake_has_its_line_its_place_and_its_fix() -> None:
    text = (
        "version: 2\ncases:\n"
        "  - {who: ann, request: prod, when: now, for: 2, expect: {answer: allowed, aproval: 1}}\n"
        "  - {who: U0ANN, requst: prod, expect: maybe}\n"
        "  - {who: U0ANN, request: prod, approve: prod, of: U0BEN, expect: allowed}\n"
        "  - {who: U0ANN, approve: prod, expect: allowed}\n"
    )
    assert mistakes(text) == [
        "1 version: 2 is not a version of this format. Write version: 1.",
        "3 cases[0].expect.aproval: there is no key 'aproval' here. Did you mean approvals?",
        "3 cases[0].for: 2 has no unit. Did you mean 2m or 2h?",
        "3 cases[0].when: 'now' is not a time with a time zone. Write it like 2026-01-14T12:00:00Z.",
        "3 cases[0].who: 'ann' is not a Slack user id. It looks like U0AB12CD3.",
        "4 cases[1].expect.answer: 'maybe' is not a choice here. Write one of: allowed, refused.",
        "4 cases[1].requst: there is no key 'requst' here. Did you mean request?",
        f"5 cases[2]: a case does one thing, and this one does 2. {ONE_ACT}",
        "6 cases[3]: approve and of belong together. Write of: with the id of the requester, beside approve.",
    ]


@pytest.mark.parametrize("text", ["", "[]", "cases: {", "version: 1\ncases: []\n", "\tx"])
def test_file_that_has_no_cases_is_a_mistake(text: str) -> None:
    assert mistakes(text)
