"""Recall, precision and delay, counted by hand; and the command on files."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fraud.commands.evaluate import EvaluateSettings, evaluate, read_queue, read_rows
from fraud.evaluation import ORDINARY, Cases, Evaluation, Instance, Score, decode_truth, percentile
from fraud.evaluation import evaluate as judge
from schemas import wire_format
from schemas.case import Case, Group, ListedPayment, encode_case
from schemas.errors import SettingsError

RUN = "aaaaaaaa"


BIG = Case("b", "big", Group(payor_account_no=1), 0, 9, 1, "1.00", 1.0, 1, 1, (ListedPayment("1"),))


def instance(typology: str, *ids: str, expected: tuple[str, ...] = ("big",), crossed_at: int | None = 1000) -> Instance:
    return Instance(typology, expected, tuple(f"{RUN}-{each}" for each in ids), crossed_at, {"payor": 1}, RUN)


def cases(*found: tuple[str, str, int]) -> Cases:
    """Cases of (rule, ids separated by blanks, time)."""
    known = Cases()
    for number, (rule, ids, at_ms) in enumerate(found):
        known.add(str(number), rule, [f"{RUN}-{each}" for each in ids.split()], at_ms)
    return known


def score(evaluation: Evaluation, typology: str, rule: str = "big") -> Score:
    [found] = [
        each for each in (*evaluation.typologies, *evaluation.rules) if (each.typology, each.rule) == (typology, rule)
    ]
    return found


def test_an_instance_is_found_if_a_case_of_its_rule_holds_one_of_its_payments() -> None:
    evaluation = judge(
        [instance("pair", "1", "2"), instance("pair", "3"), instance("pair", "4"), instance("fan", "5", expected=())],
        cases(("big", "1 9", 1200), ("other", "3", 1300)),
    )
    assert (score(evaluation, "pair").expected, score(evaluation, "pair").found) == (3, 1)
    assert score(evaluation, "pair").recall == pytest.approx(1 / 3)
    assert [(missed.rule, missed.payment_ids) for missed in evaluation.missed] == [
        ("big", (f"{RUN}-3",)),
        ("big", (f"{RUN}-4",)),
    ]
    assert evaluation.instances == 4


def test_a_case_is_true_only_if_an_instance_among_its_payments_names_its_rule() -> None:
    evaluation = judge(
        [instance("pair", "1"), instance("fan", "2", expected=("wide",))],
        cases(("big", "1 2", 1000), ("big", "2", 1000), ("big", "7", 1000), ("wide", "2", 1000)),
    )
    assert score(evaluation, "pair").precision == 1.0
    assert (score(evaluation, "fan").cases, score(evaluation, "fan").precision) == (2, 0.0)
    assert (score(evaluation, ORDINARY).cases, score(evaluation, ORDINARY).recall) == (1, None)
    assert score(evaluation, "all").precision == pytest.approx(1 / 3)
    assert score(evaluation, "all", "wide").precision == 1.0
    assert [each.case_id for each in evaluation.false_cases] == ["1", "2"]


def test_cases_of_other_payments_are_none_of_our_business_unless_no_run_is_named() -> None:
    found = cases(("big", "1", 1000))
    found.add("x", "big", ["bbbbbbbb-1"], 1000)
    assert score(judge([instance("pair", "1")], found), "all").cases == 1
    nameless = Instance("pair", ("big",), (f"{RUN}-1",))
    assert score(judge([nameless], found), "all").cases == 2
    assert judge([], found).rules == []


def test_the_delay_is_to_the_first_version_of_the_earliest_case() -> None:
    found = cases(("big", "1", 1500), ("big", "1", 1400))
    found.add("1", "big", [f"{RUN}-1", f"{RUN}-8"], 9000)
    evaluation = judge([instance("pair", "1"), instance("pair", "2", crossed_at=None)], found)
    assert (score(evaluation, "pair").p50_ms, score(evaluation, "pair").p99_ms) == (400, 400)
    assert score(evaluation, "pair").cases == 2


def test_a_percentile_is_the_nearest_rank() -> None:
    assert percentile([], 50) is None
    assert [percentile([3, 1, 2], percent) for percent in (1, 50, 99)] == [1, 2, 3]
    assert percentile(range(1, 201), 99) == 198


def test_a_bad_line_of_the_truth_is_named() -> None:
    with pytest.raises(SettingsError, match=r"truth: line 3: .*expected"):
        decode_truth([b'{"typology":"a","expected":[],"payment_ids":[]}\n', b"\n", b'{"typology":"a"}\n'], "truth")


async def test_the_queue_is_read_with_and_without_its_header_and_what_was_taken_away_is_gone() -> None:
    def record(key: str, value: Case | None, at_ms: int, header: bytes = b"") -> Any:
        content = None if value is None else header + encode_case(value)
        return SimpleNamespace(key=key.encode(), value=content, timestamp=at_ms)

    async def batches() -> AsyncIterator[list[Any]]:
        yield [record("a", BIG, 5), record("b", BIG, 6, wire_format.header(7))]
        yield [record("b", BIG, 8, wire_format.header(7)), record("a", None, 9)]

    found = dict(await read_queue(batches()))
    assert {name: (case.rule, case.payment_ids, case.first_at) for name, case in found.items()} == {
        "b": ("big", frozenset({"1"}), 6)
    }


async def test_records_of_the_queue_that_are_no_cases_are_left_out_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = [b"{}", b"\xff", b"[" * 100_000, b"null", wire_format.header(7)]

    async def batches() -> AsyncIterator[list[Any]]:
        yield [SimpleNamespace(key=b"\xff", value=value, timestamp=1) for value in bad]
        yield [
            SimpleNamespace(key=None, value=bad[0], timestamp=1),
            SimpleNamespace(key=b"a", value=encode_case(BIG), timestamp=1),
        ]

    assert [name for name, _ in await read_queue(batches())] == ["a"]
    assert f"{len(bad) + 1} records of review_queue are no cases" in capsys.readouterr().err


def test_rows_of_one_window_are_one_case() -> None:
    row = {
        "rule": "big",
        "group": {"payor_account_no": 1},
        "window_start": 0,
        "window_end": 10,
        "payment_count": 1,
        "total_amount": "1.00",
        "max_amount": 1.0,
        "payment_ids": ["1"],
        "row_timestamp": 5,
    }
    lines = [row, {**row, "row_timestamp": 7, "payment_ids": ["1", "2"]}, {**row, "window_start": 10}]
    found = [case for _, case in read_rows([json.dumps(each).encode() for each in lines], "rows")]
    assert [(len(case.payment_ids), case.first_at) for case in found] == [(2, 5), (1, 5)]
    with pytest.raises(SettingsError, match="rows: line 1"):
        read_rows([b"{}"], "rows")


def test_a_made_up_history_replayed_is_found_wholly_and_a_blunter_rule_shows_as_recall(tmp_path: Path) -> None:
    truth, rules = tmp_path / "truth.ndjson", tmp_path / "rules.toml"
    rules.write_text(
        Path("fraud/rules.toml").read_text(encoding="utf-8").replace("min_payments = 3", "min_payments = 4"),
        encoding="utf-8",
    )
    made = run("locust/history.py", "--payments", "6000", "--seed", "4", "--truth", str(truth))
    scores = {}
    for name, options in {"shipped": [], "blunt": ["--rules", str(rules)]}.items():
        rows = run("-m", "fraud", "replay", *options, given=made)
        found = json.loads(
            run("-m", "fraud", "evaluate", "--rows", "-", "--truth", str(truth), "--format=json", given=rows)
        )
        scores[name] = {each["rule"]: (each["recall"], each["precision"]) for each in found["rules"]}
    assert set(scores["shipped"].values()) == {(1.0, 1.0)}
    recall, precision = scores["blunt"].pop("just_below")
    assert 0 < recall < 1
    assert precision == 1.0
    assert set(scores["blunt"].values()) == {(1.0, 1.0)}


def run(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run([sys.executable, *arguments], input=given, capture_output=True, check=True).stdout


def test_a_table_has_a_line_for_each_typology_and_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, rows = tmp_path / "truth.ndjson", tmp_path / "rows.ndjson"
    truth.write_text('{"typology":"pair","expected":["big"],"payment_ids":["1"],"crossed_at":5}\n', encoding="utf-8")
    rows.write_bytes(b"")
    assert evaluate(EvaluateSettings(truth=truth), rows=rows) == 0
    shown = capsys.readouterr().out
    assert "missed: big pair" in shown
    assert "0.000" in shown


def test_the_truth_may_come_from_another_container_by_standard_input(tmp_path: Path) -> None:
    rows = tmp_path / "rows.ndjson"
    rows.write_bytes(b"")
    truth = b'{"typology":"pair","expected":["big"],"payment_ids":["1"],"crossed_at":5}'
    output = run("-m", "fraud", "evaluate", "--rows", str(rows), "--truth=-", "--format=json", given=truth)
    assert [(rule["rule"], rule["recall"]) for rule in json.loads(output)["rules"]] == [("big", 0.0)]


def test_a_truth_that_is_not_there_is_an_error_that_ends_with_status_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fraud", "evaluate", "--truth", str(tmp_path / "none"), "--rows", "-"]
    ended = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"cannot be read" in ended.stderr
