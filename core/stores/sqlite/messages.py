"""The places of messages in SQLite, in a table of their own.

Invariant: each place is a row of its own, so two saves never undo each other.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from core.errors import MalformedRecord
from core.stores.messages import MessageRef
from core.stores.sqlite.database import Database


class SqliteMessages:
    """The MessageStore in SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_messages(self, chain: str) -> Mapping[str, MessageRef]:
        """Every place that was saved for a chain."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT name, channel, ts FROM places WHERE chain = ?", (chain,)).fetchall()
        try:
            return {name: MessageRef(channel=channel, ts=ts) for name, channel, ts in rows}
        except ValidationError as error:
            raise MalformedRecord.from_error(f"the places of {chain}", error) from error

    def save_message(self, chain: str, name: str, place: MessageRef) -> None:
        """Save a place."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO places VALUES (?, ?, ?, ?)"
                " ON CONFLICT (chain, name) DO UPDATE SET channel = excluded.channel, ts = excluded.ts",
                (chain, name, place.channel, place.ts),
            )
