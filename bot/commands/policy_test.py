"""`countersign policy test`: does the policy decide as its cases expect?

Invariant: cases are judged by the functions that enforce the policy. A case that fails says what was expected, what
came of it and why.

Exit codes: 0 all cases came as expected, 1 some didn't or a file has mistakes, 2 the input can't be used.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from bot.commands.policy_files import MISTAKEN, json_option, load_policy_file, policy_option, print_json, read_or_exit
from bot.commands.terminal import FILE, Ink, count_of
from core.policy.case_source import load_cases
from core.policy.cases import CaseOutcome, judge_cases


@click.command()
@click.argument("cases_path", metavar="CASES", type=FILE)
@policy_option
@json_option
@click.option("--verbose", is_flag=True, help="Also list the cases that came as expected.")
def test(cases_path: str, policy_path: str, *, as_json: bool, verbose: bool) -> None:
    """Judge the cases of a file, and list those that don't come as expected.

    docs/policy.md says how to write cases.
    """
    loaded, _ = load_policy_file(policy_path, as_json=as_json)
    file = read_or_exit(cases_path, load_cases, as_json=as_json)
    outcomes = judge_cases(loaded, file.cases)
    failed = sum(not each.is_met for each in outcomes)
    if as_json:
        results = [*map(_to_json, outcomes)]
        print_json({"policy": loaded.digest, "cases": len(outcomes), "failed": failed, "results": results})
    else:
        for outcome, line in zip(outcomes, file.lines, strict=True):
            for each in _describe(outcome, f"{cases_path}:{line}", is_listed=verbose):
                click.echo(each)
        click.echo(f"{count_of(len(outcomes), 'case')}: {len(outcomes) - failed} as expected, {failed} not")
    if failed:
        click.get_current_context().exit(MISTAKEN)


def _describe(outcome: CaseOutcome, place: str, *, is_listed: bool) -> Iterator[str]:
    ink = Ink.of_stdout()
    if outcome.is_met:
        if is_listed:
            yield f"{ink.met} {place}: {outcome.case.title}"
        return
    yield f"{ink.unmet} {place}: {outcome.case.title}"
    yield from (f"    {each}" for each in outcome.differences)
    if outcome.decision is not None:
        yield f"    rule: {outcome.decision.rule or 'none'}"
    yield from (f"      {each}" for each in outcome.reasons)


def _to_json(outcome: CaseOutcome) -> dict[str, object]:
    decision = outcome.decision.model_dump(mode="json") if outcome.decision is not None else None
    differences = list(outcome.differences)
    return {"case": outcome.case.title, "is_met": outcome.is_met, "differences": differences, "decision": decision}
