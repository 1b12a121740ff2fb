"""The difference between two policies: everybody who gains, loses or gets other terms, and nobody else."""

from __future__ import annotations

from typing import Final

import pytest

from core.policy import Policy
from core.policy.difference import EVERYBODY_ELSE, compare_policies
from core.policy.loader import parse_policy

OLD: Final = """\
version: 1
groups: {leads: [U0LEAD, S0LEADS]}
profiles: {prod: {channel: C0ACCESS1}}
approval:
  - {name: prod, profiles: [prod], requesters: [S0ENG, U0ANN], approvers: [group:leads], max_duration: 4h}
break_glass:
  - {name: on-call, profiles: [prod], users: [U0ANN], max_duration: 2h}
"""


def policy(text: str = OLD) -> Policy:
    return parse_policy(text.encode())


def changes(before: str, after: str) -> list[tuple[tuple[str, ...], list[tuple[str, str, str, str]]]]:
    """For each group of people: what changes, which right, and the terms that are gone and new."""
    found = compare_policies(policy(), policy(OLD.replace(before, after)))
    return [
        (
            each.people,
            [(one.change.value, one.right, ", ".join(one.terms[0]), ", ".join(one.terms[1])) for one in each.changes],
        )
        for each in found.people
    ]


def test_same_policy_changes_nothing() -> None:
    found = compare_policies(policy(), policy())
    assert (found.is_empty, found.others) == (True, ())


def test_people_with_the_same_change_stand_together() -> None:
    asked = [("changed", "request prod", "up to 4h", "up to 1h")]
    assert changes("max_duration: 4h", "max_duration: 1h") == [(("U0ANN", "everybody in S0ENG"), asked)]


def test_rule_without_requesters_is_for_everybody_else_too() -> None:
    (found,) = changes("requesters: [S0ENG, U0ANN], ", "")
    assert found == (
        ("U0LEAD", "everybody in S0LEADS", EVERYBODY_ELSE),
        [("gained", "request prod", "", "up to 4h, 1 approval, decided within 1d")],
    )


def test_person_who_is_replaced_loses_and_the_other_gains() -> None:
    right = "approve prod under rule prod"
    assert changes("leads: [U0LEAD,", "leads: [U0BOSS,") == [
        (("U0BOSS",), [("gained", right, "", "")]),
        (("U0LEAD",), [("lost", right, "", "")]),
    ]


@pytest.mark.parametrize(
    ("before", "after", "right", "gone", "new"),
    [
        (
            "users: [U0ANN], max_duration: 2h",
            "users: [U0ANN], max_duration: 1h",
            "break the glass",
            "up to 2h",
            "up to 1h",
        ),
        ("max_duration: 2h}", "max_duration: 2h, mfa: required}", "break the glass", "", "with a code"),
        ("max_duration: 4h}", "max_duration: 4h, required_approvals: 2}", "request", "1 approval", "2 approvals"),
        ("max_duration: 4h}", "max_duration: 4h, comment: required}", "approve", "", "with a comment"),
        (
            "max_duration: 4h}",
            "max_duration: 4h, auto_approve: {requesters: [S0ENG], max_duration: 1h}}",
            "request",
            "",
            "automatic up to 1h",
        ),
    ],
)
def test_terms_that_differ_are_named(before: str, after: str, right: str, gone: str, new: str) -> None:
    found = [one for _, all_ in changes(before, after) for one in all_]
    assert found
    assert all(each[1].startswith(right) and each[2:] == (gone, new) for each in found)


def test_admin_and_what_a_profile_gives_are_rights() -> None:
    assert changes("version: 1\n", "version: 1\nadmins: [U0BOSS]\n") == [
        (("U0BOSS",), [("gained", "revoke any access", "", "")])
    ]
    given = OLD.replace("channel: C0ACCESS1", "channel: C0ACCESS1, access: [{target: hook, resource: a, level: b}]")
    target = "targets: {hook: {type: webhook, url: 'https://a.example.com/x', secret: env:HOOK_SECRET}}\n"
    found = compare_policies(policy(), policy(given + target))
    (profile,) = found.profiles
    assert (profile.right, profile.before) == ("prod", "a decision only")
    assert not found.is_empty


def test_what_changes_nobody_is_named_by_its_section() -> None:
    found = compare_policies(policy(), policy(OLD + "security_channel: C0SECURITY\n"))
    assert (found.is_empty, found.others) == (True, ("security_channel",))
