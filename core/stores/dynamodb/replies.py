"""Refuse a reply that did not arrive complete.

Invariant: a truncated reply counts as lost, never as empty. botocore's parser reads half a body as `{}`: without this
check a truncated GetItem would mean "there is no such record", and a truncated list would be empty.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from botocore.exceptions import ChecksumError

_CHECKSUM: Final = "x-amz-crc32"
"""DynamoDB sends it with every success; botocore checks it only in its legacy retry mode."""
_LENGTH: Final = "content-length"
_CHUNKED: Final = "transfer-encoding"
_FIRST_FAILURE: Final = 300


def refuse_cut_reply(response_dict: dict[str, Any], **_: object) -> None:
    """A handler for botocore's `before-parse` event. Raises ChecksumError, which counts as a lost reply."""
    headers = {str(name).lower(): value for name, value in response_dict["headers"].items()}
    body: bytes = response_dict["body"]
    if response_dict["status_code"] < _FIRST_FAILURE:
        kind, expected, actual = _CHECKSUM, headers.get(_CHECKSUM), str(zlib.crc32(body))
    elif str(headers.get(_CHUNKED, "")).lower() == "chunked":
        # A long error comes in chunks, and the last of them is empty: if it is missing, urllib3 raised before this.
        return
    else:
        # Other errors come without a checksum; if their headers are truncated, the length is missing too.
        kind, expected, actual = _LENGTH, headers.get(_LENGTH), str(len(body))
    if expected != actual:
        raise ChecksumError(checksum_type=kind, expected_checksum=expected or "none", actual_checksum=actual)
