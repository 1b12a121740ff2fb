"""Read a file of policy cases, with each mistake as a line, a path and a fix.

Invariant: a file with a mistake gives no cases, so none is left out silently. What can't be read is among the mistakes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.invalid_policy import InvalidPolicy, PolicyProblem
from core.policy.cases import CASE_KEYS, PolicyCases
from core.policy.loader import read_source
from core.policy.schema_errors import errors_of, line_of, say_error
from core.policy.yaml_source import Path, read_values, write_path


@dataclass(frozen=True, slots=True)
class CasesFile:
    """The cases of a file, and the line of each."""

    cases: PolicyCases
    lines: tuple[int, ...]


def load_cases(path: str | os.PathLike[str]) -> CasesFile:
    """The cases in the file. Raises InvalidPolicy when it can't be read or has a mistake."""
    return parse_cases(read_source(FilePath(path)), str(path))


def parse_cases(content: bytes, source: str = "cases.yml") -> CasesFile:
    """Parse cases from these bytes. Raises InvalidPolicy, with every mistake found."""
    reading = read_values(content)
    problems = list(reading.problems)
    if not problems:
        try:
            cases = PolicyCases.model_validate(reading.values)
            return CasesFile(cases, tuple(line_of(("cases", each), reading.lines) for each in range(len(cases.cases))))
        except ValidationError as error:
            problems = [_to_problem(each, reading.lines) for each in errors_of(error)]
    raise InvalidPolicy(source, tuple(sorted(problems, key=lambda each: (each.line, each.path))))


def _to_problem(error: ErrorDetails, lines: dict[Path, int]) -> PolicyProblem:
    path = tuple(part for part in error["loc"] if part != "[key]")
    problem, fix = say_error(error, lambda: _keys_beside(path), path)
    return PolicyProblem(line_of(path, lines), write_path(path), problem, fix)


def _keys_beside(path: Path) -> tuple[str, ...]:
    names = [part for part in path[:-1] if isinstance(part, str)]
    model = next((CASE_KEYS[each] for each in reversed(names) if each in CASE_KEYS), PolicyCases)
    return tuple(field.alias or name for name, field in model.model_fields.items())
