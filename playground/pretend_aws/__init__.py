"""A pretend AWS: STS, inline policies of roles, and one call of S3, served as strictly as AWS documents them."""

from playground.pretend_aws.faults import PretendFault
from playground.pretend_aws.service import PretendAws
from playground.pretend_aws.state import AwsKeys, PretendCloud, TrailEvent

__all__ = ["AwsKeys", "PretendAws", "PretendCloud", "PretendFault", "TrailEvent"]
