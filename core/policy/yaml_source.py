"""Reads the bytes of a policy file into plain values, with the line of each.

Invariant: what is read is what a person sees in the file. There are no anchors, tags, second documents, repeated keys
or empty values, and a file that is too large or too deep is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from core.invalid_policy import PolicyProblem

Value = str | int | bool | list["Value"] | dict[str, "Value"]
"""A value as the file writes it."""
Path = tuple[str | int, ...]
"""Where a value is: keys and positions from the top of the file."""
MAX_BYTES: Final = 1024 * 1024
MAX_LEVELS: Final = 12
_WHOLE_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})


class Reading(NamedTuple):
    """What a file says, the line of each path in it, and the mistakes that were found while reading."""

    values: dict[str, Value]
    lines: dict[Path, int]
    problems: tuple[PolicyProblem, ...]


def read_values(content: bytes) -> Reading:
    """Read the bytes of a policy file. Promises never to raise: what cannot be read is among the problems."""
    if len(content) > MAX_BYTES:
        return _unreadable(1, f"the file is larger than {MAX_BYTES} bytes", "Is this the right file?")
    try:
        return _parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return _unreadable(line, "this is not UTF-8 text", "Save the file as UTF-8.")


def _parse(text: str) -> Reading:
    problems: list[PolicyProblem] = []
    try:
        return _Builder(text, problems).read()
    except _Stop as stop:
        return Reading({}, {}, (*problems, stop.problem))
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        found = _unreadable(line, "there is a character here that YAML does not allow", "Remove it.")
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        found = _unreadable(line, *_say_syntax(error))
    except YAMLError as error:
        found = _unreadable(1, f"this cannot be read as YAML ({error!s:.80})", "Correct it.")
    return Reading({}, {}, (*problems, *found.problems))


def write_path(path: Path) -> str:
    """The path as people write it: `approval[0].max_duration`. The top of the file is `file`."""
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return written.lstrip(".") or "file"


def _unreadable(line: int, problem: str, fix: str) -> Reading:
    return Reading({}, {}, (PolicyProblem(line, "file", problem, fix),))


def _say_syntax(error: MarkedYAMLError) -> tuple[str, str]:
    problem = str(error.problem or "it is not YAML")
    if "'\\t'" in problem:
        return "there is a tab here", "Indent with spaces."
    if "mapping values are not allowed" in problem:
        return "there is a second colon here, or the line is indented too far", "Put the value in quotes, or align it."
    opened = error.context_mark.line + 1 if error.context_mark else 0
    since = f" (it began in line {opened}: {error.context})" if error.context and opened else ""
    return (
        f"this cannot be read as YAML: {problem}{since}",
        "Close every bracket and quote; put text with special characters in quotes.",
    )


class _Stop(Exception):
    """There is no point in reading on."""

    def __init__(self, line: int, path: Path, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = PolicyProblem(line, write_path(path), problem, fix)


class _Builder:
    """Builds the values from the parser's events, one after the other."""

    def __init__(self, text: str, problems: list[PolicyProblem]) -> None:
        # The parser only: no constructor of YAML ever runs, so no tag can make anything but the values below.
        self._events: Iterator[events.Event] = iter(YAML(typ="safe", pure=True).parse(text))
        self.lines: dict[Path, int] = {}
        self.problems = problems

    def read(self) -> Reading:
        """The file has to be one mapping."""
        event = self._skip_to_content()
        if not isinstance(event, events.MappingStartEvent):
            raise _Stop(_line(event), (), "the file does not begin with keys", "Begin it with version: 1.")
        self.lines[()] = _line(event)
        self._refuse_extras(event, ())
        values = self._mapping(())
        for event in self._events:
            if isinstance(event, events.DocumentStartEvent):
                raise _Stop(_line(event), (), "a second document begins here", "Remove the line with ---.")
        return Reading(values, self.lines, tuple(self.problems))

    def _skip_to_content(self) -> events.Event:
        for event in self._events:
            if not isinstance(event, events.StreamStartEvent | events.DocumentStartEvent):
                if isinstance(event, events.StreamEndEvent) or _is_empty(event):
                    break
                return event
        raise _Stop(1, (), "the file is empty", "Begin it with version: 1; see policy.example.yml.")

    def _value(self, event: events.Event, path: Path) -> Value | None:
        self._refuse_extras(event, path)
        if len(path) > MAX_LEVELS:
            raise _Stop(_line(event), path[:3], "this is nested too deeply", "No policy needs so many levels.")
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(path)
        if _is_empty(event):
            self._note(
                self.lines.get(path, _line(event)), path, "there is no value here", "Write one, or remove the key."
            )
            return None
        return _scalar(event)

    def _mapping(self, path: Path) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for event in self._events:
            if isinstance(event, events.MappingEndEvent):
                break
            if not isinstance(event, events.ScalarEvent):
                raise _Stop(_line(event), path, "a key has to be one word", "Put it in quotes if it has brackets.")
            self._refuse_extras(event, path)
            here = (*path, str(event.value))
            is_repeated = here in self.lines
            if is_repeated:
                first = self.lines[here]
                self._note(_line(event), here, f"this key is already in line {first}", "Keep one of the two.")
            else:
                self.lines[here] = _line(event)
            value = self._value(next(self._events), here)
            if value is not None and not is_repeated:
                values[str(event.value)] = value
        return values

    def _sequence(self, path: Path) -> list[Value]:
        values: list[Value] = []
        for event in self._events:
            if isinstance(event, events.SequenceEndEvent):
                break
            here = (*path, len(values))
            self.lines[here] = _line(event)
            value = self._value(event, here)
            # A placeholder for an empty entry keeps the positions of the entries after it.
            values.append("" if value is None else value)
        return values

    def _refuse_extras(self, event: events.Event, path: Path) -> None:
        if isinstance(event, events.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _Stop(_line(event), path, "anchors (&) and aliases (*) are not used here", "Write the values out.")
        if getattr(event, "tag", None) is not None:
            raise _Stop(_line(event), path, "tags (!) are not used here", "Remove the tag.")

    def _note(self, line: int, path: Path, problem: str, fix: str) -> None:
        self.problems.append(PolicyProblem(line, write_path(path), problem, fix))


def _line(event: events.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1


def _is_empty(event: events.Event) -> bool:
    return isinstance(event, events.ScalarEvent) and _is_plain(event) and event.value in _NOTHING


def _is_plain(event: events.ScalarEvent) -> bool:
    return event.style in {None, ""}


def _scalar(event: events.Event) -> Value:
    if not isinstance(event, events.ScalarEvent):
        raise TypeError(f"the parser gave an unexpected {type(event).__name__}")
    text = str(event.value)
    if _is_plain(event) and text in _BOOLEANS:
        return _BOOLEANS[text]
    if _is_plain(event) and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return text
