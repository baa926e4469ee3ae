"""Metrics, alerts, dashboard and the operator's page agree with each other, and with what the processes expose."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Metric
from prometheus_client.samples import Sample

import fraud.streams.metrics  # noqa: F401 - registers what a worker counts
from fraud.detection import metrics
from fraud.detection.detect import stages
from fraud.rules import load
from schemas.kafka.topics import PAYMENTS, PAYMENTS_BY_PAYEE, RAW_TOPICS
from schemas.registry import Registry, RegistrySettings
from service.metrics import Metrics
from service.producer.outcomes import NotDelivered
from service.queue.decisions import DecisionKind
from tests.unit.compose.test_files import LOCAL, container, listeners

ALERTS = yaml.safe_load(Path("compose/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"]
RULES = [rule for group in ALERTS for rule in group["rules"]]
DASHBOARD = json.loads(Path("compose/grafana/dashboards/underten.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PAGE = Path("docs/operations.md").read_text(encoding="utf-8")
BY_PROMETHEUS = {"up"}
"""Series that Prometheus makes itself."""
ADDED = {"job", "instance", "le"}
"""Labels that Prometheus adds, and those of every histogram."""


class Exposed(NamedTuple):
    """A metric of a process of ours."""

    metric: Metric
    labels: frozenset[str]
    names: frozenset[str]


def exposed_by(registry: CollectorRegistry) -> Iterator[Exposed]:
    """Metrics of a registry; of labels also those of metrics that have no series yet."""
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    for collector in list(registry._collector_to_names):
        for metric in collector.collect():
            names = frozenset(metric.name + ending for ending in endings.get(metric.type, ("",)))
            yield Exposed(metric, frozenset(getattr(collector, "_labelnames", ())), names)


EXPOSED = [*exposed_by(REGISTRY), *exposed_by(Metrics()._registry)]
OURS = [exposed for exposed in EXPOSED if exposed.metric.name.startswith("underten_")]
LABELS: dict[str, set[str]] = {name: set() for exposed in EXPOSED for name in exposed.names}
for exposed in EXPOSED:
    for name in exposed.names:
        LABELS[name] |= exposed.labels
EXPRESSIONS = [
    *((f"alert {rule['alert']}", rule["expr"]) for rule in RULES),
    *((f"panel {panel['title']}", target["expr"]) for panel in PANELS for target in panel["targets"]),
]


def test_every_metric_has_a_help_text_and_a_name_as_prometheus_wants_it() -> None:
    assert OURS
    for exposed in OURS:
        assert len(exposed.metric.documentation.split()) >= 2, exposed.metric.name
        assert re.fullmatch(r"underten(_[a-z]+)+", exposed.metric.name)
        assert not re.search(r"_(ms|millis\w*|minutes|kb|mb|percent|total)$", exposed.metric.name)


def selectors(expression: str) -> list[Any]:
    """The series that an expression reads; raises ValueError where it is no PromQL."""
    series: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            series.append(node)

    promql_parser.walk(promql_parser.parse(expression.replace("$__rate_interval", "1m")), visit)
    return series


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_each_expression_is_promql_of_series_and_labels_that_there_are(where: str, expression: str) -> None:
    read = selectors(expression)
    assert read
    for selector in read:
        assert selector.name in LABELS or selector.name in BY_PROMETHEUS, where
        used = {matcher.name for matcher in selector.matchers.matchers}
        assert used <= LABELS.get(selector.name, set()) | ADDED, where
    grouped = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(",")}
    assert grouped <= set().union(*(LABELS.get(selector.name, set()) for selector in read)) | ADDED, where


def test_a_wrong_expression_or_series_would_be_found() -> None:
    with pytest.raises(ValueError, match=r".+"):
        selectors("sum by (stage) (rate(underten_commits_total[5m])")
    assert next(selector.name for selector in selectors("rate(underten_commits[1m])")) not in LABELS


def test_each_alert_has_what_an_alert_needs_and_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert (
            labels <= set().union(*(LABELS.get(selector.name, set()) for selector in selectors(rule["expr"]))) | ADDED
        )
        grouping = re.match(r"sum by \((\w+)\)", rule["expr"])
        assert grouping is None or labels <= {grouping[1]}


def test_whatever_is_watched_for_increases_begins_at_0() -> None:
    for stage in stages(load(), Registry(RegistrySettings()), 0).values():
        stage.processor(0, dict.fromkeys((*stage.inputs, *stage.outputs), 1))
    rejected = {sample.labels["topic"] for sample in samples(metrics.REJECTED)}
    assert rejected >= {*RAW_TOPICS, PAYMENTS, PAYMENTS_BY_PAYEE}
    for counter in (metrics.LATE, metrics.REPEATED, metrics.CASES):
        assert {sample.labels["rule"] for sample in samples(counter)} >= {rule.name for rule in load()}
    outcomes = {sample.labels["outcome"] for sample in samples(Metrics()._payments)}
    kinds = {NotDelivered}
    while more := {sub for kind in kinds for sub in kind.__subclasses__()} - kinds:
        kinds |= more
    assert outcomes >= {kind.kind for kind in kinds}
    decisions = [sample for sample in samples(Metrics()._decisions) if sample.name == "underten_decisions_total"]
    assert {sample.labels["decision"]: sample.value for sample in decisions} == dict.fromkeys(get_args(DecisionKind), 0)


def samples(counter: Counter) -> list[Sample]:
    return [sample for metric in counter.collect() for sample in metric.samples]


def test_each_alert_has_a_section_and_each_section_is_an_alert() -> None:
    chapter = PAGE.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$", chapter, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_each_metric_in_the_pages_is_there() -> None:
    for path in (Path("README.md"), *Path("docs").glob("*.md")):
        page = path.read_text(encoding="utf-8")
        named = set(re.findall(r"\bunderten_[a-z_]+\b", page)) - {"underten_session"}
        assert named <= {*LABELS, *(exposed.metric.name for exposed in OURS if exposed.metric.type == "histogram")}


def test_each_metric_is_on_the_dashboard() -> None:
    shown = {exposed.name for _, expression in EXPRESSIONS for exposed in selectors(expression)}
    assert [exposed.metric.name for exposed in OURS if not exposed.names & shown] == []


def test_each_panel_says_what_it_shows_reads_the_data_source_that_is_made_and_overlaps_no_other() -> None:
    [source] = provisioned("datasources/prometheus.yml")["datasources"]
    occupied: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["description"].endswith(".")
        assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == {
            source["uid"]
        }
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & occupied
        occupied |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def provisioned(name: str) -> Any:
    return yaml.safe_load(Path("compose/grafana/provisioning", name).read_text(encoding="utf-8"))


def test_prometheus_and_grafana_find_each_other_their_files_and_our_processes() -> None:
    config = yaml.safe_load(Path("compose/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    targets = [at for job in config["scrape_configs"] for group in job["static_configs"] for at in group["targets"]]
    [source] = provisioned("datasources/prometheus.yml")["datasources"]
    for at in (*targets, source["url"].removeprefix("http://")):
        host, _, port = at.partition(":")
        assert int(port) in listeners(LOCAL, host)
    assert {job["job_name"] for job in config["scrape_configs"]} == {"service", "fraud"}
    inside = {mount.split(":")[1]: mount.split(":")[0] for mount in container(LOCAL, "prometheus")["volumes"]}
    for file in (*config["rule_files"], container(LOCAL, "prometheus")["command"][0].partition("=")[2]):
        assert Path("compose", inside["/etc/prometheus"], Path(file).name).is_file()
    [provider] = provisioned("dashboards/underten.yml")["providers"]
    inside = {mount.split(":")[1]: mount.split(":")[0] for mount in container(LOCAL, "grafana")["volumes"]}
    assert Path("compose", inside[provider["options"]["path"]], "underten.json").is_file()


def test_nobody_can_sign_in_to_grafana_with_a_password_that_everybody_knows() -> None:
    variables = container(LOCAL, "grafana")["environment"]
    assert variables["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == variables["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert variables["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in variables
