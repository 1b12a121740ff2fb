"""An HTTP request as a caller of AWS signs it.

Invariant: nothing here trusts it; signature.py says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from playground.pretend_aws.faults import PretendAwsError

_FORBIDDEN: Final = 403
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>\w{16,128})/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9]+)"
    r"/aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class SignedCall:
    """One HTTP request; the headers' names in lowercase."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def service(self) -> str:
        """Which service it was signed for."""
        return self.scope["service"]

    @property
    def region(self) -> str:
        """Which region it was signed for."""
        return self.scope["region"]

    @property
    def scope(self) -> re.Match[str]:
        """Which key signed it, when and for what. Raises PretendAwsError for a request that isn't signed."""
        found = _AUTHORIZATION.fullmatch(self.headers.get("authorization", ""))
        if found is None:
            raise PretendAwsError("MissingAuthenticationToken", "Request is missing Authentication Token", _FORBIDDEN)
        return found
