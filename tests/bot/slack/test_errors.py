"""The one table of Slack's errors: complete by Slack's documentation, and read the same way for every caller."""

from __future__ import annotations

import ast
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest
from slack_sdk.errors import SlackRequestError

import bot
from bot.slack import errors
from bot.slack.app_surface import APP_METHODS, EMAIL_METHODS, METHODS, PICTURE_METHODS
from bot.slack.errors import (
    ERRORS,
    MAX_PAUSE,
    TOKEN_CODES,
    UNREACHABLE,
    UNREADABLE,
    ErrorKind,
    SlackToken,
    read_disconnect,
    read_error,
    refuse_token,
)
from tests.bot.slack.documented_errors import BY_METHOD, COMMON
from tests.bot.slack.refusals import a_refusal, an_error

NOW = datetime(2026, 1, 15, tzinfo=UTC)
BOT = Path(bot.__file__).parent


class TestTable:
    def test_covers_the_methods_that_the_bot_calls(self) -> None:
        assert {name.replace(".", "_") for name in BY_METHOD} == {
            *METHODS, *APP_METHODS, *PICTURE_METHODS, *EMAIL_METHODS
        }  # fmt: skip

    @pytest.mark.parametrize("method", BY_METHOD)
    def test_has_every_documented_code(self, method: str) -> None:
        assert sorted((BY_METHOD[method] | COMMON) - ERRORS.keys()) == []

    def test_has_each_code_once(self) -> None:
        source = Path(errors.__file__).read_text(encoding="utf-8")
        table = source.partition("ERRORS: Final[")[2].partition("_APP_TOKEN_ERRORS")[0]
        rows = re.findall(r'_rows\(\s*"([a-z_ ]+)"', table)
        counts = Counter(code for row in rows for code in row.split())

        assert [code for code, count in counts.items() if count > 1] == []
        assert not counts.keys() & (TOKEN_CODES | errors.MESSAGE_GONE | errors.NO_SUCH_PERSON | {errors.NO_SUCH_GROUP})

    @pytest.mark.parametrize("code", sorted(ERRORS))
    def test_names_a_fix_in_whole_sentences(self, code: str) -> None:
        assert ERRORS[code].code == code
        assert re.fullmatch(r"[A-Z].*\.", ERRORS[code].fix)

    def test_uses_every_kind(self) -> None:
        assert {error.kind for error in ERRORS.values()} == set(ErrorKind)

    def test_is_the_only_place_that_knows_a_code(self) -> None:
        """A caller asks for a code's kind, or whether it is in a named set."""
        # These are words of the HTTP API as well.
        known = ERRORS.keys() - {"not_found", "rate_limited", "access_denied"}
        strays = [
            (path.relative_to(BOT).as_posix(), node.value)
            for path in BOT.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and node.value in known and path != Path(errors.__file__)
        ]
        assert strays == [
            ("doctor/slack_checks.py", "is_archived"),
            ("doctor/slack_checks.py", "is_archived"),
            ("doctor/slack_checks.py", "not_in_channel"),
        ]


class TestReading:
    @pytest.mark.parametrize("code", sorted(ERRORS.keys() - errors.RATE_LIMITED))
    def test_a_known_code_gives_its_row(self, code: str) -> None:
        assert read_error(a_refusal(code), NOW) == ERRORS[code]

    def test_an_unknown_code_passes_and_is_named(self) -> None:
        error = read_error(a_refusal("new_thing"), NOW)

        assert (error.code, error.kind, error.is_general) == ("new_thing", ErrorKind.TEMPORARY, False)
        assert "doesn't know this error" in error.fix

    @pytest.mark.parametrize("data", [{}, {"error": None}, {"error": "<script>"}, {"error": ["x"]}, "a page", None])
    def test_what_is_not_slacks_is_not_quoted(self, data: object) -> None:
        error = read_error(an_error(data, 403), NOW)

        assert (error.label, error.kind, error.is_general) == ("HTTP 403", ErrorKind.TEMPORARY, True)

    @pytest.mark.parametrize("data", [{"error": "invalid_auth"}, "a page"])
    def test_a_server_error_passes_whatever_it_says(self, data: object) -> None:
        error = read_error(an_error(data, 503), NOW)

        assert (error.label, error.kind) == ("HTTP 503", ErrorKind.TEMPORARY)

    @pytest.mark.parametrize("error", [URLError("no"), TimeoutError(), IncompleteRead(b""), SlackRequestError("no")])
    def test_no_answer_is_named_by_its_kind(self, error: Exception) -> None:
        assert isinstance(error, UNREACHABLE)
        read = read_error(error, NOW)

        assert (read.label, read.kind, read.is_general) == (type(error).__name__, ErrorKind.TEMPORARY, True)

    def test_an_answer_that_cannot_be_read_is_unreadable(self) -> None:
        for error in (KeyError("channel"), TypeError(), AttributeError(), ValueError()):
            assert isinstance(error, UNREADABLE)
        assert not isinstance(KeyError("channel"), UNREACHABLE)

    def test_a_missing_scope_is_named(self) -> None:
        assert read_error(a_refusal("missing_scope", needed="im:write"), NOW).label == "missing_scope (im:write)"
        assert read_error(a_refusal("missing_scope", needed="<x>"), NOW).label == "missing_scope"
        assert read_error(a_refusal("no_text", needed="im:write"), NOW).label == "no_text"


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [("30", 30), ("0", 1), ("86400", MAX_PAUSE.total_seconds()), ("Thu, 15 Jan 2026 00:00:40 GMT", 40)],
    )
    def test_is_read_and_bounded(self, header: str, seconds: float) -> None:
        limited = an_error("", 429, **{"Retry-After": header})

        assert read_error(limited, NOW).retry_after == timedelta(seconds=seconds)
        assert read_error(limited, NOW).code == "ratelimited"

    @pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
    def test_is_found_however_its_name_is_spelled(self, name: str) -> None:
        assert read_error(an_error({"error": "ratelimited"}, 200, **{name: "7"})).retry_after == timedelta(seconds=7)

    @pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-1"}])
    def test_that_is_not_there_leaves_the_pause_to_the_caller(self, headers: dict[str, str]) -> None:
        assert read_error(an_error("", 429, **headers), NOW).retry_after is None

    def test_as_a_date_needs_the_time(self) -> None:
        limited = an_error("", 429, **{"Retry-After": "Thu, 15 Jan 2026 00:00:40 GMT"})
        assert read_error(limited).retry_after is None


class TestTokens:
    @pytest.mark.parametrize("token", SlackToken)
    @pytest.mark.parametrize("code", sorted(TOKEN_CODES))
    def test_a_bad_one_names_its_own_setting(self, code: str, token: SlackToken) -> None:
        error = read_error(a_refusal(code), NOW, token)

        assert (error.kind, error.is_general) == (ErrorKind.OPERATOR, True)
        assert [each.value for each in SlackToken if each.value in error.fix] == [token.value]

    @pytest.mark.parametrize("code", ["missing_scope", "no_permission", "missing_args"])
    def test_an_app_token_without_its_scope_is_generated_anew(self, code: str) -> None:
        error = read_error(a_refusal(code), NOW, SlackToken.APP)

        assert error.kind is ErrorKind.OPERATOR
        assert "connections:write" in error.fix

    def test_that_are_refused_end_in_one_line(self) -> None:
        refusal = refuse_token(read_error(a_refusal("access_denied"), token=SlackToken.APP), SlackToken.APP)

        assert str(refusal) == (
            "SLACK_APP_TOKEN: Slack refuses it (access_denied). Ask an admin of the Slack workspace to allow this app."
        )


class TestDisconnects:
    @pytest.mark.parametrize("reason", ["link_disabled", "too_many_websockets"])
    def test_that_somebody_must_fix_say_how(self, reason: str) -> None:
        assert read_disconnect(reason).kind is ErrorKind.OPERATOR

    @pytest.mark.parametrize("reason", ["warning", "refresh_requested", "new_reason"])
    def test_that_slack_makes_anyway_are_named(self, reason: str) -> None:
        assert (read_disconnect(reason).code, read_disconnect(reason).kind) == (reason, ErrorKind.TEMPORARY)

    def test_without_a_readable_reason_quote_nothing(self) -> None:
        assert read_disconnect("<script>").code == read_disconnect("").code == "no reason"
