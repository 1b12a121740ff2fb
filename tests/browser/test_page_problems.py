"""A test fails with what goes wrong on its page, even where it does not look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.page_problems import PageProblems
    from tests.browser.screens import Screens

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("event", "script", "problem"),
    [
        ("weberror", "void setTimeout(() => { throw new Error('in a timer') })", "threw: in a timer"),
        ("weberror", "void Promise.reject(new Error('in a promise'))", "threw: in a promise"),
        ("console", "console.error('an error')", "logged: an error"),
        ("console", "console.warn('a warning')", "logged: a warning"),
        ("console", "fetch('/no/such/file')", "logged: Failed to load resource"),
        ("request", "void setTimeout(() => location.assign('http://localhost:1/'))", "requested: http://localhost:1/"),
    ],
    ids=["timer", "promise", "error", "warning", "missing", "elsewhere"],
)
def test_a_problem_on_a_page_is_noted(
    welcome: Screens, page_problems: PageProblems, event: str, script: str, problem: str
) -> None:
    def is_noted(_: object) -> bool:
        return any(each.startswith(problem) for each in page_problems.unexpected())

    # The page makes requests of its own, so the first event need not be the one of the script.
    with welcome.page.context.expect_event(event, is_noted):
        welcome.page.evaluate(script)
    page_problems.expect(".")


def test_an_expected_problem_is_passed_over(welcome: Screens, page_problems: PageProblems) -> None:
    page_problems.expect("one of two")
    for text in ("one of two", "the other"):
        with welcome.page.context.expect_event("console", lambda message, text=text: message.text == text):
            welcome.page.evaluate("text => console.error(text)", text)
    (left,) = page_problems.unexpected()
    assert left.startswith("logged: the other")
    page_problems.expect("the other")
