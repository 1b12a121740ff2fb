"""Seal what is stored in DynamoDB with the key that seals now.

Invariant: only the seal changes, and only while the rest is as it was read.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from core.access.grant import Grant
from core.access.holding import Holding
from core.audit.trail import AuditEntry
from core.break_glass import BreakGlassEvent
from core.record import Record
from core.request import Request
from core.stores.commit import StoreSettings
from core.stores.dynamodb.conditions import all_equal
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.entries import read_entry
from core.stores.dynamodb.items import Item, from_attributes
from core.stores.dynamodb.layout import BESIDE_A_RECORD
from core.stores.dynamodb.ledgers import HOLDING_PREFIX, LEDGER_PREFIX
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.rights import holding_key, key_of, names_of, plain_holding
from core.stores.schema import ACCESS, AUDIT, BREAK_GLASS, REQUESTS, Table
from core.stores.seals import SEAL, has_current_seal, reseal_ledger, reseal_record

_KINDS: Final[tuple[tuple[Table, type[Record]], ...]] = (
    (REQUESTS, Request),
    (BREAK_GLASS, BreakGlassEvent),
    (ACCESS, Grant),
)


def reseal_all(connection: Connection, prefix: str, settings: StoreSettings) -> int:
    """Seal every record and ledger with the key that seals now; how many weren't."""
    count = 0
    find = partial(_find_entry, connection, AUDIT.name(prefix))
    for table, kind in _KINDS:
        for item in connection.scan_all(TableName=table.name(prefix), ConsistentRead=True):
            partition = str(item[table.key.partition]["S"])
            if partition.startswith(HOLDING_PREFIX):
                count += _reseal_holding(connection, table.name(prefix), item, settings)
                continue
            plain = from_attributes(item, partition)
            stored = {name: value for name, value in plain.items() if name not in BESIDE_A_RECORD}
            if has_current_seal(stored, settings.keyring):
                continue
            if partition.startswith(LEDGER_PREFIX):
                seal = reseal_ledger(partition.removeprefix(LEDGER_PREFIX), stored, settings.keyring)
            else:
                record_id = partition.removeprefix(f"{kind.KIND}#")
                seal = reseal_record(kind, record_id, stored, settings.keyring, find)
            count += _write(connection, table, prefix, item, seal)
    return count


def _find_entry(connection: Connection, table: str, chain: str, seq: int) -> AuditEntry | None:
    item = connection.get(table, {"chain": {"S": chain}, "seq": {"N": str(seq)}})
    return read_entry(item) if item is not None else None


def _write(connection: Connection, table: Table, prefix: str, item: Item, seal: str) -> int:
    # The whole item under the condition of its version: the bot's role may put records, and not update them.
    condition = all_equal({name: item[name]["S"] if name in item else None for name in ("updated_at", SEAL)})
    try:
        connection.write("put_item", TableName=table.name(prefix), Item={**item, SEAL: {"S": seal}}, **condition)
    except ConditionFailed:
        # The bot changed it meanwhile, and sealed it anew.
        return 0
    return 1


def _reseal_holding(connection: Connection, table: str, item: Item, settings: StoreSettings) -> int:
    stored, key = plain_holding(item), key_of(item)
    if not stored or has_current_seal(stored, settings.keyring):
        return 0
    seal = reseal_ledger(key, stored, settings.keyring, Holding)
    try:
        # Only the seal: others nudge the same item at any moment.
        connection.write(
            "update_item",
            TableName=table,
            Key=holding_key(key),
            UpdateExpression="SET #holding.#seal = :seal",
            ConditionExpression="#holding.#seal = :as_read AND #holding.#version = :version",
            ExpressionAttributeNames={**names_of("holding"), "#seal": SEAL, "#version": "updated_at"},
            ExpressionAttributeValues={
                ":seal": {"S": seal}, ":as_read": {"S": stored[SEAL]}, ":version": {"S": stored["updated_at"]},
            },
        )  # fmt: skip
    except ConditionFailed:
        return 0
    return 1
