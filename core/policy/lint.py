"""The mistakes that only the whole file can show: names that don't exist, and rules that can never be used.

Invariant: a policy that passed has no rule that is silently dead. Each group and profile that a rule names exists,
each rule can decide about somebody, each quorum can be reached, and each event can be reviewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from core.actor import UserId
from core.duration import format_duration
from core.policy.access_lint import find_access_mistakes
from core.policy.document import suggest
from core.policy.escalation_lint import escalated_to, find_escalation_mistakes
from core.policy.mistake import Mistake
from core.policy.pager_lint import find_pager_mistakes
from core.policy.principals import People, PrincipalKind, PrincipalSelector
from core.policy.rules import ApprovalRule, BreakGlassRule, PolicyDocument, is_covered
from core.policy.service_lint import find_service_mistakes
from core.policy.yaml_source import Path, write_path

Rules = Sequence[ApprovalRule | BreakGlassRule]
MAX_MENTIONS: Final = 50
"""A mention takes up to 46 characters, and a section of a Slack message 3000."""


def find_mistakes(document: PolicyDocument) -> tuple[Mistake, ...]:
    """Every mistake between the parts of the file, in the order of the file's sections."""
    return (
        *_in_groups(document),
        *_in_selectors(document),
        *_in_same_person(document),
        *_in_rules("approval", document.approval, document),
        *_in_quorums(document),
        *_in_reminders(document),
        *find_escalation_mistakes(document),
        *_in_auto_approvals(document),
        *_in_rules("break_glass", document.break_glass, document),
        *_in_reviews(document),
        *_in_mentions(document),
        *_in_escalations(document),
        *_in_summary(document),
        *find_access_mistakes(document),
        *find_service_mistakes(document),
        *find_pager_mistakes(document),
    )


def find_uncovered(document: PolicyDocument) -> Iterator[Mistake]:
    """The profiles that no rule covers: nobody can ever have them. For checks; a file in force may have some."""
    for name in document.profiles:
        if not any(rule.covers(name) for rule in (*document.approval, *document.break_glass)):
            yield Mistake(
                ("profiles", name),
                "no rule covers this profile, so nobody can have it",
                f"Add an approval rule whose profiles have {name}, or remove the profile.",
            )


def _in_groups(document: PolicyDocument) -> Iterator[Mistake]:
    for name, members in document.groups.items():
        for index, member in enumerate(members):
            if member.kind is PrincipalKind.GROUP:
                yield Mistake(
                    ("groups", name, index), "a group cannot contain a group", "List the people of that group here."
                )


def _in_selectors(document: PolicyDocument) -> Iterator[Mistake]:
    for path, selector in all_selectors(document):
        if selector.kind is PrincipalKind.EMAIL and not document.identity.trust_email:
            yield Mistake(
                path,
                f"{selector} is an e-mail address, and those are not trusted here",
                "Write the Slack user id instead, or set identity.trust_email to true.",
            )
        # A group inside a group has been reported already, whether or not it exists.
        if selector.kind is PrincipalKind.GROUP and selector.value not in document.groups and path[0] != "groups":
            yield Mistake(
                path, f"there is no group {selector.value!r:.60}", suggest(selector.value, tuple(document.groups))
            )
        if selector.kind is PrincipalKind.ON_CALL and selector.value not in document.on_call:
            yield _no_schedule(path, selector, document)


def _no_schedule(path: Path, selector: PrincipalSelector, document: PolicyDocument) -> Mistake:
    problem, known = f"there is no schedule {selector.value!r:.60} in on_call", tuple(document.on_call)
    if not known:
        return Mistake(path, problem, "Add on_call at the top level, with the source of the schedule: docs/on-call.md.")
    return Mistake(path, problem, suggest(selector.value, known))


def _in_same_person(document: PolicyDocument) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for index, ids in enumerate(document.same_person):
        for position, each in enumerate(ids):
            if each in seen:
                where = "here" if seen[each] == index else f"in same_person[{seen[each]}]"
                yield Mistake(
                    ("same_person", index, position),
                    f"{each} is already {where}",
                    "Write all ids of one person in one list, each of them once.",
                )
            seen.setdefault(each, index)


def all_selectors(document: PolicyDocument) -> Iterator[tuple[Path, PrincipalSelector]]:
    """Everybody whom the policy names, and where in the file."""
    lists: list[tuple[Path, tuple[PrincipalSelector, ...] | None]] = [
        (("groups", name), members) for name, members in document.groups.items()
    ]
    lists.append((("admins",), document.admins))
    for index, rule in enumerate(document.approval):
        at: Path = ("approval", index)
        automatic = rule.auto_approve.requesters if rule.auto_approve else None
        lists += [
            ((*at, "requesters"), rule.requesters),
            ((*at, "approvers"), rule.approvers),
            ((*at, "auto_approve", "requesters"), automatic),
            *escalated_to(at, rule),
        ]
    for index, each in enumerate(document.break_glass):
        lists += [(("break_glass", index, "users"), each.users), (("break_glass", index, "notify"), each.notify)]
    for path, selectors in lists:
        for index, selector in enumerate(selectors or ()):
            yield (*path, index), selector


def _in_rules(section: str, rules: Rules, document: PolicyDocument) -> Iterator[Mistake]:
    names: dict[str, int] = {}
    for index, rule in enumerate(rules):
        if rule.name in names:
            yield Mistake(
                (section, index, "name"),
                f"{section}[{names[rule.name]}] is called {rule.name!r} too",
                "Give each rule its own name.",
            )
        names.setdefault(rule.name, index)
        dead = tuple(_dead_patterns(section, index, rule, document))
        yield from dead
        if not dead:
            yield from _shadows(section, index, rules, document)


def _dead_patterns(
    section: str, index: int, rule: ApprovalRule | BreakGlassRule, document: PolicyDocument
) -> Iterator[Mistake]:
    is_used = any(rule.covers(name) for name in document.profiles)
    for position, pattern in enumerate(rule.profiles):
        is_name = not set(pattern) & set("*?")
        # In a rule that decides about something, a pattern may be meant for profiles that don't exist yet.
        if any(is_covered(name, pattern) for name in document.profiles) or (is_used and not is_name):
            continue
        problem = f"there is no profile {pattern!r}" if is_name else f"{pattern!r} covers no profile"
        yield Mistake((section, index, "profiles", position), problem, suggest(pattern, tuple(document.profiles)))


def _shadows(section: str, index: int, rules: Rules, document: PolicyDocument) -> Iterator[Mistake]:
    people = document.named_people()
    rule = rules[index]
    shadows: list[str] = []
    for profile in filter(rule.covers, document.profiles):
        shadow = next(
            (each for each in rules[:index] if each.covers(profile) and _is_wider(each, rule, people)),
            None,
        )
        if shadow is None:
            return
        shadows.append(write_path((section, rules.index(shadow))))
    yield Mistake(
        (section, index),
        f"rule {rule.name!r} can never decide, because {' and '.join(dict.fromkeys(shadows))} always matches first",
        "Move it up, or remove it.",
    )


def _is_wider(earlier: ApprovalRule | BreakGlassRule, later: ApprovalRule | BreakGlassRule, people: People) -> bool:
    asked, wanted = _who(earlier), _who(later)
    if asked is None:
        return True
    return wanted is not None and people.leaves(wanted) <= people.leaves(asked)


def _who(rule: ApprovalRule | BreakGlassRule) -> tuple[PrincipalSelector, ...] | None:
    return rule.requesters if isinstance(rule, ApprovalRule) else rule.users


def _in_quorums(document: PolicyDocument) -> Iterator[Mistake]:
    people = document.named_people()
    for index, rule in enumerate(document.approval):
        leaves = people.leaves(rule.deciders())
        # The number of people in a Slack user group is not known here, and an unknown group is another mistake.
        is_countable = leaves and all(leaf.kind in {PrincipalKind.USER, PrincipalKind.EMAIL} for leaf in leaves)
        approvers = {people.ids_of(UserId(leaf.value))[0] for leaf in leaves}
        if is_countable and len(approvers) < rule.required_approvals:
            yield Mistake(
                ("approval", index, "required_approvals"),
                f"{rule.required_approvals} approvals are needed, but there are only {len(approvers)} approvers",
                "Add approvers, or ask for fewer approvals.",
            )


def _in_reminders(document: PolicyDocument) -> Iterator[Mistake]:
    for index, rule in enumerate(document.approval):
        if rule.remind_after is not None and rule.remind_after >= rule.decide_within:
            after, within = format_duration(rule.remind_after), format_duration(rule.decide_within)
            yield Mistake(
                ("approval", index, "remind_after"),
                f"a reminder after {after} would come too late: a request waits {within} and then expires",
                f"Write less than {within}, or lengthen decide_within.",
            )


def _in_auto_approvals(document: PolicyDocument) -> Iterator[Mistake]:
    for index, rule in enumerate(document.approval):
        automatic = rule.auto_approve.max_duration if rule.auto_approve else None
        if automatic is not None and automatic > rule.max_duration:
            yield Mistake(
                ("approval", index, "auto_approve", "max_duration"),
                f"{format_duration(automatic)} is longer than the rule's own {format_duration(rule.max_duration)}",
                f"Write at most {format_duration(rule.max_duration)}, or lengthen the rule's max_duration.",
            )


def _in_reviews(document: PolicyDocument) -> Iterator[Mistake]:
    for index, rule in enumerate(document.break_glass):
        for profile in filter(rule.covers, document.profiles):
            if not any(each.covers(profile) for each in document.approval):
                yield Mistake(
                    ("break_glass", index, "profiles"),
                    f"nobody could review an event for {profile}: no approval rule covers it",
                    f"Add an approval rule for {profile}; its approvers review.",
                )


def _in_mentions(document: PolicyDocument) -> Iterator[Mistake]:
    people = document.named_people()
    for index, rule in enumerate(document.break_glass):
        for position, selector in enumerate(rule.notify or ()):
            if any(leaf.kind is PrincipalKind.EMAIL for leaf in people.leaves((selector,))):
                yield Mistake(
                    ("break_glass", index, "notify", position),
                    f"{selector} names somebody by e-mail address, and Slack mentions people by their id only",
                    "Write the Slack user id instead.",
                )
        if len(mentioned := people.leaves(rule.notify or ())) > MAX_MENTIONS:
            yield Mistake(
                ("break_glass", index, "notify"),
                f"{len(mentioned)} people and user groups are more than fit into one message",
                f"Name at most {MAX_MENTIONS}, or a user group of Slack.",
            )


def _in_escalations(document: PolicyDocument) -> Iterator[Mistake]:
    for index, rule in enumerate(document.break_glass):
        if rule.escalation_threshold is not None and document.security_channel is None:
            yield Mistake(
                ("break_glass", index, "escalation_threshold"),
                "there is no security channel to notify",
                "Add security_channel at the top level, or remove escalation_threshold.",
            )


def _in_summary(document: PolicyDocument) -> Iterator[Mistake]:
    if document.summary.monthly and document.security_channel is None:
        yield Mistake(
            ("summary", "monthly"),
            "there is no security channel to post it in",
            "Add security_channel at the top level, or remove summary.",
        )
