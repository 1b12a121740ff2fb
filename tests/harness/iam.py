"""A DynamoDB client that is allowed what an IAM policy allows, and nothing else.

Invariant: it judges each call as AWS does: by action and table, where a transaction is the actions in it, and by the
one condition that the policies use. It is stricter in one way: an entry of the audit table must be put under the
condition that its place is free, which IAM can't demand.
"""

from __future__ import annotations

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
                self._judge(table, action, operation)
                if table.endswith(f"-{AUDIT.suffix}") and action == "PutItem":
                    assert write.get("ConditionExpression") == _PLACE_IS_FREE, write
            return call(**arguments)

        return judged

    def _judge(self, table: str, action: str, operation: str) -> None:
        if not any(_allows(statement, table, action, operation) for statement in self._statements):
            raise NotAllowedByIamError(f"{action} on {table}, in {operation}")


def _actions(operation: str, arguments: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if operation == _TRANSACTION:
        for item in arguments["TransactItems"]:
            ((kind, write),) = item.items()
            yield write["TableName"], _ACTIONS[kind], write
    elif operation == "BatchGetItem":
        yield from ((table, operation, {}) for table in arguments["RequestItems"])
    else:
        yield arguments["TableName"], operation, arguments


def _allows(statement: dict[str, Any], table: str, action: str, operation: str) -> bool:
    if f"dynamodb:{action}" not in statement["Action"]:
        return False
    if not any(arn.endswith(f":table/{table}") for arn in statement["Resource"]):
        return False
    if "Condition" not in statement:
        return True
    ((test, values),) = statement["Condition"].items()
    assert test == "ForAnyValue:StringEquals"
    return operation in values["dynamodb:EnclosingOperation"]
