"""`countersign doctor`: check the whole installation, and say how to fix each problem.

Invariant: it changes nothing, posts nothing and prints no secret. A failed check never prevents another one that
doesn't depend on it.

Exit codes: 0 no problems, 1 problems.
"""

from __future__ import annotations

from typing import Final

import click

from bot.commands.opening import store_option
from bot.commands.terminal import Ink, count_of
from core.clock import SystemClock

_PROBLEMS: Final = 1


@click.command()
@store_option
def doctor(store: str | None) -> None:
    """Check the installation, and say how to fix each problem.

    It checks the settings, the tokens and their scopes, the channels, the tables, the policy and what is pending.
    """
    # Slack's SDK is slow to load, and the other commands don't need it.
    from bot.doctor.checkup import examine  # noqa: PLC0415 - see above
    from bot.doctor.finding import Level  # noqa: PLC0415 - as above

    ink, problems = Ink.of_stdout(), 0
    for finding in examine(store, SystemClock()):
        match finding.level:
            case Level.FINE:
                ink.say(f"{ink.paint(ink.met, 'good')} {finding}")
            case Level.NOTE:
                ink.say(ink.paint(f"{ink.noted} {finding}", "quiet"))
            case Level.WRONG:
                problems += 1
                ink.say(ink.paint(f"{ink.unmet} {finding}", "bad"))
    if problems:
        ink.say(f"{count_of(problems, 'problem')} found, listed above")
        click.get_current_context().exit(_PROBLEMS)
    ink.say("no problems found")
