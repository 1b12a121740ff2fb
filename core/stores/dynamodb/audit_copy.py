"""A copy of the audit table that leaves the account, as CloudFormation: a stream to a bucket that nobody can rewrite.

Invariant: pure, and optional: without a bucket, the template makes none of it. The bot has no part in the copy, so
anyone who has the bot's credentials can't keep an entry out of it.
"""

from __future__ import annotations

from typing import Any, Final

_WANTED: Final = "CopiesAudit"
_ROLE: Final = "AuditCopyRole"
_STREAM: Final = "AuditStream"
_RETENTION_HOURS: Final = 168
"""How long the stream waits for a bucket that can't be written: a week to notice it, and to fix it."""
_BUFFER_SECONDS: Final = 60
_TO_READ_THE_STREAM: Final = (
    "kinesis:DescribeStream",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)
_TO_LIST_THE_BUCKET: Final = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
_TO_ADD_OBJECTS: Final = ("s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl")
_VERSION: Final = "2012-10-17"
Json = dict[str, Any]


def stream_specification() -> Json:
    """The property of the audit table that sends every change to the stream."""
    return {"KinesisStreamSpecification": _if_wanted({"StreamArn": {"Fn::GetAtt": [_STREAM, "Arn"]}})}


def audit_copy(prefix: str) -> Json:
    """What the template of the tables needs for the copy: parameters, conditions, resources and outputs."""
    return {
        "Parameters": {
            "AuditBucketArn": {
                "Type": "String",
                "Default": "",
                "AllowedPattern": "(arn:[a-z-]+:s3:::.+)?",
                "Description": "The ARN of a bucket in another account, with Object Lock, for a copy of the audit. "
                "Made by: countersign tables audit-bucket. Empty: no copy.",
            }
        },
        "Conditions": {_WANTED: {"Fn::Not": [{"Fn::Equals": [{"Ref": "AuditBucketArn"}, ""]}]}},
        "Resources": {_STREAM: _stream(), _ROLE: _role(prefix), "AuditCopy": _delivery(prefix)},
        "Outputs": {
            "AuditCopyRoleArn": {
                "Condition": _WANTED,
                "Description": "Who writes the copy: the parameter CopyRoleArn of the bucket's template.",
                "Value": {"Fn::GetAtt": [_ROLE, "Arn"]},
            }
        },
    }


def audit_bucket() -> Json:
    """A template for the bucket, to be made in an account where nobody who runs Countersign may do anything."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "A bucket for a copy of Countersign's audit table. Made by: countersign tables audit-bucket",
        "Parameters": {
            "CopyRoleArn": {
                "Type": "String",
                "AllowedPattern": "arn:[a-z-]+:iam::[0-9]{12}:role/.+",
                "Description": "The role that writes the copy: arn:aws:iam::ACCOUNT_ID:role/PREFIX-audit-copy.",
            },
            "RetentionDays": {
                "Type": "Number",
                "Default": 365,
                "MinValue": 1,
                "Description": "For so long nobody can delete an object, not even the owner of the account.",
            },
        },
        "Resources": {"AuditBucket": _bucket(), "AuditBucketPolicy": _bucket_policy()},
        "Outputs": {
            "AuditBucketArn": {
                "Description": "The parameter AuditBucketArn of the template of the tables.",
                "Value": {"Fn::GetAtt": ["AuditBucket", "Arn"]},
            }
        },
    }


def _stream() -> Json:
    return {
        "Type": "AWS::Kinesis::Stream",
        "Condition": _WANTED,
        "Properties": {
            "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
            "RetentionPeriodHours": _RETENTION_HOURS,
            "StreamEncryption": {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
        },
    }


def _role(prefix: str) -> Json:
    # Its name is fixed, so that the bucket can name it before it exists.
    reads = {"Effect": "Allow", "Action": list(_TO_READ_THE_STREAM), "Resource": {"Fn::GetAtt": [_STREAM, "Arn"]}}
    lists = {"Effect": "Allow", "Action": list(_TO_LIST_THE_BUCKET), "Resource": {"Ref": "AuditBucketArn"}}
    adds = {"Effect": "Allow", "Action": list(_TO_ADD_OBJECTS), "Resource": {"Fn::Sub": "${AuditBucketArn}/*"}}
    return {
        "Type": "AWS::IAM::Role",
        "Condition": _WANTED,
        "Properties": {
            "RoleName": f"{prefix}-audit-copy",
            "AssumeRolePolicyDocument": {
                "Version": _VERSION,
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "firehose.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
                    }
                ],
            },
            "Policies": [
                {
                    "PolicyName": "copy-the-audit-table",
                    "PolicyDocument": {"Version": _VERSION, "Statement": [reads, lists, adds]},
                }
            ],
        },
    }


def _delivery(prefix: str) -> Json:
    role = {"Fn::GetAtt": [_ROLE, "Arn"]}
    return {
        "Type": "AWS::KinesisFirehose::DeliveryStream",
        "Condition": _WANTED,
        "Properties": {
            "DeliveryStreamName": f"{prefix}-audit-copy",
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {
                "KinesisStreamARN": {"Fn::GetAtt": [_STREAM, "Arn"]},
                "RoleARN": role,
            },
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": {"Ref": "AuditBucketArn"},
                "RoleARN": role,
                "Prefix": "audit/!{timestamp:yyyy/MM/dd}/",
                "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/",
                "BufferingHints": {"IntervalInSeconds": _BUFFER_SECONDS, "SizeInMBs": 5},
                "CompressionFormat": "GZIP",
                # One line for each change; without this, they stand one behind the other.
                "ProcessingConfiguration": {
                    "Enabled": True,
                    "Processors": [
                        {
                            "Type": "AppendDelimiterToRecord",
                            "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                        }
                    ],
                },
            },
        },
    }


def _bucket() -> Json:
    return {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "ObjectLockEnabled": True,
            "ObjectLockConfiguration": {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": {"Ref": "RetentionDays"}}},
            },
            "VersioningConfiguration": {"Status": "Enabled"},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        },
    }


def _bucket_policy() -> Json:
    bucket: Json = {"Fn::GetAtt": ["AuditBucket", "Arn"]}
    objects: Json = {"Fn::Sub": "${AuditBucket.Arn}/*"}
    # A role that is named as the principal has to exist; its account and a condition don't need that.
    account = {"Fn::Select": [4, {"Fn::Split": [":", {"Ref": "CopyRoleArn"}]}]}
    writer: Json = {
        "Effect": "Allow",
        "Principal": {"AWS": account},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": {"Ref": "CopyRoleArn"}}},
    }
    return {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": {"Ref": "AuditBucket"},
            "PolicyDocument": {
                "Version": _VERSION,
                "Statement": [
                    {"Sid": "ListForTheCopy", **writer, "Action": list(_TO_LIST_THE_BUCKET), "Resource": bucket},
                    {"Sid": "AddToTheCopy", **writer, "Action": list(_TO_ADD_OBJECTS), "Resource": objects},
                    {
                        "Sid": "RefuseWithoutTls",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [bucket, objects],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                ],
            },
        },
    }


def _if_wanted(value: Json) -> Json:
    return {"Fn::If": [_WANTED, value, {"Ref": "AWS::NoValue"}]}
