"""What source identities are like, and which tags a session has: how CloudTrail and the deny tell one from another.

Invariant: pure. What comes out fits AWS's patterns, whatever people are called, and the source identity of two grants
is never the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypedDict

SOURCE_IDENTITIES: Final = "countersign-*"
"""What every source identity of ours is like, in a policy."""
REQUEST_TAG: Final = "countersign:request"
PROFILE_TAG: Final = "countersign:profile"
_MAX_TAG: Final = 256
_UNFIT_IN_TAG: Final = re.compile(r"[^A-Za-z0-9 _.:/=+@-]+")


class Tag(TypedDict):
    """A session tag, as STS takes it."""

    Key: str
    Value: str


def session_tags(request: str, profile: str) -> Sequence[Tag]:
    """The tags of a session, which it keeps when it assumes another role."""
    return (_tag(REQUEST_TAG, request.replace("#", "/")), _tag(PROFILE_TAG, profile))


def _tag(key: str, value: str) -> Tag:
    return {"Key": key, "Value": _UNFIT_IN_TAG.sub("-", value)[:_MAX_TAG]}
