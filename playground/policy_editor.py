"""The panel "Policy": the policy file beside the panes, checked while it's written, explained, and saved.

Invariant: it checks and explains with the functions that enforce the policy. Saving replaces the file as any editor
would, and only if it is still the one that was opened; the bot then judges it like any other change of the file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.invalid_policy import InvalidPolicy, PolicyProblem
from core.policy import Policy, PolicyFile, parse_policy
from core.policy.policy_file import digest_of
from localslack.records import Json
from localslack.refusals import NotOnScreen
from playground.folder import write_privately
from playground.people import POLICY
from playground.policy_explaining import ExplainedCase, Explainer

_DIGITS: Final = 12
_MAX_PROBLEMS: Final = 30
_Text = Annotated[str, Field(max_length=200_000)]
_CHANGED: Final = "The file was changed elsewhere since you opened it. Open it again, and make your changes there."


class _PolicyRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OpenPolicy(_PolicyRequest):
    """Read the file."""

    do: Literal["open"]


class CheckPolicy(_PolicyRequest):
    """Find the mistakes in this text."""

    do: Literal["check"]
    text: _Text


class ExplainPolicy(_PolicyRequest):
    """Say what this text decides, and why."""

    do: Literal["explain"]
    text: _Text
    question: ExplainedCase


class SavePolicy(_PolicyRequest):
    """Write the file; `base` is the digest of what was opened."""

    do: Literal["save"]
    text: _Text
    base: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ResetPolicy(_PolicyRequest):
    """Write the file that the playground came with."""

    do: Literal["reset"]


class LookAtPolicy(_PolicyRequest):
    """Is what is saved in force by now?"""

    do: Literal["look"]


_Asked: TypeAlias = Annotated[
    OpenPolicy | CheckPolicy | ExplainPolicy | SavePolicy | ResetPolicy | LookAtPolicy, Field(discriminator="do")
]
_REQUEST: Final[TypeAdapter[_Asked]] = TypeAdapter(_Asked)


class PolicyEditor:
    """Safe for threads. `follow` gives the policy file as the bot reads it now; None while no bot runs."""

    def __init__(self, path: Path, follow: Callable[[], PolicyFile | None], explainer: Explainer) -> None:
        self._path = path
        self._follow = follow
        self._explainer = explainer
        self._lock = threading.Lock()

    def carry_out(self, body: object) -> Json:
        """Do what the page asks. Raises NotOnScreen, InvalidInput, and pydantic's ValidationError."""
        match _REQUEST.validate_python(body):
            case CheckPolicy(text=text):
                return check_text(text)
            case ExplainPolicy(text=text, question=question):
                return self._explain(text, question)
            case SavePolicy() as asked:
                return self._save(asked)
            case ResetPolicy():
                with self._lock:
                    write_privately(self._path, POLICY.read_text(encoding="utf-8"))
                return self._open()
            case LookAtPolicy():
                return self._look()
        return self._open()

    def show(self) -> Json:
        """Which version is in force, for every page."""
        followed = self._follow()
        return {"digest": followed.state.policy.digest[:_DIGITS] if followed is not None else None}

    def _open(self) -> Json:
        text = self._read().decode("utf-8", "replace")
        return {"text": text, **self._look(), **check_text(text)}

    def _look(self) -> Json:
        """The file, and what the bot makes of it. It looks at the file itself now and then; this only asks again."""
        saved, followed = digest_of(self._read()), self._follow()
        policy = followed.current() if followed is not None else None
        refused = followed.problem if followed is not None else None
        return {
            "base": saved,
            "digest": policy.digest[:_DIGITS] if policy is not None else None,
            "is_in_force": policy is not None and policy.digest == saved,
            "refused": _describe_problems(refused.problems, "") if refused is not None else None,
        }

    def _save(self, asked: SavePolicy) -> Json:
        with self._lock:
            if digest_of(self._read()) != asked.base:
                raise NotOnScreen(_CHANGED)
            write_privately(self._path, asked.text)
        return {**self._look(), **check_text(asked.text)}

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            problem = f"The policy file can't be read: {error.strerror or error}. Reset it to the one it came with."
            raise NotOnScreen(problem) from error

    def _explain(self, text: str, question: ExplainedCase) -> Json:
        try:
            policy = parse_policy(text.encode())
        except InvalidPolicy as error:
            raise NotOnScreen("Fix the mistakes first: a policy with a mistake decides nothing.") from error
        return self._explainer.explain(policy, question)


def check_text(text: str) -> Json:
    """Every mistake with its place, or what the policy has."""
    try:
        policy = parse_policy(text.encode())
    except InvalidPolicy as error:
        return {
            "problems": _describe_problems(error.problems, text),
            "more": max(0, len(error.problems) - _MAX_PROBLEMS),
        }
    return {"problems": [], "more": 0, "profiles": sorted(policy.document.profiles), "has": _count(policy)}


def _count(policy: Policy) -> Json:
    document = policy.document
    return {
        "profiles": len(document.profiles),
        "approval": len(document.approval),
        "break_glass": len(document.break_glass),
    }


def _describe_problems(problems: Sequence[PolicyProblem], text: str) -> list[Json]:
    lines = text.split("\n")
    return [
        {
            "line": each.line,
            "column": find_column(lines[each.line - 1], each.path) if each.line <= len(lines) else 1,
            "path": each.path,
            "problem": each.problem,
            "fix": each.fix,
        }
        for each in problems[:_MAX_PROBLEMS]
    ]


def find_column(line: str, path: str) -> int:
    """Where in the line the mistake is: at the last key of its path, or at the first thing in the line. From 1."""
    key = path.rpartition(".")[2].partition("[")[0]
    at = line.find(f"{key}:") if key else -1
    return (at if at >= 0 else len(line) - len(line.lstrip())) + 1
