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
from bot.views.break_glass.form import BegunBreakGlass, BreakGlassDraft
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
def test_valid_line_is_understood(text: str | None, command: BreakGlassCommand) -> None:
    assert parse_break_glass(text) == command


PROFILES = {"prod", "staging", "db"}
INCIDENT = ReasonCode.INCIDENT


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("prod", BegunBreakGlass("prod")),
        ("prod the site is down", BegunBreakGlass("prod", justification="the site is down")),
        ("the site is down on prod!", BegunBreakGlass("prod", justification="the site is down on prod!")),
        ("db on prod is down", BegunBreakGlass("db", justification="on prod is down")),
        ("prod incident the db is down", BegunBreakGlass("prod", INCIDENT, None, "the db is down")),
        ("incident prod 1h all is down", BegunBreakGlass("prod", INCIDENT, HOUR, "all is down")),
        (f"prod 1h incident {WHY}", BegunBreakGlass("prod", INCIDENT, HOUR, WHY)),
        ("prod incident 1h it is down", BegunBreakGlass("prod", INCIDENT, HOUR, "it is down")),
        ("prod incident 2 hours it is down", BegunBreakGlass("prod", INCIDENT, 2 * HOUR, "it is down")),
        ("prod incident 0h it is down", BegunBreakGlass("prod", INCIDENT, None, "it is down", ("0h",))),
        (f"prod incidnet 1h {WHY}", BegunBreakGlass("prod", None, HOUR, WHY, ("incidnet",))),
        ("prod outage 2h all is down", BegunBreakGlass("prod", None, None, "outage 2h all is down")),
        ("incident on prod: all is down", BegunBreakGlass("prod", INCIDENT, None, "incident on prod: all is down")),
        ("-x incident 1h it is down", BegunBreakGlass(None, None, None, "-x incident 1h it is down")),
        ("prdo incident 1h it is down", BegunBreakGlass(None, INCIDENT, HOUR, "it is down", ("prdo",))),
        ("major incident on prod", BegunBreakGlass("prod", None, None, "major incident on prod")),
        ("close", CloseEvent(None)),
        ("close it is up again", CloseEvent(None, "it is up again")),
        ("close prod it is up again", CloseEvent(None, "it is up again", "prod")),
        (f"close {ID}", CloseEvent(EventId(ID))),
        (f"close {ID} ok", CloseEvent(EventId(ID), "ok")),
    ],
)
def test_what_is_incomplete_or_in_another_order_is_kept(text: str, begun: BreakGlassCommand) -> None:
    assert parse_break_glass(text, PROFILES) == begun


@pytest.mark.parametrize(
    ("text", "field", "problem", "fix"),
    [
        ("activ", "text", "`activ` isn't a command", "Send this instead:\n`/breakglass active`"),
        ("active all", "page", "`all` isn't a page number", "`/breakglass active 2`"),
        ("reviews 0", "page", "`0` isn't a page number", "`/breakglass reviews 2`"),
        (f"close {ID[:-1]} it is up", "id", f"`{ID[:-1]}` isn't an event id", "0123456789abcdef it is up`"),
        (f"prod {3001 * 'x'}", "justification", "has 3001 characters", "Shorten it to 1000"),
    ],
)
def test_a_mistake_names_the_problem_and_the_line_to_send(text: str, field: str, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(text, PROFILES)
    assert mistake.value.field == field
    assert problem in mistake.value.problem
    assert fix in mistake.value.fix


TYPED = st.sampled_from(["prod", "db", "prdo", "incident", "incidnet", "2h", "0h", "2", "hours", "down", "the", "on"])


@given(st.lists(TYPED, min_size=1, max_size=10))
def test_every_word_typed_is_in_the_form_or_the_event(words: list[str]) -> None:
    made = parse_break_glass(" ".join(words), PROFILES)
    assert isinstance(made, BegunBreakGlass | BreakGlassDraft)
    unread = made.unread if isinstance(made, BegunBreakGlass) else ()
    seen = {made.profile, made.reason_code, *unread, *made.justification.split()}
    spent = {"2h", "2", "hours"} if made.duration is not None else set()
    assert [word for word in words if word not in seen | spent and word not in " ".join(unread)] == []


words = st.sampled_from(
    ["prod", "incident", "1h", "2", "h", "close", ID, "active", "reviews", "help", "-1h", "&lt;", "<!here>"]
)


@given(text=st.none() | st.integers() | st.text() | st.lists(words | st.text(max_size=20), max_size=8).map(" ".join))
@example(text=" ".join(["x"] * 5000))
def test_parser_raises_only_invalid_input_on_any_text(text: object) -> None:
    with suppress(InvalidInput):
        parse_break_glass(text)


@pytest.mark.parametrize("text", ["x " * 9000, f"prod {'x' * 9000}", f"prod incident {'x' * 9000}"])
def test_mistake_is_answered_briefly_however_much_was_typed(text: str) -> None:
    with pytest.raises(InvalidInput) as mistake:
        parse_break_glass(text)
    assert len(str(mistake.value)) < 1500
