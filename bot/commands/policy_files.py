"""What the commands about policies share: where the file is, how its mistakes read, and the output for scripts.

Invariant: a mistake is reported in plain lines, never as a traceback; the exit code is 1 for mistakes in a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final, TypeVar

import click

from bot.commands.terminal import FILE, Ink
from core.errors import InvalidInput
from core.invalid_policy import InvalidPolicy, PolicyProblem
from core.policy import Policy
from core.policy.loader import load_with_notes

T = TypeVar("T")
MISTAKEN: Final = 1
policy_option = click.option(
    "--policy",
    "policy_path",
    envvar="COUNTERSIGN_POLICY",
    default="policy.yml",
    show_default=True,
    type=FILE,
    metavar="FILE",
    help="The policy file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def print_json(value: Mapping[str, object]) -> None:
    """One JSON object, for scripts."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_problem(path: str, problem: PolicyProblem) -> str:
    """A mistake as one line that editors can follow."""
    return f"{path}:{problem.line}: {problem.path}: {problem.problem}. {problem.fix}"


def read_or_exit(path: str, read: Callable[[str], T], *, as_json: bool = False) -> T:
    """What `read` makes of the file; with mistakes, they are printed and the command ends."""
    try:
        return read(path)
    except InvalidPolicy as error:
        if as_json:
            print_json({"file": path, "is_valid": False, "mistakes": [asdict(each) for each in error.problems]})
            click.get_current_context().exit(MISTAKEN)
        ink = Ink.of_stdout()
        for each in error.problems:
            ink.say(ink.paint(write_problem(path, each), "bad"))
        click.get_current_context().exit(MISTAKEN)


def load_policy_file(path: str, *, as_json: bool = False) -> tuple[Policy, tuple[PolicyProblem, ...]]:
    """The policy of the file and the notes about it; with mistakes, they are printed and the command ends."""
    return read_or_exit(path, load_with_notes, as_json=as_json)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Report what was typed wrong as click does, with exit code 2."""
    try:
        yield
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
