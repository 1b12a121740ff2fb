"""The `countersign` command.

Invariant: an error of `core.errors` ends a command with one plain line and an exit code that says who can fix it,
never with a traceback.

Exit codes: 0 done, 1 the answer is no or something differs, 2 the input can't be used, 3 the store failed. Commands
that speak to the server have more: see `bot.terminal.errors.ExitCode`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

import click

from bot.commands.env_file import env_file_option
from bot.commands.terminal import color_option
from bot.terminal.errors import TerminalError
from core.errors import CountersignError, InvalidInput, StoreError

_REFUSED: Final = 1
_BAD_INPUT: Final = 2
_STORE_FAILED: Final = 3

_BUILT_IN: Final = (
    "access", "audit", "aws", "broker", "completion", "credentials", "devices", "doctor", "exec", "init", "ledgers",
    "login", "logout", "mcp", "mfa", "policy", "report", "request", "serve", "slack", "sweep", "tables",
)  # fmt: skip
"""Each is the name of a module in `bot.commands`, and of the command in it."""

_ENTRY_POINTS: Final = "countersign.commands"
"""The entry-point group through which other packages, such as `playground`, add commands."""


class Commands(click.Group):
    """The built-in commands, and those that installed packages add. Each may raise the errors of `core`.

    A command is loaded only when it's used: loading what the others need, above all the AWS SDK, takes longer than most
    commands run.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names, built-in and added."""
        return sorted({*super().list_commands(ctx), *_BUILT_IN, *entry_points(group=_ENTRY_POINTS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name. An added command never replaces a built-in one."""
        if (known := super().get_command(ctx, cmd_name)) is not None:
            return known
        command: object = None
        if cmd_name in _BUILT_IN:
            command = getattr(import_module(f"bot.commands.{cmd_name}"), cmd_name)
        else:
            for added in entry_points(group=_ENTRY_POINTS, name=cmd_name):
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
@env_file_option
@color_option
def countersign() -> None:
    """Four-eyes approval and break-glass access, in Slack."""


def main() -> None:
    """The entry point of the installed command."""
    countersign()


def _describe(error: CountersignError) -> str:
    # Several mistakes are a list of lines. Everything else is one line, even if a library's message has several.
    return str(error) if error.is_list else " ".join(str(error).split())


def _exit_code(error: CountersignError) -> int:
    match error:
        case InvalidInput():
            return _BAD_INPUT
        case StoreError():
            return _STORE_FAILED
        case TerminalError():
            return error.exit_code
    return _REFUSED


if __name__ == "__main__":
    main()
