"""The questions of `countersign init`: few, each with a default, and none where nobody can answer.

Invariant: a token is never echoed, printed or put into an error. A wrong answer is asked again on a terminal; elsewhere
it ends the command before anything is written.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import click

from bot.commands.first_policy import FirstPolicy
from bot.commands.terminal import Ink
from bot.doctor.slack_names import Named, Place, SlackNames
from core.actor import check_profile_name
from core.errors import InvalidInput

_Answer = TypeVar("_Answer")
MAX_TRIES: Final = 5
_SHOWN_CHANNELS: Final = 8
_LIKELY_CHANNEL: Final = re.compile(r"access|approv|request|prod")
_LIKELY_SECURITY: Final = re.compile(r"security|secops|infosec")
_LIKELY_APPROVERS: Final = re.compile(r"sre|ops|on-?call|platform|infra|admin|approv")


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What the command line answers already."""

    channel: str | None = None
    operator: str | None = None
    approvers: tuple[str, ...] = ()
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """Asks on a terminal; elsewhere takes what is given, and the defaults."""

    is_asking: bool
    ink: Ink

    def secret(self, label: str, check: Callable[[str], _Answer]) -> _Answer:
        """A text that isn't shown. Asked again until `check` takes it."""
        return self._until_taken(lambda: click.prompt(label, hide_input=True, default="", show_default=False), check)

    def choose(
        self, option: str, label: str, given: str | None, default: str, check: Callable[[str], _Answer]
    ) -> _Answer:
        """What is given, else what is answered, else the default. Raises InvalidInput."""
        if given is not None:
            return check(given)
        if not self.is_asking:
            if not default:
                raise InvalidInput(option, "it is needed, and nobody can be asked here", f"Add --{option}.")
            return check(default)
        return self._until_taken(lambda: click.prompt(label, default=default or None), check)

    def say_wrong(self, error: InvalidInput) -> None:
        """Why an answer wasn't taken."""
        self.ink.say(self.ink.paint(f"{self.ink.unmet} {error.problem}. {error.fix}", "bad"))

    def say_fine(self, text: str) -> None:
        """What was checked."""
        self.ink.say(f"{self.ink.paint(self.ink.met, 'good')} {text}")

    def _until_taken(self, ask: Callable[[], str], check: Callable[[str], _Answer]) -> _Answer:
        for left in reversed(range(MAX_TRIES)):
            try:
                return check(str(ask()).strip())
            except InvalidInput as error:
                if not left:
                    raise
                self.say_wrong(error)
        raise AssertionError("the last try returns or raises")


def ask_for_policy(questions: Questions, workspace: SlackNames, given: InitOptions) -> FirstPolicy:
    """What the first policy says. Raises InvalidInput."""
    members = [each for each in workspace.channels if each.is_member]
    if questions.is_asking and given.channel is None and members:
        shown = ", ".join(f"#{each.name}" for each in members[:_SHOWN_CHANNELS])
        questions.ink.say(f"The bot is in {shown}{', …' if len(members) > _SHOWN_CHANNELS else ''}.")
    channel = questions.choose(
        "channel", "Channel in which requests are decided", given.channel, _default_channel(members),
        lambda text: workspace.find_channel(text, "channel"),
    )  # fmt: skip
    operator = _ask_operator(questions, workspace, given)
    approvers = questions.choose(
        "approver", "Who approves (@people and @user-groups, separated by commas)",
        ",".join(given.approvers) or None, _default_approvers(workspace.groups, operator),
        lambda text: _find_all(workspace, text),
    )  # fmt: skip
    profile = questions.choose("profile", "What people request", given.profile, "prod", check_profile_name)
    if approvers == (operator,):
        alone = "only you can approve, and nobody decides on their own request: add somebody to `groups` in the policy"
        questions.ink.say(f"{questions.ink.noted} {alone}")
    for refusal in workspace.refused:
        questions.ink.say(f"{questions.ink.noted} {refusal}")
    security = next((each for each in members if _LIKELY_SECURITY.search(each.name)), None)
    return FirstPolicy(profile, channel, approvers, operator, security)


def _ask_operator(questions: Questions, workspace: SlackNames, given: InitOptions) -> Named | None:
    default = _default_operator(workspace.people)
    if given.operator is None and not questions.is_asking and not default:
        # Nobody has to see all access. Who approves is another question.
        return None
    return questions.choose(
        "me", "You, in Slack (@name or member ID)", given.operator, default,
        lambda text: workspace.find_person(text, "me"),
    )  # fmt: skip


def _default_channel(members: Sequence[Place]) -> str:
    likely = next((each for each in members if _LIKELY_CHANNEL.search(each.name)), None)
    first = likely or next(iter(members), None)
    return f"#{first.name}" if first is not None else ""


def _default_operator(people: Sequence[Named]) -> str:
    """The person whose handle is the name of this account."""
    try:
        account = getpass.getuser().casefold()
    except (OSError, KeyError):
        return ""
    found = [each for each in people if account == each.names[0].casefold()]
    return found[0].label if len(found) == 1 else ""


def _default_approvers(groups: Sequence[Named], operator: Named | None) -> str:
    likely = next((each for each in groups if _LIKELY_APPROVERS.search(each.names[0])), None)
    return likely.label if likely is not None else operator.label if operator is not None else ""


def _find_all(workspace: SlackNames, text: str) -> tuple[Named, ...]:
    found = [workspace.find_approver(each, "approver") for each in text.split(",") if each.strip()]
    if not found:
        raise InvalidInput("approver", "nobody is named", "Name people and user groups, such as @ann, @sre.")
    return tuple(dict.fromkeys(found))
