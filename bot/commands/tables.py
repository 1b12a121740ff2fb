"""`countersign tables`: create or check the tables of a store, or print them for other tools.

Invariant: `check` changes nothing, and `create` never deletes. What a person has to decide is reported, with its fix.

Exit codes: 0 the tables are correct, 1 something differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Final

import click

from bot.commands.opening import store_option
from bot.commands.terminal import json_option, write_json
from bot.settings import read_settings
from core.stores.dynamodb.audit_copy import audit_bucket
from core.stores.dynamodb.connection import Connection
from core.stores.dynamodb.deployment import DEFAULT_PREFIX, AwsAccount, Document, Role, cloudformation, iam_policy
from core.stores.dynamodb.tables import TablesReport, check_tables, create_tables
from core.stores.opening import DynamoLocation, SqliteLocation, read_store_url
from core.stores.sqlite.checking import find_problem
from core.stores.sqlite.database import Database

_DIFFERS: Final = 1
_key_option = click.option(
    "--kms-key", metavar="KEY", help="A KMS key's id, ARN or alias. Default: the AWS managed key."
)
_prefix_option = click.option(
    "--prefix", default=DEFAULT_PREFIX, show_default=True, help="The prefix of the table names."
)
_role_option = click.option(
    "--role",
    "--for",
    "role",
    type=click.Choice([each.value for each in Role]),
    default=Role.BOT.value,
    show_default=True,
    help="Who the policy is for.",
)
_region_option = click.option("--region", metavar="REGION", help="The region of the tables.")
_account_option = click.option("--account", metavar="ID", help="The number of the AWS account of the tables.")


@click.group()
def tables() -> None:
    """Create or check the tables of the store."""


@tables.command()
@store_option
@_key_option
def create(store: str | None, kms_key: str | None) -> None:
    """Create what is missing, and fix what is safe to fix."""
    match _locate(store):
        case SqliteLocation(path):
            with closing(Database(path)):
                click.echo(f"{path} is ready to use.")
        case DynamoLocation() as location:
            click.echo(
                f"Creating the tables {location.prefix}-… in {location.region}. This can take a minute.", err=True
            )
            _report(location, _with_connection(location, kms_key, create_tables))


@tables.command()
@store_option
@_key_option
@json_option
def check(store: str | None, kms_key: str | None, *, as_json: bool) -> None:
    """Check the tables against what Countersign needs."""
    match _locate(store):
        case SqliteLocation(path):
            _check_file(path, as_json=as_json)
        case DynamoLocation() as location:
            report = _with_connection(location, kms_key, check_tables)
            if as_json:
                _write_report(report)
            else:
                _report(location, report)


@tables.command()
@_prefix_option
def template(prefix: str) -> None:
    """Print the tables as a CloudFormation template."""
    _print(cloudformation(prefix))


@tables.command("audit-bucket")
def print_audit_bucket() -> None:
    """Print a bucket for a copy of the audit table, as a CloudFormation template for another account."""
    _print(audit_bucket())


@tables.command()
@_role_option
@click.option("--prefix", help=f"The prefix of the table names. Default: that of the store, or {DEFAULT_PREFIX}.")
@store_option
@_region_option
@_account_option
def iam(role: str, prefix: str | None, store: str | None, region: str | None, account: str | None) -> None:
    """Print the minimum IAM policy.

    Region and prefix are those of --store or COUNTERSIGN_STORE, unless you name others. Nothing is sent to AWS.
    """
    location, placeholder = _locate(store), AwsAccount()
    if isinstance(location, DynamoLocation):
        region, prefix = region or location.region, prefix or location.prefix
    where = AwsAccount(region or placeholder.region, account or placeholder.id)
    missing = [
        f"{option}, or replace {shown}"
        for option, shown in (("--region", placeholder.region), ("--account", placeholder.id))
        if shown in (where.region, where.id)
    ]
    if missing:
        click.echo(f"This policy isn't complete: use {'; '.join(missing)}.", err=True)
    _print(iam_policy(Role(role), prefix or DEFAULT_PREFIX, where))


def _locate(store: str | None) -> SqliteLocation | DynamoLocation:
    return read_store_url(read_settings(store=store).store)


def _with_connection(location: DynamoLocation, kms_key: str | None, work: Callable[..., TablesReport]) -> TablesReport:
    with closing(Connection.open(location.region, location.endpoint_url)) as connection:
        return work(connection, location.prefix, kms_key=kms_key or None)


def _report(location: DynamoLocation, report: TablesReport) -> None:
    for name in report.made:
        click.echo(f"created   {name}")
    for repair in report.repaired:
        click.echo(f"repaired  {repair}")
    for difference in report.differences:
        click.echo(f"differs   {difference}")
    for unknown in report.untold:
        click.echo(f"unknown   this engine doesn't report {unknown}")
    if report.is_fine:
        click.echo(f"The tables {location.prefix}-… in {location.region} are set up correctly.")
    else:
        click.get_current_context().exit(_DIFFERS)


def _write_report(report: TablesReport) -> None:
    differences = [{"table": each.table, "problem": each.problem, "fix": each.fix} for each in report.differences]
    write_json({"correct": report.is_fine, "differences": differences, "unknown": list(report.untold)})
    if not report.is_fine:
        click.get_current_context().exit(_DIFFERS)


def _check_file(path: str, *, as_json: bool) -> None:
    problem = find_problem(path)
    if as_json:
        what, run, fix = problem.removeprefix(f"{path}: ").partition("Run ")
        differences = [{"table": path, "problem": what.strip(), "fix": f"{run}{fix}"}] if problem else []
        write_json({"correct": not problem, "differences": differences, "unknown": []})
    else:
        click.echo(f"differs   {problem}" if problem else f"{path} is set up correctly.")
    if problem:
        click.get_current_context().exit(_DIFFERS)


def _print(document: Document) -> None:
    click.echo(json.dumps(document, indent=2))
