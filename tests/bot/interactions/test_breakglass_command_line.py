"""What people type after /breakglass: the good lines, and what each mistake is answered with."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.interactions.commands.breakglass import (
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

LINE = f"/breakglass prod incident 1h {WHY}"


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
def test_valid_line_is_understood(text: str | None, command: BreakGlassCommand) -> None:
    assert parse_break_glass(text) == command


@pytest.mark.parametrize(
    ("text", "field", "problem", "fix"),
    [
        ("prod", "reason", "the reason code, the duration and the justification", f"For example:\n`{LINE}`"),
        ("activ", "text", "`activ` isn't a command", "Send this instead:\n`/breakglass active`"),
        (f"prod 1h incident {WHY}", "reason", "comes before the duration", f"Send this instead:\n`{LINE}`"),
        (f"prod incidnet 1h {WHY}", "reason", "`incidnet` isn't a reason code", f"Send this instead:\n`{LINE}`"),
        (f"prod outage 2h {WHY}", "reason", "`outage` isn't a reason code", f"`/breakglass prod incident 2h {WHY}`"),
        ("prod incident", "duration", "the duration is missing", f"For example:\n`{LINE}`"),
        (f"prod incident {WHY}", "duration", "the duration is missing", f"`{LINE}`"),
        (f"prod incident 2 hours {WHY}", "duration", "hours is not a unit", f"`/breakglass prod incident 2h {WHY}`"),
        (f"prod incident 0h {WHY}", "duration", "no time at all", f"`/breakglass prod incident 2h {WHY}`"),
        ("prod incident 1h", "justification", "the justification is missing", f"For example:\n`{LINE}`"),
        ("prod incident 1h it is down", "justification", "it has 10 characters", "at least 20"),
        (f"-x incident 1h {WHY}", "profile", "is not a profile's name", f"`{LINE}`"),
        ("active all", "page", "`all` isn't a page number", "`/breakglass active 2`"),
        ("reviews 0", "page", "`0` isn't a page number", "`/breakglass reviews 2`"),
        ("close", "id", "the event id is missing", "Press Close on the event's card"),
        ("close prod it is up again", "id", "`prod` isn't an event id", "0123456789abcdef it is up again`"),
        (f"close {ID}", "reason", "the reason is missing", f"`/breakglass close {ID} the checkout is back up`"),
        (f"close {ID} ok", "reason", "it has 2 characters", "at least 3"),
    ],
)
def test_a_mistake_names_the_problem_and_the_line_to_send(text: str, field: str, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(text)
    assert mistake.value.field == field
    assert problem in mistake.value.problem
    assert fix in mistake.value.fix


def test_suggested_line_is_understood() -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(f"prod 1h incident {WHY}")
    advised = mistake.value.fix.partition("`/breakglass ")[2].removesuffix("`")
    assert parse_break_glass(advised) == BreakGlassDraft("prod", ReasonCode.INCIDENT, HOUR, WHY)


words = st.sampled_from(
    ["prod", "incident", "1h", "2", "h", "close", ID, "active", "reviews", "help", "-1h", "&lt;", "<!here>"]
)


@given(text=st.none() | st.integers() | st.text() | st.lists(words | st.text(max_size=20), max_size=8).map(" ".join))
@example(text=" ".join(["x"] * 5000))
def test_parser_raises_only_invalid_input_on_any_text(text: object) -> None:
    with suppress(InvalidInput):
        parse_break_glass(text)


@pytest.mark.parametrize(
    "text", ["x" * 9000, f"prod {'x' * 9000}", f"prod incident {'x' * 9000}", f"close {'x' * 9000}"]
)
def test_mistake_is_answered_briefly_however_much_was_typed(text: str) -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(text)
    assert len(str(mistake.value)) < 1500
