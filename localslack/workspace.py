"""The state of the workspace, and every way in which it changes.

Invariant: every change is made under the journal's lock, and its listeners are notified before the lock is released.
A message's `ts` is unique in the workspace and always grows, even if the clock stands still or goes back. Earlier
versions of a message and of a Home tab are kept, since somebody may still see them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from localslack.journal import Journal
from localslack.records import Channel, Person, SlackMessage, Team, UserGroup, View
from localslack.refusals import SlackRefusal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_EARLIER = 20
"""Earlier versions of one message or Home tab. A screen is behind by a few, for as long as the news travels."""


class _State(BaseModel):
    """Everything that a restart keeps."""

    model_config = ConfigDict(extra="forbid")

    team: Team = Field(default_factory=Team)
    people: dict[str, Person] = Field(default_factory=dict)
    groups: dict[str, UserGroup] = Field(default_factory=dict)
    channels: dict[str, Channel] = Field(default_factory=dict)
    messages: dict[str, list[SlackMessage]] = Field(default_factory=dict)
    ephemerals: list[SlackMessage] = Field(default_factory=list)
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
        # Not saved: after a restart every screen shows what is current.
        self._earlier: defaultdict[tuple[str, str], deque[SlackMessage]] = defaultdict(
            lambda: deque(maxlen=_MAX_EARLIER)
        )
        self._earlier_homes: defaultdict[str, deque[View]] = defaultdict(lambda: deque(maxlen=_MAX_EARLIER))

    @property
    def team(self) -> Team:
        """The workspace itself."""
        return self._state.team

    # Ids -----------------------------------------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        """A fresh id such as V0000000007. Ids count up, so every run of a test sees the same ones."""
        with self.journal.lock:
            self._state.last_serial += 1
            return f"{prefix}0{self._state.last_serial:09d}"

    def new_ts(self) -> str:
        """A fresh message `ts`, later than all before."""
        with self.journal.lock:
            now = (self.journal.clock.now() - _EPOCH) // _MICROSECOND
            self._state.last_microsecond = moment = max(now, self._state.last_microsecond + 1)
            return f"{moment // 1_000_000}.{moment % 1_000_000:06d}"

    # People and channels ---------------------------------------------------------------------------------------------

    def add(self, *records: Person | UserGroup | Channel | Team) -> None:
        """Add records, or replace those with the same id."""
        with self.journal.lock:
            for record in records:
                if isinstance(record, Person):
                    self._state.people[record.id] = record
                elif isinstance(record, UserGroup):
                    self._state.groups[record.id] = record.model_copy(update={"date_update": self._new_version(record)})
                elif isinstance(record, Channel):
                    self._state.channels[record.id] = record
                else:
                    self._state.team = record
                self.journal.publish("directory", {"record": record.model_dump()})

    def _new_version(self, group: UserGroup) -> int:
        """Slack's time of this change: the second, but later than the one before, even if the clock stands still."""
        before = self._state.groups.get(group.id)
        now = (self.journal.clock.now() - _EPOCH) // timedelta(seconds=1)
        return now if before is None else max(now, before.date_update + 1)

    def remove(self, record_id: str) -> None:
        """Remove a person, a group or a channel, as if it had never existed."""
        with self.journal.lock:
            for records in (self._state.people, self._state.groups, self._state.channels):
                records.pop(record_id, None)

    @property
    def people(self) -> list[Person]:
        """Everybody, in the order in which they were added."""
        with self.journal.lock:
            return list(self._state.people.values())

    @property
    def groups(self) -> list[UserGroup]:
        """All user groups."""
        with self.journal.lock:
            return list(self._state.groups.values())

    @property
    def channels(self) -> list[Channel]:
        """All channels and direct-message conversations."""
        with self.journal.lock:
            return list(self._state.channels.values())

    def person(self, user: str) -> Person:
        """The person with this id. Raises SlackRefusal user_not_found."""
        with self.journal.lock:
            if (person := self._state.people.get(user)) is None:
                raise SlackRefusal("user_not_found")
            return person

    def channel(self, channel: str) -> Channel:
        """The channel with this id. Raises SlackRefusal channel_not_found."""
        with self.journal.lock:
            if (found := self._state.channels.get(channel)) is None:
                raise SlackRefusal("channel_not_found")
            return found

    def channel_named(self, name: str) -> Channel:
        """The channel with this id or name, with or without #. Raises SlackRefusal channel_not_found."""
        with self.journal.lock:
            for channel in self._state.channels.values():
                if channel.im_user is None and channel.name == name.removeprefix("#"):
                    return channel
            return self.channel(name)

    def direct(self, user: str) -> Channel:
        """The bot's direct messages with this person, opened if needed. Raises SlackRefusal user_not_found."""
        with self.journal.lock:
            self.person(user)
            for channel in self._state.channels.values():
                if channel.im_user == user:
                    return channel
            members = (user, self.bot_user)
            opened = Channel(id=self.new_id("D"), name=user, members=members, is_private=True, im_user=user)
            self.add(opened)
            return opened

    # Messages ------------------------------------------------------------------------------------------------------

    def messages(self, channel: str) -> list[SlackMessage]:
        """What everybody in this channel sees, oldest first, including replies in threads."""
        with self.journal.lock:
            return list(self._state.messages.get(channel, []))

    def ephemerals(self, user: str, channel: str | None = None) -> list[SlackMessage]:
        """What only this person sees, oldest first; in one channel, or everywhere."""
        with self.journal.lock:
            return [m for m in self._state.ephemerals if m.to == user and channel in {None, m.channel}]

    def find_message(self, channel: str, ts: str) -> SlackMessage | None:
        """The message with this channel and `ts`, ephemeral or not, or None."""
        with self.journal.lock:
            posted: Iterable[SlackMessage] = (*self._state.messages.get(channel, ()), *self._state.ephemerals)
            return next((m for m in posted if m.channel == channel and m.ts == ts), None)

    def message_versions(self, channel: str, ts: str) -> list[SlackMessage]:
        """The message as it is and as it was before, the current version first. Empty if it doesn't exist."""
        with self.journal.lock:
            current = self.find_message(channel, ts)
            return [] if current is None else [current, *reversed(self._earlier[channel, ts])]

    def post_message(self, message: SlackMessage) -> SlackMessage:
        """Add a new message."""
        with self.journal.lock:
            self._siblings(message).append(message)
            self.journal.publish("ephemeral" if message.is_ephemeral else "message", {"message": message.model_dump()})
            return message

    def update_message(self, message: SlackMessage) -> SlackMessage:
        """Replace the message that has the same `ts`."""
        with self.journal.lock:
            siblings = self._siblings(message)
            index = [m.ts for m in siblings].index(message.ts)
            self._earlier[message.channel, message.ts].append(siblings[index])
            siblings[index] = message
            self.journal.publish("message_changed", {"message": message.model_dump()})
            return message

    def delete_message(self, message: SlackMessage) -> None:
        """Remove a message."""
        with self.journal.lock:
            siblings = self._siblings(message)
            siblings[:] = [m for m in siblings if m.ts != message.ts]
            self.journal.publish("message_deleted", {"message": message.model_dump()})

    def _siblings(self, message: SlackMessage) -> list[SlackMessage]:
        return self._state.ephemerals if message.is_ephemeral else self._state.messages.setdefault(message.channel, [])

    # Views ---------------------------------------------------------------------------------------------------------

    def home(self, user: str) -> View | None:
        """The Home tab last published for this person, or None."""
        with self.journal.lock:
            return self._state.homes.get(user)

    def home_versions(self, user: str) -> list[View]:
        """The person's Home tab as it is and as it was before, the current version first."""
        with self.journal.lock:
            current = self.home(user)
            return [] if current is None else [current, *reversed(self._earlier_homes[user])]

    def modals(self, user: str) -> list[View]:
        """The modals this person has open, the top one last."""
        with self.journal.lock:
            return list(self._state.modals.get(user, []))

    def top_modal(self, user: str) -> View | None:
        """The modal that this person sees, or None."""
        stack = self.modals(user)
        return stack[-1] if stack else None

    def all_views(self) -> list[View]:
        """Every Home tab and every open modal, also those below another."""
        with self.journal.lock:
            return [*self._state.homes.values(), *(view for stack in self._state.modals.values() for view in stack)]

    def show_home(self, view: View) -> None:
        """Publish a Home tab."""
        with self.journal.lock:
            before = self._state.homes.get(view.user)
            # What somebody enters makes no new version.
            if before is not None and before.hash != view.hash:
                self._earlier_homes[view.user].append(before)
            self._state.homes[view.user] = view
            self.journal.publish("home", {"user": view.user, "view": view.model_dump()})

    def show_modals(self, user: str, stack: list[View]) -> None:
        """Set the person's open modals, the top one last. An empty list closes them all."""
        with self.journal.lock:
            self._state.modals[user] = list(stack)
            self.journal.publish("modals", {"user": user, "stack": [view.model_dump() for view in stack]})

    # Restarts ------------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the state to a JSON file, atomically; only its owner may read it."""
        with self.journal.lock:
            text = self._state.model_dump_json(indent=1)
        unfinished = path.with_name(f"{path.name}.new")
        # What people wrote is for its owner only.
        unfinished.unlink(missing_ok=True)
        unfinished.touch(0o600)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)

    def load(self, path: Path) -> None:
        """Read the state from a file that `save` wrote. Raises OSError, or ValueError for any other file."""
        state = _State.model_validate_json(path.read_text(encoding="utf-8"))
        with self.journal.lock:
            self._state = state
