"""A DynamoDB client that is allowed what an IAM policy allows, and nothing else.

Invariant: it judges each call as AWS does: by action and table, where a transaction is the actions in it, and by the
two conditions that the policies use. It is stricter in one way: an entry of the audit table must be put under the
condition that its place is free, which IAM can't demand.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from core.stores.schema import AUDIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ACTIONS: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_PLACE_IS_FREE: Final = "attribute_not_exists(seq)"
_TRANSACTION: Final = "TransactWriteItems"


class NotAllowedByIamError(Exception):
    """The call is one that the policies don't allow."""


class IamClient:
    """A client on behalf of somebody who has these policies."""

    def __init__(self, client: Any, *policies: dict[str, Any]) -> None:  # noqa: ANN401  boto3's client
        self._client = client
        self._statements = [statement for policy in policies for statement in policy["Statement"]]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the client has
        found = getattr(self._client, name)
        if name in {"meta", "exceptions", "close"}:
            return found
        return self._judged("".join(part.title() for part in name.split("_")), found)

    def _judged(self, operation: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def judged(**arguments: Any) -> Any:  # noqa: ANN401
            for table, action, write in _actions(operation, arguments):
                self._judge(_resource(table, write), action, operation, _leading_key(write))
                if table.endswith(f"-{AUDIT.suffix}") and action == "PutItem":
                    assert write.get("ConditionExpression") == _PLACE_IS_FREE, write
            return call(**arguments)

        return judged

    def _judge(self, resource: str, action: str, operation: str, key: str | None) -> None:
        if not any(_allows(statement, resource, action, operation, key) for statement in self._statements):
            raise NotAllowedByIamError(f"{action} on {resource}, in {operation}, of {key}")


def _actions(operation: str, arguments: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if operation == _TRANSACTION:
        for item in arguments["TransactItems"]:
            ((kind, write),) = item.items()
            yield write["TableName"], _ACTIONS[kind], write
    elif operation == "BatchGetItem":
        for table, wanted in arguments["RequestItems"].items():
            yield from ((table, operation, {"Key": key}) for key in wanted["Keys"])
    else:
        yield arguments["TableName"], operation, arguments


def _resource(table: str, arguments: dict[str, Any]) -> str:
    return f"{table}/index/{arguments['IndexName']}" if "IndexName" in arguments else table


def _leading_key(arguments: dict[str, Any]) -> str | None:
    """The partition key of the one item that is read or written; None for a query, whose keys no policy here names."""
    item = arguments.get("Key") or arguments.get("Item") or {}
    found: dict[str, str] = next((item[name] for name in ("pk", "chain", "id") if name in item), {})
    return found.get("S")


def _allows(statement: dict[str, Any], resource: str, action: str, operation: str, key: str | None) -> bool:
    if f"dynamodb:{action}" not in statement["Action"]:
        return False
    if not any(fnmatchcase(resource, arn.partition(":table/")[2]) for arn in statement["Resource"]):
        return False
    for test, values in statement.get("Condition", {}).items():
        ((name, allowed),) = values.items()
        if (test, name) == ("ForAnyValue:StringEquals", "dynamodb:EnclosingOperation"):
            is_met = operation in allowed
        else:
            assert (test, name) == ("ForAllValues:StringLike", "dynamodb:LeadingKeys")
            is_met = key is not None and any(fnmatchcase(key, pattern) for pattern in allowed)
        if not is_met:
            return False
    return True
