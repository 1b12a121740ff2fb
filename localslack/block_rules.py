"""The kinds of rule that the Block Kit schema is built from: strings, numbers, lists, objects.

Invariant: a rule never raises. It reports every problem of a value, in Slack's wording and with a JSON pointer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from localslack.records import Json


@dataclass(slots=True)
class Report:
    """The problems found so far on one surface: `message`, `modal` or `home`."""

    surface: str
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str, at: str) -> None:
        """Add a problem at a JSON pointer."""
        self.problems.append(f"{problem} [json-pointer:{at}]")


class BlockRule(Protocol):
    """Validates a JSON value."""

    def check(self, value: object, at: str, report: Report) -> None:
        """Report every problem of the value."""
        ...


@dataclass(frozen=True, slots=True)
class BooleanRule:
    """true or false."""

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, bool):
            report.add("must provide a boolean", at)


@dataclass(frozen=True, slots=True)
class IntegerRule:
    """An integer within bounds, both included."""

    minimum: int
    maximum: int

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, int) or isinstance(value, bool):
            report.add("must provide a number", at)
        elif value < self.minimum:
            report.add(f"must be greater than or equal to {self.minimum}", at)
        elif value > self.maximum:
            report.add(f"must be less than or equal to {self.maximum}", at)


@dataclass(frozen=True, slots=True)
class StringRule:
    """A plain string; with `choices`, one of these."""

    max_length: int
    min_length: int = 1
    choices: frozenset[str] = frozenset()

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, str):
            report.add("must provide a string", at)
        elif len(value) > self.max_length:
            report.add(f"must be less than {self.max_length + 1} characters", at)
        elif len(value) < self.min_length:
            report.add(f"must be more than {self.min_length - 1} characters", at)
        elif self.choices and value not in self.choices:
            report.add(f"value must be one of: {', '.join(sorted(self.choices))}", at)


@dataclass(frozen=True, slots=True)
class TextRule:
    """A text object."""

    max_length: int
    allows_mrkdwn: bool = False

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        kinds = frozenset({"plain_text", "mrkdwn"} if self.allows_mrkdwn else {"plain_text"})
        kind = value.get("type") if isinstance(value, dict) else None
        extra: dict[str, BlockRule] = {"emoji": BooleanRule()} if kind == "plain_text" else {"verbatim": BooleanRule()}
        ObjectRule({"type": StringRule(20, choices=kinds), "text": StringRule(self.max_length)}, extra).check(
            value, at, report
        )


@dataclass(frozen=True, slots=True)
class ListRule:
    """A list."""

    rule: BlockRule
    max_items: int
    min_items: int = 1

    def check(self, value: object, at: str, report: Report) -> None:  # noqa: D102  As the protocol says.
        if not isinstance(value, list):
            report.add("must provide an array", at)
            return
        if len(value) > self.max_items:
            report.add(f"no more than {self.max_items} items allowed", at)
        if len(value) < self.min_items:
            report.add(f"no fewer than {self.min_items} items allowed", at)
        for position, item in enumerate(value):
            self.rule.check(item, f"{at}/{position}", report)


@dataclass(frozen=True, slots=True)
class ObjectRule:
    """An object with these keys and no others. `also` runs once the keys and their values have passed."""

    required: Mapping[str, BlockRule]
    optional: Mapping[str, BlockRule] = field(default_factory=dict)
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
class TypedRule:
    """An object whose `type` selects its rule."""

    kinds: Mapping[str, BlockRule]
    surfaces: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The surfaces on which a type is allowed, if not on all."""

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
