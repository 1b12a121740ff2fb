"""The JSON Schema for editors, the example, and the models: they say the same."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from core.invalid_policy import InvalidPolicy
from core.policy import load_policy, parse_policy
from core.policy.editor_schema import policy_schema, write_schema
from core.policy.pager_config import PAGER_MODELS, PagerConfig
from core.policy.profile import AccessEntry, ProfileModel
from core.policy.rules import ApprovalRule, AutoApproval, BreakGlassRule, Identity, PolicyDocument
from core.policy.services import DeviceConfig, ServiceConfig
from core.policy.summary_config import SummaryConfig
from core.policy.target_config import TARGET_MODELS
from core.policy.time_window import TimeWindow
from core.policy.yaml_source import read_values

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "policy.example.yml"
REFERENCE = ROOT / "docs" / "policy.md"
TARGETS = ROOT / "docs" / "targets.md"
VALIDATOR = Draft202012Validator(policy_schema())

PARTS: tuple[type[BaseModel], ...] = (
    PolicyDocument, ProfileModel, AccessEntry, ApprovalRule, AutoApproval, TimeWindow, BreakGlassRule, Identity,
    DeviceConfig, ServiceConfig, SummaryConfig,
    *TARGET_MODELS.values(), PagerConfig, *PAGER_MODELS.values(),
)  # fmt: skip
RULE = b"""\
version: 1
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: a, profiles: [prod], approvers: [U0BOB], max_duration: 4h%s}]
"""


def is_valid(content: bytes) -> bool:
    """Would an editor with the schema leave this file without a mark?"""
    return bool(VALIDATOR.is_valid(read_values(content).values))


def test_file_is_what_the_models_give() -> None:
    """When this fails: `countersign policy schema > core/policy/policy.schema.json`."""
    assert (ROOT / "core" / "policy" / "policy.schema.json").read_text(encoding="utf-8") == write_schema()


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(policy_schema())


def test_example_has_no_mistakes_and_passes_the_schema() -> None:
    load_policy(EXAMPLE)
    assert is_valid(EXAMPLE.read_bytes())


def test_example_has_no_mistakes_with_access_switched_on() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    head, _, access = text.partition("# Where access takes effect")
    lines = [line.removeprefix("# ") for line in access.splitlines()]
    keys = [
        line for line in lines if line.startswith(("targets:", "people:", "admins:", "devices:", "services:", "  "))
    ]
    profile = "\n".join(keys[keys.index("  prod:") : keys.index("people:")])
    rest = "\n".join(line for line in keys if line not in profile.splitlines())
    switched_on = head.replace("  prod: {description: Production account, channel: C0ACCESS1}", profile) + rest

    assert len(parse_policy(switched_on.encode()).access_of("prod")) == 3
    assert is_valid(switched_on.encode())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_reference_names_every_key(part: type[BaseModel]) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert [key for key in part.model_fields if f"`{key}`" not in text] == []


def test_policy_of_the_reference_has_no_mistakes() -> None:
    blocks = REFERENCE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    for block in blocks:
        parse_policy(block.split("```")[0].encode())
    assert blocks


def test_targets_in_their_guide_have_no_mistakes() -> None:
    blocks = TARGETS.read_text(encoding="utf-8").split("```yaml\n")[1:]
    rest = "\nversion: 1\nprofiles: {prod: {channel: C0ACCESS1}}\n"
    for block in blocks:
        text, _, _ = block.partition("```")
        parse_policy((dedent(text) + ("" if "version: 1" in text else rest)).encode())
    assert blocks


@pytest.mark.parametrize(
    "varied",
    [
        b"",
        b", decide_within: 1h30m",
        b", decide_within: 1h30m, remind_after: 1h29m",
        b", requesters: [S0ENG, U0BOB]",
        b", max_pending: 20, cooldown_after_denial: 30d",
        b", confirm: true, approver_mfa: required, comment: required",
        b", auto_approve: {max_duration: 1h}",
        b", auto_approve: {time: {days: [mon], timezone: UTC}}",
        b", auto_approve: {time: {hours: 22:00-06:00, timezone: UTC}}",
    ],
)
def test_what_the_models_take_the_schema_takes(varied: bytes) -> None:
    parse_policy(RULE % varied)
    assert is_valid(RULE % varied)


@pytest.mark.parametrize(
    "varied",
    [
        b", approver: [U0BOB]",
        b", requesters: []",
        b", requesters: [bob]",
        b", required_approvals: 0",
        b", required_approvals: 11",
        b", required_approvals: '2'",
        b", max_pending: 0",
        b", max_pending: 21",
        b", cooldown_after_denial: 5",
        b", confirm: required",
        b", approver_mfa: true",
        b", comment: sometimes",
        b", decide_within: 5",
        b", remind_after: 5",
        b", decide_within: soon",
        b", decide_within: 1m1h",
        b", auto_approve: {}",
        b", auto_approve: {time: {timezone: UTC}}",
        b", auto_approve: {time: {days: [monday], timezone: UTC}}",
        b", auto_approve: {time: {hours: 9-17, timezone: UTC}}",
        b", auto_approve: {time: {days: [mon]}}",
    ],
)
def test_what_the_schema_can_see_both_refuse(varied: bytes) -> None:
    with pytest.raises(InvalidPolicy):
        parse_policy(RULE % varied)
    assert not is_valid(RULE % varied)
