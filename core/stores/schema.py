"""The DynamoDB tables: the one source for the code, the command line, CloudFormation and the docs.

Invariant: `countersign tables create` makes, and `countersign tables check` demands, exactly what is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TTL_ATTRIBUTE: Final = "ttl"
"""A Number of Unix seconds, after which DynamoDB may delete the item (within a few days, says AWS)."""

AWAITS_ATTRIBUTE: Final = "awaits"
"""What is still due on the record: the end of a grant, or the review of an event that ended."""

PERSON_INDEX: Final = "gsi-grantee"
"""The index of the access table by whose a grant, a session or a device is."""

DELIVERY_INDEX: Final = "gsi-delivery"
"""The index of what still has to be delivered. Tables of an older version have one on the audit table, too."""


@dataclass(frozen=True, slots=True)
class Key:
    """A partition key and, if there is one, a sort key: names of attributes."""

    partition: str
    sort: str | None = None

    def names(self) -> tuple[str, ...]:
        """The attributes of this key."""
        return (self.partition,) if self.sort is None else (self.partition, self.sort)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name after the prefix, its key, and its global secondary indexes, which project everything.

    `forgets` is true when DynamoDB may delete items on its own, after their TTL_ATTRIBUTE.
    """

    suffix: str
    key: Key
    indexes: dict[str, Key]
    number_attributes: frozenset[str] = frozenset()
    forgets: bool = True

    def name(self, prefix: str) -> str:
        """The table's full name, such as `countersign-requests`."""
        return f"{prefix}-{self.suffix}"

    def attribute_type(self, attribute: str) -> str:
        """DynamoDB's letter for the attribute's type: S for text, N for a number."""
        return "N" if attribute in self.number_attributes else "S"


REQUESTS: Final = Table(
    suffix="requests",
    key=Key("id"),
    indexes={
        "gsi-requester": Key("requester", "created_at"),
        "gsi-status": Key("status", "created_at"),
        "gsi-profile": Key("profile", "created_at"),
    },
)

BREAK_GLASS: Final = Table(
    suffix="break-glass",
    key=Key("pk"),
    indexes={
        "gsi-invoker": Key("invoker", "created_at"),
        "gsi-status": Key("status", "created_at"),
        "gsi-profile": Key("profile", "created_at"),
        # Sparse: only an event that ended and has no review has the attribute.
        f"gsi-{AWAITS_ATTRIBUTE}": Key(AWAITS_ATTRIBUTE, "created_at"),
    },
)

AUDIT: Final = Table(
    suffix="audit",
    key=Key("chain", "seq"),
    indexes={
        # By month, because reading in order of time needs a partition key. One partition takes 1,000 writes a second,
        # and DynamoDB splits a busy one.
        "gsi-month": Key("month", "at"),
    },
    number_attributes=frozenset({"seq"}),
    # Entries only: the bot may put them, and nobody's clock may remove one.
    forgets=False,
)

OUTBOX: Final = Table(
    suffix="outbox",
    key=Key("chain", "seq"),
    indexes={
        # Sparse: only what still has to be delivered has the attribute `delivery`.
        DELIVERY_INDEX: Key("delivery", "due_at"),
    },
    number_attributes=frozenset({"seq"}),
)

ACCESS: Final = Table(
    suffix="access",
    # A grant is GRANT#<id>, and what is held of a right is HOLDING#<key of the right>. A session is SESSION#<id>, and
    # SESSIONS#<id of a grant, or key of a right> lists sessions; the indexes find one by values like SESSION#active.
    key=Key("pk"),
    indexes={
        PERSON_INDEX: Key("grantee", "created_at"),
        "gsi-status": Key("status", "created_at"),
        "gsi-profile": Key("profile", "created_at"),
        # These are sparse. Only a live grant awaits its end:
        f"gsi-{AWAITS_ATTRIBUTE}": Key(AWAITS_ATTRIBUTE, "created_at"),
        # in the order in which they end,
        "gsi-end": Key("stage", "ends"),
        # and only a right for which something is to be done is due.
        "gsi-due": Key("urgency", "due"),
    },
)

TABLES: Final = (REQUESTS, BREAK_GLASS, ACCESS, AUDIT, OUTBOX)
