"""A model of PackedPolicySize: how much of a session's allotted space its policy and tags take.

Invariant: tags count as they are, as measured on AWS: 2,268 characters of nine highly repetitive tags are 498%
(reported in aws-actions/configure-aws-credentials#1898). How policies are packed, AWS doesn't say: they are deflated
here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Final

from playground.pretend_aws.faults import PretendAwsError

_ALLOTTED_BYTES: Final = 455


def check_packed_size(policy: str | None, tags: Mapping[str, str]) -> int:
    """The percentage that is used. Raises PretendAwsError (PackedPolicyTooLarge) above 100.

    Rule (AssumeRole, PackedPolicySize): policies and tags, inherited ones too, share one packed limit.
    """
    size = sum(len(f"{key}{value}".encode()) for key, value in tags.items())
    if policy is not None:
        size += len(zlib.compress(json.dumps(json.loads(policy), separators=(",", ":")).encode(), 9))
    percent = -(-size * 100 // _ALLOTTED_BYTES)
    if percent > 100:  # noqa: PLR2004 - percent.
        what = "session tags" if policy is None else "policies and session tags"
        raise PretendAwsError("PackedPolicyTooLarge", f"Packed size of {what} consumes {percent}% of allotted space.")
    return percent
