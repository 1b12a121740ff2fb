"""What a Slack workspace has: its channels, user groups and people, to choose from when a policy is begun.

Invariant: nothing is changed or posted, and nobody is notified. A name that fits several is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.doctor.slack_calls import PatientSlack, Unanswered
from bot.slack.membership import Member, read_membership
from core.errors import InvalidInput

MAX_PAGES: Final = 10
PAGE: Final = 1000
"""Ten pages of what Slack gives at most: larger workspaces name what they mean by its id."""
_ID: Final = re.compile(r"[CGUWS][A-Z0-9]{2,30}")


@dataclass(frozen=True, slots=True)
class Place:
    """A channel."""

    id: str
    name: str
    is_member: bool


@dataclass(frozen=True, slots=True)
class Named:
    """A person or a user group: its id, and the names by which people know it, the handle first."""

    id: str
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """The handle, as people write it."""
        return f"@{self.names[0]}"


class SlackNames:
    """What Slack has. Each list is asked for once, when it's needed.

    A list that Slack refuses is empty, and `refused` says why.
    """

    def __init__(self, slack: PatientSlack, team_id: str | None = None) -> None:
        self._slack = slack
        self._team_id = team_id
        self.refused: list[str] = []
        self._channels: Sequence[Place] | None = None
        self._groups: Sequence[Named] | None = None
        self._people: Sequence[Named] | None = None

    @property
    def channels(self) -> Sequence[Place]:
        """The public channels and the private ones that the bot is in; those that it is in first."""
        if self._channels is None:
            found = self._pages("channels", self._channel_page)
            places = [Place(str(each["id"]), str(each["name"]), bool(each.get("is_member"))) for each in found]
            self._channels = sorted(places, key=lambda each: (not each.is_member, each.name))
        return self._channels

    @property
    def groups(self) -> Sequence[Named]:
        """The user groups that have members."""
        if self._groups is None:
            found: list[Any] = []
            try:
                with self._slack.asking():
                    answer = self._slack.client.usergroups_list(include_count=True, team_id=self._team_id)
                    found = [each for each in answer["usergroups"] if str(each.get("user_count")) != "0"]
                    self._groups = [Named(str(each["id"]), (str(each["handle"]), str(each["name"]))) for each in found]
            except Unanswered as refusal:
                self._groups = []
                self.refused.append(f"user groups: {refusal.problem}. {refusal.fix}")
        return self._groups

    @property
    def people(self) -> Sequence[Named]:
        """The people who can be named: active full members."""
        if self._people is None:
            found = self._pages("members", self._people_page)
            self._people = [_person(each) for each in found if _can_act(each)]
        return self._people

    def find_channel(self, text: str, option: str) -> Place:
        """The channel by its name or its id. Raises InvalidInput."""
        wanted = text.strip().removeprefix("#")
        for each in self.channels:
            if wanted in (each.id, each.name):
                return each
        if _ID.fullmatch(wanted) and wanted[0] in "CG":
            return Place(wanted, "", is_member=False)
        fix = "If it is private, type /invite @Countersign in it first. Or give its id: it ends the channel's link."
        raise InvalidInput(option, f"Slack shows the bot no channel {text!r:.80}", fix)

    def find_person(self, text: str, option: str) -> Named:
        """The person by a name or the member ID. Raises InvalidInput."""
        return self._find(text, option, self.people, "UW", "person")

    def find_approver(self, text: str, option: str) -> Named:
        """The user group or the person. Raises InvalidInput."""
        wanted = text.strip().removeprefix("@")
        for each in self.groups:
            if wanted in (each.id, each.names[0]):
                return each
        return self._find(text, option, self.people, "UWS", "person or user group")

    @staticmethod
    def _find(text: str, option: str, among: Sequence[Named], kinds: str, what: str) -> Named:
        wanted = text.strip().removeprefix("@")
        found = [each for each in among if wanted == each.id or wanted.casefold() in map(str.casefold, each.names)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidInput(
                option, f"{text!r:.80} fits several", f"Give one of: {', '.join(each.id for each in found[:10])}."
            )
        if _ID.fullmatch(wanted) and wanted[0] in kinds:
            return Named(wanted, (wanted,))
        fix = "Give a name as Slack shows it, or the member ID: in the profile, under the three dots."
        raise InvalidInput(option, f"Slack has no {what} {text!r:.80}", fix)

    def _pages(self, key: str, ask: Callable[[str], Any]) -> Iterator[Any]:
        cursor = ""
        for _ in range(MAX_PAGES):
            try:
                with self._slack.asking():
                    answer = ask(cursor)
                    found = list(answer[key])
                    cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            except Unanswered as refusal:
                self.refused.append(f"{key}: {refusal.problem}. {refusal.fix}")
                return
            yield from found
            if not cursor:
                return

    def _channel_page(self, cursor: str) -> Any:  # noqa: ANN401 - Slack's JSON
        kinds = "public_channel,private_channel"
        return self._slack.client.conversations_list(
            types=kinds, exclude_archived=True, limit=PAGE, cursor=cursor, team_id=self._team_id
        )

    def _people_page(self, cursor: str) -> Any:  # noqa: ANN401 - Slack's JSON
        return self._slack.client.users_list(limit=PAGE, cursor=cursor, team_id=self._team_id)


def _can_act(person: Any) -> bool:  # noqa: ANN401 - Slack's JSON
    try:
        return isinstance(read_membership(person, person["id"], str(person.get("team_id")), None), Member)
    except ValueError:
        return False


def _person(person: Any) -> Named:  # noqa: ANN401 - Slack's JSON
    profile = person.get("profile") or {}
    names = (person.get("name"), profile.get("display_name"), profile.get("real_name"), person.get("real_name"))
    return Named(str(person["id"]), tuple(dict.fromkeys(str(each) for each in names if each)) or (str(person["id"]),))
