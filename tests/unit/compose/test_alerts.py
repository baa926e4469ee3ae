"""Alerts fire when they should, and only then: judged by Prometheus' own `promtool test rules`.

Debian has it in its package `prometheus`.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.compose.test_monitoring import ADDED, BY_PROMETHEUS, LABELS, RULES, selectors

MINUTES = 90
"""Length of each example; one sample a minute, so that `0+1x90` grows by one a minute."""

POSTS = 'underten_http_request_seconds_count{method="POST", route="/payment_json", status="%s"}'
PROBES = 'underten_http_request_seconds_count{method="GET", route="%s", status="%s"}'
UNREADY = {PROBES % ("/health/ready", 503): "0+4x90", PROBES % ("/metrics", 503): "0+4x90"}
LAG = 'underten_lag_records{stage="by-payor", topic="payments", partition="0"}'
RESTORE_SECONDS = 'underten_restore_seconds_sum{stage="by-payor"}'
RESTORES = 'underten_restore_seconds_count{stage="by-payor"}'


def histogram(name: str, labels: str, bound: str, percent: int) -> dict[str, str]:
    """A hundred observations a minute, so many of them at most `bound`, the others at most ten times as much."""
    shares = {bound: percent, str(10 * float(bound)): 100, "+Inf": 100}
    return {f'{name}_bucket{{{labels}, le="{le}"}}': f"0+{share}x90" for le, share in shares.items()}


def payments_in_time(percent: int) -> dict[str, str]:
    labels = 'method="POST", route="/payment_json", status="201"'
    return histogram("underten_http_request_seconds", labels, "1.0", percent)


def cases_in_time(percent: int) -> dict[str, str]:
    return histogram("underten_case_age_seconds", 'rule="fan_in"', "30.0", percent)


def commits_in_time(percent: int) -> dict[str, str]:
    return histogram("underten_commit_seconds", 'stage="by-payor"', "1.0", percent)


FIRING = {
    "ServiceDown": [{'up{job="service"}': "0x90"}],
    "FraudDown": [{'up{job="fraud"}': "0x90"}],
    "KafkaUnreachable": [{"underten_kafka_connected": "0x90"}],
    "SchemasNotRegistered": [{"underten_schemas_registered": "0x90"}],
    "StageWithoutTasks": [{'underten_tasks{stage="by-payor"}': "0x90"}],
    "VersionsDiffer": [{f'underten_build_info{{version="{version}"}}': "1x90" for version in ("1.0.0", "1.1.0")}],
    "RequestsFail": [
        {POSTS % 201: "0+98x90", POSTS % 503: "0+2x90"},
        # A hundred probes for each payment do not hide that payments fail.
        {POSTS % 201: "0+98x90", POSTS % 503: "0+2x90", PROBES % ("/health/live", 200): "0+9999x90"},
    ],
    "PaymentsSlow": [payments_in_time(98)],
    "OutcomeUnknown": [{'underten_payments_total{topic="payment_json", outcome="outcome-unknown"}': "0x88 1 1"}],
    "TooManyInFlight": [{'underten_payments_total{topic="payment_json", outcome="too-many-in-flight"}': "0+1x90"}],
    "ProducersReplaced": [{"underten_producers_replaced_total": "0+1x90"}],
    "ReceiptsLost": [{"underten_receipts_lost_total": "0x80 1x10"}],
    "LagGrows": [{LAG: "10000+100x90"}],
    "CasesLate": [cases_in_time(94)],
    "SessionsRestart": [{'underten_sessions_total{stage="by-payor"}': "0+1x90"}],
    "CommitsSlow": [commits_in_time(90)],
    "RestoresSlow": [{RESTORE_SECONDS: "0+70x90", RESTORES: "0+1x90"}],
    "RecordsRejected": [{'underten_records_rejected_total{topic="payment_json"}': "0x80 1x10"}],
    "PaymentsLate": [{'underten_payments_late_total{rule="fan_in"}': "0x80 1x10"}],
    "QueueViewBehind": [{"underten_review_queue_ready": "0x90"}, {"underten_review_queue_lag": "10001x90"}],
    "QueueRecordsNotUnderstood": [{"underten_review_queue_bad_records_total": "0x80 1x10"}],
    "ViewingsLost": [{"underten_viewings_lost_total": "0x80 1x10"}],
    "ReportsOverdue": [{"underten_subjects_overdue": "1x90"}],
    "EnginesDisagree": [
        {f'underten_comparison_windows{{rule="fan_in", kind="{kind}"}}': "1x90"}
        for kind in ("only_python", "only_ksqldb", "different")
    ],
    "EnginesNotCompared": [{"underten_engines_caught_up": "0x90"}],
    "MemoryHigh": [{'process_resident_memory_bytes{job="fraud"}': "900000001x90"}],
}

QUIET = {
    "ServiceDown": [{'up{job="service"}': "1x80 0 1x9"}, {'up{job="another"}': "0x90"}],
    "FraudDown": [{'up{job="fraud"}': "1x80 0 1x9"}],
    "KafkaUnreachable": [{"underten_kafka_connected": "1x90"}],
    "SchemasNotRegistered": [{"underten_schemas_registered": "1x90"}],
    "StageWithoutTasks": [
        {
            'underten_tasks{stage="by-payor", instance="a"}': "0x90",
            'underten_tasks{stage="by-payor", instance="b"}': "6x90",
        }
    ],
    "VersionsDiffer": [
        {f'underten_build_info{{version="1.0.0", instance="{instance}"}}': "1x90" for instance in ("a", "b")}
    ],
    "RequestsFail": [UNREADY, {**UNREADY, POSTS % 201: "0+100x90"}, {POSTS % 201: "0+99x90", POSTS % 503: "0+1x90"}],
    "PaymentsSlow": [payments_in_time(99)],
    "OutcomeUnknown": [{'underten_payments_total{topic="payment_json", outcome="acknowledged"}': "0+1x90"}],
    "TooManyInFlight": [{'underten_payments_total{topic="payment_json", outcome="too-many-in-flight"}': "1x90"}],
    "ProducersReplaced": [{"underten_producers_replaced_total": "0x80 3x10"}],
    "ReceiptsLost": [{"underten_receipts_lost_total": "7x90"}],
    "LagGrows": [
        {LAG: "90000-100x90"},
        {LAG: "0+100x90"},
    ],
    "CasesLate": [cases_in_time(96)],
    "SessionsRestart": [{'underten_sessions_total{stage="by-payor"}': "0x80 5x10"}],
    "CommitsSlow": [commits_in_time(96)],
    "RestoresSlow": [{RESTORE_SECONDS: "0+50x90", RESTORES: "0+1x90"}],
    "RecordsRejected": [{'underten_records_rejected_total{topic="payment_json"}': "7x90"}],
    "PaymentsLate": [{'underten_payments_late_total{rule="fan_in"}': "7x90"}],
    "QueueViewBehind": [{"underten_review_queue_ready": "1x90", "underten_review_queue_lag": "10000x90"}],
    "QueueRecordsNotUnderstood": [{"underten_review_queue_bad_records_total": "7x90"}],
    "ViewingsLost": [{"underten_viewings_lost_total": "7x90"}],
    "ReportsOverdue": [{"underten_subjects_overdue": "0x90"}],
    "EnginesDisagree": [
        {f'underten_comparison_windows{{rule="fan_in", kind="{kind}"}}': "7x90" for kind in ("equal", "late")}
    ],
    "EnginesNotCompared": [{"underten_engines_caught_up": "0x60 1 0x10 1 0x10 1"}],
    "MemoryHigh": [
        {'process_resident_memory_bytes{job="fraud"}': "900000000x90"},
        {'process_resident_memory_bytes{job="kafka"}': "900000001x90"},
    ],
}

EXAMPLES = [
    *((alert, [alert], series) for alert, examples in FIRING.items() for series in examples),
    *((alert, [], series) for alert, examples in QUIET.items() for series in examples),
]


def test_each_alert_has_examples_in_which_it_fires_and_in_which_it_does_not() -> None:
    names = [rule["alert"] for rule in RULES]
    assert list(FIRING) == list(QUIET) == names


@pytest.mark.parametrize(("alert", "firing", "series"), EXAMPLES)
def test_an_example_is_of_series_and_labels_that_there_are(
    alert: str, firing: list[str], series: dict[str, str]
) -> None:
    for selector in (selector for name in series for selector in selectors(name)):
        assert selector.name in LABELS or selector.name in BY_PROMETHEUS or selector.name.startswith("process_")
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= LABELS.get(selector.name, set()) | ADDED


with_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here (Debian: apt install prometheus)"
)


@with_promtool
def test_prometheus_fires_in_each_example_its_alert_and_no_other(tmp_path: Path) -> None:
    alerts = Path("compose/prometheus/alerts.yml").resolve()
    examples = [as_promtool_has_it(*example) for example in EXAMPLES]
    file = tmp_path / "examples.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(alerts)], "evaluation_interval": "1m", "tests": examples}))
    verdict = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def as_promtool_has_it(alert: str, firing: list[str], series: dict[str, str]) -> dict[str, Any]:
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    example = f"{alert} {'fires' if firing else 'is quiet'} at {series}"
    expression = f'group by (alertname) (ALERTS{{alertstate="firing"}}) # {example}'  # a failure shows it
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": f"{MINUTES}m", "exp_samples": samples}],
    }


@with_promtool
def test_prometheus_takes_its_configuration_also_with_each_line_that_is_commented_out(tmp_path: Path) -> None:
    text = Path("compose/prometheus/prometheus.yml").read_text(encoding="utf-8")
    uncommented, lines = re.subn(r"^( *)#(?=\w)", r"\1", text, flags=re.MULTILINE)
    assert lines == 2
    assert {"alerting", "scrape_configs"} <= set(yaml.safe_load(uncommented))
    file = tmp_path / "prometheus.yml"
    for content in (text, uncommented):
        file.write_text(content)
        command = ["promtool", "check", "config", "--syntax-only", file]
        verdict = subprocess.run(command, capture_output=True, text=True, check=False)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
