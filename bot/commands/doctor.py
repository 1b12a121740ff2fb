"""`countersign doctor`: check the whole installation, and say how to fix each problem.

Invariant: it changes nothing, posts nothing and prints no secret. A failed check never prevents another one that
doesn't depend on it.

Exit codes: 0 no problems, 1 problems.
"""

from __future__ import annotations

from typing import Final

import click

from bot.commands.env_file import env_file_option
from bot.commands.opening import store_option
from bot.commands.terminal import Ink, color_option, count_of, json_option, write_json
from core.clock import SystemClock

_PROBLEMS: Final = 1


@click.command()
@store_option
@json_option
@click.option("--start", "is_start", is_flag=True, help="Check only what `serve` can't start without.")
@color_option
@env_file_option
def doctor(store: str | None, *, as_json: bool, is_start: bool) -> None:
    """Check the installation, and say how to fix each problem.

    It checks the settings, the tokens and their scopes, the channels, the tables, the policy and what is pending.

    With --start, it is for a container that runs before `serve`: settings, policy, tokens and tables.
    """
    problems = _write_json(store, is_start=is_start) if as_json else write_lines(store, is_start=is_start)
    if problems:
        click.get_current_context().exit(_PROBLEMS)


def _write_json(store: str | None, *, is_start: bool) -> int:
    from bot.doctor.checkup import examine, examine_start  # noqa: PLC0415 - Slack's SDK is slow to load, and others don't need it
    from bot.doctor.finding import Level  # noqa: PLC0415 - as above

    found = list((examine_start if is_start else examine)(store, SystemClock()))
    problems = sum(each.level is Level.WRONG for each in found)
    write_json({"problems": problems, "findings": [each.as_json() for each in found]})
    return problems


def write_lines(store: str | None, *, is_start: bool = False) -> int:
    """A line for each check, as soon as it was made. Returns how many problems there are."""
    from bot.doctor.checkup import examine, examine_start  # noqa: PLC0415 - as above
    from bot.doctor.finding import Level  # noqa: PLC0415 - as above

    ink, problems = Ink.of_stdout(), 0
    for finding in (examine_start if is_start else examine)(store, SystemClock()):
        match finding.level:
            case Level.FINE:
                ink.say(f"{ink.paint(ink.met, 'good')} {finding}")
            case Level.NOTE:
                ink.say(ink.paint(f"{ink.noted} {finding}", "quiet"))
            case Level.WRONG:
                problems += 1
                ink.say(ink.paint(f"{ink.unmet} {finding}", "bad"))
    ink.say(f"{count_of(problems, 'problem')} found, listed above" if problems else "no problems found")
    return problems
