"""What people type after /access: every form, every mistake with its fix, and no error but InvalidInput."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.interactions.commands.access import (
    AccessCommand,
    parse_access,
)
from bot.interactions.commands.tokens import OpenForm, ShowHelp, ShowList, parse_once, unescape
from bot.views.request.form import BegunRequest, RequestDraft
from bot.views.request.list import ListKind
from core.errors import InvalidInput
from core.written_time import WrittenTime

HOUR = timedelta(hours=1)
WHY = "deploy the fix for INC-12"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", OpenForm()),
        (" \n", OpenForm()),
        (None, OpenForm()),
        ("help", ShowHelp()),
        ("HELP me", ShowHelp()),
        ("mine", ShowList(ListKind.MINE)),
        ("mine 2", ShowList(ListKind.MINE, 2)),
        ("Pending", ShowList(ListKind.PENDING)),
        ("pending 10", ShowList(ListKind.PENDING, 10)),
    ],
)
def test_word_or_none(text: str | None, command: AccessCommand) -> None:
    assert parse_access(text) == command


@pytest.mark.parametrize(
    ("duration", "minutes"),
    [("2h", 120), ("90m", 90), ("1h30m", 90), ("2H", 120), ("for 2h", 120), ("2 h", 120), ("for 90 m", 90)],
)
def test_request_in_one_line(duration: str, minutes: int) -> None:
    assert parse_access(f" prod  {duration}\t{WHY} ") == RequestDraft(("prod",), timedelta(minutes=minutes), WHY)


def test_example_that_is_shown_to_people_is_right() -> None:
    assert parse_access(f"prod 2h {WHY}") == RequestDraft(("prod",), timedelta(hours=2), WHY)


def test_reason_stays_as_it_was_typed() -> None:
    asked = parse_access("prod 2h   first  line\n  and *second* line  ")

    assert asked == RequestDraft(("prod",), timedelta(hours=2), "first  line\n  and *second* line")


def test_reason_may_begin_with_for_and_a_time() -> None:
    """Only a time that stands directly behind the duration could belong to it."""
    asked = parse_access("prod 2h for 30m of downtime")

    assert asked == RequestDraft(("prod",), timedelta(hours=2), "for 30m of downtime")


def test_profile_may_have_the_name_of_a_command() -> None:
    assert parse_access(f"mine 2h {WHY}") == RequestDraft(("mine",), timedelta(hours=2), WHY)


@pytest.mark.parametrize(
    ("start", "hour", "day"),
    [
        ("tomorrow 22:00", 22, "tomorrow"),
        ("at 22:00", 22, None),
        ("2026-11-24 22:00", 22, "2026-11-24"),
        ("on Monday at 9pm", 21, "monday"),
    ],
)
def test_line_may_say_when_it_starts(start: str, hour: int, day: str | None) -> None:
    asked = parse_access(f"prod 2h {start} {WHY}")

    assert asked == RequestDraft(("prod",), 2 * HOUR, WHY, starts=WrittenTime(start, hour, 0, day))


def test_reason_may_have_times_in_it() -> None:
    for why in (f"{WHY} tomorrow 22:00", "logs since 22:00 are gone", "at least two hosts are down", "monday's deploy"):
        assert parse_access(f"prod 2h {why}") == RequestDraft(("prod",), 2 * HOUR, why)
    asked = parse_access(f"prod 2h at 22:00 {WHY} at 23:00")
    assert isinstance(asked, RequestDraft)
    assert (asked.justification, asked.starts) == (f"{WHY} at 23:00", WrittenTime("at 22:00", 22, 0))


PROFILES = {"prod", "staging", "db", "prod-eu"}
TEN = WrittenTime("tomorrow 22:00", 22, 0, "tomorrow")


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("prod", BegunRequest(("prod",))),
        ("Prod", BegunRequest(("prod",))),
        ("2h", BegunRequest((), 2 * HOUR)),
        ("prod 2h", BegunRequest(("prod",), 2 * HOUR)),
        ("2h prod fix the login", BegunRequest(("prod",), 2 * HOUR, "fix the login")),
        ("prod fix the login", BegunRequest(("prod",), None, "fix the login")),
        ("prod fix the login 2h", BegunRequest(("prod",), 2 * HOUR, "fix the login")),
        ("prod fix the login for 2 hours", BegunRequest(("prod",), 2 * HOUR, "fix the login")),
        ("fix the login on prod", BegunRequest(("prod",), None, "fix the login on prod")),
        ("fix db, then prod", BegunRequest((), None, "fix db, then prod")),
        ("fix the login", BegunRequest((), None, "fix the login")),
        ("prod fix the 30m outage of it", BegunRequest(("prod",), None, "fix the 30m outage of it")),
        ("prod 2h short", BegunRequest(("prod",), 2 * HOUR, "short")),
        ("prod 3 hours deploy the fix", BegunRequest(("prod",), 3 * HOUR, "deploy the fix")),
        ("prod 45minutes deploy it", BegunRequest(("prod",), 0.75 * HOUR, "deploy it")),
        ("prod 1h 30m deploy the fix", BegunRequest(("prod",), 1.5 * HOUR, "deploy the fix")),
        ("prod staging 2h fix it", BegunRequest(("prod", "staging"), 2 * HOUR, "fix it")),
        ("prod,staging fix it", BegunRequest(("prod", "staging"), None, "fix it")),
        ("prod staging is slow", BegunRequest(("prod",), None, "staging is slow")),
        ("prod 2 deploy it", BegunRequest(("prod",), None, "2 deploy it")),
        ("prod 0h deploy it", BegunRequest(("prod",), None, "deploy it", unread=("0h",))),
        ("prod -1h deploy it", BegunRequest(("prod",), None, "deploy it", unread=("-1h",))),
        ("prod 9999d deploy it", BegunRequest(("prod",), None, "deploy it", unread=("9999d",))),
        ("prdo 2h deploy it", BegunRequest((), 2 * HOUR, "deploy it", unread=("prdo",))),
        ("prdo", BegunRequest((), unread=("prdo",))),
        ("<#C0OPS|ops> 2h deploy it", BegunRequest((), None, "#ops 2h deploy it")),
        ("ended the deploy on prod", BegunRequest(("prod",), None, "ended the deploy on prod")),
        ("prod tomorrow 22:00", BegunRequest(("prod",), starts=TEN)),
        ("tomorrow 22:00 prod 2h fix it", BegunRequest(("prod",), 2 * HOUR, "fix it", starts=TEN)),
        ("prod tomorrow 22:00 for 2h fix it all", BegunRequest(("prod",), 2 * HOUR, "fix it all", starts=TEN)),
        ("prod 2h 22:00 deploy the fix", BegunRequest(("prod",), 2 * HOUR, "22:00 deploy the fix")),
        ("prod 2h tomorrow deploy it all", BegunRequest(("prod",), 2 * HOUR, "tomorrow deploy it all")),
        ("prod 2h next monday deploy it", BegunRequest(("prod",), 2 * HOUR, "next monday deploy it")),
        (f"prod 2h {501 * 'x'}", BegunRequest(("prod",), 2 * HOUR, 501 * "x")),
    ],
)
def test_whatever_else_is_typed_begins_the_form(text: str, begun: BegunRequest) -> None:
    assert parse_access(text, PROFILES) == begun


@pytest.mark.parametrize(
    ("text", "field", "problem", "fix"),
    [
        ("mine all", "page", "`all` isn't a page number", "For example:\n`/access mine 2`"),
        ("pending 0", "page", "`0` isn't", "`/access pending 2`"),
        ("pending 101", "page", "`101` isn't", "`/access pending 2`"),
        ("pendng", "text", "`pendng` isn't a command", "Send this instead:\n`/access pending`"),
        (f"prod {3001 * 'x'}", "justification", "has 3001 characters", "Shorten it to 500"),
    ],
)
def test_a_mistake_names_the_problem_and_the_line_to_send(text: str, field: str, problem: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_access(text, PROFILES)

    assert caught.value.field == field
    assert problem in caught.value.problem
    assert fix in caught.value.fix


TYPED = st.sampled_from(
    [
        "prod",
        "staging",
        "prdo",
        "2h",
        "1h30m",
        "0h",
        "for",
        "2",
        "hours",
        "incident",
        "incidnet",
        "deploy",
        "the",
        "db,",
        "tomorrow",
        "at",
        "22:00",
        "monday",
    ]
)


@given(st.lists(TYPED, min_size=1, max_size=10))
def test_every_word_typed_is_in_the_form_or_the_request(words: list[str]) -> None:
    made = parse_once(parse_access, " ".join(words), PROFILES)
    assert isinstance(made, BegunRequest | RequestDraft)
    unread = made.unread if isinstance(made, BegunRequest) else ()
    seen = [*made.profiles, *" ".join(unread).split(), *made.justification.split()]
    # What a duration is made of can be anywhere around its number.
    spent = {"2h", "1h30m", "2", "hours", "for"} if made.duration is not None else set()
    spent |= set(made.starts.written.split()) if isinstance(made.starts, WrittenTime) else set()
    assert [word for word in words if word not in seen and word not in spent and word.strip(",") not in seen] == []


TIMES = st.sampled_from(
    ["tomorrow", "today", "at", "22:00", "9am", "10", "pm", "UTC", "on", "monday", "sun", "2026-11-24", "25:00", "next",
     "deploy", "the", "fix"]
)  # fmt: skip


@given(st.lists(TIMES, min_size=1, max_size=9))
def test_reason_keeps_each_word_that_is_not_its_start(words: list[str]) -> None:
    made = parse_access(f"prod 2h {' '.join(words)}", PROFILES)
    assert isinstance(made, BegunRequest | RequestDraft)
    starts = made.starts.written.split() if isinstance(made.starts, WrittenTime) else []
    assert [*starts, *made.justification.split()] == words


def test_long_mistake_is_answered_briefly() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_access("x " * 5_000)

    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("&amp;lt; is how one writes it", "&lt; is how one writes it"),
        ("&lt;@U0ANN&gt;", "<@U0ANN>"),
        ("ask <@U0ANN|ann>", "ask @ann"),
        ("ask <@U0ANN>", "ask @U0ANN"),
        ("in <#C0OPS|ops>", "in #ops"),
        ("in <#C0OPS|>", "in #C0OPS"),
        ("<!here> <!channel|@channel>", "@here @channel"),
        ("<!subteam^S0SRE|@sre> <!subteam^S0SRE>", "@sre @S0SRE"),
        ("<!date^1^{date}|today>", "today"),
        ("<https://example.com/?a=1&amp;b=2>", "https://example.com/?a=1&b=2"),
        ("<http://example.com|example.com>", "example.com"),
        ("<mailto:ann@example.com|ann@example.com>", "ann@example.com"),
        ("<https://evil.example|the runbook>", "the runbook (https://evil.example)"),
        ("<nothing> <>", "<nothing> <>"),
        ("5 < 6 > 4 & 3", "5 < 6 > 4 & 3"),
    ],
)
def test_escaped_text_reads_as_it_was_typed(sent: str, typed: str) -> None:
    assert unescape(sent) == typed


def test_profile_that_slack_made_a_link_of_is_read() -> None:
    asked = parse_access(f"<http://prod.example.com|prod.example.com> 2h {WHY}")

    assert asked == RequestDraft(("prod.example.com",), timedelta(hours=2), WHY)


@given(st.text())
def test_typed_text_survives_the_way_through_slack(typed: str) -> None:
    sent = typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert unescape(sent) == typed


PIECES = st.sampled_from(
    ["prod", "2h", "1h30m", "for", "30m", "2", "h", "hours", "-1h", "mine", "pending", "help", "999999d", "0s",
     "deploy", "<@U0ANN|ann>", "<#C0OPS|", "<", ">", "&amp;", "&lt;", "<https://x.example|y>", "\u202e", "\0",
     "²h", "٣h", "İ"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES | st.text(max_size=5), max_size=8).map(" ".join), st.integers(), st.none()))
@example("prod " + "9" * 5_000)
@example("1d" * 5_000 + " 1d")
def test_parser_raises_only_invalid_input_on_any_text(text: object) -> None:
    with suppress(InvalidInput):
        command = parse_access(text)
        if isinstance(command, RequestDraft):
            assert command.duration > timedelta()
            assert 10 <= len(command.justification) <= 500
