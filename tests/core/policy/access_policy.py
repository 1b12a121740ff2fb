"""A policy whose profiles give access, for tests to vary."""

from __future__ import annotations

from core.policy import Policy, parse_policy

INSTANCE = "arn:aws:sso:::instance/ssoins-1234567890abcdef"
ADMIN = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-admin00000000001"
GROUP = "00000000-0000-4000-8000-000000000001"
FILE = f"""\
version: 1
admins: [U0ADMIN, S0SECURITY]
targets:
  aws: {{type: identity-center, region: eu-west-1, instance: {INSTANCE}, identity_store: d-1234567890}}
  wh: {{type: webhook, url: https://x.example.com/hook, secret: env:WH}}
  fn: {{type: lambda, region: eu-west-1, function: access}}
people: {{U0ANN: {{aws: ann}}}}
profiles:
  prod: {{channel: C0ACCESS1, access: [{{target: aws, account: "111122223333", permission_set: {ADMIN}}}]}}
  db: {{channel: C0ACCESS1, access: [{{target: wh, resource: db, level: ro}}, {{target: fn, resource: x, level: y}}]}}
  plain: {{channel: C0ACCESS1}}
approval:
  - {{name: prod, profiles: [prod], requesters: [U0ANN, U0BOB], approvers: [U0BOB, S0SRE], max_duration: 4h}}
  - {{name: rest, profiles: [db, plain], approvers: [U0CAROL], max_duration: 4h, ask_before_end: 20m}}
break_glass:
  - {{name: glass, profiles: [prod], users: [U0DAN], max_duration: 1h}}
"""
WITHOUT_WH = (
    ("  wh: {type: webhook, url: https://x.example.com/hook, secret: env:WH}\n", ""),
    ("{target: wh, resource: db, level: ro}, ", ""),
)
"""The changes with which the target wh leaves the policy."""


def access_policy(*changes: tuple[str, str]) -> Policy:
    """The policy with parts of its text replaced."""
    return parse_policy(access_file(*changes))


def access_file(*changes: tuple[str, str]) -> bytes:
    """The file with parts of its text replaced."""
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()
