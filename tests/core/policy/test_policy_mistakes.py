"""Every kind of mistake in a policy file: where it is, what is wrong, and how to fix it."""
# ruff: noqa: E501 - in the two long tables, each mistake and its answer are one line.

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.invalid_policy import InvalidPolicy, PolicyProblem
from core.policy import parse_policy
from core.policy.yaml_source import MAX_BYTES, read_values

HEAD = """\
version: 1
groups: {sre: [U0BOB, U0CAROL]}
profiles:
  prod: {channel: C0ACCESS1}
  db: {channel: C0ACCESS1}
"""
RULE = "{name: main, profiles: ['*'], approvers: [group:sre], max_duration: 4h%s}"
ALL = f"{HEAD}approval: [{RULE % ''}]\n"


def mistakes(text: str | bytes) -> tuple[PolicyProblem, ...]:
    """The mistakes that the file is refused for."""
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(text if isinstance(text, bytes) else text.encode())
    return caught.value.problems


def mistake(text: str | bytes) -> tuple[int, str, str, str]:
    """The one mistake that the file is refused for."""
    (only,) = mistakes(text)
    return only.line, only.path, only.problem, only.fix


def with_rule(varied: str) -> str:
    """A file whose approval rule, in line 6, has these keys as well."""
    return f"{HEAD}approval: [{RULE % f', {varied}'}]\n"


def with_glass(varied: str) -> str:
    """A file whose break-glass rule, in line 7, has these keys as well."""
    return f"{ALL}break_glass: [{{name: on-call, profiles: [prod], users: [U0BOB], {varied}}}]\n"


def test_file_without_mistakes_is_taken() -> None:
    assert parse_policy(ALL.encode()).document.approval[0].name == "main"


def test_pattern_beside_a_used_one_may_wait_for_future_profiles() -> None:
    assert parse_policy(ALL.replace("'*'", "prod, prod-*").encode()).document.approval[0].covers("prod-eu")


UNREADABLE = [
    ("", 1, "file", "the file is empty", "Begin it with version: 1; see policy.example.yml."),
    ("# only a comment\n", 1, "file", "the file is empty", "Begin it with version: 1; see policy.example.yml."),
    ("---\n...\n", 1, "file", "the file is empty", "Begin it with version: 1; see policy.example.yml."),
    ("- version: 1\n", 1, "file", "the file does not begin with keys", "Begin it with version: 1."),
    ("\nversion\n", 2, "file", "the file does not begin with keys", "Begin it with version: 1."),
    (b"version: 1\n# caf\xe9\n", 2, "file", "this is not UTF-8 text", "Save the file as UTF-8."),
    ("version: 1\ngroups:\n\tsre: [U0BOB]\n", 3, "file", "there is a tab here", "Indent with spaces."),
    (
        "version: 1\nname: 'a\x07b'\n",
        2,
        "file",
        "there is a character here that YAML does not allow",
        "Remove it.",
    ),
    (
        "version: 1\nprofiles: a: b\n",
        2,
        "file",
        "there is a second colon here, or the line is indented too far",
        "Put the value in quotes, or align it.",
    ),
    (
        "version: 1\ngroups: {sre: [U0BOB\n",
        3,
        "file",
        "this cannot be read as YAML: expected ',' or ']', but got '<stream end>' (it began in line 2: while parsing a flow sequence)",
        "Close every bracket and quote; put text with special characters in quotes.",
    ),
    (
        "version: 1\n---\nversion: 1\n",
        2,
        "file",
        "a second document begins here",
        "Remove the line with ---.",
    ),
    (
        "version: 1\ngroups: &all {}\n",
        2,
        "groups",
        "anchors (&) and aliases (*) are not used here",
        "Write the values out.",
    ),
    (
        "version: 1\ngroups: *all\n",
        2,
        "groups",
        "anchors (&) and aliases (*) are not used here",
        "Write the values out.",
    ),
    ("&top\nversion: 1\n", 1, "file", "anchors (&) and aliases (*) are not used here", "Write the values out."),
    (
        "version: 1\ngroups: !!python/object/apply:os.system [ls]\n",
        2,
        "groups",
        "tags (!) are not used here",
        "Remove the tag.",
    ),
    ("version: 1\n? [a]\n: b\n", 2, "file", "a key has to be one word", "Put it in quotes if it has brackets."),
    (
        "version: 1\ngroups: " + "[" * 500_000,
        2,
        "groups[0][0]",
        "this is nested too deeply",
        "No policy needs so many levels.",
    ),
    (
        b"#" * (MAX_BYTES + 1),
        1,
        "file",
        "the file is larger than 1048576 bytes",
        "Is this the right file?",
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "path", "problem", "fix"), UNREADABLE, ids=[f"{each[3][:40]}-{each[1]}" for each in UNREADABLE]
)
def test_file_that_cannot_be_read_is_refused_with_its_line(
    text: str | bytes, line: int, path: str, problem: str, fix: str
) -> None:
    assert mistake(text) == (line, path, problem, fix)


SELECTOR_FIX = "Write a Slack user id (U0AB12CD3), a user group id (S0ENGINEERS), group:name or on-call:schedule."
NAME_FIX = "Use 1 to 80 letters, digits and ._/@+- in it, and begin it with a letter or digit."
DURATION_FIX = "Write it like 2h, 90m or 1h30m."
LIST = ("this has to be a list", "Write it in brackets: [first, second].")
BLOCK = ("this has to be a block of keys", "Write one key per line under it, indented.")
WHOLE = ("this has to be a whole number", "Write it in digits, without quotes.")
TEXT = ("this has to be text", "Write one word or line; put a number in quotes.")
EMPTY_VALUE = ("there is no value here", "Write one, or remove the key.")
EMPTY_LIST = ("there is nothing in it", "List at least one.")
PATTERN_FIX = "Write a name of the profiles above, or a pattern with * for any characters and ? for one."
APPROVE = "approval[0].auto_approve"

MISSHAPED = [
    # The top of the file.
    (ALL.replace("version: 1", "version: 2"), 1, "version", "2 is not a version that this Countersign can read", "Write version: 1."),
    (ALL.replace("version: 1", "version: '1'"), 1, "version", "'1' is not a version that this Countersign can read", "Write version: 1."),
    (ALL.replace("version: 1", "version: true"), 1, "version", "True is not a version that this Countersign can read", "Write version: 1."),
    (ALL.replace("version: 1\n", ""), 1, "version", "version is missing", "Add version; see policy.example.yml."),
    ("version: 1\n", 1, "profiles", "profiles is missing", "Add profiles; see policy.example.yml."),
    ("version: 1\nprofiles: {}\n", 2, "profiles", *EMPTY_LIST),
    (f"{ALL}aproval: []\n", 7, "aproval", "there is no key 'aproval' here", "Did you mean approval?"),
    (f"{ALL}identity: {{trust_email: yes}}\n", 7, "identity.trust_email", "this has to be true or false", "Write true or false."),
    (f"{ALL}identity: {{trust: true}}\n", 7, "identity.trust", "there is no key 'trust' here", "Did you mean trust_email?"),
    (f"{ALL}break_glass: {{}}\n", 7, "break_glass", *LIST),
    (f"{ALL}break_glass: [7]\n", 7, "break_glass[0]", *BLOCK),
    (f"{ALL}identity:\n", 7, "identity", *EMPTY_VALUE),
    (f"{ALL}version: 1\n", 7, "version", "this key is already in line 1", "Keep one of the two."),
    # Groups and profiles.
    (ALL.replace("U0BOB", "bob"), 2, "groups.sre[0]", "'bob' is not a user, a user group, a group, a schedule or an e-mail address", SELECTOR_FIX),
    (ALL.replace("U0BOB", "'*'"), 2, "groups.sre[0]", "'*' is not a user, a user group, a group, a schedule or an e-mail address", SELECTOR_FIX),
    (ALL.replace("[U0BOB, U0CAROL]", "[]"), 2, "groups.sre", *EMPTY_LIST),
    (ALL.replace("[U0BOB, U0CAROL]", "U0BOB"), 2, "groups.sre", *LIST),
    (ALL.replace("[U0BOB, U0CAROL]", "[U0BOB, ~]"), 2, "groups.sre[1]", *EMPTY_VALUE),
    (ALL.replace("sre: [U0BOB", "the sre: [U0BOB").replace("group:sre", "U0BOB"), 2, "groups.the sre", "'the sre' cannot be a name here", NAME_FIX),
    (ALL.replace("  db:", "  '*':"), 5, "profiles.*", "'*' cannot be a name here", NAME_FIX),
    (ALL.replace("  db:", "  prod:"), 5, "profiles.prod", "this key is already in line 4", "Keep one of the two."),
    (ALL.replace("  db: {channel: C0ACCESS1}", "  db: C0ACCESS1"), 5, "profiles.db", *BLOCK),
    (ALL.replace("  db: {channel: C0ACCESS1}", "  db: {}"), 5, "profiles.db.channel", "channel is missing", "Add channel; see policy.example.yml."),
    (ALL.replace("  db: {channel: C0ACCESS1}", "  db: {channel: '#general'}"), 5, "profiles.db.channel", "'#general' is not a Slack channel id", "Copy the id from the channel's details in Slack; it looks like C0ACCESS1."),
    (ALL.replace("  db: {", "  db: {descripton: x, "), 5, "profiles.db.descripton", "there is no key 'descripton' here", "Did you mean description?"),
    (ALL.replace("  db: {", "  db: {description: 7, "), 5, "profiles.db.description", *TEXT),
    (ALL.replace("  db: {", f"  db: {{description: {'x' * 201}, "), 5, "profiles.db.description", "this is too long", "Shorten it to 200 characters."),
    # Approval rules.
    (f"{HEAD}approval: [{{name: a}}]", 6, "approval[0].approvers", "approvers is missing", "Add approvers; see policy.example.yml."),
    (with_rule("approver: [U0BOB]"), 6, "approval[0].approver", "there is no key 'approver' here", "Did you mean approvers?"),
    (with_rule("requesters: []"), 6, "approval[0].requesters", *EMPTY_LIST),
    (with_rule("requesters: "), 6, "approval[0].requesters", *EMPTY_VALUE),
    (with_rule("requesters: [group:]"), 6, "approval[0].requesters[0]", "'group:' is not a user, a user group, a group, a schedule or an e-mail address", SELECTOR_FIX),
    (with_rule("requesters: group:sre"), 6, "approval[0].requesters", *LIST),
    (with_rule("required_approvals: 0"), 6, "approval[0].required_approvals", "0 is too small", "Write at least 1."),
    (with_rule("required_approvals: 11"), 6, "approval[0].required_approvals", "11 is too large", "Write at most 10."),
    (with_rule("required_approvals: true"), 6, "approval[0].required_approvals", *WHOLE),
    (with_rule("required_approvals: '2'"), 6, "approval[0].required_approvals", *WHOLE),
    (with_rule("required_approvals: 1.5"), 6, "approval[0].required_approvals", *WHOLE),
    (with_rule("starts_within: 5m"), 6, "approval[0].starts_within", "nobody could use it: every start is at least 5m ahead", "Write more than 5m, up to 7d, or leave it out."),
    (with_rule("decide_within: 8d"), 6, "approval[0].decide_within", "8d is longer than 7d", "Write at most 7d."),
    (ALL.replace("4h", "8h1s"), 6, "approval[0].max_duration", "8h1s is longer than 8h", "Write at most 8h."),
    (ALL.replace("4h", "4"), 6, "approval[0].max_duration", "4 has no unit", "Did you mean 4m or 4h?"),
    (ALL.replace("4h", "true"), 6, "approval[0].max_duration", "there is no duration here", DURATION_FIX),
    (ALL.replace("4h", "0h"), 6, "approval[0].max_duration", "0h is no time at all", DURATION_FIX),
    (ALL.replace("4h", "-4h"), 6, "approval[0].max_duration", "-4h is negative", DURATION_FIX),
    (ALL.replace("'*'", "'prod-[ab]'"), 6, "approval[0].profiles[0]", "'prod-[ab]' is not a profile's name and not a pattern for such names", PATTERN_FIX),
    (ALL.replace("name: main", "name: 7"), 6, "approval[0].name", *TEXT),
    (ALL.replace("name: main", "name: 'a rule'"), 6, "approval[0].name", "'a rule' cannot be a name here", NAME_FIX),
    # Limits on requests, and what an approval takes.
    (with_rule("max_pending: 0"), 6, "approval[0].max_pending", "0 is too small", "Write at least 1."),
    (with_rule("max_pending: 21"), 6, "approval[0].max_pending", "21 is too large", "Write at most 20."),
    (with_rule("max_pending: many"), 6, "approval[0].max_pending", "this has to be a whole number", "Write it in digits, without quotes."),
    (with_rule("cooldown_after_denial: 31d"), 6, "approval[0].cooldown_after_denial", "31d is longer than 30d", "Write at most 30d."),
    (with_rule("cooldown_after_denial: 0h"), 6, "approval[0].cooldown_after_denial", "0h is no time at all", DURATION_FIX),
    (with_rule("confirm: required"), 6, "approval[0].confirm", "this has to be true or false", "Write true or false."),
    (with_rule("approver_mfa: true"), 6, "approval[0].approver_mfa", "True is not a choice here", "Write one of: required, optional."),
    (with_rule("comment: sometimes"), 6, "approval[0].comment", "'sometimes' is not a choice here", "Write one of: required, optional."),
    # Automatic approval and time windows.
    (with_rule("remind_after: 8d"), 6, "approval[0].remind_after", "8d is longer than 7d", "Write at most 7d."),
    (with_rule("remind_after: 0h"), 6, "approval[0].remind_after", "0h is no time at all", DURATION_FIX),
    (with_rule("auto_approve: {}"), 6, APPROVE, "auto_approve without a limit would approve everything", "Give it at least one of requesters, max_duration and time."),
    (with_rule("auto_approve: {user: U0BOB, max_duration: 1h}"), 6, f"{APPROVE}.user", "there is no key 'user' here", "Known here: requesters, max_duration, time."),
    (with_rule("auto_approve: {time: {hours: 09:00-17:00}}"), 6, f"{APPROVE}.time.timezone", "timezone is missing", "Add timezone; see policy.example.yml."),
    (with_rule("auto_approve: {time: {timezone: UTC}}"), 6, f"{APPROVE}.time", "this window is always open", "Give it days or hours, or leave it out."),
    (with_rule("auto_approve: {time: {zone: UTC, timezone: UTC, days: [mon]}}"), 6, f"{APPROVE}.time.zone", "there is no key 'zone' here", "Did you mean timezone?"),
    (with_rule("auto_approve: {time: {timezone: UTC, days: [monday]}}"), 6, f"{APPROVE}.time.days[0]", "'monday' is not a choice here", "Did you mean mon?"),
    (with_rule("auto_approve: {time: {timezone: UTC, days: [x]}}"), 6, f"{APPROVE}.time.days[0]", "'x' is not a choice here", "Write one of: mon, tue, wed, thu, fri, sat, sun."),
    (with_rule("auto_approve: {time: {timezone: Europe/Berln, days: [mon]}}"), 6, f"{APPROVE}.time.timezone", "'Europe/Berln' is not a time zone", "Did you mean Europe/Berlin?"),
    (with_rule("auto_approve: {time: {timezone: ../../etc/passwd, days: [mon]}}"), 6, f"{APPROVE}.time.timezone", "'../../etc/passwd' is not a time zone", "Write an IANA name such as Europe/Berlin or UTC."),
    (with_rule("auto_approve: {time: {timezone: UTC, hours: 9-17}}"), 6, f"{APPROVE}.time.hours", "'9-17' are not hours", "Write them like 09:00-17:00."),
    (with_rule("auto_approve: {time: {timezone: UTC, hours: 09:00-09:00}}"), 6, f"{APPROVE}.time.hours", "'09:00-09:00' opens and closes at once", "For the whole day write 00:00-24:00."),
    (with_rule("auto_approve: {time: {timezone: UTC, hours: 09:00-24:01}}"), 6, f"{APPROVE}.time.hours", "'09:00-24:01' goes past the end of the clock", "Begin by 23:59 and end by 24:00."),
    (with_rule("auto_approve: {time: {timezone: UTC, hours: 24:00-09:00}}"), 6, f"{APPROVE}.time.hours", "'24:00-09:00' goes past the end of the clock", "Begin by 23:59 and end by 24:00."),
    (with_rule("auto_approve: {time: {timezone: UTC, hours: 09:60-10:00}}"), 6, f"{APPROVE}.time.hours", "'09:60-10:00' goes past the end of the clock", "Begin by 23:59 and end by 24:00."),
    # Break-glass rules.
    (with_glass("max_duration: 5h"), 7, "break_glass[0].max_duration", "5h is longer than 4h", "Write at most 4h."),
    (with_glass("max_duration: 1h, cooldown: 31d"), 7, "break_glass[0].cooldown", "31d is longer than 30d", "Write at most 30d."),
    (with_glass("max_duration: 1h, quota_window: 31d"), 7, "break_glass[0].quota_window", "31d is longer than 30d", "Write at most 30d."),
    (with_glass("max_duration: 1h, max_per_user: 501"), 7, "break_glass[0].max_per_user", "501 is too large", "Write at most 500."),
    (with_glass("max_duration: 1h, max_per_profile: 0"), 7, "break_glass[0].max_per_profile", "0 is too small", "Write at least 1."),
    (with_glass("max_duration: 1h, escalation_threshold: 0"), 7, "break_glass[0].escalation_threshold", "0 is too small", "Write at least 1."),
    (with_glass("max_duration: 1h, mfa: requird"), 7, "break_glass[0].mfa", "'requird' is not a choice here", "Did you mean required?"),
    (with_glass("max_duration: 1h, allowed_reason_codes: [boredom]"), 7, "break_glass[0].allowed_reason_codes[0]", "'boredom' is not a choice here", "Write one of: incident, maintenance, security, recovery, other."),
    (with_glass("max_duration: 1h, allowed_reason_codes: []"), 7, "break_glass[0].allowed_reason_codes", *EMPTY_LIST),
    (with_glass("max_duration: 1h, review_within: 31d"), 7, "break_glass[0].review_within", "31d is longer than 30d", "Write at most 30d."),
    (with_glass("max_duration: 1h, ask_before_end: 5h"), 7, "break_glass[0].ask_before_end", "5h is longer than 4h", "Write at most 4h."),
    (with_glass(f"max_duration: 1h, fallback: {'x' * 301}"), 7, "break_glass[0].fallback", "it has 301 characters", "Shorten it to 300."),
    (with_glass("max_duration: 1h, notify: []"), 7, "break_glass[0].notify", *EMPTY_LIST),
    (f"{ALL}security_channel: '#security'\n", 7, "security_channel", "'#security' is not a Slack channel id", "Copy the id from the channel's details in Slack; it looks like C0ACCESS1."),
    (with_glass("max_duration: 1h, requesters: [U0BOB]"), 7, "break_glass[0].requesters", "there is no key 'requesters' here", "Did you mean users?"),
]  # fmt: skip

CONTRADICTIONS = [
    (ALL.replace("U0BOB,", "U0BOB, group:x,"), 2, "groups.sre[1]", "a group cannot contain a group", "List the people of that group here."),
    (ALL.replace("U0BOB,", "U0BOB, a@example.com,"), 2, "groups.sre[1]", "a@example.com is an e-mail address, and those are not trusted here", "Write the Slack user id instead, or set identity.trust_email to true."),
    (with_rule("requesters: [A@example.com]"), 6, "approval[0].requesters[0]", "a@example.com is an e-mail address, and those are not trusted here", "Write the Slack user id instead, or set identity.trust_email to true."),
    (with_rule("requesters: [U0BOB, group:ser]"), 6, "approval[0].requesters[1]", "there is no group 'ser'", "Did you mean sre?"),
    (with_rule("auto_approve: {requesters: [group:ser]}"), 6, f"{APPROVE}.requesters[0]", "there is no group 'ser'", "Did you mean sre?"),
    (ALL.replace("groups: {sre: [U0BOB, U0CAROL]}", "# No groups."), 6, "approval[0].approvers[0]", "there is no group 'sre'", "There is none yet."),
    (ALL.replace("group:sre", "group:ser"), 6, "approval[0].approvers[0]", "there is no group 'ser'", "Did you mean sre?"),
    (ALL.replace("'*'", "prod, prdo"), 6, "approval[0].profiles[1]", "there is no profile 'prdo'", "Did you mean prod?"),
    (ALL.replace("'*'", "x-*"), 6, "approval[0].profiles[0]", "'x-*' covers no profile", "Known here: prod, db."),
    (with_rule("required_approvals: 3"), 6, "approval[0].required_approvals", "3 approvals are needed, but there are only 2 approvers", "Add approvers, or ask for fewer approvals."),
    (with_rule("remind_after: 24h"), 6, "approval[0].remind_after", "a reminder after 1d would come too late: a request waits 1d and then expires", "Write less than 1d, or lengthen decide_within."),
    (with_rule("decide_within: 2h, remind_after: 3h"), 6, "approval[0].remind_after", "a reminder after 3h would come too late: a request waits 2h and then expires", "Write less than 2h, or lengthen decide_within."),
    (with_rule("auto_approve: {max_duration: 5h}"), 6, f"{APPROVE}.max_duration", "5h is longer than the rule's own 4h", "Write at most 4h, or lengthen the rule's max_duration."),
    (f"{HEAD}approval:\n- {RULE.replace('main', 'a') % ''}\n- {RULE % ''}\n", 8, "approval[1]", "rule 'main' can never decide, because approval[0] always matches first", "Move it up, or remove it."),
    (f"{HEAD}approval:\n- {RULE % ', requesters: [U0BOB]'}\n- {RULE % ''}\n", 8, "approval[1].name", "approval[0] is called 'main' too", "Give each rule its own name."),
    (with_glass("max_duration: 1h").replace("'*'", "db"), 7, "break_glass[0].profiles", "nobody could review an event for prod: no approval rule covers it", "Add an approval rule for prod; its approvers review."),
    (with_glass("max_duration: 1h, escalation_threshold: 2"), 7, "break_glass[0].escalation_threshold", "there is no security channel to notify", "Add security_channel at the top level, or remove escalation_threshold."),
    (with_glass("max_duration: 1h, notify: [S0SRE, group:x]"), 7, "break_glass[0].notify[1]", "there is no group 'x'", "Known here: sre."),
    (with_glass("max_duration: 1h, notify: [a@b.c]") + "identity: {trust_email: true}\n", 7, "break_glass[0].notify[0]", "a@b.c names somebody by e-mail address, and Slack mentions people by their id only", "Write the Slack user id instead."),
    (with_glass(f"max_duration: 1h, notify: [{', '.join(f'U0P{number}' for number in range(51))}]"), 7, "break_glass[0].notify", "51 people and user groups are more than fit into one message", "Name at most 50, or a user group of Slack."),
    (with_glass("max_duration: 1h").replace("users: [U0BOB]", "users: [group:x]"), 7, "break_glass[0].users[0]", "there is no group 'x'", "Known here: sre."),
    (with_glass("max_duration: 1h").replace("[prod]", "[x]"), 7, "break_glass[0].profiles[0]", "there is no profile 'x'", "Known here: prod, db."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "path", "problem", "fix"),
    MISSHAPED,
    ids=[f"{index}-{each[2]}" for index, each in enumerate(MISSHAPED)],
)
def test_part_of_the_wrong_shape_has_its_line_path_and_fix(
    text: str, line: int, path: str, problem: str, fix: str
) -> None:
    assert PolicyProblem(line, path, problem, fix) in mistakes(text)


@pytest.mark.parametrize(
    ("text", "line", "path", "problem", "fix"),
    CONTRADICTIONS,
    ids=[f"{index}-{each[2]}" for index, each in enumerate(CONTRADICTIONS)],
)
def test_contradicting_parts_have_their_line_path_and_fix(
    text: str, line: int, path: str, problem: str, fix: str
) -> None:
    assert mistake(text) == (line, path, problem, fix)


def test_every_mistake_is_reported_and_not_just_the_first() -> None:
    text = f"{HEAD}approval: [{RULE % ', x: 1'}]\nbreak_glass: 7\nidentity:\nversion: 1\n"
    assert [(each.line, each.path) for each in mistakes(text)] == [
        (6, "approval[0].x"),
        (7, "break_glass"),
        (8, "identity"),
        (9, "version"),
    ]


def test_empty_value_is_reported_once_and_not_as_missing() -> None:
    text = f"{HEAD}approval:\n  - name: a\n    profiles: [prod]\n    approvers:\n    max_duration: 4h\n"
    assert [(each.line, each.path, each.problem) for each in mistakes(text)] == [
        (9, "approval[0].approvers", "there is no value here")
    ]


def test_missing_key_is_reported_at_the_line_of_its_rule() -> None:
    text = f"{HEAD}approval:\n  - name: a\n    profiles: [prod]\n    approvers: [U0BOB]\n"
    assert mistake(text)[:2] == (7, "approval[0].max_duration")


def test_error_lists_every_mistake_on_its_own_line() -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(b"version: 2\nx: 1\n", "some/policy.yml")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("policy: some/policy.yml has 3 mistakes")
    assert len(lines) == 4


class TestUnreachableRules:
    def dead(self, *rules: str, groups: str = "sre: [U0BOB, U0CAROL]") -> list[str]:
        head = HEAD.replace("sre: [U0BOB, U0CAROL]", groups)
        listed = "\n".join(f"- {{approvers: [U0BOB], max_duration: 1h, name: r{i}, {r}}}" for i, r in enumerate(rules))
        try:
            parse_policy(f"{head}approval:\n{listed}\n".encode())
        except InvalidPolicy as error:
            return [each.path for each in error.problems if "can never decide" in each.problem]
        return []

    def test_rule_below_a_wider_one_for_everybody_is_dead(self) -> None:
        assert self.dead("profiles: ['*']", "profiles: [prod], requesters: [U0BOB]") == ["approval[1]"]

    def test_rule_below_one_for_some_people_lives(self) -> None:
        assert self.dead("profiles: ['*'], requesters: [U0BOB]", "profiles: [prod]") == []

    def test_rule_with_one_profile_left_lives(self) -> None:
        assert self.dead("profiles: [prod]", "profiles: ['*']") == []

    def test_rule_is_dead_when_several_above_take_all_its_profiles(self) -> None:
        assert self.dead("profiles: [prod]", "profiles: [db]", "profiles: ['*']") == ["approval[2]"]

    def test_rule_for_people_who_all_match_above_is_dead(self) -> None:
        above = "profiles: ['*'], requesters: [group:sre]"
        assert self.dead(above, "profiles: [prod], requesters: [U0CAROL]") == ["approval[1]"]
        assert self.dead(above, "profiles: [prod], requesters: [U0CAROL, U0DAVE]") == []


class TestCountableApprovers:
    TOO_FEW: ClassVar = ["3 approvals are needed, but there are only 2 approvers"]

    def find_missing(self, approvers: str) -> list[str]:
        text = ALL.replace("[group:sre]", approvers).replace("4h", "4h, required_approvals: 3")
        try:
            parse_policy(f"{text}identity: {{trust_email: true}}\n".encode())
        except InvalidPolicy as error:
            return [each.problem for each in error.problems]
        return []

    def test_person_who_is_named_twice_counts_once(self) -> None:
        assert self.find_missing("[group:sre, U0BOB]") == self.TOO_FEW
        assert self.find_missing("[U0BOB, U0BOB, U0CAROL]") == self.TOO_FEW
        assert self.find_missing("[group:sre, U0DAVE]") == []

    def test_user_group_of_slack_may_hold_any_number_of_people(self) -> None:
        assert self.find_missing("[S0ENG]") == []

    def test_trusted_email_address_counts_as_a_person(self) -> None:
        assert self.find_missing("[group:sre, a@example.com]") == []
        assert self.find_missing("[U0BOB, a@example.com, A@example.com]") == self.TOO_FEW


class TestValues:
    def test_words_that_old_yaml_took_for_other_types_stay_text(self) -> None:
        values = read_values(b"a: [yes, on, 12:30, 09:00-17:00, 1e3, 0x10, 'true', \"7\"]").values
        assert values == {"a": ["yes", "on", "12:30", "09:00-17:00", "1e3", "0x10", "true", "7"]}

    def test_numbers_and_booleans_are_read_as_such(self) -> None:
        assert read_values(b"{a: 12, b: -3, c: true, d: False}").values == {"a": 12, "b": -3, "c": True, "d": False}

    def test_number_too_long_for_a_number_stays_text(self) -> None:
        assert read_values(b"a: " + b"9" * 5000).values == {"a": "9" * 5000}

    def test_byte_order_mark_at_the_beginning_is_ignored(self) -> None:
        assert read_values(b"\xef\xbb\xbfversion: 1").values == {"version": 1}

    def test_profile_may_have_a_number_as_its_name(self) -> None:
        assert "2024" in parse_policy(ALL.replace("  db:", "  2024:").encode()).document.profiles

    def test_profile_may_be_called_like_a_key_of_the_file(self) -> None:
        found = mistakes(ALL.replace("  db: {", "  time: {x: 1, "))
        assert found[0].fix == "Known here: description, channel, access."


@given(
    content=st.binary(max_size=200) | st.text(alphabet="ab:-[]{}#&*!|>'\"%@`, \n\t\\?~0", max_size=60).map(str.encode)
)
def test_reader_raises_only_invalid_policy_on_any_bytes(content: bytes) -> None:
    assert mistakes(content)


@given(cut=st.integers(0, len(ALL) - 1))
def test_truncated_file_is_refused_or_is_a_whole_smaller_one(cut: int) -> None:
    try:
        shape = parse_policy(ALL[:cut].encode()).document
    except InvalidPolicy as error:
        assert error.problems  # noqa: PT017 - either outcome is right; neither is anything else.
    else:
        assert shape.approval == () or cut >= len(ALL) - 2


@pytest.mark.parametrize(
    ("same_person", "path", "problem"),
    [
        ("[[U0BOB, W0BOB], [U0BOB, W0CAROL]]", "same_person[1][0]", "U0BOB is already in same_person[0]"),
        ("[[U0BOB, U0BOB]]", "same_person[0][1]", "U0BOB is already here"),
    ],
)
def test_id_of_two_people_is_a_mistake(same_person: str, path: str, problem: str) -> None:
    fix = "Write all ids of one person in one list, each of them once."
    assert mistake(f"{ALL}same_person: {same_person}\n") == (7, path, problem, fix)


def test_same_person_takes_only_user_ids_and_at_least_two() -> None:
    assert mistake(f"{ALL}same_person: [[U0BOB, S0SRE]]\n")[1] == "same_person[0][1]"
    assert mistake(f"{ALL}same_person: [[U0BOB]]\n")[1] == "same_person[0]"


def test_quorum_of_one_person_with_two_ids_is_a_mistake() -> None:
    problem = "2 approvals are needed, but there are only 1 approvers"
    text = with_rule("required_approvals: 2") + "same_person: [[U0BOB, U0CAROL]]\n"
    assert mistake(text)[2] == problem


@pytest.mark.parametrize("address", ["ju\u017fti@example.com", "\u212aim@example.com", "ann@ex\u0430mple.com"])
def test_email_address_that_is_not_ascii_is_a_mistake(address: str) -> None:
    text = with_rule(f"requesters: ['{address}']") + "identity: {trust_email: true}\n"
    _, path, problem, fix = mistake(text)
    assert path == "approval[0].requesters[0]"
    assert "isn't an ASCII character, and would match nobody" in problem
    assert fix == "Type the address again with plain letters, or write the Slack user id."
