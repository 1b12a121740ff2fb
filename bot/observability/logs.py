"""Logging: JSON lines for machines or text lines for people, in one format for our code and for libraries.

Invariant: each event is one line of JSON, or starts with one line of text; text that people typed can forge neither.
The log contains no secrets: every line passes through `redaction.py`, including those of libraries. Libraries that log
the payloads they receive are limited to warnings.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TextIO

from bot.observability.redaction import Redaction
from bot.settings import LogForm
from core.trace import current_trace, trace_id_of

_record: Final[ContextVar[str | None]] = ContextVar("countersign_record", default=None)
_QUIET: Final = (
    "asyncio", "boto3", "botocore", "httpcore", "prometheus_client", "slack_bolt", "slack_sdk",
    "urllib3", "uvicorn", "websockets",
)  # fmt: skip
"""Loggers of libraries, some of which log everything that they receive at INFO."""
_INDENT: Final = "    | "


@contextmanager
def about(record: str) -> Iterator[None]:
    """Add a record, such as `REQUEST#0123456789abcdef`, to every line that is logged inside the block."""
    token = _record.set(record)
    try:
        yield
    finally:
        _record.reset(token)


def configure_logging(form: LogForm | None, stream: TextIO, *, secrets: Iterable[str] = ()) -> None:
    """Write the log of this process to `stream` from now on. `form` None: text on a terminal, JSON elsewhere.

    `secrets` are values that must never appear, whatever they look like. Python's warnings and exceptions that end a
    thread are logged too.
    """
    if form is None:
        form = LogForm.TEXT if stream.isatty() else LogForm.JSON
    redaction = Redaction(secrets)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(redaction) if form is LogForm.JSON else TextFormatter(redaction))
    handler.addFilter(_add_record)
    handler.addFilter(_is_wanted)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # A failure to log must not stop the work, and a traceback on stderr would bypass the redaction.
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_uncaught


class JsonFormatter(logging.Formatter):
    """One JSON object per line, in ASCII."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        hide = self._redaction.hide
        line = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": hide(record.name),
            "message": hide(_message_of(record)),
        }
        if (about_record := getattr(record, "about", None)) is not None:
            line["record"] = hide(str(about_record))
        if (trace := getattr(record, "trace", None)) is not None:
            line["trace_id"] = str(trace)
        if record.exc_info:
            line["exception"] = hide(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = hide(self.formatStack(record.stack_info))
        return json.dumps(line, ensure_ascii=True)


class TextFormatter(logging.Formatter):
    """A line for people, followed by the traceback, if any, with each of its lines marked."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """The line, its traceback and its stack."""
        about_record = getattr(record, "about", None)
        where = f" [{about_record}]" if about_record is not None else ""
        head = f"{_time_of(record)} {record.levelname:<7} {record.name}{where}: {_message_of(record)}"
        more = [self.formatException(record.exc_info)] if record.exc_info else []
        more += [self.formatStack(record.stack_info)] if record.stack_info else []
        lines = [_printable(head), *(f"{_INDENT}{_printable(line)}" for text in more for line in text.splitlines())]
        return self._redaction.hide("\n".join(lines))


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a line with mismatched arguments is better than none
        return f"{record.msg} ({type(error).__name__} in the arguments of this line)"


def _time_of(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.created % 1 * 1000):03d}Z"


def _printable(text: str) -> str:
    """The text on one line, without characters that move the cursor or reverse the reading direction."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _add_record(record: logging.LogRecord) -> bool:
    if not hasattr(record, "about"):
        record.about = _record.get()
    trace = current_trace()
    record.trace = trace_id_of(trace) if trace is not None else None
    return True


def _is_wanted(record: logging.LogRecord) -> bool:
    # When an app is built, Bolt overwrites the level of its loggers with the root's.
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in _QUIET


def _log_uncaught(arguments: threading.ExceptHookArgs) -> None:
    error = arguments.exc_value
    if error is None or isinstance(error, SystemExit):
        return
    name = arguments.thread.name if arguments.thread is not None else "?"
    logging.getLogger("countersign").critical("the thread %s ended with an error", name, exc_info=error)
