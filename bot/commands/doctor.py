"""`countersign doctor`: is everything as it has to be, and if not, what mends it?

Invariant: it changes nothing and posts nothing, prints no secret, and makes every check that can be made.

Exit codes: 0 all is well, 1 something is wrong.
"""

from __future__ import annotations

from typing import Final

import click

from bot.commands.terminal import Ink
from core.clock import SystemClock

_WRONG: Final = 1


@click.command()
@click.option("--store", metavar="URL", help="Which store. Default: COUNTERSIGN_STORE.")
def doctor(store: str | None) -> None:
    """Check settings, tokens, scopes, channels, tables and policy, and say what mends them."""
    # The other commands do not need Slack's SDK, which takes long to load.
    from bot.doctor.checkup import examine  # noqa: PLC0415 - see above
    from bot.doctor.finding import Level  # noqa: PLC0415 - as above

    ink, wrong = Ink.of_stdout(), 0
    for finding in examine(store, SystemClock()):
        match finding.level:
            case Level.FINE:
                ink.say(f"{ink.paint(ink.met, 'good')} {finding}")
            case Level.NOTE:
                ink.say(ink.paint(f"{ink.noted} {finding}", "quiet"))
            case Level.WRONG:
                wrong += 1
                ink.say(ink.paint(f"{ink.unmet} {finding}", "bad"))
    if wrong:
        ink.say(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong, see above")
        click.get_current_context().exit(_WRONG)
    ink.say("all is well")
