"""Mistakes in targets, access, people and admins: where they are, what is wrong, and how to fix it."""
# ruff: noqa: E501 - in the table, each mistake and its answer are one line.

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import botocore
import pytest
from jsonschema import Draft202012Validator

from core.access.right import Permission
from core.invalid_policy import InvalidPolicy
from core.policy import parse_policy
from core.policy.editor_schema import policy_schema
from core.policy.yaml_source import read_values
from core.targets import aws_names
from tests.core.policy.access_policy import ADMIN, GROUP, INSTANCE, access_file, access_policy

ENTRY = f'{{target: aws, account: "111122223333", permission_set: {ADMIN}}}'
WH = "type: webhook, url: https://x.example.com/hook, secret: env:WH"
ROLE = "type: aws-role, role: 'arn:aws:iam::111122223333:role/ops', region: eu-west-1"
REVOKER = "'arn:aws:iam::111122223333:role/x/revoker'"
SAME_WH = WH.replace("x.example.com", "X.example.com:443")
ANN = "{U0ANN: {aws: ann}}"
VALIDATOR = Draft202012Validator(policy_schema())
EIGHT = ", ".join(f"{{target: wh, resource: db{number}, level: ro}}" for number in range(8))


def found(*changes: tuple[str, str]) -> list[tuple[str, str, str]]:
    """Path, problem and fix of each mistake."""
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(access_file(*changes))
    return [(each.path, each.problem, each.fix) for each in caught.value.problems]


MISTAKES = [
    (("type: webhook", "type: vault"), "targets.wh.type", "'vault' is not a type of target", "Known here: identity-center, webhook, lambda, aws-role, demo."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}, lease: 15m}}"), "targets.r.lease", "15m is shorter than 16m, and with less than 15 minutes left an SDK of AWS asks for credentials at every call", "Write 16m to 1h."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}, lease: 61m}}"), "targets.r.lease", "1h1m is longer than 1h", "Write at most 1h."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE.replace('role/ops', 'user/ops')}}}"), "targets.r.role", "'arn:aws:iam::111122223333:user/ops' is not the ARN of a role", "Copy it from the IAM console; it looks like arn:aws:iam::111122223333:role/…."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE.replace('role/ops', 'role/aws-reserved/sso.amazonaws.com/x')}}}"), "targets.r.role", "this role belongs to Identity Center, and nobody can edit it to end access early", "Use a role of your own here, or an identity-center target."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}, external_id: x y}}"), "targets.r.external_id", "'x y' can't be an external id", "Use 2 to 1224 letters, digits and _+=,.@:/- in it."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}, revoker: 'arn:aws:iam::999922223333:role/revoker'}}"), "targets.r.revoker", "this role can't edit the other one: it is the same role, or in another account", "Name another role in account 111122223333, which may edit the inline policies of arn:aws:iam::111122223333:role/ops."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}}}\n  again: {{{ROLE}, lease: 20m}}"), "targets.again", "targets.r is the same place, so one right would have two names, and the end of one would cut the other", "Use r in the profiles, and remove this target."),
    ((ENTRY, "{target: aws}"), "profiles.prod.access[0]", "this doesn't say what is given, in one way", "Besides target, write account and permission_set, or group, or resource and level."),
    (("type: webhook", "type: webhok"), "targets.wh.type", "'webhok' is not a type of target", "Did you mean webhook?"),
    (("type: webhook, ", ""), "targets.wh.type", "type is missing", "Write one of: identity-center, webhook, lambda, aws-role, demo."),
    ((", secret: env:WH", ", secret: env:WH, urll: x"), "targets.wh.urll", "there is no key 'urll' here", "Did you mean url?"),
    ((", secret: env:WH", ""), "targets.wh.secret", "secret is missing", "Add secret; see policy.example.yml."),
    (("https://x.example", "http://x.example"), "targets.wh.url", "it is unencrypted: http:// to another host", "Write it like https://access.example.com/hook."),
    (("com/hook", "com/hook?code=hunter2"), "targets.wh.url", "this address has a query or is very long, and so may contain a secret", "Put the address into a variable or a file, and write env:NAME or file:/path here."),
    (("region: eu-west-1, instance", "region: ireland, instance"), "targets.aws.region", "'ireland' is not an AWS region", "Write it like eu-west-1."),
    ((INSTANCE, "ssoins-1"), "targets.aws.instance", "'ssoins-1' is not the ARN of an Identity Center instance", "Copy it from Settings in the Identity Center console; it looks like arn:aws:sso:::instance/ssoins-…."),
    (("identity_store: d-1234567890", "identity_store: d-1"), "targets.aws.identity_store", "'d-1' is not the id of an identity store", "Copy it from Settings in the Identity Center console; it looks like d-1234567890."),
    (("function: access", "function: an access"), "targets.fn.function", "'an access' is not the name or ARN of a Lambda function", "Copy the function's name or ARN from the console."),
    (("function: access", "function: access, portal: 'https://x.example.com/<a|b>'"), "targets.fn.portal", "this can't be a link", "Write it like https://d-1234567890.awsapps.com/start."),
    (("function: access", "function: access, residual: 8d"), "targets.fn.residual", "8d is longer than 7d", "Write at most 7d."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  again: {{{WH}}}"), "targets.again", "targets.wh is the same place, so one right would have two names, and the end of one would cut the other", "Use wh in the profiles, and remove this target."),
    ((f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  again: {{{SAME_WH}}}"), "targets.again", "targets.wh is the same place, so one right would have two names, and the end of one would cut the other", "Use wh in the profiles, and remove this target."),
    (("target: aws", "target: asw"), "profiles.prod.access[0].target", "there is no target 'asw'", "Did you mean aws?"),
    (('"111122223333"', "111122223333"), "profiles.prod.access[0].account", "this has to be text", "Write one word or line; put a number in quotes."),
    (('"111122223333"', '"11112222333"'), "profiles.prod.access[0].account", "'11112222333' is not an AWS account id", 'Write its 12 digits in quotes: "111122223333".'),
    ((f", permission_set: {ADMIN}", ""), "profiles.prod.access[0]", "this doesn't say what is given, in one way", "Besides target, write account and permission_set, or group, or resource and level."),
    ((f"permission_set: {ADMIN}", f"permission_set: {ADMIN}, group: {GROUP}"), "profiles.prod.access[0]", "this doesn't say what is given, in one way", "Besides target, write account and permission_set, or group, or resource and level."),
    ((ADMIN, "AdministratorAccess"), "profiles.prod.access[0].permission_set", "'AdministratorAccess' is not the ARN of a permission set", "Copy it from the Identity Center console; it looks like arn:aws:sso:::permissionSet/ssoins-…/ps-…."),
    ((ADMIN, ADMIN.replace("abcdef", "abcdee")), "profiles.prod.access[0].permission_set", "this permission set belongs to another instance than aws", "Copy the ARN from that instance; both ARNs have the same ssoins-… in them."),
    ((ENTRY, "{target: aws, group: admins}"), "profiles.prod.access[0].group", "'admins' is not the id of a group in Identity Center", "Copy the group id from the Identity Center console; a group's name can't be used."),
    ((ENTRY, "{target: aws, resource: a, level: b}"), "profiles.prod.access[0]", "aws is Identity Center, and doesn't know a resource and a level", "Write account and permission_set, or group."),
    ((ENTRY, f"{{target: fn, group: {GROUP}}}"), "profiles.prod.access[0]", "fn is a lambda target, and knows no accounts and groups of AWS", "Write resource and level; only Identity Center takes account and permission_set, or group."),
    ((ENTRY, "{target: wh, resource: a b, level: c}"), "profiles.prod.access[0].resource", "'a b' cannot be part of a right", "Use 1 to 256 visible ASCII characters without spaces."),
    ((ENTRY, f"{{target: wh, resource: '{'%' * 250}', level: b}}"), "profiles.prod.access[0]", "its target, resource and level are too long together", "Shorten them; each % and | counts three times."),
    ((ENTRY, f"{ENTRY}, {ENTRY}"), "profiles.prod.access[1]", "access[0] gives this already", "Remove one of them."),
    ((ENTRY, f"{ENTRY}, {EIGHT}"), "profiles.prod.access", "there are more than 8 here", "Write at most 8."),
    ((f"access: [{ENTRY}]", "access: []"), "profiles.prod.access", "there is nothing in it", "List at least one."),
    ((ENTRY, ENTRY.replace("{target", "{acount: x, target")), "profiles.prod.access[0].acount", "there is no key 'acount' here", "Did you mean account?"),
    ((ANN, "{u0ann: {aws: ann}}"), "people.u0ann", "'u0ann' is not a Slack user id", "It looks like U0AB12CD3."),
    ((ANN, "{U0ANN: {}}"), "people.U0ANN", "there is nothing in it", "List at least one."),
    ((ANN, "{U0ANN: {asw: ann}}"), "people.U0ANN.asw", "there is no target 'asw'", "Did you mean aws?"),
    ((ANN, "{U0ANN: {aws: ann doe}}"), "people.U0ANN.aws", "'ann doe' can't be what a target calls a person", "Write one word of up to 256 characters, as the target shows it."),
    ((ANN, "{U0ANN: {ical: Ann}}"), "people.U0ANN.ical", "no schedule of on_call comes from ical", "Remove it."),
    ((ANN, "{U0ANN: {'on-call:night': Ann}}"), "people.U0ANN.on-call:night", "there is no schedule 'night' in on_call", "There is none yet."),
    ((ANN, "{U0ANN: {'on-call:': Ann}}"), "people.U0ANN.on-call:", "'on-call:' can't be a target or a schedule", "Write the name of a target, a kind of schedule such as pagerduty, or one schedule as on-call:name."),
    ((ANN, "{U0ANN: {pagerduty: Ann}}\non_call: {night: {ical: {url: env:NIGHT}}}"), "people.U0ANN.pagerduty", "no schedule of on_call comes from pagerduty", "Remove it, or write one schedule: on-call:night."),
    ((ANN, "{U0ANN: {'on-call:nite': Ann}}\non_call: {night: {ical: {url: env:NIGHT}}}"), "people.U0ANN.on-call:nite", "there is no schedule 'nite' in on_call", "Did you mean on-call:night?"),
    ((ANN, "{U0ANN: {ical: Ann Doe}, U0BOB: {ical: ann doe}}\non_call: {night: {ical: {url: env:NIGHT}}}"), "people.U0BOB.ical", "'ann doe' is already U0ANN at ical, and two people can't share a user there", "Write each person's own user."),
    ((ANN, "{U0ANN: {aws: ' ann'}}"), "people.U0ANN.aws", "' ann' can't be what a target or a schedule calls a person", "Write up to 256 characters, as it is shown there."),
    ((ANN, "{U0ANN: {wh: änn}}"), "people.U0ANN.wh", "'\\xe4nn' has characters that a webhook target can't be sent", "Write visible ASCII characters without spaces."),
    ((ANN, "{U0ANN: {wh: U0BOB}}"), "people.U0ANN.wh", "U0BOB is somebody else's Slack id", "Write what wh calls U0ANN; people who aren't listed are called by their own Slack id."),
    ((ANN, "{U0ANN: {aws: ann}, U0BOB: {aws: Ann}}"), "people.U0BOB.aws", "'Ann' is already U0ANN at aws, and two people can't share a user there", "Write each person's own user."),
    ((ANN, "{U0ANN: {aws: ann}, W0ANN: {aws: other}}\nsame_person: [[U0ANN, W0ANN]]"), "people.W0ANN.aws", "another id of this person is 'ann' at aws", "Write the same user for all ids of one person, or for only one of them."),
    (("admins: [U0ADMIN", "admins: [group:sec"), "admins[0]", "there is no group 'sec'", "There is none yet."),
    (("admins: [U0ADMIN", "admins: [a@example.com"), "admins[0]", "a@example.com is an e-mail address, and those are not trusted here", "Write the Slack user id instead, or set identity.trust_email to true."),
    (("admins: [U0ADMIN, S0SECURITY]", "admins: []"), "admins", "there is nothing in it", "List at least one."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "path", "problem", "fix"), MISTAKES, ids=lambda each: str(each)[:40])
def test_mistake_says_where_what_and_how(change: tuple[str, str], path: str, problem: str, fix: str) -> None:
    assert found(change) == [(path, problem, fix)]


def test_person_twice_is_a_mistake() -> None:
    assert ("people.U0ANN", "this key is already in line 7", "Keep one of the two.") in found(
        (ANN, "{U0ANN: {aws: ann}, U0ANN: {aws: bob}}")
    )


def test_role_calls_people_by_their_slack_ids() -> None:
    role = (f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}}}")

    assert found(role, (ANN, "{U0ANN: {r: ann}}")) == [
        ("people.U0ANN.r", "r is an aws-role target, and calls everybody by their Slack id", "Remove it.")
    ]


def test_role_is_given_by_its_target_alone() -> None:
    role = (f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}}}")

    policy = access_policy(role, (ENTRY, "{target: r}"))
    right = Permission(target="r", resource="arn:aws:iam::111122223333:role/ops", level="assume")
    assert policy.access_of("prod") == (right,)
    assert VALIDATOR.is_valid(read_values(access_file(role, (ENTRY, "{target: r}"))).values)
    assert found(role, (ENTRY, "{target: r, resource: db, level: ro}")) == [
        (
            "profiles.prod.access[0]",
            "r is an aws-role target, which is one role",
            "Write the target alone; a role of its own needs a target of its own.",
        )
    ]
    assert found(role, (ENTRY, "{target: r}, {target: r}")) == [
        ("profiles.prod.access[1]", "access[0] gives this already", "Remove one of them.")
    ]


def test_secret_in_the_file_is_refused_and_never_quoted() -> None:
    for written in ("whsec_hunter2", "env:", "file:relative/hunter2"):
        ((path, problem, fix),) = found(("secret: env:WH", f"secret: {written}"))
        assert path == "targets.wh.secret"
        assert problem == "this doesn't say where the secret is"
        assert "hunter2" not in problem + fix


def test_address_is_never_quoted() -> None:
    for url in ("http://u:hunter2@x.example.com/", "https://x.example.com/?hunter2", "hunter2"):
        assert "hunter2" not in str(found(("https://x.example.com/hook", url)))


TAKEN = [
    (ENTRY, f"{{target: aws, group: {GROUP}}}"),
    ("url: https://x.example.com/hook", "url: file:/run/secrets/hook-address"),
    ("function: access", "function: arn:aws:lambda:eu-west-1:111122223333:function:access:live"),
    ("identity_store: d-1234567890", "identity_store: d-1234567890, portal: https://d-1.awsapps.com/start"),
    (ANN, "{U0ANN: {aws: änn.döe}, W0ANN: {aws: änn.döe}}\nsame_person: [[U0ANN, W0ANN]]"),
    ("fn: {type: lambda, region: eu-west-1, function: access}", "fn: {type: demo}"),
    ("secret: env:WH", "secret: file:/run/secrets/wh, ends_sessions: true, residual: 15m"),
    (f"  wh: {{{WH}}}", f"  wh: {{{WH}}}\n  r: {{{ROLE}, lease: 16m, external_id: a:b, revoker: {REVOKER}}}"),
]


@pytest.mark.parametrize("change", TAKEN, ids=lambda change: change[1][:40])
def test_what_the_models_take_the_schema_takes(change: tuple[str, str]) -> None:
    access_policy(change)
    assert VALIDATOR.is_valid(read_values(access_file(change)).values)


SEEN_BY_BOTH = ("targets.wh", "targets.aws", "targets.fn", "profiles.prod.access[0].account", "people.u0ann")


def test_schema_refuses_what_it_can_see() -> None:
    seen = [
        change
        for change, path, _, _ in MISTAKES
        if path.startswith(SEEN_BY_BOTH) and not {"http://", "8d"} & set(re.split("(http://|8d)", change[1]))
    ]
    assert len(seen) > 12
    assert [change for change in seen if VALIDATOR.is_valid(read_values(access_file(change)).values)] == []


@pytest.mark.parametrize(
    ("service", "version", "shape", "ours", "name"),
    [
        ("sso-admin", "2020-07-20", "InstanceArn", aws_names.INSTANCE, INSTANCE),
        ("sso-admin", "2020-07-20", "PermissionSetArn", aws_names.PERMISSION_SET, ADMIN),
        ("sso-admin", "2020-07-20", "AccountId", aws_names.ACCOUNT_ID, "111122223333"),
        ("identitystore", "2020-06-15", "ResourceId", aws_names.STORE_ID, GROUP),
        ("identitystore", "2020-06-15", "IdentityStoreId", aws_names.IDENTITY_STORE, "d-1234567890"),
        (
            "lambda",
            "2015-03-31",
            "FunctionName",
            aws_names.FUNCTION,
            "arn:aws:lambda:eu-west-1:111122223333:function:f",
        ),
    ],
    ids=lambda each: str(each)[:20],
)
def test_name_fits_here_as_in_the_service_model(
    service: str, version: str, shape: str, ours: re.Pattern[str], name: str
) -> None:
    file = Path(botocore.__file__).parent / "data" / service / version / "service-2.json.gz"
    theirs = re.compile(json.loads(gzip.decompress(file.read_bytes()))["shapes"][shape]["pattern"])
    assert ours.fullmatch(name)
    assert theirs.fullmatch(name)
    spoilt = (name[:-1] + "!", "!" + name, name.replace(":", ";"), name[: len(name) // 2] + " " + name)
    assert [each for each in spoilt if each != name and (ours.fullmatch(each) or theirs.fullmatch(each))] == []
