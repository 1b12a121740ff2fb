"""What the commands that speak to the server have in common: their last line, and JSON for scripts.

Invariant: with --json, standard output is JSON and nothing else, of a refusal too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from pydantic import BaseModel

from bot.api.problems import ProblemCode
from bot.commands.terminal import write_json
from bot.terminal.errors import ExitCode, ServerRefused
from core.targets.words import one_line

INTERRUPTED: Final = 130
"""How a shell reports a process that Ctrl-C ended."""
_MAX_DETAIL: Final = 1000


def write_answer(answer: BaseModel | dict[str, Any]) -> None:
    """Write one line of JSON."""
    write_json(answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer)


@contextmanager
def refusals_shown(*, as_json: bool) -> Iterator[None]:
    """A refusal of the server ends the command with its sentence and its reasons, and with --json also as JSON."""
    try:
        yield
    except ServerRefused as error:
        click.echo(f"countersign: {describe_refusal(error)}", err=True)
        if as_json:
            problem = error.problem.model_dump(mode="json", exclude_none=True)
            write_json({"outcome": "refused", "code": error.code, "problem": problem})
        is_bad_input = error.code == ProblemCode.INVALID_INPUT
        click.get_current_context().exit(ExitCode.BAD_INPUT if is_bad_input else ExitCode.REFUSED)


def describe_refusal(error: ServerRefused) -> str:
    """The server's sentence, the reasons that it doesn't name itself, and what to do about them."""
    problem = error.problem
    parts = [one_line(problem.detail, _MAX_DETAIL).rstrip(".")]
    if problem.field is not None and problem.field.lower() not in parts[0].lower():
        parts[0] = f"{one_line(problem.field, 40)}: {parts[0]}"
    parts += [text for each in problem.reasons if (text := one_line(each).rstrip(".")) and text not in parts[0]]
    if problem.existing is not None:
        parts.append(f"Follow it with: countersign request show {one_line(problem.existing, 40)} --wait")
    if error.code == ProblemCode.RATE_LIMITED and error.retry_after is not None:
        parts.append(f"Try again in {error.retry_after:.0f} s")
    return ". ".join(parts)
