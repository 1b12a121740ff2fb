"""The kinds of rule that Block Kit is made of: text of some length, lists, objects with known keys.

Invariant: a value that breaks a rule is reported with Slack's words and its JSON pointer, and a broken value never
makes a rule raise. All problems of one value are reported, not just the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Report:
    """The problems found so far, and what kind of surface is being checked: `message`, `modal` or `home`."""

    surface: str
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str, at: str) -> None:
        """Note a problem at a JSON pointer."""
        self.problems.append(f"{problem} [json-pointer:{at}]")


class Rule(Protocol):
    """Says of a JSON value what is wrong with it."""

    def check(self, value: object, at: str, report: Report) -> None:
        """Report what is wrong; nothing if the value is right."""
        ...


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, bool):
            report.add("must provide a boolean", at)


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number between two others."""

    least: int
    most: int

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, int) or isinstance(value, bool):
            report.add("must provide a number", at)
        elif value < self.least:
            report.add(f"must be greater than or equal to {self.least}", at)
        elif value > self.most:
            report.add(f"must be less than or equal to {self.most}", at)


@dataclass(frozen=True, slots=True)
class Line:
    """A bare string."""

    most: int
    least: int = 1
    choices: frozenset[str] = frozenset()

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, str):
            report.add("must provide a string", at)
        elif len(value) > self.most:
            report.add(f"must be less than {self.most + 1} characters", at)
        elif len(value) < self.least:
            report.add(f"must be more than {self.least - 1} characters", at)
        elif self.choices and value not in self.choices:
            report.add(f"value must be one of: {', '.join(sorted(self.choices))}", at)


@dataclass(frozen=True, slots=True)
class Anything:
    """An object whose inside the local Slack does not know, such as rich text."""

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, dict):
            report.add("must provide an object", at)


@dataclass(frozen=True, slots=True)
class Words:
    """A text object."""

    most: int
    may_format: bool = False

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        kinds = frozenset({"plain_text", "mrkdwn"} if self.may_format else {"plain_text"})
        kind = value.get("type") if isinstance(value, dict) else None
        extra: dict[str, Rule] = {"emoji": Flag()} if kind == "plain_text" else {"verbatim": Flag()}
        Record({"type": Line(most=20, choices=kinds), "text": Line(self.most)}, extra).check(value, at, report)


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    rule: Rule
    most: int
    least: int = 1

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, list):
            report.add("must provide an array", at)
            return
        if len(value) > self.most:
            report.add(f"no more than {self.most} items allowed", at)
        if len(value) < self.least:
            report.add(f"no fewer than {self.least} items allowed", at)
        for position, item in enumerate(value):
            self.rule.check(item, f"{at}/{position}", report)


@dataclass(frozen=True, slots=True)
class Record:
    """An object with these keys and no others. `also` is asked when the keys are known to be right."""

    required: Mapping[str, Rule]
    optional: Mapping[str, Rule] = field(default_factory=dict)
    also: Callable[[Json, str, Report], None] | None = None

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, dict):
            report.add("must provide an object", at)
            return
        before = len(report.problems)
        for key in (key for key in self.required if key not in value):
            report.add(f"missing required field: {key}", at)
        for key, inner in value.items():
            rule = self.required.get(key) or self.optional.get(key)
            if rule is None:
                report.add(f"invalid additional property: {key}", at)
            else:
                rule.check(inner, f"{at}/{key}", report)
        if self.also is not None and len(report.problems) == before:
            self.also(value, at, report)


@dataclass(frozen=True, slots=True)
class Typed:
    """An object whose `type` says which rule it follows."""

    kinds: Mapping[str, Rule]
    surfaces: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Where a kind may stand, if not everywhere."""

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, dict):
            report.add("must provide an object", at)
            return
        kind = value.get("type")
        if kind is None:
            report.add("missing required field: type", at)
        elif not isinstance(kind, str) or kind not in self.kinds:
            report.add(f"unsupported type: {kind}", f"{at}/type")
        elif report.surface not in self.surfaces.get(kind, {report.surface}):
            report.add(f"unsupported type: {kind} in a {report.surface}", f"{at}/type")
        else:
            self.kinds[kind].check({k: v for k, v in value.items() if k != "type"}, at, report)
