"""Paging in the policy file: what it may say, and every mistake with its place and fix."""

from __future__ import annotations

import pytest

from core.invalid_policy import InvalidPolicy
from core.policy import Policy, parse_policy

DUTY = "pagerduty: {routing_key: env:PAGER_KEY}"
RULES = """\
version: 1
profiles: {prod: {channel: C0ACCESS1}}
approval: [{name: main, profiles: [prod], approvers: [U0BOB], max_duration: 4h%s}]
break_glass: [{name: on-call, profiles: [prod], users: [U0BOB], max_duration: 1h%s}]
"""


MISTAKES = [
    ("justification: true", "pager", "exactly one of", "Keep the one"),
    (f"{DUTY}, incident_io: {{alert_source: a, token: env:T}}", "pager", "exactly one of", "Keep the one"),
    ("pagerduty: {}", "pager.pagerduty.routing_key", "routing_key is missing", "Add routing_key"),
    ("pagerduty: {routing_key: abcdef}", "pager.pagerduty.routing_key", "where the secret is", "env:NAME"),
    (f"{DUTY[:-1]}, region: asia}}", "pager.pagerduty.region", "'us' or 'eu'", "policy.md"),
    ("pagerduty: {routing_kee: env:K, key: env:K}", "pager.pagerduty.routing_kee", "no key", "routing_key?"),
    ("pagerdutty: {routing_key: env:K}", "pager.pagerdutty", "no key", "pagerduty?"),
    (
        "incident_io: {alert_source: a/b, token: env:T}",
        "pager.incident_io.alert_source",
        "alert source",
        "last part",
    ),
]


def pager_file(pager: str = "", approval: str = "", glass: str = "") -> str:
    """A policy file with this pager, and more keys in its two rules."""
    return f"pager: {{{pager}}}\n" * bool(pager) + RULES % (approval, glass)


def parsed(pager: str = "", approval: str = "", glass: str = "") -> Policy:
    return parse_policy(pager_file(pager, approval, glass).encode())


def test_one_pager_is_chosen() -> None:
    config = parsed(f"{DUTY}, justification: true").notifications.pager
    assert config is not None
    assert (config.kind, config.justification) == ("pagerduty", True)
    other = parsed("incident_io: {alert_source: 01GW2G3V, token: file:/run/token}").notifications.pager
    assert other is not None
    assert other.kind == "incident_io"


def test_declarations_page_by_default_and_requests_if_told() -> None:
    rules = parsed(DUTY).notifications
    assert (rules.pages_request("main"), rules.pages_event("on-call"), rules.pages_event("gone")) == (False, True, True)
    rules = parsed(DUTY, ", page: true", ", page: false").notifications
    assert (rules.pages_request("main"), rules.pages_event("on-call"), rules.pages_request("gone")) == (
        True,
        False,
        False,
    )
    assert not parsed().notifications.pages_event("on-call")


@pytest.mark.parametrize(("pager", "path", "problem", "fix"), MISTAKES)
def test_mistake_names_its_place_and_its_fix(pager: str, path: str, problem: str, fix: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parsed(pager)
    (found,) = [each for each in caught.value.problems if each.path == path]
    assert problem in found.problem
    assert fix in found.fix
    assert "abcdef" not in str(caught.value)


def test_rule_that_pages_needs_a_pager() -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parsed(approval=", page: true")
    (found,) = caught.value.problems
    assert (found.path, found.fix) == ("approval[0].page", "Add pager at the top level, or remove page.")
