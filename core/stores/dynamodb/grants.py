"""Grants in DynamoDB: made and ended inside the transaction of whatever decides that.

Invariant: a grant is made, ended or deleted in a transaction that makes its right due, and moves its `nudge`, so
that no commit that was judged before can follow. No read comes before that: a right's item names its live grants in a
set, and `due` stands beside the holding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from pydantic import JsonValue

from core.access.grant import Grant
from core.access.holding import Urgency
from core.access.right import Right, right_key
from core.errors import ConcurrentModification, CountersignError
from core.record import check_record_id
from core.stores.access import DueRight, GrantWrite
from core.stores.commit import Commit, StoreSettings, as_it_was_read, prepare_create, prepare_update
from core.stores.due import find_stage, urgency_of_new
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.entries import place_key
from core.stores.dynamodb.items import Item
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.parts import Part
from core.stores.dynamodb.records import DynamoRecords
from core.stores.dynamodb.rights import holding_key, names_of, write_place
from core.stores.right_state import check_count, tell_rolled_back
from core.stores.schema import ACCESS, AWAITS_ATTRIBUTE
from core.stores.seals import SealAlarm


class DynamoGrants(DynamoRecords[Grant]):
    """The records of grants."""

    def __init__(self, connection: Connection, prefix: str, settings: StoreSettings, alarm: SealAlarm) -> None:
        super().__init__(connection, prefix, settings, alarm, table=ACCESS, kind=Grant)

    def make(self, writes: Sequence[GrantWrite]) -> list[Part]:
        """New grants, as parts of the caller's transaction."""
        check_count(writes)
        commits = [prepare_create(write.grant, (write.entry,), self._settings) for write in writes]
        urgency = min((urgency_of_new(write.grant) for write in writes), key=list(Urgency).index, default=Urgency.GRANT)
        return [*map(self._to_part, commits), self._nudge([write.grant for write in writes], urgency)]

    def end_early(self, writes: Sequence[GrantWrite]) -> list[Part]:
        """The early end of grants, as parts of the caller's transaction; see AccessStore.end."""
        return [*map(self._to_part, self._prepare_end(writes)), self._nudge([each.grant for each in writes])]

    def key_of(self, grant_id: str) -> Item:
        """Where a grant is stored. Raises InvalidInput."""
        return self._key(check_record_id(grant_id))

    def read(self, item: Item) -> Grant:
        """The grant in an item. Raises MalformedRecord."""
        return self._read(item)

    def unchanged(self, grant: Grant) -> Part:
        """The check that a grant is still the version that was read, and its last, for the caller's transaction."""
        condition = self._layout.all_equal(as_it_was_read(grant))
        is_same = {"TableName": self._table, "Key": self._key(grant.id), **condition}
        after = {"TableName": self._audit_table, "Key": place_key(grant.chain, grant.audit_length + 1)}
        is_last = {**after, "ConditionExpression": "attribute_not_exists(chain)"}

        def explain(failure: ConditionFailed) -> CountersignError | None:
            if failure.failed == (False, True):
                return tell_rolled_back(grant, self._alarm)
            return ConcurrentModification(grant.chain) if any(failure.failed) else None

        return Part([{"ConditionCheck": is_same}, {"ConditionCheck": is_last}], explain)

    def repair(self, rights: Iterable[Right]) -> bool:
        """Remove from the items of these rights what has a type that no write can add to; True if anything had.

        Their live grants are found again by their ends.
        """
        repaired = [self._repair(holding_key(right_key(right))) for right in set(rights)]
        return any(repaired)

    def _repair(self, key: Item) -> bool:
        is_damaged = False
        for name, letter in (("nudge", "N"), ("live", "SS")):
            with suppress(ConditionFailed):
                self._connection.write(
                    "update_item",
                    TableName=self._table,
                    Key=key,
                    UpdateExpression=f"REMOVE #{name}",
                    ConditionExpression=f"attribute_exists(#{name}) AND NOT attribute_type(#{name}, :type)",
                    ExpressionAttributeNames=names_of(name),
                    ExpressionAttributeValues={":type": {"S": letter}},
                )
                is_damaged = True
        return is_damaged

    def _prepare_end(self, writes: Sequence[GrantWrite]) -> list[Commit[Grant]]:
        check_count(writes)
        return [prepare_update(self.prove(write.grant), (write.entry,), self._settings) for write in writes]

    def _to_part(self, commit: Commit[Grant]) -> Part:
        return Part(self.to_writes(commit), partial(self.explain, commit))

    def _nudge(self, grants: Sequence[Grant], urgency: Urgency = Urgency.REVOKE, *, is_gone: bool = False) -> Part:
        """One update for each right: a transaction takes no two writes of one item."""
        by_key = sorted(((right_key(grant.right), grant) for grant in grants), key=itemgetter(0))
        of_rights = [(key, [grant for _, grant in pairs]) for key, pairs in groupby(by_key, key=itemgetter(0))]
        return Part([self._nudge_right(key, of_right, urgency, is_gone=is_gone) for key, of_right in of_rights])

    def _nudge_right(self, key: str, grants: Sequence[Grant], urgency: Urgency, *, is_gone: bool) -> dict[str, Any]:
        live = "DELETE #live :ids ADD #nudge :one" if is_gone else "ADD #nudge :one, #live :ids"
        due = DueRight(grants[0].right, self._settings.clock.now())
        return {
            "Update": {
                "TableName": self._table,
                "Key": holding_key(key),
                "UpdateExpression": f"{live} SET #due = :due, #urgency = :urgency REMOVE #forgotten",
                "ExpressionAttributeNames": names_of("nudge", "live", "due", "urgency", "forgotten"),
                "ExpressionAttributeValues": {
                    ":one": {"N": "1"},
                    ":ids": {"SS": sorted(grant.id for grant in grants)},
                    ":due": {"S": write_place(due)},
                    ":urgency": {"S": urgency},
                },
            }
        }

    def _beside(self, record: Grant) -> dict[str, JsonValue]:
        stage = find_stage(record)
        ends = write_place(DueRight(record.right, record.ended_at)) if stage is not None else None
        return {AWAITS_ATTRIBUTE: record.awaits, "stage": stage, "ends": ends}
