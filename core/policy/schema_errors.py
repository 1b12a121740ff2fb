"""From plain values to the models of the policy file, with each mistake as a line, a path and a fix.

Invariant: every validation error becomes one problem that a person can act on; none is lost and none is a traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.invalid_policy import PolicyProblem
from core.policy.document import MISTAKE, PolicyModel, suggest
from core.policy.pager_config import PAGER_MODELS, PagerConfig
from core.policy.profile import AccessEntry, ProfileModel
from core.policy.rules import (
    ApprovalRule,
    AutoApproval,
    BreakGlassRule,
    Identity,
    PolicyDocument,
)
from core.policy.target_config import TARGET_MODELS
from core.policy.time_window import TimeWindow
from core.policy.yaml_source import Path, Reading, write_path

_MODELS: Final[dict[str, type[PolicyModel]]] = {
    "approval": ApprovalRule,
    "break_glass": BreakGlassRule,
    "auto_approve": AutoApproval,
    "time": TimeWindow,
    "identity": Identity,
}
_KIND_AT: Final = 2
_LIST: Final = ("this has to be a list", "Write it in brackets: [first, second].")
_BLOCK: Final = ("this has to be a block of keys", "Write one key per line under it, indented.")
_WHOLE: Final = ("this has to be a whole number", "Write it in digits, without quotes.")
_PLAIN: Final[dict[str, tuple[str, str]]] = {
    "tuple_type": _LIST,
    "dict_type": _BLOCK,
    "model_type": _BLOCK,
    "model_attributes_type": _BLOCK,
    "string_type": ("this has to be text", "Write one word or line; put a number in quotes."),
    "bool_type": ("this has to be true or false", "Write true or false."),
    "int_type": _WHOLE,
    "too_short": ("there is nothing in it", "List at least one."),
}


def validate_values(reading: Reading) -> tuple[PolicyDocument | None, tuple[PolicyProblem, ...]]:
    """The policy that the values describe, or None and the mistakes. What the reader reported is not repeated."""
    try:
        return PolicyDocument.model_validate(reading.values), ()
    except ValidationError as error:
        said = {problem.path for problem in reading.problems}
        found = (_to_problem(each, reading.lines) for each in errors_of(error))
        return None, tuple(problem for problem in found if problem.path not in said)


def errors_of(error: ValidationError) -> list[ErrorDetails]:
    """The errors of a validation, each mistake once."""
    errors = error.errors(include_url=False)
    # Pydantic does not count a list's invalid entries, and then reports the list as empty too.
    inner = {each["loc"][:length] for each in errors for length in range(len(each["loc"]))}
    return [each for each in errors if not (each["type"] == "too_short" and each["loc"] in inner)]


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of the path, or of the nearest thing around it that the file has."""
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


def _to_problem(error: ErrorDetails, lines: dict[Path, int]) -> PolicyProblem:
    # Pydantic marks an error about a key, as opposed to its value, by this last part.
    path: Path = tuple(part for part in error["loc"] if part != "[key]")
    # Below a target's name it also says which kind of target it read; the file doesn't have that.
    kind = path[2] if len(path) > _KIND_AT and path[0] == "targets" else None
    if kind in TARGET_MODELS:
        path = (*path[:_KIND_AT], *path[_KIND_AT + 1 :])
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        path = (*path, "type")
    target = TARGET_MODELS.get(str(kind))
    problem, fix = say_error(error, lambda: _keys_beside(path, target), path)
    return PolicyProblem(line_of(path, lines), write_path(path), problem, fix)


def say_error(error: ErrorDetails, keys: Callable[[], tuple[str, ...]], path: Path | None = None) -> tuple[str, str]:
    """What is wrong and how to fix it. `keys` are those that may stand where there is one that may not."""
    path = error["loc"] if path is None else path
    kind, details, given = error["type"], error.get("ctx", {}), error["input"]
    key = str(path[-1]) if path else "file"
    answers: dict[str, Callable[[], tuple[str, str]]] = {
        MISTAKE: lambda: (str(details["problem"]), str(details["fix"])),
        "extra_forbidden": lambda: (
            f"there is no key {key!r:.60} here",
            suggest(key, keys()),
        ),
        "missing": lambda: (f"{key} is missing", f"Add {key}; see policy.example.yml."),
        "greater_than_equal": lambda: (f"{given!r:.60} is too small", f"Write at least {details['ge']}."),
        "less_than_equal": lambda: (f"{given!r:.60} is too large", f"Write at most {details['le']}."),
        "string_too_long": lambda: ("this is too long", f"Shorten it to {details['max_length']} characters."),
        "too_long": lambda: (
            f"there are more than {details['max_length']} here",
            f"Write at most {details['max_length']}.",
        ),
        "union_tag_not_found": lambda: ("type is missing", f"Write one of: {', '.join(TARGET_MODELS)}."),
        "union_tag_invalid": lambda: (
            f"{details['tag']!r:.60} is not a type of target",
            suggest(str(details["tag"]), tuple(TARGET_MODELS)),
        ),
        "enum": lambda: (f"{given!r:.60} is not a choice here", _say_choice(given, str(details["expected"]))),
    }
    if kind in answers:
        return answers[kind]()
    return _PLAIN.get(kind, (error["msg"][:1].lower() + error["msg"][1:], "See docs/policy.md."))


def _say_choice(given: object, expected: str) -> str:
    choices = tuple(expected.replace("'", "").replace(" or ", ", ").split(", "))
    fix = suggest(str(given), choices)
    return fix if fix.startswith("Did") else f"Write one of: {', '.join(choices)}."


def _keys_beside(path: Path, target_model: type[PolicyModel] | None) -> tuple[str, ...]:
    if target_model is not None:
        return tuple(target_model.model_fields)
    names = [part for part in path[:-1] if isinstance(part, str)]
    if not names:
        return tuple(PolicyDocument.model_fields)
    # Below `profiles` are names that people chose; one of them may be "time".
    if names[0] == "profiles":
        return tuple((AccessEntry if "access" in names[2:] else ProfileModel).model_fields)
    if names[0] == "pager":
        # On-call schedules have blocks of the same names.
        return tuple(PAGER_MODELS.get(names[-1], PagerConfig).model_fields)
    model = _MODELS[names[-1]]
    return tuple(model.model_fields)
