"""The state of the local Slack workspace, and the few ways in which it changes.

Invariant: every change is made under the journal's lock and told to its listeners before the lock is let go. A
message's `ts` is unique in the workspace and grows, even if the clock stands still or goes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from localslack.journal import Journal
from localslack.records import Channel, Message, Person, Team, UserGroup, View
from localslack.refusals import SlackRefusal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _State(BaseModel):
    """All that a restart keeps."""

    model_config = ConfigDict(extra="forbid")

    team: Team = Field(default_factory=Team)
    people: dict[str, Person] = Field(default_factory=dict)
    groups: dict[str, UserGroup] = Field(default_factory=dict)
    channels: dict[str, Channel] = Field(default_factory=dict)
    messages: dict[str, list[Message]] = Field(default_factory=dict)
    ephemerals: list[Message] = Field(default_factory=list)
    homes: dict[str, View] = Field(default_factory=dict)
    modals: dict[str, list[View]] = Field(default_factory=dict)
    last_microsecond: int = 0
    last_serial: int = 0


class Workspace:
    """People, channels, messages, Home tabs and open modals."""

    def __init__(self, journal: Journal, bot_user: str) -> None:
        self.journal = journal
        self.bot_user = bot_user
        self._state = _State()

    @property
    def team(self) -> Team:
        """The workspace itself."""
        return self._state.team

    # Numbers -------------------------------------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        """A fresh id such as V0000000007; the same in every run of the same story."""
        with self.journal.lock:
            self._state.last_serial += 1
            return f"{prefix}0{self._state.last_serial:09d}"

    def new_ts(self) -> str:
        """A fresh message `ts`, later than every one before."""
        with self.journal.lock:
            now = (self.journal.clock.now() - _EPOCH) // _MICROSECOND
            self._state.last_microsecond = moment = max(now, self._state.last_microsecond + 1)
            return f"{moment // 1_000_000}.{moment % 1_000_000:06d}"

    # Who and where -------------------------------------------------------------------------------------------------

    def add(self, *records: Person | UserGroup | Channel | Team) -> None:
        """Add records, or replace those with the same id."""
        with self.journal.lock:
            for record in records:
                if isinstance(record, Person):
                    self._state.people[record.id] = record
                elif isinstance(record, UserGroup):
                    self._state.groups[record.id] = record
                elif isinstance(record, Channel):
                    self._state.channels[record.id] = record
                else:
                    self._state.team = record
                self.journal.publish("directory", {"record": record.model_dump()})

    def remove(self, record_id: str) -> None:
        """Forget a person, a group or a channel, as if Slack had never heard of it."""
        with self.journal.lock:
            for records in (self._state.people, self._state.groups, self._state.channels):
                records.pop(record_id, None)

    @property
    def people(self) -> list[Person]:
        """Everybody, in the order in which they came."""
        with self.journal.lock:
            return list(self._state.people.values())

    @property
    def groups(self) -> list[UserGroup]:
        """All user groups."""
        with self.journal.lock:
            return list(self._state.groups.values())

    @property
    def channels(self) -> list[Channel]:
        """All channels and direct conversations."""
        with self.journal.lock:
            return list(self._state.channels.values())

    def person(self, user: str) -> Person:
        """Raises SlackRefusal user_not_found."""
        with self.journal.lock:
            if (person := self._state.people.get(user)) is None:
                raise SlackRefusal("user_not_found")
            return person

    def channel(self, channel: str) -> Channel:
        """Raises SlackRefusal channel_not_found."""
        with self.journal.lock:
            if (found := self._state.channels.get(channel)) is None:
                raise SlackRefusal("channel_not_found")
            return found

    def channel_named(self, name: str) -> Channel:
        """The channel with this id, or of this name with or without #. Raises SlackRefusal channel_not_found."""
        with self.journal.lock:
            for channel in self._state.channels.values():
                if channel.im_user is None and channel.name == name.removeprefix("#"):
                    return channel
            return self.channel(name)

    def direct(self, user: str) -> Channel:
        """The bot's direct conversation with this person, opened if need be. Raises SlackRefusal user_not_found."""
        with self.journal.lock:
            self.person(user)
            for channel in self._state.channels.values():
                if channel.im_user == user:
                    return channel
            members = (user, self.bot_user)
            opened = Channel(id=self.new_id("D"), name=user, members=members, is_private=True, im_user=user)
            self.add(opened)
            return opened

    # What was said -------------------------------------------------------------------------------------------------

    def messages(self, channel: str) -> list[Message]:
        """What everybody in this channel sees, oldest first, replies in threads too."""
        with self.journal.lock:
            return list(self._state.messages.get(channel, []))

    def ephemerals(self, user: str, channel: str | None = None) -> list[Message]:
        """What this person alone sees, oldest first; in one channel, or everywhere."""
        with self.journal.lock:
            return [m for m in self._state.ephemerals if m.to == user and channel in {None, m.channel}]

    def find_message(self, channel: str, ts: str) -> Message | None:
        """A message by where and when, ephemeral ones too; None when there is none."""
        with self.journal.lock:
            said: Iterable[Message] = (*self._state.messages.get(channel, ()), *self._state.ephemerals)
            return next((m for m in said if m.channel == channel and m.ts == ts), None)

    def say(self, message: Message) -> Message:
        """Show a new message."""
        with self.journal.lock:
            self._shelf(message).append(message)
            self.journal.publish("ephemeral" if message.is_ephemeral else "message", {"message": message.model_dump()})
            return message

    def change(self, message: Message) -> Message:
        """Put this in place of the message with its `ts`."""
        with self.journal.lock:
            shelf = self._shelf(message)
            shelf[[m.ts for m in shelf].index(message.ts)] = message
            self.journal.publish("message_changed", {"message": message.model_dump()})
            return message

    def unsay(self, message: Message) -> None:
        """Take a message away."""
        with self.journal.lock:
            shelf = self._shelf(message)
            shelf[:] = [m for m in shelf if m.ts != message.ts]
            self.journal.publish("message_deleted", {"message": message.model_dump()})

    def _shelf(self, message: Message) -> list[Message]:
        return self._state.ephemerals if message.is_ephemeral else self._state.messages.setdefault(message.channel, [])

    # What is shown -------------------------------------------------------------------------------------------------

    def home(self, user: str) -> View | None:
        """The Home tab last published for this person, or None."""
        with self.journal.lock:
            return self._state.homes.get(user)

    def modals(self, user: str) -> list[View]:
        """The stack of modals this person has open, the visible one last."""
        with self.journal.lock:
            return list(self._state.modals.get(user, []))

    def all_views(self) -> list[View]:
        """Every view that somebody can see or go back to."""
        with self.journal.lock:
            return [*self._state.homes.values(), *(view for stack in self._state.modals.values() for view in stack)]

    def show_home(self, view: View) -> None:
        """Publish a Home tab."""
        with self.journal.lock:
            self._state.homes[view.user] = view
            self.journal.publish("home", {"user": view.user, "view": view.model_dump()})

    def show_modals(self, user: str, stack: list[View]) -> None:
        """Make this the person's stack of modals; an empty one closes everything."""
        with self.journal.lock:
            self._state.modals[user] = list(stack)
            self.journal.publish("modals", {"user": user, "stack": [view.model_dump() for view in stack]})

    # Restarts ------------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write everything into a JSON file, whole or not at all."""
        with self.journal.lock:
            text = self._state.model_dump_json(indent=1)
        unfinished = path.with_name(f"{path.name}.new")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)

    def load(self, path: Path) -> None:
        """Take everything from a file that `save` wrote. Raises OSError, or ValueError if it is not such a file."""
        state = _State.model_validate_json(path.read_text(encoding="utf-8"))
        with self.journal.lock:
            self._state = state
