"""The app's manifest, which an operator pastes into Slack to create the app or to change it.

Invariant: the manifest is part of the package, so an installed Countersign has it too. tests/packaging checks that it
equals its source, manifest.yml at the root of the repository. A scope that only some policies need is added only for
those.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from bot.slack.app_surface import EMAIL_SCOPE, PICTURE_SCOPE
from core.policy import Policy
from core.policy.on_call_config import IcalConfig, IncidentIoConfig, OnCallConfig, PagerDutyConfig

_BOT_SCOPES: Final = re.compile(rb"(?m)^ {4}bot:\n((?: {6}- [a-z:.]+\n)+)")


def read_manifest() -> bytes:
    """The manifest as YAML, byte for byte as in the repository."""
    return files("bot.slack").joinpath("manifest.yml").read_bytes()


def write_manifest(policy: Policy) -> bytes:
    """The manifest for what this policy uses: the same, with the scopes that it needs besides."""
    manifest = read_manifest()
    if not (more := find_more_scopes(policy)):
        return manifest
    found = _BOT_SCOPES.search(manifest)
    if found is None:
        raise AssertionError("the manifest of the package lists its scopes")
    lines = {*found[1].splitlines(keepends=True), *(b"      - %s\n" % each.encode() for each in more)}
    return manifest[: found.start(1)] + b"".join(sorted(lines)) + manifest[found.end(1) :]


def find_more_scopes(policy: Policy) -> frozenset[str]:
    """The scopes that this policy needs, and the manifest doesn't ask for."""
    document = policy.document
    more = {EMAIL_SCOPE} if needs_email(policy) else set()
    return frozenset(more | ({PICTURE_SCOPE} if document.summary.monthly and document.summary.picture else set()))


def needs_email(policy: Policy) -> bool:
    """True when e-mail addresses decide who somebody is: rules name people by them, or schedules do."""
    return policy.document.identity.trust_email or finds_by_email(policy)


def finds_by_email(policy: Policy) -> bool:
    """True when people on a schedule of the policy may have to be found by e-mail."""
    return any(_has_emails(each) for each in policy.document.on_call.values())


def _has_emails(config: OnCallConfig) -> bool:
    match config.source:
        case PagerDutyConfig() | IncidentIoConfig():
            return True
        case IcalConfig(name_from=name_from):
            return name_from == "attendee"
    return False
