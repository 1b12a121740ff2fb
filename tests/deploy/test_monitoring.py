"""The alert rules and the dashboard of deploy/, held against the metrics that the code has and the pages about them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import CollectorRegistry
from promql_parser import MatchOp
from ruamel.yaml import YAML

from bot.observability.access_metrics import AccessMetrics
from bot.observability.api_metrics import ApiMetrics
from bot.observability.metrics import Metrics
from tests.harness.promtool import play_alerts

ROOT = Path(__file__).parents[2]
RULES = YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / "countersign.rules.yml").read_text(encoding="utf-8"))
SITUATIONS = YAML(typ="safe").load(
    (ROOT / "deploy" / "prometheus" / "countersign.tests.yml").read_text(encoding="utf-8")
)
ALERTS = [each for group in RULES["groups"] for each in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "countersign.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
OPERATORS = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
METRIC = re.compile(r"^\| `(countersign_\w+)` \|([^|]*)\|", re.MULTILINE)
OF_A_SCRAPE = {"instance", "job", "__name__"}
"""The labels that Prometheus adds."""
OF_A_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def known_values() -> dict[str, set[str]]:
    """The values that each label of our metrics has from the start, by `metric.label`."""
    metrics, registry = Metrics(), CollectorRegistry()
    AccessMetrics(registry)
    ApiMetrics(registry, ["/v1/requests"])
    found: dict[str, set[str]] = {}
    for family in (*metrics.registry.collect(), *registry.collect()):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found.setdefault(f"{sample.name}.{label}", set()).add(value)
    return found


def documented() -> dict[str, set[str]]:
    """Each metric with its labels, as the table has them; a test of the bot holds that table against the code."""
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in METRIC.findall(OPERATORS)}


def selectors(query: str) -> list[promql_parser.VectorSelector]:
    """What a query reads."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: Any) -> None:  # noqa: ANN401 - the parser's nodes have no common type
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
            if (child := getattr(node, name, None)) is not None:
                visit(child)
        for each in getattr(node, "args", None) or ():
            visit(each)

    # Grafana puts the step of the graph here.
    visit(promql_parser.parse(query.replace("$__rate_interval", "5m")))
    return found


def labels_named(query: str) -> set[str]:
    """The labels after `by`."""
    return {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", query) for label in labels.split(",")}


def base_name(name: str | None) -> str:
    """The metric as the table names it: a histogram is queried by its buckets."""
    return (name or "").removesuffix("_bucket")


@pytest.mark.parametrize("query", [*(each["expr"] for each in ALERTS), *QUERIES])
def test_query_reads_metrics_and_labels_that_exist(query: str) -> None:
    table, values, read = documented(), known_values(), selectors(query)
    assert read

    for each in read:
        if each.name in OF_A_PROCESS:
            continue
        assert base_name(each.name) in table, each.name
        labels = table[base_name(each.name)] | OF_A_SCRAPE | {"le"}
        assert labels_named(query) <= labels, query
        for matcher in each.matchers.matchers:
            known = values.get(f"{each.name}.{matcher.name}", set())
            assert matcher.name in labels, query
            wanted = matcher.value.split("|") if matcher.op == MatchOp.Re else [matcher.value]
            assert all(any(re.fullmatch(part, value) for value in known) for part in wanted if known), query


@pytest.mark.parametrize("alert", ALERTS, ids=[each["alert"] for each in ALERTS])
def test_alert_has_a_severity_a_summary_and_a_runbook(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    page, _, anchor = said["runbook"].partition("#")

    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert said["summary"]
    assert said["description"]
    assert page == "docs/runbooks.md"
    assert anchor in {
        re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-")
        for each in re.findall(r"^#+ (.+)$", RUNBOOKS, re.MULTILINE)
    }
    assert set(re.findall(r"\$labels\.(\w+)", said["description"])) <= labels_named(alert["expr"])


def test_alerts_watch_what_the_guide_says_is_worth_one() -> None:
    worth = OPERATORS.partition("One alert should wake somebody")[2].partition("### Logs")[0]
    named = set(re.findall(r"countersign_\w+", worth))
    watched = {base_name(each.name) for alert in ALERTS for each in selectors(alert["expr"])}

    assert len(named) > 10
    assert named - watched == set()
    assert len({each["alert"] for each in ALERTS}) == len(ALERTS)


def test_panels_have_a_place_of_their_own_and_say_what_they_show() -> None:
    panels = DASHBOARD["panels"]
    cells = [
        (x, y)
        for place in (each["gridPos"] for each in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({each["id"] for each in panels}) == len(panels)
    assert all(each["type"] == "row" or each["description"] for each in panels)


def test_every_metric_is_in_the_dashboard_or_an_alert() -> None:
    shown = {base_name(each.name) for query in (*QUERIES, *(a["expr"] for a in ALERTS)) for each in selectors(query)}
    # When a policy came into force is read where it matters: in the trail. A call's seconds are on the page of the API.
    left_out = {"countersign_policy_in_force_timestamp_seconds", "countersign_api_seconds"}

    assert set(documented()) - shown - left_out == set()


@pytest.mark.parametrize("alert", ALERTS, ids=[each["alert"] for each in ALERTS])
def test_no_deployment_hides_another(alert: dict[str, Any]) -> None:
    assert "job" in labels_named(alert["expr"])


def test_each_panel_shows_the_deployments_that_are_chosen() -> None:
    chosen = {each["name"] for each in DASHBOARD["templating"]["list"]}

    assert chosen == {"datasource", "job"}
    for query in QUERIES:
        jobs = [each.value for read in selectors(query) for each in read.matchers.matchers if each.name == "job"]
        # A process's own metrics are joined with those of ours.
        assert jobs == ["$job"] * len(selectors(query)), query


@pytest.mark.parametrize("query", [*(each["expr"] for each in ALERTS), *QUERIES])
def test_what_grows_is_asked_for_its_growth_and_nothing_else_is(query: str) -> None:
    grows = re.compile(r"\b(?:rate|increase)\((\w+)")
    growing = set(grows.findall(query))

    for read in selectors(query):
        is_counter = str(read.name).endswith(("_total", "_bucket"))
        assert (read.name in growing) == is_counter, query


def test_each_alert_is_played_in_a_situation_that_it_is_for() -> None:
    played = [case for case in SITUATIONS["tests"] if "healthy" not in case["name"]]
    firing = [re.findall(r'alertname="(\w+)"', str(case["promql_expr_test"])) for case in played]

    assert {name for names in firing for name in names} == {each["alert"] for each in ALERTS}
    assert all(len(names) == 1 for names in firing)
    for case in SITUATIONS["tests"]:
        for series in case["input_series"]:
            (read,) = selectors(series["series"])
            labels = {matcher.name for matcher in read.matchers.matchers}
            assert labels <= documented()[base_name(read.name)] | OF_A_SCRAPE | {"le"}, series


@pytest.mark.promtool
def test_promtool_finds_that_each_alert_fires_and_no_other() -> None:
    done = play_alerts(ROOT / "deploy" / "prometheus" / "countersign.tests.yml")
    assert done.returncode == 0, done.stdout + done.stderr
