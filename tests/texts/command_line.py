"""The command line: the help of every command, and what each command prints in its main cases.

Invariant: every command is run as it is installed, with nothing but an environment of its own. What differs from run to
run (folders, ports, secrets) is replaced before it is written down, and help is laid out for 100 columns.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.testing import CliRunner
from ruamel.yaml import YAML

from bot.cli import countersign
from core.audit.keyring import AuditKeyring
from core.clock import SystemClock
from core.directory import FixedDirectory
from core.policy import load_policy
from core.services import RequestService
from core.stores import open_stores
from localslack.faults import Refuse, ServerError
from localslack.records import Channel, Person, UserGroup
from localslack.server import LocalSlack
from tests.builders import HOUR
from tests.harness.aws import ENVIRONMENT
from tests.harness.clock import FrozenClock
from tests.texts import records
from tests.texts.writing import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).parents[2]
_KEY: Final = "a-key-that-has-more-than-32-characters"
_AGO: Final = timedelta(days=2)
_REQUESTER: Final = records.person("U0RITA")
_POLICY: Final = """\
version: 1
profiles:
  prod: {channel: C0ACCESS1}
  vault: {channel: C0VAULT1}
approval:
  - {name: rest, profiles: ["*"], approvers: [U0ANN, S0SRE], max_duration: 4h, max_pending: 20}
break_glass:
  - {name: on-call, profiles: [prod], users: [U0ANN], max_duration: 1h, mfa: required}
"""
_MISTAKEN: Final = _POLICY.replace("max_duration: 4h", "max_duration: 9h, required_approvals: 0")


def command_line(folder: Path, moto_url: str) -> Iterator[Text]:
    """All commands, run in this empty folder; `moto_url` replaces DynamoDB."""
    yield from _help(countersign, ("countersign",))
    with LocalSlack(manifest=YAML(typ="safe").load(_ROOT / "manifest.yml")) as slack:
        operator = _Operator(slack, folder)
        for surface, cases in (
            ("backup and restore", _backup(operator)),
            ("doctor", _doctor(operator)),
            ("sweep", _sweep(operator)),
            ("tables", _tables(operator, moto_url)),
            ("policy", _policy(operator)),
            ("audit", _audit(operator)),
            ("init", _init(operator)),
            ("report", _report(operator)),
            ("ledgers", _ledgers(operator)),
            ("mfa", _mfa(operator)),
            ("serve", _serve(operator)),
        ):
            for title, said in cases:
                yield Text(f"Command line: countersign {surface}", title, said)


def _report(operator: _Operator) -> Iterator[tuple[str, str]]:
    line = f"report --since 2026-01-01 --out {operator.folder}/report.html"
    yield "a report", operator.type(f"{line} --csv {operator.folder}/tables")
    yield "without Slack", operator.type(line, SLACK_BOT_TOKEN=None)
    yield "without a key", operator.type(line, COUNTERSIGN_AUDIT_KEY=None)
    yield "with another key", operator.type(line, COUNTERSIGN_AUDIT_KEY="another-key-that-has-more-than-32-characters")
    yield "a day that is none", operator.type(f"report --since yesterday --out {operator.folder}/report.html")
    yield "a place that isn't there", operator.type(f"report --since 2026-01-01 --out {operator.folder}/no/report.html")
    yield "a time zone that isn't there", operator.type(f"{line} --timezone Mars/Olympus")


def _help(command: click.Command, path: tuple[str, ...]) -> Iterator[Text]:
    said = CliRunner().invoke(countersign, [*path[1:], "--help"], terminal_width=100).output
    yield Text("Command line: help", f"{' '.join(path)} --help", said.rstrip())
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if (each := command.get_command(context, name)) is not None:
                yield from _help(each, (*path, name))


@dataclass
class _Operator:
    """Somebody who types commands, in an environment where all is well until they change it."""

    slack: LocalSlack
    folder: Path
    changed: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        people = ("U0ANN", "U0RITA", self.slack.backend.app.bot_user)
        self.slack.workspace.add(
            *(Person(id=each, name=each.lower()) for each in people[:-1]),
            UserGroup(id="S0SRE", handle="sre", users=("U0ANN",)),
            Channel(id="C0ACCESS1", name="access", members=people),
            Channel(id="C0VAULT1", name="vault", members=people, is_private=True),
        )
        self.write("policy.yml", _POLICY)
        with closing(self.open()):
            self.type("mfa enrol U0ANN --no-qr")

    def type(self, line: str, *, answers: str | None = None, **changed: str | None) -> str:
        """What a command prints, to both streams, and how it ends. `changed` is in the environment for it alone."""
        unset = {name: None for name in os.environ if name.startswith(("COUNTERSIGN_", "SLACK_", "AWS_"))}
        environment: dict[str, str | None] = {
            **unset,
            **ENVIRONMENT,
            "COUNTERSIGN_STORE": f"sqlite:///{self.folder}/countersign.db",
            "COUNTERSIGN_POLICY": f"{self.folder}/policy.yml",
            "COUNTERSIGN_MFA_SECRETS": f"{self.folder}/mfa.json",
            "COUNTERSIGN_AUDIT_KEY": _KEY,
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            **changed,
        }
        result = CliRunner().invoke(countersign, line.split(), input=answers, env=environment, terminal_width=100)
        ending = [f"(exit code {result.exit_code})"] if result.exit_code else []
        return "\n".join([self._constant(result.output).rstrip(), *ending])

    def write(self, name: str, text: str) -> None:
        """Put a file into the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def open(self, clock: FrozenClock | None = None) -> Any:  # noqa: ANN401 - closing takes anything that closes
        """The store, made where there is none."""
        keyring = AuditKeyring.from_text(_KEY)
        return open_stores(f"sqlite:///{self.folder}/countersign.db", keyring=keyring, clock=clock or SystemClock())

    def submit(self, ago: timedelta = timedelta()) -> None:
        """Somebody asked for access, so long ago."""
        clock = FrozenClock(SystemClock().now() - ago)
        with closing(self.open(clock)) as stores:
            service = RequestService(stores, load_policy(self.folder / "policy.yml"), clock, directory=FixedDirectory())
            service.submit(_REQUESTER, "prod", HOUR, "Deploy the fix for INC-12")

    def add_ledger_without_seal(self) -> None:
        """What a version without seals left."""
        at = "2026-01-15T03:53:45.120000Z"
        body = json.dumps({"owner": "PROFILE#prod", "updated_at": at})
        self.change_records("INSERT INTO ledgers VALUES (?, ?, ?)", "PROFILE#prod", at, body)

    def change_records(self, statement: str, *values: str) -> None:
        """Change the store behind the bot's back."""
        with closing(sqlite3.connect(self.folder / "countersign.db")) as connection:
            connection.execute(statement, values)
            connection.commit()

    def _constant(self, said: str) -> str:
        said = said.replace(str(self.folder), "/srv/countersign").replace(self.slack.api_url, "https://slack.com/api/")
        said = re.sub(r"secret=[A-Z2-7]+", "secret=…", said)
        said = re.sub(r"\b[0-9a-f]{16}\b", "0123456789abcdef", said)
        said = re.sub(r"(sealed with key) [0-9a-f]{8}\b", r"\1 0123abcd", said)
        said = re.sub(r"\b(\d+):[0-9a-f]{64}\b", r"\1:0123456789abcdef…", said)
        said = re.sub(r"(the newest of) \S+Z", r"\1 2026-01-15T03:53:45.120000Z", said)
        said = re.sub(r"(digest|policy:) [0-9a-f]{12}\b", r"\1 0123456789ab", said)
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", said)


def _backup(operator: _Operator) -> Iterator[tuple[str, str]]:
    kept = operator.folder / "kept.db"
    yield "backup", operator.type(f"backup {kept}")
    yield "backup, once more", operator.type(f"backup {kept}")
    yield "backup, no store", operator.type(f"backup {kept} --store sqlite:////nowhere/countersign.db")
    yield "backup, no folder", operator.type("backup /nowhere/kept.db")
    yield "backup, no folder to keep them in", operator.type(f"backup {kept} --keep 3")
    yield "backup, DynamoDB", operator.type(f"backup {kept} --store dynamodb://eu-west-1/countersign")
    yield "restore, a store is there", operator.type(f"restore {kept}")
    elsewhere = f"--store sqlite:///{operator.folder}/elsewhere.db"
    yield "restore, no backup", operator.type(f"restore {operator.folder}/no.db {elsewhere}")
    yield "restore, not a backup", operator.type(f"restore {operator.folder}/policy.yml {elsewhere}")
    yield "restore, without a key", operator.type(f"restore {kept} {elsewhere}", COUNTERSIGN_AUDIT_KEY=None)
    yield "restore --check", operator.type(f"restore {kept} {elsewhere} --check")
    another = "another-key-that-has-more-than-32-characters"
    yield "restore, with another key", operator.type(f"restore {kept} {elsewhere}", COUNTERSIGN_AUDIT_KEY=another)
    yield "restore", operator.type(f"restore {kept} {elsewhere}")
    with closing(operator.open()):
        yield "restore, a process has the store open", operator.type(f"restore {kept} --replace")


def _doctor(operator: _Operator) -> Iterator[tuple[str, str]]:
    yield "all is well", operator.type("doctor")
    yield (
        "nothing is set",
        operator.type("doctor", COUNTERSIGN_AUDIT_KEY=None, SLACK_BOT_TOKEN=None, SLACK_APP_TOKEN=None),
    )
    bad = {"COUNTERSIGN_RETENTION": "90", "COUNTERSIGN_LISTEN": "3000", "SLACK_BOT_TOKN": "xoxb-1"}
    yield "several settings are wrong", operator.type("doctor --store nowhere", **bad)
    yield "--json", operator.type("doctor --json")
    yield "a wrong bot token", operator.type("doctor", SLACK_BOT_TOKEN="xoxb-wrong")
    yield "a wrong app token", operator.type("doctor", SLACK_APP_TOKEN="xapp-1-wrong")
    yield "no store", operator.type("doctor --store sqlite:////nowhere/countersign.db")
    operator.write("mistaken.yml", _MISTAKEN)
    yield "a mistaken policy", operator.type("doctor", COUNTERSIGN_POLICY=f"{operator.folder}/mistaken.yml")
    operator.write(
        "elsewhere.yml",
        _POLICY.replace("C0VAULT1", "C0NOWHERE")
        .replace("S0SRE", "S0NOBODY")
        .replace("users: [U0ANN]", "users: [U0RITA]"),
    )
    yield (
        "names that Slack does not have",
        operator.type("doctor", COUNTERSIGN_POLICY=f"{operator.folder}/elsewhere.yml"),
    )
    schedule = "on_call: {primary: {pagerduty: {schedule: PABC123, key: env:PAGERDUTY_KEY}}}"
    operator.write("schedules.yml", f"{_POLICY}{schedule}\n")
    yield (
        "a schedule that can't be asked",
        operator.type("doctor", COUNTERSIGN_POLICY=f"{operator.folder}/schedules.yml", PAGERDUTY_KEY=None),
    )
    app = operator.slack.backend.app
    operator.slack.backend.app = replace(app, scopes=frozenset({"chat:write", "files:read"}))
    yield "other scopes", operator.type("doctor")
    operator.slack.backend.app = app


def _init(operator: _Operator) -> Iterator[tuple[str, str]]:
    missing: dict[str, str | None] = {"SLACK_BOT_TOKEN": None, "SLACK_APP_TOKEN": None}
    tokens: dict[str, str | None] = {
        "COUNTERSIGN_STORE": None, "COUNTERSIGN_POLICY": None, "COUNTERSIGN_AUDIT_KEY": None,
        "COUNTERSIGN_MFA_SECRETS": None, "COUNTERSIGN_AUDIT_KEY_FILE": None,
    }  # fmt: skip
    folder = operator.folder / "fresh"
    folder.mkdir(exist_ok=True)
    init = f"init --folder {folder} --me U0ANN"
    yield "nobody can be asked", operator.type(init, **tokens, **missing)
    yield "an unknown channel", operator.type(f"{init} --channel #nowhere", **tokens)
    yield "all is given", operator.type(f"{init} --approver @sre", **tokens)
    yield "again", operator.type(init, **tokens)


def _sweep(operator: _Operator) -> Iterator[tuple[str, str]]:
    yield "nothing to do", operator.type("sweep")
    operator.submit(_AGO)
    yield "one expired", operator.type("sweep")
    operator.submit()
    operator.slack.faults.next(Refuse("invalid_blocks"), "chat.postMessage")
    yield "one parked", operator.type("sweep")
    yield "doctor, with one parked", "\n".join(operator.type("doctor").splitlines()[-6:])
    yield "--retry-parked", operator.type("sweep --retry-parked")
    yield "no token", operator.type("sweep", SLACK_BOT_TOKEN=None)
    # Last: when it is due again depends on the time of day.
    operator.submit()
    operator.slack.faults.next(ServerError(503), "chat.postMessage")
    yield "Slack is away", operator.type("sweep")
    yield "doctor, while it waits", operator.type("doctor").splitlines()[-2]


def _tables(operator: _Operator, moto_url: str) -> Iterator[tuple[str, str]]:
    operator.write("text.db", "this is no database, whatever its name is")
    for name in ("countersign.db", "new.db", "text.db"):
        url = f"sqlite:///{operator.folder}/{name}"
        yield f"check, {name}", operator.type(f"tables check --store {url}")
        if name == "new.db":
            yield f"create, {name}", operator.type(f"tables create --store {url}")
    dynamodb = f"dynamodb://eu-west-1/texts?endpoint_url={moto_url}"
    yield "check, DynamoDB, before", operator.type(f"tables check --store {dynamodb}")
    yield "create, DynamoDB", operator.type(f"tables create --store {dynamodb}")
    yield "check, DynamoDB, after", operator.type(f"tables check --store {dynamodb}")


def _policy(operator: _Operator) -> Iterator[tuple[str, str]]:
    shutil.copy(_ROOT / "policy.example.yml", operator.folder / "example.yml")
    yield "check, the example", operator.type(f"policy check {operator.folder}/example.yml")
    yield "check, two mistakes", operator.type(f"policy check {operator.folder}/mistaken.yml")
    yield "check, no file", operator.type("policy check /nowhere/policy.yml")
    for question in (
        "--user U0RITA --profile prod",
        "--user U0RITA --profile prod --duration 9h",
        "--user U0RITA --profile prd",
        "--user U0ANN --profile prod --as-approver-of U0RITA",
        "--user U0RITA --profile prod --as-approver-of U0RITA",
        "--user U0ANN --profile prod --break-glass incident --mfa",
        "--user U0ANN --profile prod --break-glass incident",
        "--user U0RITA --profile prod --break-glass boredom",
        "--user rita --profile prod",
        "--user U0RITA --profile prod --at today",
        "--user U0RITA --profile prod --break-glass incident --as-approver-of U0ANN",
    ):
        said = operator.type(f"policy explain {question}")
        yield f"explain {question}", _at_one_time(said)
    shutil.copy(_ROOT / "policy.example.cases.yml", operator.folder / "cases.yml")
    cases, example = f"{operator.folder}/cases.yml", f"{operator.folder}/example.yml"
    yield "test, as expected", operator.type(f"policy test {cases} --policy {example}")
    yield "test, of another policy", operator.type(f"policy test {cases}")
    yield "diff, the same", operator.type(f"policy diff {example} {example}")
    yield "diff, another", operator.type(f"policy diff {operator.folder}/policy.yml {example}")
    yield "replay", _at_one_time(operator.type(f"policy replay --since 2026-01-01 --policy {example}"))
    yield "replay, no time", operator.type("policy replay --since yesterday")
    yield "history", re.sub(r"  [0-9a-f]{12}  ", "  0123456789ab  ", _at_one_time(operator.type("policy history")))
    yield "show, no such version", operator.type("policy show 0123456789ab")


def _at_one_time(said: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "2026-01-15T03:53:45.120000Z", said)


def _audit(operator: _Operator) -> Iterator[tuple[str, str]]:
    yield "verify, all is well", operator.type("audit verify")
    yield "verify, without the key", operator.type("audit verify", COUNTERSIGN_AUDIT_KEY=None).splitlines()[-2]
    yield "verify, no store", operator.type("audit verify --store sqlite:////nowhere/countersign.db")
    yield "verify, no such checkpoint", operator.type("audit verify --since 99")
    yield "verify, no checkpoint", operator.type("audit verify --checkpoint nonsense")
    yield "verify, another checkpoint", operator.type(f"audit verify --checkpoint 1:{'0' * 64}")
    yield "verify, no public key", operator.type("audit verify --public-key /nowhere/key.pem")
    yield "export, no time", operator.type("audit export --since yesterday")
    yield "key list", operator.type("audit key list")
    yield "key retire, the one that seals", operator.type("audit key retire 918a447d")
    yield "key retire, an unknown one", operator.type("audit key retire 00000000")
    yield "key public, without one", operator.type("audit key public")


def _ledgers(operator: _Operator) -> Iterator[tuple[str, str]]:
    yield "check, all is well", operator.type("ledgers check")
    operator.add_ledger_without_seal()
    yield "check, one is damaged", operator.type("ledgers check")
    yield "rebuild", operator.type("ledgers rebuild")
    yield "rebuild, nothing to do", operator.type("ledgers rebuild")
    yield "rebuild, no such ledger", operator.type("ledgers rebuild --owner prod")


def _mfa(operator: _Operator) -> Iterator[tuple[str, str]]:
    yield "enrol", operator.type("mfa enrol U0RITA --no-qr")
    yield "enrol, once more", operator.type("mfa enrol U0RITA --no-qr")
    yield "list", operator.type("mfa list")
    yield "check, no code", operator.type("mfa check U0RITA --code abc")
    yield "check, nobody", operator.type("mfa check U0NOBODY --code 123456")
    yield "unlock, nothing to do", operator.type("mfa unlock U0RITA")
    yield "remove", operator.type("mfa remove U0RITA")
    yield "remove, once more", operator.type("mfa remove U0RITA")
    secrets = operator.folder / "mfa.json"
    secrets.chmod(0o644)
    yield "list, others can read the file", operator.type("mfa list")
    secrets.chmod(0o600)
    secrets.write_text("{}}")
    yield "list, the file is damaged", operator.type("mfa list")


def _serve(operator: _Operator) -> Iterator[tuple[str, str]]:
    yield "no policy", operator.type("serve", COUNTERSIGN_POLICY="/nowhere/policy.yml")
    yield "a wrong bot token", operator.type("serve", SLACK_BOT_TOKEN="xoxb-wrong")
    yield "no audit key", operator.type("serve", COUNTERSIGN_AUDIT_KEY=None)
