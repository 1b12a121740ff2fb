"""The `countersign` command.

Invariant: an error of `core.errors` ends a command with one plain line and an exit code that says whose turn it is,
never with a traceback.

Exit codes: 0 done, 1 the answer is no or something differs, 2 what was given cannot be used, 3 the store.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

import click

from core.errors import CountersignError, InvalidInput, InvalidPolicy, StoreError

_NO: Final = 1
_WRONG_USE: Final = 2
_STORE: Final = 3

_OURS: Final = ("audit", "doctor", "mfa", "policy", "serve", "slack", "sweep", "tables")
"""Each is the name of a module in `bot.commands`, and of the command in it."""

_ADDED: Final = "countersign.commands"
"""The entry-point group in which other packages, such as `playground`, add commands of their own."""


class Commands(click.Group):
    """Our commands, and those that installed packages add. Each may raise what `core` raises.

    A command is loaded only when it is asked for: what others need, AWS's SDK above all, takes longer than its work.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, ours and added ones."""
        return sorted({*super().list_commands(ctx), *_OURS, *entry_points(group=_ADDED).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; none that is added hides one of ours."""
        if (known := super().get_command(ctx, cmd_name)) is not None:
            return known
        command: object = None
        if cmd_name in _OURS:
            command = getattr(import_module(f"bot.commands.{cmd_name}"), cmd_name)
        else:
            for added in entry_points(group=_ADDED, name=cmd_name):
                command = added.load()
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; an error of `core.errors` becomes its line and its exit code."""
        try:
            return super().invoke(ctx)
        except CountersignError as error:
            click.echo(f"countersign: {_describe(error)}", err=True)
            ctx.exit(_exit_code(error))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="countersign", message="%(prog)s %(version)s", prog_name="countersign")
def countersign() -> None:
    """Four-eyes approval and break-glass access, in Slack."""


def main() -> None:
    """The entry point of the installed command."""
    countersign()


def _describe(error: CountersignError) -> str:
    # A policy's mistakes are a list of lines; everything else is one line, whatever a library put into it.
    return str(error) if isinstance(error, InvalidPolicy) else " ".join(str(error).split())


def _exit_code(error: CountersignError) -> int:
    match error:
        case InvalidInput():
            return _WRONG_USE
        case StoreError():
            return _STORE
    return _NO


if __name__ == "__main__":
    main()
