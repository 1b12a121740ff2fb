"""How AWS writes the names that a policy and the targets use.

Invariant: pure. What fits here fits the patterns of botocore's service models, too.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import Final

_NO_NAME: Final = "countersign"
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_+=,.@-]+")
ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")
REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_INSTANCE_ID: Final = r"(sso)?ins-[a-zA-Z0-9.-]{16}"
INSTANCE: Final = re.compile(rf"arn:aws(-[a-z]{{1,5}}){{0,3}}:sso:::instance/{_INSTANCE_ID}")
PERMISSION_SET: Final = re.compile(
    rf"arn:aws(-[a-z]{{1,5}}){{0,3}}:sso:::permissionSet/{_INSTANCE_ID}/ps-[a-zA-Z0-9./-]{{16}}"
)
IDENTITY_STORE: Final = re.compile(r"d-[0-9a-f]{10}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
STORE_ID: Final = re.compile(
    r"([0-9a-f]{10}-|)[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}"
)
"""How a user's and a group's id look."""
FUNCTION: Final = re.compile(
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-[0-9]:)?([0-9]{12}:)?(function:)?"
    r"[a-zA-Z0-9_-]+(:(\$LATEST|[a-zA-Z0-9_-]+))?"
)
MAX_FUNCTION_LENGTH: Final = 140
MAX_SESSION: Final = timedelta(hours=12)
"""The longest session that a permission set can have."""
ROLE: Final = re.compile(
    r"arn:aws(-[a-z]{1,5}){0,3}:iam::[0-9]{12}:role/([A-Za-z0-9._/+=,@-]{0,120}/)?[A-Za-z0-9_+=,.@-]{1,64}"
)
MAX_ROLE_LENGTH: Final = 256
EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
SESSION_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
MAX_SESSION_NAME: Final = 64
"""Source identities are as long at most, and have the same characters."""
ASSUME: Final = "assume"
"""The level of a right that is a role to assume."""
IAM_DELAY: Final = timedelta(minutes=5)
"""How long IAM may take to apply a policy everywhere: "a few minutes", as AWS says."""
MEMBER: Final = "member"
"""The level of a right that is the membership of a group."""


def account_of(role: str) -> str:
    """The account of a role, by its ARN."""
    return role.split(":")[4]


def role_name(role: str) -> str:
    """The role's name without its path, as IAM is asked for it."""
    return role.rpartition("/")[2]


def session_name(person_name: str, fallback: str) -> str:
    """The name of a session: the person's e-mail address or name, made fit, or the fallback."""
    plain = unicodedata.normalize("NFKD", person_name).encode("ascii", "ignore").decode()
    for each in (plain, fallback, _NO_NAME):
        fit = _UNFIT.sub("-", each.strip()).strip("-")[:MAX_SESSION_NAME]
        if SESSION_NAME.fullmatch(fit):
            return fit
    raise AssertionError(_NO_NAME)
