"""Questions to the review queue, and the answers to bad ones."""

import base64
import time

import pytest

from service.http.problems import Problem
from service.queue.query import Cursor
from service.review.parameters import parse_query

NESTED_CURSOR = base64.urlsafe_b64encode(b'["-last_payment_at",1,"a","",0,0,' + b"[" * 100_001).decode()


def test_nothing_asked_means_the_latest_fifty() -> None:
    query = parse_query({})
    assert (query.sort, query.limit, query.after) == ("-last_payment_at", 50, None)
    assert query.where() == ("1", [])


def test_all_filters_must_hold() -> None:
    where, values = parse_query({"payor": "7", "rule": "structuring", "min_total": "10000.01"}).where()
    assert where == "+total_cents >= ? AND payor = ? AND +rule IN (?)"
    assert values == [1_000_001, 7, "structuring"]


def test_one_of_several_values_must_hold() -> None:
    where, values = parse_query({"status": "open,in_review", "payor": "7"}).where()
    assert where == "+status IN (?, ?) AND payor = ?"
    assert values == ["open", "in_review", 7]


def test_a_subject_matches_where_one_of_its_cases_meets_all_filters_of_cases() -> None:
    query = parse_query({"by": "subject", "payee": "7", "payee_bank": "B", "status": "open"})
    assert query.table == "subjects"
    assert query.where() == (
        "+status IN (?) AND id IN (SELECT subject FROM cases WHERE payee = ? AND payee_bank IN (?, ?))",
        ["open", 7, "B", "B"],
    )


def test_overdue_is_what_fired_before_the_last_day_for_a_report() -> None:
    [condition] = parse_query({"overdue": "true"}, due_ms=0).conditions
    [fired_before] = condition.values
    assert abs(fired_before - time.time() * 1000) < 60_000


@pytest.mark.parametrize(
    "parameters", [{"by": "payor"}, {"by": "subject", "sort": "window_start"}, {"subject_id": "x"}]
)
def test_what_only_one_kind_of_line_has_is_refused_of_the_other(parameters: dict[str, str]) -> None:
    with pytest.raises(Problem):
        parse_query(parameters)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("payor", "x", 422),
        ("payor", "", 422),
        ("payor", "-1", 422),
        ("payor", "1_0", 422),
        ("payor", "٣", 422),
        ("payor", "2147483648", 422),
        ("payor", "9" * 5000, 422),
        ("payee", "1.0", 422),
        ("status", "", 422),
        ("min_total", "NaN", 422),
        ("min_total", "1e3", 422),
        ("min_total", "1.005", 422),
        ("min_total", "-1", 422),
        ("max_total", "Infinity", 422),
        ("max_total", "9" * 17, 422),
        ("window_start_from", "yesterday", 422),
        ("sort", "colour", 422),
        ("sort", "--total", 422),
        ("limit", "0", 422),
        ("limit", "501", 422),
        ("limit", "-1", 422),
        ("cursor", "", 400),
        ("cursor", "not base64!", 400),
        ("cursor", "bm90IGpzb24", 400),
        ("cursor", "ü", 400),
        ("cursor", str(Cursor("total", 1, "a")), 400),
        ("cursor", str(Cursor("-last_payment_at", 2**70, "a")), 400),
        ("cursor", NESTED_CURSOR, 400),
        ("rule", ",".join(["a"] * 501), 422),
        ("colour", "red", 400),
    ],
)
def test_a_bad_parameter_is_named(name: str, value: str, status: int) -> None:
    with pytest.raises(Problem) as caught:
        parse_query({name: value})
    assert caught.value.status == status
    assert caught.value.members["field"] == name
    assert caught.value.members["errors"]
    assert caught.value.members["errors"][0].parameter == name
