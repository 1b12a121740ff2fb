"""The session policy of credentials: everything that the role may do, until the access ends.

Invariant: pure. Rights never outlive the window: the policy's moment is the window's end, rounded down to the second
that AWS compares. What a role may do and what its session policy allows have to meet, so nothing is added.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

MAX_POLICY_LENGTH: Final = 2048
"""What STS takes, in characters. Ours is below 160, whose packed size is a few percent of what STS allows."""


def session_policy(rights_end_at: datetime) -> str:
    """The policy that ends all rights at this moment."""
    statement = {
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:CurrentTime": format_second(rights_end_at)}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def format_second(moment: datetime) -> str:
    """The moment as AWS compares it, rounded down: never later than it was."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
