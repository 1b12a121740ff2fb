"""The log: one event a line, nothing forged, the record named, and no secret, even if a library tries to write one."""

from __future__ import annotations

import io
import json
import logging
import threading
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_bolt import App, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

from bot.observability.logs import about, configure_logging
from bot.observability.redaction import HIDDEN, Redaction
from bot.settings import LogForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOG = logging.getLogger("countersign.test")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.root
    handlers, level, hook = list(root.handlers), root.level, threading.excepthook
    levels = {name: each.level for name, each in root.manager.loggerDict.items() if isinstance(each, logging.Logger)}
    yield
    root.handlers[:], threading.excepthook, logging.raiseExceptions = handlers, hook, True
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name, each in root.manager.loggerDict.items():
        if isinstance(each, logging.Logger):
            each.setLevel(levels.get(name, logging.NOTSET))


def start(form: LogForm | None = LogForm.JSON, *secrets: str) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(form, stream, secrets=secrets)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail_with(text: str) -> None:
    raise RuntimeError(text)


class TestForms:
    def test_json_has_one_object_a_line(self) -> None:
        stream = start()
        LOG.warning("a %s happened", "thing")

        (line,) = lines(stream)
        assert line.pop("time").endswith("Z")
        assert line == {"level": "WARNING", "logger": "countersign.test", "message": "a thing happened"}

    def test_text_reads_like_a_sentence_with_its_traceback_marked(self) -> None:
        stream = start(LogForm.TEXT)
        try:
            fail_with("first\n2026-01-01T00:00:00.000Z INFO    forged: line")
        except RuntimeError:
            LOG.exception("it broke")

        head, *rest = stream.getvalue().splitlines()
        assert head.endswith("ERROR   countersign.test: it broke")
        assert rest
        assert all(line.startswith("    | ") for line in rest)

    @pytest.mark.parametrize("form", list(LogForm))
    def test_typed_text_forges_no_line_and_moves_no_cursor(self, form: LogForm) -> None:
        stream = start(form)
        LOG.info("said: %s", "\n\r\x1b[2J\u202e\u2028\x85\ud800 x")

        assert len(stream.getvalue().splitlines()) == 1
        assert stream.getvalue().rstrip("\n").isprintable()

    def test_terminal_gets_text_and_everything_else_json(self) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal = Terminal()
        configure_logging(None, terminal)
        LOG.info("hello")
        assert not terminal.getvalue().startswith("{")
        assert start(None) is not None
        LOG.info("hello")

    def test_line_whose_arguments_do_not_fit_is_still_written(self) -> None:
        stream = start()
        LOG.info("%d of %d", "one")  # noqa: PLE1206 - that is the mistake

        (line,) = lines(stream)
        assert line["message"].startswith("%d of %d")

    def test_record_is_named_inside_and_not_outside(self) -> None:
        stream = start()
        with about("REQUEST#0123456789abcdef"):
            LOG.info("inside")
        LOG.info("outside")

        inside, outside = lines(stream)
        assert inside["record"] == "REQUEST#0123456789abcdef"
        assert "record" not in outside

    def test_exception_and_a_stack_are_in_the_same_line(self) -> None:
        stream = start()
        try:
            fail_with("no")
        except RuntimeError:
            LOG.exception("it broke", stack_info=True)

        (line,) = lines(stream)
        assert "RuntimeError: no" in line["exception"]
        assert "Stack" in line["stack"]

    def test_thread_that_ends_with_an_error_and_a_warning_are_logged(self) -> None:
        stream = start()

        thread = threading.Thread(target=fail_with, args=("xoxb-1-secret",), name="worker")
        thread.start()
        thread.join()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)

        ended, warned = lines(stream)
        assert (ended["level"], ended["message"]) == ("CRITICAL", "the thread worker ended with an error")
        assert "xoxb-1-secret" not in ended["exception"]
        assert (warned["logger"], "old" in warned["message"]) == ("py.warnings", True)


SECRETS = (
    "xoxb-12345-67890-AbCdEfGh",
    "xapp-1-A0LOCALAPP-123-abcdef",
    "xoxe.xoxp-1-Mi0yLTEyMzQ1",
    "https://hooks.slack.com/commands/T0/123/abcDEF",
    "https://hooks.slack-gov.com/actions/T0/123/abcDEF",
    "13345224609.738474920.8088930838d88f008e0",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "v0=" + "a2" * 32,
)
PAYLOAD_SECRETS = {
    "response_url": "http://127.0.0.1:4000/response/Zm9vYmFy",
    "trigger_id": "odd-trigger-0815",
    "token": "gIkuvaNzQIHg97ATvDxqgjtO",
    "ticket": "b1946ac92492d2347c6235b4d2611184",
}


def ways_to_write(value: str) -> list[str]:
    """How libraries write what they were given."""
    inner = json.dumps({"a": value, "b": [value]})
    escaped = json.dumps({"a": value}).replace("/", "\\/")
    return [
        value,
        repr(value),
        repr({"a": value}),
        inner,
        escaped,
        json.dumps({"payload": inner}),
        json.dumps({"payload": json.dumps({"payload": escaped})}),
        quote(value, safe=""),
        quote_plus(inner),
        urlencode({"payload": inner}),
        urlencode({"payload": escaped, "x": value}),
        f"GET /x?a={value}&b=1",
        f"({value}), [{value}]; <{value}>",
    ]


def core_of(secret: str) -> str:
    """The part that must not be seen in any spelling: it has no character that an encoding changes."""
    last = secret.rpartition("/")[2].rpartition("=")[2]
    return max(last.split("."), key=len).rpartition("-")[2]


class TestSecrets:
    @pytest.mark.parametrize("secret", SECRETS)
    def test_are_hidden_by_their_form_however_they_are_written(self, secret: str) -> None:
        for written in ways_to_write(secret):
            hidden = Redaction().hide(f"before {written} after")
            assert core_of(secret) not in hidden, written
            assert hidden.startswith("before ")
            assert HIDDEN in hidden

    @pytest.mark.parametrize("key", PAYLOAD_SECRETS)
    def test_are_hidden_by_the_name_that_they_stand_under(self, key: str) -> None:
        value = PAYLOAD_SECRETS[key]
        payload = {"user": "U0MIRA", key: value, "text": "prod 2h"}
        inner = json.dumps(payload)
        for written in (
            repr(payload),
            inner,
            inner.replace("/", "\\/"),
            json.dumps({"payload": inner}),
            urlencode(payload),
            urlencode({"payload": inner}),
            urlencode({"payload": inner.replace("/", "\\/")}),
            quote(inner),
            f"{key}={value} and more",
            f"{key}: {value}",
            f"wss://x/link/?{key}={value}&app_id=1",
        ):
            hidden = Redaction().hide(written)
            assert core_of(value) not in hidden, written
            assert "U0MIRA" in hidden or "user" not in written

    def test_that_are_known_are_hidden_whatever_they_look_like(self) -> None:
        signing, audit = "0123456789abcdef0123456789abcdef", "an audit key, with/odd=characters"
        redaction = Redaction([signing, audit, "a"])

        hidden = redaction.hide(f"{signing} {audit} {quote(audit, safe='')} banana")
        assert hidden == f"{HIDDEN} {HIDDEN} {HIDDEN} banana"

    @pytest.mark.parametrize("form", list(LogForm))
    def test_are_hidden_in_messages_arguments_exceptions_and_names(self, form: LogForm) -> None:
        stream = start(form, "known-secret-value")
        token = "xoxb-12345-67890-AbCdEfGh"

        try:
            fail_with(f"Slack said no to {token}")
        except RuntimeError:
            LOG.exception("with %s and %r", token, {"response_url": "https://hooks.slack.com/actions/T0/1/AbCdEfGh"})
        with about(f"REQUEST#{token}"):
            logging.getLogger(token).error("known-secret-value", stack_info=True)

        assert "AbCdEfGh" not in stream.getvalue()
        assert "known-secret-value" not in stream.getvalue()

    @given(st.text(), st.sampled_from(SECRETS), st.text())
    def test_are_hidden_between_any_two_texts(self, before: str, secret: str, after: str) -> None:
        assert core_of(secret) not in Redaction().hide(f"{before} {secret} {after}").replace(after, "")

    @given(st.text(alphabet="x-%2230Ao\\\"':=_ token", max_size=2000))
    def test_are_looked_for_without_ever_failing(self, text: str) -> None:
        Redaction().hide(text)

    def test_are_the_only_thing_that_is_hidden(self) -> None:
        plain = (
            "REQUEST#0123456789abcdef by U0MIRA in C0ACCESS at 1768449225.120000: v0.1, 1 of 2, https://slack.com/api/"
        )
        assert Redaction(["short"]).hide(plain) == plain


class TestLibraries:
    def test_that_log_what_they_are_sent_are_kept_to_warnings(self) -> None:
        stream = start()
        app = App(
            client=WebClient(),
            authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T0", bot_token="xoxb-1-a"),
            signing_secret="0123456789abcdef",
        )
        body = "token=gIkuvaNzQIHg97ATvDxqgjtO&command=/access&text=prod&trigger_id=odd-trigger-0815"
        form: dict[str, str | Sequence[str]] = {"content-type": "application/x-www-form-urlencoded"}
        assert app.dispatch(BoltRequest(body=body, headers=form)).status == 401
        logging.getLogger("botocore.auth").info("a signature")
        logging.getLogger("uvicorn.error").info("started")
        app.listener_runner.listener_executor.shutdown()

        assert stream.getvalue() == ""

    def test_may_warn(self) -> None:
        stream = start()
        logging.getLogger("slack_bolt.App").warning("Unhandled request ({'token': 'gIkuvaNzQIHg97ATvDxqgjtO'})")

        (line,) = lines(stream)
        assert line["message"] == "Unhandled request ({'token': '[hidden]'})"
