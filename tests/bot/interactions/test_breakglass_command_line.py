"""What people type after /breakglass: the good lines, and what each mistake is answered with."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.interactions.commands.breakglass import (
    EXAMPLE,
    BreakGlassCommand,
    CloseEvent,
    parse_break_glass,
)
from bot.interactions.commands.tokens import OpenForm, ShowHelp, ShowList
from bot.views.break_glass.form import BreakGlassDraft
from bot.views.break_glass.list import BreakGlassListKind
from core.break_glass import EventId, ReasonCode
from core.errors import InvalidInput

WHY = "the checkout is down, see INC-12"
HOUR = timedelta(hours=1)
ID = "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (None, OpenForm()),
        ("  ", OpenForm()),
        ("help", ShowHelp()),
        ("HELP me", ShowHelp()),
        ("active", ShowList(BreakGlassListKind.ACTIVE)),
        ("active 3", ShowList(BreakGlassListKind.ACTIVE, 3)),
        ("reviews", ShowList(BreakGlassListKind.REVIEWS)),
        ("Reviews 2", ShowList(BreakGlassListKind.REVIEWS, 2)),
        (f"close {ID} it is up again", CloseEvent(EventId(ID), "it is up again")),
        (f"close `{ID.upper()}` it is up again", CloseEvent(EventId(ID), "it is up again")),
        (f"prod incident 1h {WHY}", BreakGlassDraft("prod", ReasonCode.INCIDENT, HOUR, WHY)),
        (f"prod INCIDENT 90m {WHY}", BreakGlassDraft("prod", ReasonCode.INCIDENT, 1.5 * HOUR, WHY)),
        (f"prod incident 2 h {WHY}", BreakGlassDraft("prod", ReasonCode.INCIDENT, 2 * HOUR, WHY)),
        (f"prod recovery for 2h {WHY}", BreakGlassDraft("prod", ReasonCode.RECOVERY, 2 * HOUR, WHY)),
        (f"active incident 1h {WHY}", BreakGlassDraft("active", ReasonCode.INCIDENT, HOUR, WHY)),
        (f"close security 1h {WHY}", BreakGlassDraft("close", ReasonCode.SECURITY, HOUR, WHY)),
        (
            "prod incident 1h &lt;!channel&gt; &amp; <@U0ANN|ann> <https://x.example|x.example>, it is down",
            BreakGlassDraft("prod", ReasonCode.INCIDENT, HOUR, "<!channel> & @ann x.example, it is down"),
        ),
    ],
)
def test_what_is_written_right_is_understood(text: str | None, command: BreakGlassCommand) -> None:
    assert parse_break_glass(text) == command


@pytest.mark.parametrize(
    ("text", "field", "problem", "fix"),
    [
        ("prod", "reason", "there is no reason, no duration", f"Write {EXAMPLE}"),
        ("activ", "text", "is no command here", "Did you mean /breakglass active?"),
        (f"prod 1h incident {WHY}", "reason", "the duration stands before the reason", f"Write {EXAMPLE}"),
        (f"prod incidnet 1h {WHY}", "reason", '"incidnet" is not a reason; these are: incident', f"Write {EXAMPLE}"),
        (f"prod outage 2h {WHY}", "reason", '"outage" is not a reason', f"/breakglass prod incident 2h {WHY}"),
        ("prod incident", "duration", "there is no duration here", f"Write {EXAMPLE}"),
        (f"prod incident {WHY}", "duration", '"the" is not a duration', f"Write {EXAMPLE}"),
        (f"prod incident 2 hours {WHY}", "duration", "hours is not a unit", f"prod incident 2h {WHY}"),
        (f"prod incident 0h {WHY}", "duration", "no time at all", "Understood: the profile prod, incident."),
        ("prod incident 1h", "justification", "there is no justification here", f"Write {EXAMPLE}"),
        ("prod incident 1h it is down", "justification", "it has 10 characters", "for 1h"),
        (f"-x incident 1h {WHY}", "profile", "is not a profile's name", "<profile>"),
        ("active all", "page", 'not "all"', "/breakglass active 2"),
        ("reviews 0", "page", 'not "0"', "/breakglass reviews 2"),
        ("close", "id", "there is no id here", "its Close button"),
        ("close prod it is up again", "id", '"prod" is not an id', "its Close button"),
        (f"close {ID}", "reason", "there is no reason here", f"/breakglass close {ID} it is up again"),
        (f"close {ID} ok", "reason", "it has 2 characters", "at least 3"),
    ],
)
def test_a_mistake_says_what_was_understood_and_how_to_say_it_right(
    text: str, field: str, problem: str, fix: str
) -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(text)
    assert mistake.value.field == field
    assert problem in mistake.value.problem
    assert fix in mistake.value.fix


def test_the_line_that_is_advised_is_understood() -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(f"prod 1h incident {WHY}")
    advised = mistake.value.fix.removeprefix("Write /breakglass ")
    assert parse_break_glass(advised) == BreakGlassDraft("prod", ReasonCode.INCIDENT, HOUR, WHY)


words = st.sampled_from(
    ["prod", "incident", "1h", "2", "h", "close", ID, "active", "reviews", "help", "-1h", "&lt;", "<!here>"]
)


@given(text=st.none() | st.integers() | st.text() | st.lists(words | st.text(max_size=20), max_size=8).map(" ".join))
@example(text=" ".join(["x"] * 5000))
def test_no_text_raises_anything_but_invalid_input(text: object) -> None:
    with suppress(InvalidInput):
        parse_break_glass(text)


@pytest.mark.parametrize(
    "text", ["x" * 9000, f"prod {'x' * 9000}", f"prod incident {'x' * 9000}", f"close {'x' * 9000}"]
)
def test_a_mistake_is_never_told_at_the_length_of_what_was_typed(text: str) -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(text)
    assert len(str(mistake.value)) < 1000
