"""Who a person of Slack is in Identity Center. It is found once, when access is requested, and then kept.

Invariant: nobody is guessed. No user, more than one, or a disabled one is a refusal that says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.access.principals import SoughtPerson
from core.targets.aws_calls import CallFailed, Trouble
from core.targets.aws_names import STORE_ID
from core.targets.base import Later, TargetRefused, Unknown
from core.targets.identity_center.instance import SsoInstance
from core.targets.words import one_line


@dataclass(frozen=True, slots=True)
class ResolvedPerson:
    """A user of Identity Center, who isn't disabled."""

    user_id: str
    user_name: str


def resolve_person(instance: SsoInstance, sought: SoughtPerson) -> ResolvedPerson | TargetRefused | Later:
    """Find the person's user. Later when AWS can't say now."""
    step = instance.begin_step()
    try:
        return _Search(step, sought).run()
    except CallFailed as failed:
        answer = failed.answer()
        return Later(failed.after, problem=answer.problem) if isinstance(answer, Unknown) else answer


class _Search:
    """One search for one person."""

    def __init__(self, instance: SsoInstance, sought: SoughtPerson) -> None:
        self._store = instance.store
        self._where = {"IdentityStoreId": instance.identity_store_id}
        self._sought = sought

    def run(self) -> ResolvedPerson | TargetRefused:
        mapped, email = self._sought.mapped, self._sought.email
        if mapped is not None:
            by = f"the name or id {one_line(mapped, 128)} in the policy"
            ids = {mapped} if STORE_ID.fullmatch(mapped) else self._find("userName", mapped)
        elif email is not None:
            by = f"the e-mail address {one_line(email, 128)}"
            ids = self._find("emails.value", email)
        else:
            return TargetRefused(
                f"Countersign doesn't know which Identity Center user {self._sought.slack_id} is. "
                "Ask a policy owner to add them to `people:` in the policy."
            )
        if len(ids) > 1:
            return TargetRefused(
                f"Identity Center has more than one user for {by}, and Countersign doesn't guess. {_FIX}"
            )
        user = self._describe(next(iter(ids))) if ids else None
        if user is None:
            return TargetRefused(f"Identity Center has no user for {by}. {_FIX}")
        return self._judge(user, by)

    def _judge(self, user: dict[str, object], by: str) -> ResolvedPerson | TargetRefused:
        name = one_line(user.get("UserName"), 128)
        if user.get("UserStatus") == "DISABLED":
            return TargetRefused(
                f"The Identity Center user {name} is disabled. Ask the people who manage Identity Center to enable it."
            )
        if self._sought.mapped is None and not _has_email(user, self._sought.email or ""):
            return TargetRefused(f"Identity Center found {name} for {by}, but that user has another address. {_FIX}")
        return ResolvedPerson(str(user["UserId"]), name)

    def _find(self, attribute: str, value: str) -> set[str]:
        """The ids of the users with this value, as written or in lower case: AWS may compare either way."""
        found = (self._find_one(attribute, each) for each in dict.fromkeys((value, value.lower())))
        return {each for each in found if each is not None}

    def _find_one(self, attribute: str, value: str) -> str | None:
        unique = {"AttributePath": attribute, "AttributeValue": value}
        try:
            answer = self._store.read("get_user_id", **self._where, AlternateIdentifier={"UniqueAttribute": unique})
        except CallFailed as failed:
            if failed.trouble is Trouble.NOT_FOUND and failed.subject in {"", "USER"}:
                return None
            raise
        return str(answer["UserId"])

    def _describe(self, user_id: str) -> dict[str, object] | None:
        try:
            return self._store.read("describe_user", **self._where, UserId=user_id)
        except CallFailed as failed:
            if failed.trouble is Trouble.NOT_FOUND and failed.subject in {"", "USER"}:
                return None
            raise


_FIX = "Ask a policy owner to name the right user, by its user id, in `people:` of the policy."


def _has_email(user: dict[str, object], email: str) -> bool:
    emails = user.get("Emails")
    listed = emails if isinstance(emails, list) else []
    return any(str(each.get("Value")).casefold() == email.casefold() for each in listed if isinstance(each, dict))
