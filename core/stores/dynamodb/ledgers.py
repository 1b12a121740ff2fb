"""Ledgers in DynamoDB: items in the table of break-glass events, with a key prefix of their own.

Invariant: a ledger is written only over the version that was read, alone or in the transaction of the change it belongs
to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from core.access.holding import Holding
from core.access.role_door import RoleDoor
from core.audit.keyring import AuditKeyring
from core.errors import ConcurrentModification, CountersignError
from core.ledger import Ledger
from core.mfa import CodeLedger
from core.open_requests import OpenRequests
from core.stores.dynamodb.conditions import all_equal
from core.stores.dynamodb.items import Item, from_attributes, to_attributes
from core.stores.dynamodb.outcomes import ConditionFailed
from core.stores.dynamodb.parts import Part
from core.stores.inspection import compare_beside, inspect_ledger
from core.stores.schema import TTL_ATTRIBUTE
from core.stores.seals import SEAL, SealedLedger, read_sealed_ledger, replace_unread
from core.usage import UsageLedger

L = TypeVar("L", bound=Ledger)
LEDGER_PREFIX: Final = f"{Ledger.KIND}#"
HOLDING_PREFIX: Final = f"{Holding.KIND}#"
_NOT_PART_OF_A_LEDGER: Final = frozenset({"pk", TTL_ATTRIBUTE})


def ledger_key(ledger: Ledger) -> Item:
    """The key under which a ledger is stored."""
    return {"pk": {"S": f"{LEDGER_PREFIX}{ledger.owner}"}}


def put_ledger(table: str, sealed: SealedLedger) -> dict[str, Any]:
    """The arguments of the write that replaces the ledger, if it still has the version that was read."""
    item = {
        **to_attributes(sealed.item),
        **ledger_key(sealed.ledger),
        TTL_ATTRIBUTE: {"N": str(int(sealed.ledger.kept_until().timestamp()))},
    }
    return {"TableName": table, "Item": item, **all_equal(sealed.must_be_stored())}


def read_ledger(empty: L, found: Mapping[str, Item], keyring: AuditKeyring) -> L:
    """The ledger with this key among the items, or an empty one. Raises BrokenSeal, MalformedRecord."""
    key = ledger_key(empty)["pk"]["S"]
    if key not in found:
        return empty
    plain = from_attributes(found[key], key)
    stored = {name: value for name, value in plain.items() if name not in _NOT_PART_OF_A_LEDGER}
    return read_sealed_ledger(empty, stored, keyring)


def inspect_stored_ledger(raw: Item, keyring: AuditKeyring) -> Ledger:
    """The ledger of an item, for verification. Raises BrokenSeal, MalformedRecord."""
    key = str(raw["pk"]["S"])
    plain = from_attributes(raw, key)
    stored = {name: value for name, value in plain.items() if name not in _NOT_PART_OF_A_LEDGER}
    ledger = inspect_ledger(key.removeprefix(LEDGER_PREFIX), stored, keyring)
    if not isinstance(ledger, UsageLedger | CodeLedger | OpenRequests | RoleDoor):
        return ledger
    return compare_beside(ledger, plain, {TTL_ATTRIBUTE: int(ledger.kept_until().timestamp())})


def put_ledgers(table: str, ledgers: Sequence[SealedLedger]) -> Part:
    """The writes that replace the ledgers, for the caller's transaction."""
    return Part([{"Put": put_ledger(table, each)} for each in ledgers], _explain)


def _explain(failure: ConditionFailed) -> CountersignError | None:
    # Somebody else's change of a ledger came first.
    return ConcurrentModification("a ledger") if any(failure.failed) else None


def replace_raw(empty: L, found: Mapping[str, Item]) -> L:
    """The empty ledger, which may replace the one with its key among the items. Raises MalformedRecord."""
    key = ledger_key(empty)["pk"]["S"]
    raw = {name: value for name, value in found.get(key, {}).items() if name in {"updated_at", SEAL}}
    plain = from_attributes(raw, key)
    return replace_unread(empty, plain.get("updated_at"), plain.get(SEAL))
