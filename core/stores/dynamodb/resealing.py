"""Seal what is stored in DynamoDB with the key that seals now.

Invariant: only the seal changes, and only while the rest is as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pydantic import JsonValue

from core.access.device import Device
from core.access.grant import Grant
from core.access.holding import Holding
from core.access.session import Session
from core.audit.trail import AuditEntry
from core.break_glass import BreakGlassEvent
from core.request import Request
from core.stores.commit import StoreSettings
from core.stores.dynamodb.conditions import all_equal
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.entries import read_entry
from core.stores.dynamodb.items import Item, from_attributes
from core.stores.dynamodb.layout import BESIDE_A_RECORD, DEVICE_BODY, SESSION_BODY, Layout
from core.stores.dynamodb.ledgers import HOLDING_PREFIX, LEDGER_PREFIX
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.rights import holding_key, key_of, names_of, plain_holding
from core.stores.schema import ACCESS, AUDIT, BREAK_GLASS, REQUESTS
from core.stores.seals import SEAL, FindEntry, has_current_seal, reseal_ledger, reseal_record

_LAYOUTS: Final = (
    Layout(REQUESTS, Request),
    Layout(BREAK_GLASS, BreakGlassEvent),
    Layout(ACCESS, Grant),
    Layout(ACCESS, Session, SESSION_BODY),
    Layout(ACCESS, Device, DEVICE_BODY),
)


def reseal_all(connection: Connection, prefix: str, settings: StoreSettings) -> int:
    """Seal every record and ledger with the key that seals now; how many weren't."""
    count = 0
    find = partial(_find_entry, connection, AUDIT.name(prefix))
    for table in dict.fromkeys(layout.table.name(prefix) for layout in _LAYOUTS):
        layouts = [layout for layout in _LAYOUTS if layout.table.name(prefix) == table]
        for item in connection.scan_all(TableName=table, ConsistentRead=True):
            partition = str(item[layouts[0].partition_key]["S"])
            layout = next((each for each in layouts if each.is_record(item)), None)
            if partition.startswith(HOLDING_PREFIX):
                count += _reseal_holding(connection, table, item, settings)
            elif partition.startswith(LEDGER_PREFIX):
                count += _reseal_ledger(connection, table, item, settings)
            elif layout is not None:
                count += _reseal_record(connection, layout, table, item, settings, find)
    return count


def _reseal_ledger(connection: Connection, table: str, item: Item, settings: StoreSettings) -> int:
    name = str(item["pk"]["S"])
    stored = {key: value for key, value in from_attributes(item, name).items() if key not in BESIDE_A_RECORD}
    if has_current_seal(stored, settings.keyring):
        return 0
    seal = reseal_ledger(name.removeprefix(LEDGER_PREFIX), stored, settings.keyring)
    return _write(connection, table, {**item, SEAL: {"S": seal}}, all_equal(_version(stored)))


def _reseal_record(
    connection: Connection, layout: Layout, table: str, item: Item, settings: StoreSettings, find: FindEntry
) -> int:
    stored, _ = layout.plain(item)
    if has_current_seal(stored, settings.keyring):
        return 0
    seal = {SEAL: {"S": reseal_record(layout.kind, layout.id_of(item), stored, settings.keyring, find)}}
    body = layout.body
    sealed = item | seal if body is None else item | {body: {"M": item[body]["M"] | seal}}
    return _write(connection, table, sealed, layout.all_equal(_version(stored)))


def _version(stored: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: stored.get(name) for name in ("updated_at", SEAL)}


def _find_entry(connection: Connection, table: str, chain: str, seq: int) -> AuditEntry | None:
    item = connection.get(table, {"chain": {"S": chain}, "seq": {"N": str(seq)}})
    return read_entry(item) if item is not None else None


def _write(connection: Connection, table: str, item: Item, condition: dict[str, Any]) -> int:
    # The whole item under the condition of its version: the bot's role may put records, and not update them.
    try:
        connection.write("put_item", TableName=table, Item=item, **condition)
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
