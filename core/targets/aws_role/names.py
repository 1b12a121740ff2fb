"""What a session is called at AWS, and which tags it has: how CloudTrail and the deny tell one from another.

Invariant: pure. What comes out fits AWS's patterns, whatever people are called, and the source identity of two grants
is never the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, TypedDict

from core.targets.aws_names import MAX_SESSION_NAME, SESSION_NAME

SOURCE_IDENTITIES: Final = "countersign-*"
"""What every source identity of ours is like, in a policy."""
REQUEST_TAG: Final = "countersign:request"
PROFILE_TAG: Final = "countersign:profile"
_MAX_TAG: Final = 256
_NO_NAME: Final = "countersign"
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_+=,.@-]+")
_UNFIT_IN_TAG: Final = re.compile(r"[^A-Za-z0-9 _.:/=+@-]+")


class Tag(TypedDict):
    """A session tag, as STS takes it."""

    Key: str
    Value: str


def session_name(person_name: str, fallback: str) -> str:
    """The name of a session: the person's e-mail address or name, made fit, or the fallback."""
    plain = unicodedata.normalize("NFKD", person_name).encode("ascii", "ignore").decode()
    for each in (plain, fallback, _NO_NAME):
        fit = _UNFIT.sub("-", each.strip()).strip("-")[:MAX_SESSION_NAME]
        if SESSION_NAME.fullmatch(fit):
            return fit
    raise AssertionError(_NO_NAME)


def session_tags(request: str, profile: str) -> Sequence[Tag]:
    """The tags of a session, which it keeps when it assumes another role."""
    return (_tag(REQUEST_TAG, request.replace("#", "/")), _tag(PROFILE_TAG, profile))


def _tag(key: str, value: str) -> Tag:
    return {"Key": key, "Value": _UNFIT_IN_TAG.sub("-", value)[:_MAX_TAG]}
