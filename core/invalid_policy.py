"""The mistakes of a policy file, and the error that refuses it.

Invariant: a mistake says where it is, what is wrong and how to fix it; the error names all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One mistake in a policy file: where it is, what is wrong, and how to fix it."""

    line: int
    path: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.path}: {self.problem}. {self.fix}"


class InvalidPolicy(InvalidInput):
    """A policy file was refused; the policy that was in force before stays in force."""

    is_list = True

    def __init__(self, source: str, problems: tuple[PolicyProblem, ...]) -> None:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__("policy", f"{source} has {count}", "\n".join(["", *(f"  {each}" for each in problems)]))
        self.source = source
        self.problems = problems
