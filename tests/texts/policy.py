"""The policy file: every mistake that is found in one, with its fix.

Invariant: the files are those of the tests of the policy, so a mistake that is tested is shown here.
"""

from __future__ import annotations

from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final

from core.invalid_policy import InvalidPolicy
from core.policy import parse_policy
from core.policy.loader import load_with_notes
from tests.core.policy.access_policy import access_file
from tests.core.policy.test_access_mistakes import MISTAKES
from tests.core.policy.test_escalation import MISTAKES as ESCALATION_MISTAKES
from tests.core.policy.test_escalation import file_with
from tests.core.policy.test_on_call_rules import (
    ALONE_EDIT,
    FEED_EDIT,
    QUORUM_EDIT,
    RULES,
    SCHEDULE_MISTAKES,
    UNUSED_EDIT,
)
from tests.core.policy.test_pager_policy import MISTAKES as PAGER_MISTAKES
from tests.core.policy.test_pager_policy import pager_file
from tests.core.policy.test_policy_mistakes import CONTRADICTIONS, MISSHAPED, UNREADABLE
from tests.texts.writing import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES: Final[dict[str, list[Any]]] = {
    "Policy: a file that cannot be read": [file for file, *_ in UNREADABLE],
    "Policy: a part of the wrong shape": [file for file, *_ in MISSHAPED],
    "Policy: parts that contradict each other": [file for file, *_ in CONTRADICTIONS],
    "Policy: paging": [*(pager_file(pager) for pager, *_ in PAGER_MISTAKES), pager_file(approval=", page: true")],
    "Policy: targets, access, people and admins": [access_file(change) for change, *_ in MISTAKES],
    "Policy: escalation and approver hours": [file_with(each) for each in ESCALATION_MISTAKES],
    "Policy: schedules": [file for file, _ in SCHEDULE_MISTAKES],
}


def policy_mistakes() -> Iterator[Text]:
    """Each mistake once, however many files have it."""
    for surface, files in _FILES.items():
        yield Text(surface, "all", "\n".join(dict.fromkeys(each for file in files for each in _mistakes(file))))
    yield Text("Policy: notes", "all", "\n".join(_notes()))
    edits = (UNUSED_EDIT, ALONE_EDIT, QUORUM_EDIT, FEED_EDIT)
    noted = (each for edit in edits for each in _notes_on(RULES.replace(*edit).encode()))
    yield Text("Policy: notes on schedules", "all", "\n".join(dict.fromkeys(noted)))


def _notes() -> list[str]:
    changes = (("admins: [U0ADMIN, S0SECURITY]\n", ""), (", {target: fn, resource: x, level: y}", ""))
    return _notes_on(access_file(*changes))


def _notes_on(content: bytes) -> list[str]:
    with NamedTemporaryFile(suffix=".yml") as file:
        file.write(content)
        file.flush()
        return [str(each) for each in load_with_notes(file.name)[1]]


def _mistakes(file: str | bytes) -> list[str]:
    try:
        parse_policy(file if isinstance(file, bytes) else file.encode())
    except InvalidPolicy as error:
        return list(map(str, error.problems))
    raise AssertionError("this file has no mistake")
