"""`fraud replay`: what comes in, what comes out, and what is said of what cannot be used."""

import io
import json
import subprocess
import sys
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from fraud.commands.replay import replay, summary, with_progress
from fraud.payment_files import MAX_LINE_BYTES, RecordedPayment, decode_line, read_lines
from fraud.replay import Replay
from fraud.rules import Emit, load, parse
from schemas.errors import PaymentError, SettingsError
from schemas.payment import LATEST
from tests import golden

NOON = 1_795_392_000_000
HOUR = 3_600_000
RULES = """
[[rule]]
name = "by_payor"
group_by = ["payor_account_no"]
window = "1h"
grace = "0s"
min_payments = 2

[[rule]]
name = "by_payee"
group_by = ["payee_bank", "payee_account_no"]
window = "1h"
grace = "0s"
min_payments = 2
"""
GOOD = {
    "topic": "payments",
    "partition": 0,
    "offset": 0,
    "timestamp": NOON,
    "payee_bank": "First National",
    "payee_account_no": 200,
    "payment_amount": 4000.01,
    "payment_method": "ACH",
    "payor_account_no": 100,
}


_ids = count()


def line(**changes: Any) -> bytes:
    return json.dumps({**GOOD, "id": str(UUID(int=next(_ids))), **changes}).encode() + b"\n"


def replayed(
    lines: Iterable[bytes], rules: str = RULES, emit: Emit = "changes"
) -> tuple[Replay, list[tuple[str, int]]]:
    """The replay, and per row its rule and count of payments."""
    replaying = Replay(parse(rules, "test.toml"), emit)
    return replaying, [(row.rule, row.payment_count) for line in lines for row in replaying.add(decode_line(line))]


# Payments that come again


def test_a_payment_that_comes_again_counts_once_by_payor_and_by_payee_and_is_told_in_the_summary() -> None:
    lines = [line(), line(), line(timestamp=NOON + 1), line(timestamp=NOON + 2)]
    replaying, rows = replayed([lines[0], *lines[1:3], lines[1], lines[0], lines[3]])
    assert rows == [(rule, number) for number in (2, 3, 4) for rule in ("by_payor", "by_payee")]
    assert (replaying.payments, replaying.repeated_payments) == (6, 2)
    assert "sent again, and counted once: 2" in summary(replaying, 0)


def test_another_payment_with_an_id_that_was_counted_counts_in_no_window_and_moves_stream_time() -> None:
    first, again = line(id=str(UUID(int=7))), line(id=str(UUID(int=7)), payment_amount=1.0, timestamp=NOON + HOUR - 1)
    replaying, rows = replayed([first, again, line(timestamp=NOON + HOUR), line(timestamp=NOON + 1)])
    assert rows == []
    assert replaying.late == {"by_payor": 1, "by_payee": 1}


def test_an_id_counts_again_once_no_window_holds_the_first_one() -> None:
    first = line(id=str(UUID(int=7)))
    replaying, rows = replayed([first, line(id=str(UUID(int=7)), timestamp=NOON + HOUR), line(timestamp=NOON + HOUR)])
    assert rows == [("by_payor", 2), ("by_payee", 2)]
    assert replaying.repeated_payments == 0


# Rows


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize(
    ("window", "emit"),
    [("tumbling_1h_grace_10m", "changes"), ("tumbling_1h_grace_10m", "final"), ("hopping_1h_15m_grace_10m", "changes")],
)
def test_the_command_writes_the_rows_of_ksqldb_in_order(
    name: str, window: str, emit: Emit, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    rules, payments = tmp_path / "rules.toml", tmp_path / "payments.ndjson"
    rules.write_text(golden.rules_toml(window), encoding="utf-8")
    payments.write_bytes(b"".join(golden.lines(f"{name}.payments")))
    assert replay(payments, rules=rules, emit=emit) == 0
    by_rule: dict[str, list[Any]] = {}
    for text in capfdbinary.readouterr().out.splitlines():
        row = json.loads(text)
        by_rule.setdefault(row["rule"], []).append(row)
    recorded = golden.recorded(name)
    assert by_rule == {rule: recorded[window, emit, rule] for rule in by_rule}
    assert len(by_rule) == 5


def test_a_row_has_its_fields_in_order_and_the_total_as_text(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    file, rules = tmp_path / "payments.ndjson", tmp_path / "rules.toml"
    one, two = (f"6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5{digit}" for digit in "bc")
    second = line(id=two, payment_amount=0.02, timestamp=NOON + 1000)
    file.write_bytes(line(id=one, payment_amount=9999.99) + second)
    rules.write_text(RULES.partition("\n\n")[0], encoding="utf-8")
    assert replay(file, rules=rules) == 0
    assert capfdbinary.readouterr().out.decode() == (
        '{"rule":"by_payor","group":{"payor_account_no":100},"window_start":1795392000000,"window_end":1795395600000,'
        '"payment_count":2,"total_amount":"10000.01","max_amount":9999.99,'
        '"payment_ids":["6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b","6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5c"],'
        '"row_timestamp":1795392001000}\n'
    )


def test_the_last_row_of_every_window_is_ksqldbs_when_payments_come_from_three_topics() -> None:
    """Eighteen partitions of raw topics here, repartitioned by ksqlDB there: groups must not be torn apart.

    ksqlDB caught up with three topics at once, each at its own pace: for `velocity`, whose windows close after 70
    minutes, most payments were late, so that it has only 4 of the 41 windows. Those are equal.
    """
    rules = parse((golden.HERE / "three-formats.rules.toml").read_text(encoding="utf-8"), "three-formats")
    replaying = Replay(rules, "changes")
    python_rows = {}
    for line in golden.lines("three-formats.payments"):
        for row in replaying.add(decode_line(line)):
            key = row.rule, tuple(row.group.values()), row.window_start
            python_rows[key] = (
                row.payment_count,
                row.total_amount,
                row.max_amount,
                sorted(row.payment_ids),
                row.window_end,
            )
    ksqldb_rows = golden.last_rows_of_three_formats()
    assert replaying.late_payments == 0
    assert {key: python_rows.get(key) for key in ksqldb_rows} == ksqldb_rows
    assert {key[0] for key in python_rows.keys() - ksqldb_rows.keys()} == {"velocity"}


def test_final_emits_a_window_once_it_has_closed_and_not_before() -> None:
    payments = [line(), line(), line(timestamp=NOON + HOUR - 1)]
    assert replayed(payments, emit="final")[1] == []
    closing = line(timestamp=NOON + HOUR, payor_account_no=7)
    assert replayed([*payments, closing], emit="final")[1] == [("by_payor", 3), ("by_payee", 3)]


# Tasks


def test_stream_time_is_per_partition_of_the_topic_that_a_rule_reads() -> None:
    ahead = line(timestamp=NOON + 9 * HOUR, partition=1, payor_account_no=7)
    counted, rows = replayed([ahead, line(), line()])
    assert rows == [("by_payor", 2)]
    assert counted.late == {"by_payee": 2}


def test_lines_of_other_topics_are_one_task_so_that_groups_stay_whole() -> None:
    payments = [
        line(topic="payments", partition=0, payor_account_no=1),
        line(topic="payments", partition=5, payor_account_no=2),
    ]
    assert replayed(payments)[1] == [("by_payee", 2)]
    raw = [line(topic="payment_json", partition=0), line(topic="payment_avro", partition=3)]
    assert replayed(raw)[1] == [("by_payor", 2), ("by_payee", 2)]


def test_a_payment_late_for_several_windows_is_counted_once_per_window_and_once_as_a_payment() -> None:
    counted, _ = replayed([line(timestamp=NOON + HOUR), line()], RULES.replace("grace", 'advance = "30m"\ngrace'))
    assert counted.late == {"by_payor": 2, "by_payee": 2}
    assert (counted.payments, counted.late_payments) == (2, 1)


def test_closed_windows_leave_memory() -> None:
    counted, _ = replayed(line(timestamp=NOON + hour * HOUR, payor_account_no=hour) for hour in range(1000))
    assert counted.open_windows() == {"by_payor": 1, "by_payee": 1}


# Lines


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b"\xff", "malformed"),
        (b'{"topic": "payments"}', "missing"),
        (line(topic=""), "topic: "),
        (line(topic="t" * 250), "topic: "),
        (line(partition=-1), "partition: "),
        (line(partition="0"), "partition: "),
        (line(offset=-1), "offset: "),
        (line(offset=2**63), "offset: "),
        (line(offset=1.5), "offset: "),
        (line(timestamp=-1), "timestamp: "),
        (line(timestamp=LATEST + 1), "timestamp: "),
        (line(timestamp=NOON * 1000), "timestamp: "),
        (line(timestamp="2026-11-23T12:00:00Z"), "timestamp: "),
        (line(timestamp=None), "timestamp: "),
        (line(id="x"), "id: must be a UUID"),
        (line(payment_amount=0), "payment_amount: "),
        (line(payment_amount=1.001), "payment_amount: at most two decimals"),
        (line(payor_account_no=-1), "payor_account_no: "),
        (line(payee_bank=" "), "payee_bank: must not be blank"),
    ],
)
def test_a_bad_line_is_told_by_its_field(bad: bytes, reason: str) -> None:
    with pytest.raises(PaymentError) as caught:
        decode_line(bad)
    assert reason in str(caught.value)


def test_a_line_may_hold_more_than_it_must() -> None:
    assert isinstance(decode_line(line(source="payment_json", key="100")), RecordedPayment)


def test_a_line_that_is_too_long_is_cut_off_and_told_and_the_next_one_is_whole() -> None:
    whole = line()
    stream = io.BytesIO(b"x" * (3 * MAX_LINE_BYTES) + b"\n" + whole)
    too_long, good = read_lines(stream)
    assert len(too_long) == MAX_LINE_BYTES + 1
    with pytest.raises(PaymentError, match="longer than 65536 bytes"):
        decode_line(too_long)
    assert good == whole


@pytest.mark.parametrize("length", [MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 2 * MAX_LINE_BYTES + 1])
def test_the_line_after_a_long_one_is_the_next_one(length: int) -> None:
    assert list(read_lines(io.BytesIO(b"x" * length + b"\n" + b"next")))[1:] == [b"next"]


# The command


def test_bad_lines_are_reported_by_number_and_skipped_and_the_status_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, rules = tmp_path / "payments.ndjson", tmp_path / "rules.toml"
    file.write_bytes(line() + b"nonsense\n\n" + line(id="x") + line() + b"x" * 70_000 + b"\n" + line())
    rules.write_text(RULES, encoding="utf-8")
    assert replay(file, rules=rules) == 1
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 4
    assert [text.partition(":")[0] for text in err.splitlines()[:3]] == ["line 2", "line 4", "line 6"]
    assert "payments read: 3; late: 0; lines rejected: 3" in err


def test_the_summary_counts_per_rule() -> None:
    counted, _ = replayed([line(timestamp=NOON + HOUR), line(timestamp=NOON + HOUR), line()])
    assert summary(counted, 4).splitlines() == [
        "payments read: 3; late: 1; lines rejected: 4",
        "rule           rows       late   open windows",
        "by_payor          1          1              1",
        "by_payee          1          1              1",
    ]


def test_a_file_or_rules_that_cannot_be_used_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.ndjson: cannot be read: No such file"):
        replay(tmp_path / "none.ndjson")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        replay(tmp_path)
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file"):
        replay(rules=tmp_path / "none.toml")


def test_a_bar_tells_on_a_terminal_how_far_it_has_come_and_passes_every_line_on() -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=100)
    payments = [line(offset=number, payee_bank="B" * 140) for number in range(5000)]
    assert list(with_progress(payments, sum(map(len, payments)), console)) == payments
    assert "replaying" in terminal.getvalue()
    assert " MB" in terminal.getvalue()


def process(*arguments: str) -> "subprocess.Popen[bytes]":
    call = f"replay({', '.join(arguments)})"
    code = f"import sys; from pathlib import Path; from fraud.commands.replay import replay; sys.exit({call})"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe)


def test_rows_of_a_pipe_come_before_the_next_line_is_asked_for() -> None:
    with process() as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for number in range(10):
            running.stdin.write(line(id=f"6f1c2a34-5b6d-4e7f-8a9b-{number:012d}"))
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["rule"] == "structuring"
        running.stdin.close()
        assert running.wait() == 0


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    file = tmp_path / "payments.ndjson"
    file.write_bytes(b"".join(line() for _ in range(5000)))
    command = [sys.executable, "-m", "fraud", "replay", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0


def test_without_arguments_the_shipped_rules_read_standard_input() -> None:
    with process("Path('-')") as running:
        _, err = running.communicate(line())
    assert running.returncode == 0
    assert [text.split()[0] for text in err.decode().splitlines()[2:]] == [rule.name for rule in load()]
