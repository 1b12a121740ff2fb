"""One call of a workload: S3's list of buckets, to see what a session's rights are worth now.

Invariant: it answers only what role, session policy and service control policy allow together at this moment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from core.clock import format_time
from playground.pretend_aws.authorization import PretendRequest

_BUCKETS: Final = ("customer-invoices", "payments-archive", "release-artifacts")
_CREATED: Final = format_time(datetime(2024, 3, 11, 9, 30, tzinfo=UTC))


def list_buckets(request: PretendRequest) -> bytes:
    """The buckets of the caller's account. Raises PretendAwsError (AccessDenied)."""
    # Rule (Service authorization reference, S3): the action of ListBuckets is s3:ListAllMyBuckets, on everything.
    request.check("s3:ListAllMyBuckets")
    account = escape(request.caller.account)
    buckets = "".join(
        f"<Bucket><Name>{name}-{account}</Name><CreationDate>{_CREATED}</CreationDate></Bucket>" for name in _BUCKETS
    )
    owner = f"<Owner><ID>{account}</ID></Owner>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{owner}<Buckets>{buckets}</Buckets></ListAllMyBucketsResult>"
    ).encode()
