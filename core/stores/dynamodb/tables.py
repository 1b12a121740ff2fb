"""Make the tables of the schema, fix them, and check them: `countersign tables create` and `check`.

Invariant: nothing here deletes a table, an index or an item, and `check_tables` changes nothing at all. Any number of
`create_tables` may run at once; each ends with the same tables.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from core.errors import StoreMisconfigured
from core.stores.dynamodb.comparison import (
    Described,
    Difference,
    Repair,
    attribute_definitions,
    compare,
    encryption,
    find_undescribed,
    index_definition,
    key_schema,
    missing,
)
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.outcomes import CallRefused
from core.stores.schema import TABLES, Table

DEADLINE_SECONDS: Final = 600.0
"""How long to wait for all of them. AWS makes one in a few seconds; a new index on a big table takes minutes."""
_FIRST_PAUSE_SECONDS: Final = 0.05
_MAX_PAUSE_SECONDS: Final = 2.0
_MAX_TRIES: Final = 5
_NOT_NOW: Final = frozenset({"ResourceInUseException", "ContinuousBackupsUnavailableException"})
"""Somebody else is changing the table, or AWS is not done with it: wait, and check again."""
_INVALID: Final = "ValidationException"
_UNKNOWN: Final = "UnknownOperationException"
_NO: Final = frozenset({"LimitExceededException", _INVALID, _UNKNOWN})
"""AWS refuses this change. A limit may be temporary, so the change is tried a few times before it is reported."""
_ABSENT: Final = frozenset({"ResourceNotFoundException", "TableNotFoundException"})


@dataclass(frozen=True, slots=True)
class TablesReport:
    """The names of the tables that were made, what was fixed, what still differs, and what the engine does not report.

    Everything but the names is text for people.
    """

    made: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    untold: tuple[str, ...] = ()

    @property
    def is_fine(self) -> bool:
        """True when nothing that the engine reports differs from the schema."""
        return not self.differences


def create_tables(
    connection: Connection, prefix: str, *, kms_key: str | None = None, deadline_seconds: float = DEADLINE_SECONDS
) -> TablesReport:
    """Make each missing table, and fix the others as far as that loses nothing.

    `kms_key` is a KMS key's id, ARN or alias; without it, the account's own key for DynamoDB encrypts. Tables that
    are not ready after `deadline_seconds` are differences in the report. Raises StoreUnavailable, StoreMisconfigured.
    """
    deadline = time.monotonic() + deadline_seconds
    tables = [_TableSetup(connection, table, table.name(prefix), kms_key, _Pauses(deadline)) for table in TABLES]
    # All calls are made before waiting for any: AWS makes the tables in parallel.
    for table in tables:
        table.make_if_missing()
    return _join([table.settle() for table in tables])


def check_tables(connection: Connection, prefix: str, *, kms_key: str | None = None) -> TablesReport:
    """Name every way in which the tables differ from the schema. Raises StoreUnavailable, StoreMisconfigured."""
    return _join([_check(connection, table, table.name(prefix), kms_key) for table in TABLES])


@dataclass(slots=True)
class _Pauses:
    """Ever longer pauses until a deadline, a moment of `time.monotonic`."""

    deadline: float
    next_seconds: float = _FIRST_PAUSE_SECONDS

    def take(self) -> bool:
        """Pause. Returns False at once when the time is over."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(self.next_seconds, left))
        self.next_seconds = min(2 * self.next_seconds, _MAX_PAUSE_SECONDS)
        return True


@dataclass(slots=True)
class _TableSetup:
    """Makes and fixes one table."""

    connection: Connection
    schema: Table
    name: str
    kms_key: str | None
    pauses: _Pauses
    made: bool = False
    fixed: list[str] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, str] = field(default_factory=dict)

    def make_if_missing(self) -> None:
        if _describe(self.connection, self.name) is None:
            self._make()

    def settle(self) -> TablesReport:
        """Wait and fix until nothing is left to do, or the time is over."""
        while True:
            found = _describe(self.connection, self.name)
            if found is None:
                # Just made, and not yet visible to this read; or somebody removed it in the meantime.
                self._make()
            elif not found.is_under_way(self.schema):
                repairs = self._find_repairs(found)
                if not repairs:
                    return self._report(found)
                if self._fix(*repairs[0]):
                    continue
            if not self.pauses.take():
                return self._report(found)

    def _make(self) -> None:
        arguments = _definition(self.schema, self.name, self.kms_key)
        try:
            self.connection.call("create_table", expecting=_NOT_NOW | {_INVALID}, **arguments)
        except CallRefused as refusal:
            if refusal.code == _INVALID:
                problem = f"{self.name} cannot be made: {refusal.message}"
                raise StoreMisconfigured(problem, "Check the prefix, and --kms-key where it was given") from refusal
            # Another run was faster, or the answer to an earlier attempt was lost: settle() checks what is there.
            return
        self.made = True

    def _find_repairs(self, found: Described) -> list[tuple[str, Repair]]:
        differences = compare(self.schema, self.name, found, self.kms_key)
        return [
            (each.problem, each.repair)
            for each in differences
            if each.repair is not None and self.tries[each.problem] < _MAX_TRIES
        ]

    def _fix(self, problem: str, repair: Repair) -> bool:
        """Make the call. True when to check the table at once: the first call for this problem was accepted."""
        try:
            self.connection.call(repair.operation, expecting=_NOT_NOW | _NO, TableName=self.name, **repair.arguments)
        except CallRefused as refusal:
            self.refusals[problem] = refusal.message
            if refusal.code in _NO:
                self.tries[problem] += 1
            return False
        self.tries[problem] += 1
        self.fixed.append(problem)
        return self.tries[problem] == 1

    def _report(self, found: Described | None) -> TablesReport:
        made = (self.name,) if self.made else ()
        if found is None:
            return TablesReport(made, differences=(missing(self.name),))
        left = tuple(compare(self.schema, self.name, found, self.kms_key))
        problems = {each.problem for each in left}
        # Steps that are part of making a table don't count as fixes.
        fixed = [] if made else [each for each in dict.fromkeys(self.fixed) if each not in problems]
        return TablesReport(
            made,
            tuple(f"{self.name}: {each}" for each in fixed),
            tuple(self._explain(each) for each in left),
            tuple(find_undescribed(found, self.kms_key)),
        )

    def _explain(self, difference: Difference) -> Difference:
        said = self.refusals.get(difference.problem)
        return replace(difference, fix=f"AWS did not change it: {said.rstrip('.')}") if said else difference


def _check(connection: Connection, schema: Table, name: str, kms_key: str | None) -> TablesReport:
    found = _describe(connection, name)
    if found is None:
        return TablesReport(differences=(missing(name),))
    differences = tuple(compare(schema, name, found, kms_key))
    return TablesReport(differences=differences, untold=tuple(find_undescribed(found, kms_key)))


def _describe(connection: Connection, name: str) -> Described | None:
    """The table as it is; None if there is none."""
    try:
        table = connection.call("describe_table", expecting=_ABSENT, TableName=name)["Table"]
        ttl = _ask(connection, "describe_time_to_live", name)
        backups = _ask(connection, "describe_continuous_backups", name)
    except CallRefused:
        return None
    return Described(
        table,
        None if ttl is None else ttl["TimeToLiveDescription"],
        None if backups is None else _recovery_status(backups["ContinuousBackupsDescription"]),
    )


def _ask(connection: Connection, operation: str, name: str) -> dict[str, Any] | None:
    """The answer; None if the engine does not know the operation."""
    try:
        return connection.call(operation, expecting=_ABSENT | {_UNKNOWN}, TableName=name)
    except CallRefused as refusal:
        if refusal.code != _UNKNOWN:
            raise
        return None


def _recovery_status(backups: dict[str, Any]) -> str:
    status: str = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus", "DISABLED")
    return status


def _definition(schema: Table, name: str, kms_key: str | None) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attribute_definitions(schema, schema.key, *schema.indexes.values()),
        "KeySchema": key_schema(schema.key),
        "GlobalSecondaryIndexes": [index_definition(index, key) for index, key in schema.indexes.items()],
        "SSESpecification": encryption(kms_key),
        "DeletionProtectionEnabled": True,
    }


def _join(reports: Sequence[TablesReport]) -> TablesReport:
    return TablesReport(
        tuple(chain.from_iterable(each.made for each in reports)),
        tuple(chain.from_iterable(each.repaired for each in reports)),
        tuple(chain.from_iterable(each.differences for each in reports)),
        # What is not reported for one table is not reported for the others either: once is enough.
        tuple(dict.fromkeys(chain.from_iterable(each.untold for each in reports))),
    )
