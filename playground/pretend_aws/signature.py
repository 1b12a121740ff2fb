"""Who signed a request: Signature Version 4, checked with botocore's own signer.

Invariant: no request is answered whose signature wasn't made with the secret of the key that it names. The moment of
a signature is compared with the machine's clock, since the caller's SDK reads that; all else goes by the pretend clock.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from playground.pretend_aws.faults import PretendAwsError
from playground.pretend_aws.signed_call import SignedCall
from playground.pretend_aws.state import AwsKeys, PretendCaller, PretendCloud

_SKEW: Final = timedelta(minutes=5)
_SIGNED_AT: Final = "%Y%m%dT%H%M%SZ"
_FORBIDDEN: Final = 403


def authenticate(request: SignedCall, cloud: PretendCloud, now: datetime) -> PretendCaller:
    """Who signed. Raises PretendAwsError in the words of the service that was asked."""
    scope = request.scope
    words = _S3_WORDS if request.service == "s3" else _WORDS
    caller = cloud.callers.get(scope["key"])
    # Rule (STS and IAM, "Common errors"): an unknown key, or a session's key without its own token, is refused.
    if caller is None or (caller.keys.session_token or "") != request.headers.get("x-amz-security-token", ""):
        raise PretendAwsError(*words["unknown"])
    signed_at = _signed_at(request)
    if abs(datetime.now(UTC) - signed_at) > _SKEW:
        raise PretendAwsError(*words["skewed"])
    expected = _sign(request, scope, caller.keys, signed_at)
    if not hmac.compare_digest(expected, scope["signature"]):
        raise PretendAwsError("SignatureDoesNotMatch", _MISMATCH, _FORBIDDEN)
    # Rule ("Common errors"): temporary credentials are refused from their Expiration on.
    if caller.expires_at is not None and now >= caller.expires_at:
        raise PretendAwsError(*words["expired"])
    return caller


def _sign(request: SignedCall, scope: re.Match[str], keys: AwsKeys, signed_at: datetime) -> str:
    names = scope["headers"].split(";")
    signed = AWSRequest(
        method=request.method,
        url=request.url,
        headers={name: request.headers.get(name, "") for name in names},
        data=request.body,
    )
    signed.context["timestamp"] = signed_at.strftime(_SIGNED_AT)
    # S3 says itself whether its payload is signed: botocore's signer reads it from the header.
    signed.context["payload_signing_enabled"] = True
    make: Any = S3SigV4Auth if scope["service"] == "s3" else SigV4Auth
    signer = make(Credentials(keys.access_key_id, keys.secret_access_key), scope["service"], scope["region"])
    canonical = signer.canonical_request(signed)
    return str(signer.signature(signer.string_to_sign(signed, canonical), signed))


def _signed_at(request: SignedCall) -> datetime:
    try:
        return datetime.strptime(request.headers.get("x-amz-date", ""), _SIGNED_AT).replace(tzinfo=UTC)
    except ValueError as error:
        raise PretendAwsError(
            "IncompleteSignature", "Authorization header requires existence of 'X-Amz-Date'"
        ) from error


_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_WORDS: Final[dict[str, tuple[str, str, int]]] = {
    "unknown": ("InvalidClientTokenId", "The security token included in the request is invalid.", _FORBIDDEN),
    "expired": ("ExpiredToken", "The security token included in the request is expired", _FORBIDDEN),
    "skewed": ("SignatureDoesNotMatch", "Signature expired: it was made too long ago or too early", _FORBIDDEN),
}
_S3_WORDS: Final[dict[str, tuple[str, str, int]]] = {
    "unknown": ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", _FORBIDDEN),
    "expired": ("ExpiredToken", "The provided token has expired.", 400),
    "skewed": (
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        _FORBIDDEN,
    ),
}
