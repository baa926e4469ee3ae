"""The service's figures, as Prometheus reads them."""

import pytest

import schemas
from service.metrics import COUNTS, LEAST, SUMS, Metrics


def lines(metrics: Metrics) -> set[str]:
    return set(metrics.exposition().decode().splitlines())


def test_payments_are_counted_by_topic_and_outcome() -> None:
    metrics = Metrics()
    metrics.count_payments("payment_json", "acknowledged", 3)
    metrics.count_payments("payment_json", "acknowledged")
    assert 'underten_payments_total{outcome="acknowledged",topic="payment_json"} 4.0' in lines(metrics)
    assert 'underten_payments_total{outcome="too-large",topic="payment_avro"} 0.0' in lines(metrics)


def test_requests_are_counted_by_method_route_and_status_with_their_time() -> None:
    metrics = Metrics()
    for seconds in (0.002, 0.2):
        metrics.count_request("GET", "/status", 200, seconds)
    labels = 'method="GET",route="/status",status="200"'
    assert f"underten_http_request_seconds_count{{{labels}}} 2.0" in lines(metrics)
    assert f'underten_http_request_seconds_bucket{{le="0.005",{labels}}} 1.0' in lines(metrics)


def test_what_is_counted_elsewhere_only_grows_by_what_is_new() -> None:
    metrics = Metrics()
    for total in (3, 3, 5):
        metrics.count_up_to({"underten_connections_refused": total})
    assert "underten_connections_refused_total 5.0" in lines(metrics)


@pytest.mark.parametrize("name", [*SUMS, *LEAST])
def test_a_gauge_says_how_things_stand(name: str) -> None:
    metrics = Metrics()
    metrics.set_gauges({name: 7})
    metrics.set_gauges({name: 1})
    assert f"{name} 1.0" in lines(metrics)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_begin_at_0(name: str) -> None:
    assert f"{name}_total 0.0" in lines(Metrics())


def test_the_queue_and_the_engines_are_told_by_status_rule_and_name() -> None:
    metrics = Metrics()
    metrics.set_cases({"open": 2})
    metrics.set_subjects({"open": 1, "cleared": 4}, overdue=1)
    metrics.set_comparison({"velocity": {"equal": 9, "late": 0}})
    metrics.set_engine("ksqlDB", 12)
    metrics.set_engine("ksqlDB", None)
    metrics.count_decision("clear")
    assert lines(metrics) >= {
        'underten_cases{status="open"} 2.0',
        'underten_subjects{status="cleared"} 4.0',
        "underten_subjects_overdue 1.0",
        'underten_comparison_windows{kind="equal",rule="velocity"} 9.0',
        'underten_second_engine_lag{engine="ksqlDB"} 12.0',
        'underten_decisions_total{decision="clear"} 1.0',
        f'underten_build_info{{version="{schemas.__version__}"}} 1.0',
    }


def test_two_applications_do_not_count_together() -> None:
    first, second = Metrics(), Metrics()
    first.count_decision("clear")
    assert 'underten_decisions_total{decision="clear"} 0.0' in lines(second)
