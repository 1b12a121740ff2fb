"""The `countersign` command.

Invariant: an error of `core.errors` ends a command with one plain line and an exit code that says who can fix it,
never with a traceback.

Exit codes: 0 done, 1 the answer is no or something differs, 2 the input can't be used, 3 the store failed. Commands
that speak to the server have more: see `bot.terminal.errors.ExitCode`.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from bot.commands.env_file import env_file_option
from bot.commands.terminal import color_option
from bot.observability.build import find_build
from bot.terminal.errors import TerminalError
from core.errors import CountersignError, InvalidInput, StoreError

_REFUSED: Final = 1
_BAD_INPUT: Final = 2
_STORE_FAILED: Final = 3
_NO_OUTPUT: Final = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EDQUOT)
_INTERRUPTED: Final = 130
"""How a shell reports a process that Ctrl-C ended."""

_BUILT_IN: Final = (
    "access", "audit", "aws", "backup", "broker", "completion", "credentials", "devices", "doctor", "exec", "init",
    "ledgers", "login", "logout", "mcp", "mfa", "pager", "policy", "report", "request", "restore", "serve", "slack",
    "sweep", "tables",
)  # fmt: skip
"""Each is the name of a module in `bot.commands`, and of the command in it."""

_VERSION: Final = "Show the version and the commit that it was made from, and exit."
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

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> click.Context:
        """Read the options before the command; their errors end it as those of the command do."""
        with _plain_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; an error becomes its line and its exit code."""
        with _plain_errors():
            return super().invoke(ctx)


def _show_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 - click's way
    if is_asked and not context.resilient_parsing:
        click.echo(f"countersign {find_build()}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help=_VERSION)
@env_file_option
@color_option
def countersign() -> None:
    """Four-eyes approval and break-glass access, in Slack."""


def main() -> None:
    """The entry point of the installed command."""
    _open_closed_streams()
    countersign()


def _open_closed_streams() -> None:
    # Were one of them closed, the next file that is opened, such as the store, would get its number.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is None:
            os.open(os.devnull, os.O_RDWR)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What a person can act on: where it is, what is wrong, and what to do. Never a library's own words alone."""
    try:
        yield
    except NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        _end(_with_help(error), _BAD_INPUT)
    except CountersignError as error:
        _end(_describe(error), _exit_code(error))
    except BrokenPipeError:
        # The reader of the output has read enough. click ends the command quietly.
        raise
    except OSError as error:
        if error.filename is None and error.errno not in _NO_OUTPUT:
            raise
        reason = error.strerror or type(error).__name__
        if error.filename is None:
            _give_up_output()
            _end(f"the output can't be written: {reason}. Check where it goes.", _BAD_INPUT)
        _end(f"{error.filename!s:.200}: {reason}. Check the path and its mode.", _BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        _end("stopped; nothing more was done.", _INTERRUPTED)


def _give_up_output() -> None:
    # What is left in the buffer would fail once more when Python ends, with a message of its own.
    with suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(line: str, exit_code: int) -> NoReturn:
    click.echo(f"countersign: {line}", err=True)
    raise click.exceptions.Exit(exit_code)


def _with_help(error: click.UsageError) -> str:
    # What click says of choices has several lines.
    problem = " ".join(error.format_message().split())
    if ". " in problem:
        # It says what to do already.
        return problem
    command = error.ctx.command_path if error.ctx is not None else "countersign"
    return f"{problem.rstrip('.')}. Run: {command} --help"


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
