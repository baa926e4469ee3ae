"""`fraud evaluate` on files, on records of the queue, and beside the shipped rules."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fraud.commands.evaluate import EvaluateSettings, evaluate, read_queue, read_rows
from schemas import wire_format
from schemas.errors import SettingsError
from tests.unit.fraud.commands.test_replay import csv_line

PATTERN = b'{"kind":"pattern","typology":"pair","crime":true,"payment_ids":["1"],"completed_at":5}'
ROW = {
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
CASE: dict[str, Any] = {
    "case_id": "b",
    "rule": "big",
    "group": {"payor_account_no": 1},
    "window_start": 0,
    "window_end": 10,
    "payment_count": 1,
    "total_amount": "1.00",
    "max_amount": 1.0,
    "first_payment_at": 1,
    "last_payment_at": 1,
    "payments": [{"id": "1"}],
}


async def test_the_queue_is_read_with_and_without_its_header_and_what_was_taken_away_is_gone() -> None:
    def record(key: str, value: dict[str, Any] | None, at_ms: int, header: bytes = b"") -> Any:
        content = None if value is None else header + json.dumps(value).encode()
        return SimpleNamespace(key=key.encode(), value=content, timestamp=at_ms)

    async def batches() -> AsyncIterator[list[Any]]:
        yield [record("a", CASE, 5), record("b", CASE, 6, wire_format.header(7))]
        yield [record("b", CASE, 8, wire_format.header(7)), record("a", None, 9)]

    cases_by_id = dict(await read_queue(batches()))
    assert {name: (case.rule, case.subject, case.payment_ids) for name, case in cases_by_id.items()} == {
        "b": ("big", ("payor", 1), ("1",))
    }
    assert [version.written_at for version in cases_by_id["b"].versions] == [6, 8]


async def test_records_of_the_queue_that_are_no_cases_are_left_out_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = [b"{}", b"\xff", b"[" * 100_000, b"null", wire_format.header(7)]

    async def batches() -> AsyncIterator[list[Any]]:
        yield [SimpleNamespace(key=b"\xff", value=value, timestamp=1) for value in bad]
        good = json.dumps(CASE).encode()
        yield [SimpleNamespace(key=None, value=bad[0], timestamp=1), SimpleNamespace(key=b"a", value=good, timestamp=1)]

    assert [name for name, _ in await read_queue(batches())] == ["a"]
    assert f"{len(bad) + 1} records of review_queue are no cases" in capsys.readouterr().err


def test_rows_of_one_window_are_one_case() -> None:
    lines = [ROW, {**ROW, "row_timestamp": 7, "payment_ids": ["1", "2"]}, {**ROW, "window_start": 10}]
    cases_of_rows = [case for _, case in read_rows([json.dumps(row).encode() for row in lines], "rows")]
    assert [(case.payment_ids, len(case.versions)) for case in cases_of_rows] == [(("1", "2"), 2), (("1",), 1)]


@pytest.mark.parametrize("line", [b"{}", b"\xff", b'{"more": ' + b"[" * 5_000])
def test_a_line_that_is_no_row_is_named(line: bytes) -> None:
    with pytest.raises(SettingsError, match="rows: line 2"):
        read_rows([json.dumps(ROW).encode(), line], "rows")


def run(*arguments: str, standard_input: bytes = b"") -> bytes:
    return subprocess.run([sys.executable, *arguments], input=standard_input, capture_output=True, check=True).stdout


def test_blunter_rules_beside_the_shipped_ones_show_what_is_lost_and_which_accounts_are_spared(tmp_path: Path) -> None:
    truth, rules, past = tmp_path / "truth.ndjson", tmp_path / "rules.toml", tmp_path / "past.ndjson"
    shipped = Path("fraud/rules.toml").read_text(encoding="utf-8")
    rules.write_text(shipped.replace("min_payments = 10", "min_payments = 40"), encoding="utf-8")
    past.write_bytes(run("locust/history.py", "--payments", "6000", "--seed", "4", "--truth", str(truth)))
    rows = run("-m", "fraud", "replay", "--rules", str(rules), str(past))
    evaluate = ["-m", "fraud", "evaluate", "--rows", "-", "--payments", str(past), "--truth", str(truth)]
    trial = json.loads(run(*evaluate, "--format=json", standard_input=rows))
    assert {one["typology"] for one in trial["lost"]} == {"burst"}
    assert trial["won"] == []
    assert trial["subjects_more"] == []
    assert {rule for one in trial["subjects_fewer"] for rule in one["rules"]} == {"velocity"}
    assert trial["trial"]["total"]["recall"]["value"] < trial["shipped"]["total"]["recall"]["value"]
    assert trial["shipped"]["total"]["payments"] == 6000
    shown = run(*evaluate, standard_input=rows).decode()
    assert f"lost: {len(trial['lost'])} crimes\n  burst of " in shown
    assert "the shipped rules alone make cases of" in shown


def test_a_banks_own_past_is_tried_without_a_truth(tmp_path: Path) -> None:
    past, rows = tmp_path / "past.csv", tmp_path / "rows.ndjson"
    past.write_text(csv_line() + "".join(csv_line(payment_amount="4000.01", offset=at) for at in range(3)))
    rows.write_bytes(b"")
    command = ["-m", "fraud", "evaluate", "--rows", str(rows), "--payments", str(past), "--no-truth"]
    trial = json.loads(run(*command, "--format=json"))
    assert trial["trial"]["total"]["cases"] == 0
    assert trial["shipped"]["total"]["payments"] == 3
    assert trial["shipped"]["total"]["cases_a_day"] == 4 / 3 * 100_000
    [spared] = trial["subjects_fewer"]
    assert spared == {"subject": ["payor", 100], "rules": ["structuring", "structuring_rolling"], "cases": 4}


def test_a_table_has_a_line_for_each_typology_and_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, rows = tmp_path / "truth.ndjson", tmp_path / "rows.ndjson"
    truth.write_bytes(PATTERN)
    rows.write_bytes(json.dumps({**ROW, "payment_ids": ["9"]}).encode())
    assert evaluate(EvaluateSettings(truth=truth), rows=rows) == 0
    shown = capsys.readouterr().out
    assert "missed: pair of 1 payments" in shown
    assert "false: big case" in shown
    assert "0 of 1 crimes found (0.000 (0.00 to 0.79)); 1 cases of 1 accounts" in shown


def test_the_truth_may_come_from_another_container_by_standard_input(tmp_path: Path) -> None:
    rows = tmp_path / "rows.ndjson"
    rows.write_bytes(b"")
    output = run("-m", "fraud", "evaluate", "--rows", str(rows), "--truth=-", "--format=json", standard_input=PATTERN)
    assert json.loads(output)["total"]["recall"]["value"] == 0.0


def test_a_truth_that_is_not_there_is_an_error_that_ends_with_status_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fraud", "evaluate", "--truth", str(tmp_path / "none"), "--rows", "-"]
    ended = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"cannot be read" in ended.stderr


def test_a_truth_that_says_nothing_is_an_error_that_shows_the_way_to_do_without(tmp_path: Path) -> None:
    truth, rows = tmp_path / "truth.ndjson", tmp_path / "rows.ndjson"
    rows.write_bytes(json.dumps(ROW).encode())
    truth.write_bytes(b"\n")
    with pytest.raises(SettingsError, match="--no-truth"):
        evaluate(EvaluateSettings(truth=truth), rows=rows)
    assert evaluate(EvaluateSettings(truth=truth), rows=rows, unknown=True) == 0


def test_without_a_truth_no_case_is_shown_as_false(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.ndjson"
    rows.write_bytes(json.dumps(ROW).encode())
    assert evaluate(EvaluateSettings(), rows=rows, unknown=True) == 0
    shown = capsys.readouterr().out
    assert "1 cases of 1 accounts" in shown
    assert "false:" not in shown
    assert "0.000" not in shown
