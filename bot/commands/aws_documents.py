"""`countersign aws trust-policy` and the like: the IAM documents for the aws-role targets of the policy file.

Invariant: nothing is sent to AWS and nothing is changed. What the policy file can't know stays a placeholder, and is
named on standard error.

Exit codes: 0 printed, 2 the input can't be used.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final

import click

from bot.settings import read_settings
from core.actor import check_profile_name
from core.errors import InvalidInput
from core.policy import Policy, load_policy
from core.policy.target_config import AwsRoleConfig
from core.targets.aws_names import ROLE
from core.targets.aws_role import documents
from core.targets.aws_role.documents import Document

_BROKER: Final = "arn:aws:iam::ACCOUNT_ID:role/BROKER_ROLE"
_SERVER: Final = "arn:aws:iam::ACCOUNT_ID:role/SERVER_ROLE"
_FIX: Final = "See `targets` in the policy file."

target_option = click.option("--target", "name", metavar="NAME", help="The target in the policy, if there are several.")


@click.command("trust-policy")
@target_option
@click.option("--broker", metavar="ARN", help="The role that issues credentials: of `countersign broker`, or of serve.")
@click.argument("profile")
def trust_policy(profile: str, name: str | None, broker: str | None) -> None:
    """Print the trust policy that PROFILE's role needs, so that Countersign can issue credentials of it."""
    check_profile_name(profile)
    policy = _load()
    if profile not in policy.document.profiles:
        raise InvalidInput("profile", f"the policy has no profile {profile!r}", "See: countersign policy check")
    used = {entry.target for entry in policy.document.profiles[profile].access or ()}
    config = _choose(policy, used, name, f"profile {profile!r}")
    _print(documents.trust_policy(config, _read_role("broker", broker, _BROKER)))


@click.command("broker-policy")
def broker_policy() -> None:
    """Print the identity policy of what issues credentials: `countersign broker`, or serve where that issues them."""
    _print(documents.broker_policy(_all_roles()))


@click.command("server-policy")
def server_policy() -> None:
    """Print the identity policy with which `countersign serve` ends access early."""
    _print(documents.server_policy(_all_roles()))


@click.command("revoker-policy")
def revoker_policy() -> None:
    """Print the identity policy of the revokers, which edit the roles' inline policies to end access early."""
    found = [each for each in _all_roles() if each.revoker is not None]
    if not found:
        raise InvalidInput("targets", "no aws-role target of the policy has a revoker", _FIX)
    _print(documents.revoker_policy(found))


@click.command("revoker-trust-policy")
@target_option
@click.option("--server", metavar="ARN", help="The role of `countersign serve`.")
def revoker_trust_policy(name: str | None, server: str | None) -> None:
    """Print the trust policy that a target's revoker needs."""
    policy = _load()
    config = _choose(policy, policy.targets, name, "the policy")
    if config.revoker is None:
        raise InvalidInput("target", "this target has no revoker: serve ends its access itself", _FIX)
    _print(documents.revoker_trust_policy(config, _read_role("server", server, _SERVER)))


@click.command()
@click.option("--action", "actions", multiple=True, metavar="ACTION", help="What needs approval, such as rds:Delete*.")
def scp(actions: Sequence[str]) -> None:
    """Print an example of a service control policy: what needs approval works with Countersign's credentials only.

    Read it before you attach it: whatever else does these things, such as pipelines, has to be excepted.
    """
    roles = _all_roles()
    _print(documents.example_scp(roles, actions) if actions else documents.example_scp(roles))


DOCUMENT_COMMANDS: Final = (trust_policy, broker_policy, server_policy, revoker_policy, revoker_trust_policy, scp)


def _load() -> Policy:
    return load_policy(read_settings().policy)


def _all_roles() -> list[AwsRoleConfig]:
    found = list(documents.find_roles(_load().targets).values())
    if not found:
        raise InvalidInput("targets", "the policy has no aws-role target", _FIX)
    return found


def _choose(policy: Policy, among: Collection[str], name: str | None, where: str) -> AwsRoleConfig:
    found = {each: config for each, config in documents.find_roles(policy.targets).items() if each in among}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is None or name not in found:
        known = ", ".join(sorted(found))
        problem = f"{where} has no aws-role target{f' {name!r:.60}' if name else ''}"
        if found and name is None:
            problem = f"{where} has several aws-role targets"
        raise InvalidInput("target", problem, f"Use --target with one of: {known}." if found else _FIX)
    return found[name]


def _read_role(option: str, text: str | None, placeholder: str) -> str:
    if text is not None and not ROLE.fullmatch(text):
        fix = "It looks like arn:aws:iam::111122223333:role/countersign."
        raise InvalidInput(option, f"{text!r:.80} is not the ARN of a role", fix)
    if text is None:
        click.echo(f"This policy isn't complete: use --{option}, or replace {placeholder}.", err=True)
    return text or placeholder


def _print(document: Document) -> None:
    click.echo(json.dumps(document, indent=2))
